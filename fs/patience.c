#include "patience.h"

#include "base/cleanup.h"

#include <signal.h>
#include <stdio.h>

static _Thread_local fuse_req_t at;

void patience_for(fuse_req_t req)
{
    at = req;
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
    return atomic_load(&m->stopping) ||
           (at != NULL && fuse_req_interrupted(at) && is_killed(fuse_req_ctx(at)->pid));
}
