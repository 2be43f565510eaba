/*
 * Filters that another process evaluates: it is no business of this one, ends with it, cannot hurt it, and has
 * nothing to steal.
 *
 * Orphans come to this process from the second test on, so it can see and count them.
 */
#include "jq_filters.h"

#include "jq_child.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S 120

/* ---- what this process sees of it ---- */

/* Those that run, or are not waited for; the last of them. */
static unsigned children(pid_t *ret)
{
    auto_buf struct buf path = BUF_INIT;
    unsigned n = 0;
    FILE *file;
    int pid;

    must(buf_printf(&path, "/proc/self/task/%d/children", (int)getpid()) == 0, "no memory");
    file = fopen(buf_str(&path), "r");
    assert_non_null(file);
    while (fscanf(file, "%d", &pid) == 1) {
        *ret = pid;
        n++;
    }
    fclose(file);
    return n;
}

static pid_t only_child(void)
{
    pid_t pid = 0;

    assert_int_equal(children(&pid), 1);
    return pid;
}

static unsigned descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void proc_read(pid_t pid, const char *name, struct buf *ret)
{
    auto_buf struct buf path = BUF_INIT;
    FILE *file;
    int c;

    must(buf_printf(&path, "/proc/%d/%s", (int)pid, name) == 0, "no memory");
    file = fopen(buf_str(&path), "r");
    assert_non_null(file);
    while ((c = getc(file)) != EOF)
        must(buf_add_char(ret, (char)c) == 0, "no memory");
    fclose(file);
}

static volatile sig_atomic_t n_signals;

static void count(int number)
{
    (void)number;
    n_signals++;
}

