/*
 * The mount's workers: what may take long has its limits, whoever has the least of it is next, and the end waits for all.
 */
#include "pools.h"

#include "base/units.h"
#include "work.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define N_MAX 32
#define PATIENCE_NS (30 * NS_PER_S)

/* An item that says when it begins, and goes on when it may. */
struct item {
    struct work work;
    unsigned user;
    sem_t may_end;
};

static struct {
    struct workers *workers;
    struct item items[N_MAX];
    size_t n;
    sem_t begun_more;
    _Atomic unsigned begun[4]; /* by user; 0: what is not slow */
    _Atomic unsigned ended;
} it;

static void run(struct work *work)
{
    struct item *item = (struct item *)work;

    it.begun[item->user]++;
    sem_post(&it.begun_more);
    while (sem_wait(&item->may_end) < 0)
        continue;
    it.ended++;
}

/* For user 0: what is not slow, and needs no leave. */
static struct item *submit(unsigned user)
{
    struct item *item = &it.items[it.n++];

    must(it.n <= N_MAX, "too many");
    *item = (struct item){.work.run = run, .user = user};
    sem_init(&item->may_end, 0, user == 0);
    if (user == 0)
        workers_submit(it.workers, &item->work);
    else
        workers_submit_slow(it.workers, &item->work, user);
    return item;
}

static void submit_many(unsigned user, unsigned n)
{
    while (n-- > 0)
        submit(user);
}

static void begins(unsigned n)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += PATIENCE_NS / NS_PER_S;
    while (n-- > 0)
        must(sem_timedwait(&it.begun_more, &limit) == 0, "nothing begins");
}

/* Whatever could begin would have done so: what came last has. */
static void nothing_else_begins(void)
{
    for (int i = 0; i < 3; i++) {
        submit(0);
        begins(1);
    }
}

static void let_all_end(void)
{
    for (size_t i = 0; i < it.n; i++)
        sem_post(&it.items[i].may_end);
}

static int make(void **state)
{
    (void)state;
    memset(&it, 0, sizeof it);
    sem_init(&it.begun_more, 0, 0);
    it.workers = workers_new();
    return it.workers != NULL ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    let_all_end();
    assert_true(workers_stop(it.workers, PATIENCE_NS));
    assert_int_equal(it.ended, it.n);
    workers_free(it.workers);
    return 0;
}

static void a_user__has_some_of_what_is_slow(void **state)
{
    (void)state;
    submit_many(1, 8);
    begins(SLOW_USER_MAX);
    nothing_else_begins();
    assert_int_equal(it.begun[1], SLOW_USER_MAX);
    submit(2);
    begins(1);
    assert_int_equal(it.begun[2], 1);
}

static void all_together__leave_workers_for_what_is_not(void **state)
{
    (void)state;
    for (unsigned user = 1; user <= 3; user++)
        submit_many(user, SLOW_USER_MAX);
    begins(SLOW_MAX);
    nothing_else_begins();
    assert_int_equal(it.begun[1] + it.begun[2] + it.begun[3], SLOW_MAX);
}

static void who_has_the_least__is_next(void **state)
{
    (void)state;
    struct item *first = submit(1);
    submit_many(1, SLOW_USER_MAX - 1);
    submit_many(2, SLOW_USER_MAX);
    begins(SLOW_MAX);
    submit_many(2, 4);
    submit_many(1, 4);
    submit(3);
    sem_post(&first->may_end);
    begins(1);
    assert_int_equal(it.begun[3], 1);
    assert_int_equal(it.begun[1] + it.begun[2], SLOW_MAX);
}

static void the_end__does_not_wait_for_ever(void **state)
{
    (void)state;
    submit_many(1, 8);
    begins(SLOW_USER_MAX);
    assert_false(workers_stop(it.workers, NS_PER_MS));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_user__has_some_of_what_is_slow, make, drop),
        cmocka_unit_test_setup_teardown(all_together__leave_workers_for_what_is_not, make, drop),
        cmocka_unit_test_setup_teardown(who_has_the_least__is_next, make, drop),
        cmocka_unit_test_setup_teardown(the_end__does_not_wait_for_ever, make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
