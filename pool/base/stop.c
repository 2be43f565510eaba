#include "base/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_bool asked;
static atomic_int which;
static int event_fd = -1; /* set by stop_install(), then constant */

void stop_ask(void)
{
    const uint64_t one = 1;
    int saved = errno;
    ssize_t done;

    atomic_store(&asked, true);
    done = write(event_fd, &one, sizeof one);
    (void)done; /* a full counter is readable already */
    errno = saved;
}

static void on_signal(int number)
{
    atomic_store(&which, number);
    stop_ask();
}

int stop_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0)
        return -1;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigaction(numbers[i], &action, NULL) < 0)
            return -1;
    return 0;
}

bool stop_asked(void)
{
    return atomic_load(&asked);
}

int stop_signal(void)
{
    return atomic_load(&which);
}

int stop_fd(void)
{
    return event_fd;
}