static void it_is_no_child_of_ours(void **state)
{
    const unsigned before = descriptors();

    (void)state;
    assert_true(signal(SIGCHLD, count) != SIG_ERR);
    for (int i = 0; i < 5; i++) {
        auto_filter struct filter *filter = filter_of(".data.n + 1 == 6");

        says(filter, "{\"n\":5}", FILTER_YES);
        has_no_children();
        assert_int_equal(descriptors(), before + 1);
    }
    assert_int_equal(descriptors(), before);
    assert_int_equal(n_signals, 0);
    assert_true(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

static void who_gets_the_orphans__has_no_zombies(void **state)
{
    (void)state;
    get_orphans();
    for (int i = 0; i < 5; i++) {
        auto_filter struct filter *filter = filter_of(".data.n + 1 == 6");

        says(filter, "{\"n\":5}", FILTER_YES);
        (void)only_child();
    }
    has_no_children();
}

/* ---- its end ---- */

/* In a process of its own, which is killed when it says that it is so far. */
static void kill_in_the_middle_of(const char *expression, const char *data)
{
    int pipe_ends[2];
    pid_t pid;
    char c;

    assert_int_equal(pipe(pipe_ends), 0);
    pid = fork();
    if (pid == 0) {
        struct filter *filter = filter_of(expression);

        says(filter, "{}", FILTER_NO);
        must(write(pipe_ends[1], "x", 1) == 1, "no pipe");
        says(filter, data, FILTER_YES);
        pause();
    }
    assert_true(pid > 0);
    assert_int_equal(read(pipe_ends[0], &c, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    while (waitpid(-1, NULL, 0) > 0) /* ends when nobody is left, or with the alarm */
        continue;
    assert_int_equal(errno, ECHILD);
}

static void it_ends_with_its_program(void **state)
{
    (void)state;
    alarm(PATIENCE_S);
    kill_in_the_middle_of(".data.n + 1 == 6", "{\"n\":5}");
    kill_in_the_middle_of("if .data.go then last(range(1e12)) else false end", "{\"go\":true}");
    alarm(0);
}

static void what_was_killed__is_replaced(void **state)
{
    auto_filter struct filter *filter = filter_of(".data.n + 1 == 6");

    (void)state;
    for (int i = 0; i < 10; i++) { /* more often than it may fail */
        says(filter, "{\"n\":5}", FILTER_YES);
        assert_int_equal(kill(only_child(), SIGKILL), 0);
    }
    says(filter, "{\"n\":4}", FILTER_NO);
}

/* Where we are who gets the orphans, and so wait for it. */
static void what_was_stopped__does_not_hold_up_its_end(void **state)
{
    (void)state;
    alarm(PATIENCE_S);
    for (int i = 0; i < 2; i++) {
        auto_filter struct filter *filter = filter_of(".data.n + 1 == 6");

        says(filter, "{\"n\":5}", FILTER_YES);
        assert_int_equal(kill(only_child(), SIGSTOP), 0);
    }
    alarm(0);
    has_no_children();
}

/* Also while a message is sent that is larger than what a socket holds. */
static void what_was_stopped__is_replaced(void **state)
{
    auto_filter struct filter *filter = filter_of(".data.s | length + 1 == 1000001");
    auto_buf struct buf data = BUF_INIT;

    (void)state;
    must(buf_add_str(&data, "{\"s\":\"") == 0 && buf_grow(&data, 1000000) == 0, "no memory");
    memset(data.p + data.n, 'x', 1000000);
    data.n += 1000000;
    must(buf_add_str(&data, "\"}") == 0, "no memory");
    alarm(PATIENCE_S);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kill(only_child(), SIGSTOP), 0);
        says(filter, i == 0 ? "{\"s\":\"x\"}" : buf_str(&data), i == 0 ? FILTER_NO : FILTER_YES);
    }
    alarm(0);
}

static void *match_until_cancelled(void *p)
{
    while (p != NULL) { /* for ever */
        says(p, "{\"n\":5}", FILTER_YES);
        pthread_testcancel();
    }
    return NULL;
}

/* Wherever it is then, the filter is as good as before, and so are others. */
static void a_thread_that_is_cancelled__leaves_it_whole(void **state)
{
    auto_filter struct filter *filter = filter_of(".data.n + 1 == 6");

    (void)state;
    alarm(PATIENCE_S);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *result;

        assert_int_equal(pthread_create(&thread, NULL, match_until_cancelled, filter), 0);
        usleep((useconds_t)(i * 37)); /* each time at another place */
        assert_int_equal(pthread_cancel(thread), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, PTHREAD_CANCELED);
        says(filter, "{\"n\":4}", FILTER_NO);
    }
    {
        auto_filter struct filter *other = filter_of(".data.n + 1 == 7");

        says(other, "{\"n\":6}", FILTER_YES);
    }
    alarm(0);
}

/* Waiting for its first message it is as likely to be ended as later, first of all when memory is short. */
static void what_was_killed_before_its_first_message__is_replaced(void **state)
{
    auto_filter struct filter *filter = filter_of(".data.n + 1 == 6");

    (void)state;
    assert_int_equal(kill(only_child(), SIGKILL), 0);
    says(filter, "{\"n\":5}", FILTER_YES);
}

static void there_are_not_many_at_once(void **state)
{
    struct filter *filters[JQ_CHILDREN_MAX + 4];
    const size_t n = sizeof filters / sizeof *filters;
    pid_t pid;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        auto_buf struct buf text = BUF_INIT;

        must(buf_printf(&text, ".data.n + %zu == 100", i) == 0, "no memory");
        filters[i] = filter_of(buf_str(&text));
        assert_int_equal(children(&pid), i < JQ_CHILDREN_MAX ? i + 1 : JQ_CHILDREN_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        auto_buf struct buf data = BUF_INIT;

        must(buf_printf(&data, "{\"n\":%zu}", 100 - i) == 0, "no memory");
        says(filters[i], buf_str(&data), FILTER_YES);
        says(filters[i], "{\"n\":0}", FILTER_NO);
        assert_int_equal(children(&pid), JQ_CHILDREN_MAX);
    }
    for (size_t i = 0; i < n; i++)
        filter_free(filters[i]);
    has_no_children();
}

/* ---- what it has ---- */

static void what_it_could_take__is_not_there(void **state)
{
    auto_filter struct filter *filter = NULL;
    auto_buf struct buf status = BUF_INIT, environment = BUF_INIT, limits = BUF_INIT;
    pid_t pid;

    (void)state;
    assert_int_equal(setenv("SECRET", "hunter2", 1), 0);
    filter = filter_of("$__loc__ | .line == 1");
    pid = only_child();
    proc_read(pid, "status", &status);
    assert_non_null(strstr(buf_str(&status), "NoNewPrivs:\t1"));
#if defined(__x86_64__) || defined(__aarch64__)
    assert_non_null(strstr(status.p, "Seccomp:\t2"));
#endif
    proc_read(pid, "limits", &limits);
    assert_non_null(strstr(buf_str(&limits), "Max open files            0 "));
    assert_non_null(strstr(limits.p, "Max file size             0 "));
    assert_non_null(strstr(limits.p, "Max core file size        0 "));
    if (geteuid() != 0)
        return; /* nobody else may look further */
    proc_read(pid, "environ", &environment);
    assert_int_equal(environment.n, 0);
}

/* ---- what goes on as before ---- */

static void local_time__is_that_of_the_program(void **state)
{
    (void)state;
    assert_int_equal(setenv("TZ", "XYZ-3", 1), 0);
    {
        auto_filter struct filter *filter = filter_of("0 | localtime | strftime(\"%H\") == \"03\" "
                                                      "and (0 | strflocaltime(\"%Z\") == \"XYZ\")");

        says(filter, "{}", FILTER_YES);
    }
    assert_int_equal(unsetenv("TZ"), 0);
}

static void large_messages__are_seen_whole(void **state)
{
    auto_filter struct filter *filter = filter_of(".data.s | length + 1 == 5000001");
    auto_buf struct buf data = BUF_INIT;

    (void)state;
    must(buf_add_str(&data, "{\"s\":\"") == 0 && buf_grow(&data, 5000000) == 0, "no memory");
    memset(data.p + data.n, 'x', 5000000);
    data.n += 5000000;
    must(buf_add_str(&data, "\"}") == 0, "no memory");
    says(filter, buf_str(&data), FILTER_YES);
    says(filter, "{\"s\":\"x\"}", FILTER_NO);
    says(filter, data.p, FILTER_YES);
}

static void without_standard_descriptors__it_works(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    alarm(PATIENCE_S);
    if (pid == 0) {
        struct filter *filter;

        for (int fd = 0; fd <= 2; fd++)
            close(fd);
        filter = filter_of(".data.n + 1 == 6");
        says(filter, "{\"n\":5}", FILTER_YES);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    while (waitpid(-1, NULL, 0) > 0) /* it left one behind */
        continue;
    alarm(0);
}

static void *match_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < 5; i++) {
        auto_filter struct filter *filter = filter_of(".data.n + 1 == 6");

        for (int k = 0; k < 200; k++)
            says(filter, k % 2 == 0 ? "{\"n\":5}" : "{\"n\":6}",
                 k % 2 == 0 ? FILTER_YES : FILTER_NO);
    }
    return NULL;
}

static void threads__have_filters_of_their_own(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    has_no_children();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_no_child_of_ours), /* first */
        cmocka_unit_test(who_gets_the_orphans__has_no_zombies),
        cmocka_unit_test(it_ends_with_its_program),
        cmocka_unit_test(what_was_killed__is_replaced),
        cmocka_unit_test(what_was_killed_before_its_first_message__is_replaced),
        cmocka_unit_test(what_was_stopped__does_not_hold_up_its_end),
        cmocka_unit_test(what_was_stopped__is_replaced),
        cmocka_unit_test(a_thread_that_is_cancelled__leaves_it_whole),
        cmocka_unit_test(there_are_not_many_at_once),
        cmocka_unit_test(what_it_could_take__is_not_there),
        cmocka_unit_test(local_time__is_that_of_the_program),
        cmocka_unit_test(large_messages__are_seen_whole),
        cmocka_unit_test(without_standard_descriptors__it_works),
        cmocka_unit_test(threads__have_filters_of_their_own),
    };

    must(unsetenv("TZ") == 0, "no environment");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
