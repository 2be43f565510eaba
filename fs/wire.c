/*
 * On the way of a short answer the kernel and libc take as long as we do:
 *
 *   The kernel looks up the page of every piece of memory that it copies from, and libfuse has two pieces, a header and the
 *   rest.  So short answers are put together first.
 *   read() and writev() can be cancelled, for which libc makes ready in a process with threads.  Nobody is cancelled here, so the
 *   bare calls do.  Not under the thread sanitizer, which has to know of both: what passes from one thread to another by way
 *   of the kernel is in order.
 */
#include "wire.h"

#include <linux/fuse.h>
#include <stdalign.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#define CALL_READ(fd, to, n) read(fd, to, n)
#define CALL_WRITEV(fd, pieces, n) writev(fd, pieces, n)
#else
#define CALL_READ(fd, to, n) syscall(SYS_read, fd, to, n)
#define CALL_WRITEV(fd, pieces, n) syscall(SYS_writev, fd, pieces, n)
#endif

#define INTERRUPTS_MAX 256 /* that came one after the other, at the end; more stay until the process ends */
#define SHORT_BYTES 512 /* most messages in their envelope, and every answer without data */

static ssize_t send_answer(int fd, struct iovec *pieces, int n, void *mount)
{
    alignas(SHORT_BYTES) char joined[SHORT_BYTES]; /* so that it lies in one page */
    size_t bytes = 0;

    (void)mount;
    for (int i = 0; i < n; i++) {
        if (pieces[i].iov_len > sizeof joined - bytes)
            return writev(fd, pieces, n);
        if (pieces[i].iov_len > 0)
            memcpy(joined + bytes, pieces[i].iov_base, pieces[i].iov_len);
        bytes += pieces[i].iov_len;
    }
    return CALL_WRITEV(fd, (&(struct iovec){joined, bytes}), 1);
}

static ssize_t receive_request(int fd, void *to, size_t room, void *mount)
{
    (void)mount;
    return CALL_READ(fd, to, room);
}

void wire_use(struct fuse_session *session)
{
    static const struct fuse_custom_io io = {.read = receive_request, .writev = send_answer};

    (void)fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

void wire_settle(struct fuse_session *session)
{
    struct {
        struct fuse_in_header head;
        struct fuse_batch_forget_in none;
    } nothing = {.head = {.len = sizeof nothing, .opcode = FUSE_BATCH_FORGET}};

    for (int i = 0; i < INTERRUPTS_MAX; i++)
        fuse_session_process_buf(session, &(struct fuse_buf){.size = sizeof nothing, .mem = &nothing});
}
