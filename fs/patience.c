#include "patience.h"

#include "base/cleanup.h"
#include "base/units.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static _Thread_local fuse_req_t at;
static _Thread_local uint64_t until_ns;

uint64_t patience_end(const struct mount *m)
{
    return m->park_limit_ns == 0 ? 0 : clock_mono_ns() + m->park_limit_ns;
}

void patience_for(fuse_req_t req, uint64_t end_ns)
{
    at = req;
    until_ns = end_ns;
}

static bool is_late(void)
{
    return at != NULL && until_ns != 0 && clock_mono_ns() >= until_ns;
}

/* The kernel tells of every signal alike.  One that ends the process is pending as SIGKILL in all of its threads. */
static bool is_killed(pid_t thread)
{
    auto_file FILE *file = NULL;
    char path[40], line[128];
    unsigned long long pending = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "SigPnd: %llx", &pending) == 1)
            break;
    return (pending >> (SIGKILL - 1) & 1) != 0;
}

bool patience_lost(const struct mount *m)
{
    return atomic_load(&m->stopping) || is_late() ||
           (at != NULL && fuse_req_interrupted(at) && is_killed(fuse_req_ctx(at)->pid));
}

int patience_fail(struct error *err)
{
    if (!is_late()) /* the mount is ending, or the caller */
        return ECONNABORTED;
    (void)fail_os(err, PLSM_ERROR_IO, ETIMEDOUT, "the kernel waits no longer for an answer");
    (void)fail_hint(err, "Try again: it goes on where it was. The limit is in /proc/sys/fs/fuse/default_request_timeout "
                         "and max_request_timeout.");
    return ETIMEDOUT;
}
