#include "progress.h"

#include "base/log.h"

#include <inttypes.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_NS NS_PER_S /* a shorter run needs no comfort */
#define CLEAR "\r\033[K"

void progress_start(struct progress *progress, bool on, int fd)
{
    struct stat st;
    off_t at;

    *progress = (struct progress){.on = on};
    if (!on)
        return;
    progress->started_ns = clock_mono_ns();
    at = lseek(fd, 0, SEEK_CUR);
    if (at >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > at)
        progress->bytes = (uint64_t)(st.st_size - at);
}

static void add_rate(struct buf *out, uint64_t n, uint64_t ns)
{
    double rate = (double)n * (double)NS_PER_S / (double)(ns > 0 ? ns : 1);

    buf_printf(out, " (%.0f/s)", rate);
}

static void add_bytes(struct buf *out, uint64_t n)
{
    format_size(out, n);
    buf_add_str(out, n < 1024 ? n == 1 ? " byte" : " bytes" : "");
}

static void add_messages(struct buf *out, const struct input_counts *counts)
{
    buf_printf(out, "%" PRIu64 " message%s", counts->good, counts->good == 1 ? "" : "s");
    if (counts->bad > 0)
        buf_printf(out, ", %" PRIu64 " skipped", counts->bad);
}

static void draw(struct progress *p, const struct input_counts *counts, uint64_t now_ns)
{
    auto_buf struct buf line = BUF_INIT;
    struct winsize size;

    buf_add_str(&line, CLEAR);
    if (p->bytes > 0) /* a file that grows meanwhile is not more than read */
        buf_printf(&line, "%3.0f%%  ",
                   counts->bytes < p->bytes ? 100.0 * (double)counts->bytes / (double)p->bytes
                                            : 100.0);
    add_bytes(&line, counts->bytes);
    if (p->bytes > 0) {
        buf_add_str(&line, " of ");
        add_bytes(&line, p->bytes);
    }
    buf_add_str(&line, ", ");
    add_messages(&line, counts);
    add_rate(&line, counts->good, now_ns - p->started_ns);
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 &&
        line.n >= size.ws_col + sizeof CLEAR - 1)
        line.n = size.ws_col - 1u + sizeof CLEAR - 1; /* what wraps cannot be written over */
    log_write(buf_bytes(&line));
    p->shown = p->was_shown = true;
    p->drawn_ns = now_ns;
}

void progress_step(struct progress *progress, const struct input_counts *counts)
{
    uint64_t now_ns;

    if (!progress->on)
        return;
    now_ns = clock_mono_ns();
    if (now_ns - progress->started_ns < PATIENCE_NS)
        return;
    if (!progress->shown || now_ns - progress->drawn_ns >= PROGRESS_STEP_MS * NS_PER_MS)
        draw(progress, counts, now_ns);
}

void progress_hide(struct progress *progress)
{
    if (progress->shown)
        log_write(BYTES(CLEAR));
    progress->shown = false;
}

void progress_done(struct progress *progress, const struct input_counts *counts)
{
    auto_buf struct buf line = BUF_INIT;
    uint64_t ns = clock_mono_ns() - progress->started_ns;

    progress_hide(progress);
    if (!progress->was_shown)
        return;
    add_messages(&line, counts);
    buf_add_str(&line, ", ");
    add_bytes(&line, counts->bytes);
    buf_printf(&line, " in %.1f s", (double)ns / (double)NS_PER_S);
    add_rate(&line, counts->good, ns);
    buf_add_char(&line, '\n');
    log_write(buf_bytes(&line));
}
