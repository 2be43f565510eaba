/* Work of the mount where no thread can be started: whoever hands it over does it. */
#include "work.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TURNS 100000 /* that would fill any stack if each began within the one before */
#define NOBODY 65534

/* In place of libc's. */
int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *arg)
{
    (void)thread, (void)how, (void)run, (void)arg;
    return EAGAIN;
}

struct task {
    struct work work;
    struct workers *workers;
    unsigned left, depth, depth_max;
};

static void run(struct work *work)
{
    struct task *task = (struct task *)work;

    if (++task->depth > task->depth_max)
        task->depth_max = task->depth;
    if (task->left-- > 1)
        workers_submit_slow(task->workers, work, NOBODY);
    task->depth--;
}

static void what_goes_on_by_itself__does_not_nest(void **state)
{
    struct workers *workers = workers_new();
    struct task task = {.work.run = run, .workers = workers, .left = TURNS};

    (void)state;
    assert_non_null(workers);
    workers_submit_slow(workers, &task.work, NOBODY);
    assert_int_equal(task.left, 0);
    assert_int_equal(task.depth_max, 1);
    assert_true(workers_stop(workers, 0));
    workers_free(workers);
}

static void one_after_the_other__all_is_done(void **state)
{
    struct workers *workers = workers_new();

    (void)state;
    assert_non_null(workers);
    for (int i = 0; i < 2 * SLOW_MAX; i++) {
        struct task task = {.work.run = run, .workers = workers, .left = 1};

        if (i % 2 == 0)
            workers_submit(workers, &task.work);
        else
            workers_submit_slow(workers, &task.work, NOBODY);
        assert_int_equal(task.left, 0);
    }
    assert_true(workers_stop(workers, 0));
    workers_free(workers);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_on_by_itself__does_not_nest),
        cmocka_unit_test(one_after_the_other__all_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
