#include "base/out.h"

#include "base/units.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

/* A terminal that was closed says EIO: whoever looked at it has gone, like the reader of a pipe. */
static int not_written(int fd)
{
    int why = errno;
    struct stat st;

    errno = why == EIO && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) ? EPIPE : why;
    return -1;
}

int out_write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done >= 0) {
            p += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) { /* somebody made the shared descriptor non-blocking */
            struct pollfd ready = {.fd = fd, .events = POLLOUT};

            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return not_written(fd);
        }
    }
    return 0;
}

int out_flush(struct out *out)
{
    if (out->error != 0)
        return -1;
    if (buf_failed(&out->lines))
        out->error = ENOMEM;
    else if (out->lines.n > 0 && out_write_all(out->fd, out->lines.p, out->lines.n) < 0)
        out->error = errno;
    buf_clear(&out->lines);
    out->oldest_ns = 0;
    return out->error == 0 ? 0 : -1;
}

int out_lines_added(struct out *out)
{
    uint64_t now_ns;

    if (out->error != 0)
        return -1;
    if (out->lines.n >= OUT_FLUSH_BYTES)
        return out_flush(out);
    now_ns = clock_mono_ns();
    if (out->oldest_ns == 0)
        out->oldest_ns = now_ns;
    else if (now_ns - out->oldest_ns >= OUT_FLUSH_NS)
        return out_flush(out);
    return buf_failed(&out->lines) ? out_flush(out) : 0;
}

void out_done(struct out *out)
{
    buf_done(&out->lines);
}
