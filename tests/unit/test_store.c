#include "pool/store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int make_fresh(void **state)
{
    char *dir = strdup("/tmp/plasmite-test-XXXXXX");

    *state = mkdtemp(dir);
    return *state == NULL ? -1 : 0;
}

static int remove_fresh(void **state)
{
    char command[256];

    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    free(*state);
    return system(command);
}

static void assert_resolves(const char *reference, const char *expected)
{
    auto_buf struct buf path = BUF_INIT;

    assert_int_equal(store_resolve("/pools", reference, &path, NULL), 0);
    assert_string_equal(buf_str(&path), expected);
}

static void resolve__follows_the_three_rules(void **state)
{
    (void)state;
    assert_resolves("a/b", "a/b");
    assert_resolves("./x", "./x");
    assert_resolves("/x/y.plasmite", "/x/y.plasmite");
    assert_resolves("chat.plasmite", "/pools/chat.plasmite");
    assert_resolves("chat", "/pools/chat.plasmite");
    assert_resolves("..", "/pools/...plasmite");
    assert_resolves("", "/pools/.plasmite");
}

static void resolve__limits_the_name(void **state)
{
    auto_buf struct buf path = BUF_INIT;
    char name[POOL_NAME_MAX + 2];
    struct error err;

    (void)state;
    memset(name, 'n', sizeof name);
    name[POOL_NAME_MAX + 1] = '\0';
    assert_int_equal(store_resolve("d", name, &path, &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    assert_int_equal(path.n, 0);
    name[POOL_NAME_MAX] = '\0';
    assert_int_equal(store_resolve("d", name, &path, &err), 0);
}

static void check_name__refuses_what_a_stranger_must_not_make(void **state)
{
    static const struct bytes good[] = {BYTES("a"), BYTES("A b.c"), BYTES("caf\xc3\xa9"),
                                        BYTES("README2")};
    static const struct bytes bad[] = {BYTES(""),     BYTES("a/b"),    BYTES(".x"),
                                       BYTES(".."),   BYTES("README"), BYTES("a\nb"),
                                       BYTES("a\0b"), BYTES("a\x7f")};
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(store_check_name(good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(store_check_name(bad[i], &err), -1);
        assert_int_equal(err.kind, PLSM_ERROR_USAGE);
    }
}

static void make_dir__makes_parents_for_the_owner_only(void **state)
{
    auto_buf struct buf path = BUF_INIT;
    struct error err;
    struct stat st;

    buf_printf(&path, "%s/a/b/c", (char *)*state);
    assert_int_equal(store_make_dir(buf_str(&path), &err), 0);
    assert_int_equal(stat(path.p, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(store_make_dir(path.p, &err), 0);
    buf_add_str(&path, "/file");
    close(open(buf_str(&path), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(store_make_dir(path.p, &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_IO);
    assert_string_equal(err.path, path.p);
}

static void touch(const char *dir, const char *name)
{
    auto_buf struct buf path = BUF_INIT;

    buf_printf(&path, "%s/%s", dir, name);
    close(open(buf_str(&path), O_CREAT | O_WRONLY, 0600));
}

static void list__has_the_pools_in_byte_order(void **state)
{
    const char *dir = *state;
    struct store_list list;
    struct error err;

    touch(dir, "b.plasmite");
    touch(dir, "a.plasmite");
    touch(dir, "B.plasmite");
    touch(dir, ".plasmite");
    touch(dir, "c.txt");
    touch(dir, "d.plasmite.old");
    assert_int_equal(store_list(dir, &list, &err), 0);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.pools[0].name, "B");
    assert_string_equal(list.pools[1].name, "a");
    assert_string_equal(list.pools[2].name, "b");
    store_list_done(&list);
}

static void list__knows_the_files_but_not_where_links_lead(void **state)
{
    const char *dir = *state;
    auto_buf struct buf path = BUF_INIT;
    struct store_list list;
    struct error err;
    struct stat st;

    touch(dir, "a.plasmite");
    buf_printf(&path, "%s/b.plasmite", dir);
    assert_int_equal(symlink("a.plasmite", buf_str(&path)), 0);
    assert_int_equal(stat(path.p, &st), 0);
    assert_int_equal(store_list(dir, &list, &err), 0);
    assert_int_equal(list.n, 2);
    assert_int_equal(list.pools[0].ino, st.st_ino);
    assert_int_equal(list.pools[1].ino, 0);
    store_list_done(&list);
}

static void list__of_nothing_is_empty(void **state)
{
    auto_buf struct buf path = BUF_INIT;
    struct store_list list;
    struct error err;

    buf_printf(&path, "%s/none", (char *)*state);
    assert_int_equal(store_list(buf_str(&path), &list, &err), 0);
    assert_int_equal(list.n, 0);
    store_list_done(&list);
    touch(*state, "file");
    path.n = 0;
    buf_printf(&path, "%s/file", (char *)*state);
    assert_int_equal(store_list(buf_str(&path), &list, &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_IO);
}

static void default_dir__is_below_home(void **state)
{
    auto_buf struct buf dir = BUF_INIT, without = BUF_INIT, empty = BUF_INIT;

    (void)state;
    setenv("HOME", "/home/x", 1);
    store_default_dir(&dir);
    assert_string_equal(buf_str(&dir), "/home/x/.plasmite/pools");
    unsetenv("HOME");
    store_default_dir(&without);
    assert_string_equal(buf_str(&without), ".plasmite/pools");
    setenv("HOME", "", 1);
    store_default_dir(&empty);
    assert_string_equal(buf_str(&empty), ".plasmite/pools");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolve__follows_the_three_rules),
        cmocka_unit_test(resolve__limits_the_name),
        cmocka_unit_test(check_name__refuses_what_a_stranger_must_not_make),
        cmocka_unit_test_setup_teardown(make_dir__makes_parents_for_the_owner_only, make_fresh,
                                        remove_fresh),
        cmocka_unit_test_setup_teardown(list__has_the_pools_in_byte_order, make_fresh,
                                        remove_fresh),
        cmocka_unit_test_setup_teardown(list__knows_the_files_but_not_where_links_lead, make_fresh,
                                        remove_fresh),
        cmocka_unit_test_setup_teardown(list__of_nothing_is_empty, make_fresh, remove_fresh),
        cmocka_unit_test(default_dir__is_below_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
