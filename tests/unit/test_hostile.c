/*
 * Files that lie, and files that are taken away while in use.
 *
 * Whatever stands in a pool file: verify answers, reads end, nothing crashes, and no message is ever delivered that nobody
 * has sent.  An alarm ends what hangs.
 */
#include "pools.h"

#include "base/units.h"
#include "handle.h"
#include "layout.h"
#include "pool/stream.h"
#include "pool/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_BYTES 8192
#define MESSAGES_MAX 300 /* more than fit */
#define STEP_SECONDS 10  /* one file; takes a millisecond */
#define WRITER 5

static uint64_t what; /* for messages: the bit, or the seed */
static struct sigaction
    guard; /* the engine's SIGBUS handler; cmocka puts its own in front of each test */

static void on_alarm(int sig)
{
    static const char text[] = "a step hangs\n";

    (void)sig;
    (void)!write(2, text, sizeof text - 1);
    _exit(98);
}

/* A ring that has been round a few times, with tags nowhere and an index. */
static void make_pool(const char *path)
{
    (void)unlink(path);
    pool_must_create(path, FILE_BYTES, 16);
    struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t n = 1; n <= 70; n++)
        must(append_proof(pool, WRITER, n, PROOF_MIN + n % 40 * 7) == n, "number %" PRIu64, n);
    pool_close(pool);
}

/* Reads until the end; every message must be one that was sent.  Returns the newest number met. */
static uint64_t read_all(struct pool *pool)
{
    auto_buf struct buf store = BUF_INIT;
    struct cursor cursor;
    struct message message;
    struct error err = ERROR_INIT;
    uint64_t last = 0, n;
    uint32_t writer;

    if (cursor_at_oldest(pool, &cursor, &err) < 0)
        return 0;
    for (int i = 0; i < MESSAGES_MAX; i++) {
        switch (cursor_next(pool, &cursor, &store, &message, &err)) {
        case CURSOR_MESSAGE:
            must(proof_check(message.data, &writer, &n) && writer == WRITER && n == message.seq,
                 "%" PRIu64 ": message %" PRIu64 " is none that was sent", what, message.seq);
            must(message.seq > last, "%" PRIu64 ": %" PRIu64 " after %" PRIu64, what, message.seq,
                 last);
            last = message.seq;
            break;
        case CURSOR_GAP:
            break;
        case CURSOR_END:
        case CURSOR_FAILED:
            return last;
        }
    }
    must(false, "%" PRIu64 ": reading does not end", what);
    return 0;
}

static void seek_everywhere(struct pool *pool)
{
    auto_buf struct buf store = BUF_INIT;
    struct message message;
    struct cursor cursor;
    uint32_t writer;
    uint64_t n;

    (void)cursor_at_time(pool, clock_real_ns() - 1000000, &cursor, NULL);
    (void)cursor_at_rendered(pool, 5000, &cursor, NULL);
    for (uint64_t seq = 50; seq < 72; seq += 7) {
        buf_clear(&store);
        if (pool_get(pool, seq, &store, &message, NULL) == 0)
            must(message.seq == seq && proof_check(message.data, &writer, &n) && n == seq,
                 "%" PRIu64 ": %" PRIu64, what, seq);
    }
}

/* Everything one can do with a damaged file.  True when verify saw the damage. */
static bool try_everything(const char *path)
{
    auto_pool struct pool *pool = NULL;
    struct verify_report report;
    struct error err = ERROR_INIT;
    auto_buf struct buf data = BUF_INIT;

    alarm(STEP_SECONDS);
    must(verify_pool(path, &report, &err) == 0, "%" PRIu64 ": verify does not answer: %s", what,
         err.message);
    if (pool_open(path, POOL_READ_WRITE, &pool, &err) == 0) {
        struct receipt receipt;
        uint64_t last = read_all(pool);
        seek_everywhere(pool);
        proof_make(&data, WRITER, last + 1, 99);
        struct payload payload = payload_make(BYTES(""), 0, buf_bytes(&data));
        if (pool_append(pool, &payload, 1, 0, &receipt, &err) == 0)
            must(receipt.first_seq > last, "%" PRIu64 ": number %" PRIu64 " after %" PRIu64, what,
                 receipt.first_seq, last);
    }
    alarm(0);
    return report.n_issues > 0;
}

static void every_bit__may_flip(void **state)
{
    const char *good = scratch_path("good.plasmite"), *bad = scratch_path("bad.plasmite");
    auto_buf struct buf bytes = BUF_INIT;
    uint64_t seen_fixed = 0, seen_ring = 0;

    (void)state;
    make_pool(good);
    file_read(good, &bytes);
    for (uint64_t bit = 0; bit < FILE_BYTES * 8; bit++) {
        if (bit / 8 >= sizeof(struct header_page) && bit / 8 < LAYOUT_HEADER_BYTES && bit % 97 != 0)
            continue; /* reserved, and nobody looks: a sample will do */
        what = bit;
        bytes.p[bit / 8] = (char)(bytes.p[bit / 8] ^ 1 << bit % 8);
        file_write(bad, bytes.p, bytes.n);
        bool seen = try_everything(bad);
        if (bit < offsetof(struct header_fixed, crc) * 8) {
            assert_true(seen);
            seen_fixed++;
        }
        seen_ring += seen && bit / 8 >= LAYOUT_HEADER_BYTES + 16 * 16;
        bytes.p[bit / 8] = (char)(bytes.p[bit / 8] ^ 1 << bit % 8);
    }
    assert_int_equal(seen_fixed, 76 * 8);
    /* Nearly all of a full ring is covered by checksums: what is not is padding and what was overwritten last. */
    assert_true(seen_ring > (FILE_BYTES - LAYOUT_HEADER_BYTES - 256) * 8 * 8 / 10);
}

/* Tries a sound pool with what `spoil` does to its bytes, n times over. */
static void try_spoilt(int n, void (*spoil)(struct buf *bytes, int i, struct random *r))
{
    const char *good = scratch_path("good.plasmite"), *bad = scratch_path("bad.plasmite");
    auto_buf struct buf bytes = BUF_INIT;
    uint64_t seed = seed_from_env();
    struct random r = {seed};

    make_pool(good);
    for (int i = 0; i < n; i++) {
        file_read(good, &bytes);
        what = seed;
        spoil(&bytes, i, &r);
        file_write(bad, bytes.p, bytes.n);
        (void)try_everything(bad);
    }
}

static void spoil_header(struct buf *bytes, int i, struct random *r)
{
    uint64_t from =
        i % 4 == 0 ? 0 : sizeof(struct header_fixed); /* mostly behind what the checksum guards */

    for (uint64_t n = 1 + random_below(r, 24); n > 0; n--) {
        uint64_t at = (from + random_below(r, sizeof(struct header_page) - from)) & ~7ULL,
                 word = random_next(r);
        word >>= random_below(r, 64); /* small numbers lie better */
        memcpy(bytes->p + at, &word, 8);
    }
}

static void garbage__in_the_header(void **state)
{
    (void)state;
    try_spoilt(2000, spoil_header);
}

static void spoil_ring(struct buf *bytes, int i, struct random *r)
{
    uint64_t at = LAYOUT_HEADER_BYTES + random_below(r, FILE_BYTES - LAYOUT_HEADER_BYTES);

    (void)i;
    for (uint64_t end = at + random_below(r, FILE_BYTES - at); at < end; at++)
        bytes->p[at] = (char)random_next(r);
}

static void garbage__in_the_ring(void **state)
{
    (void)state;
    try_spoilt(1000, spoil_ring);
}

static void wrong_sizes__are_refused(void **state)
{
    static const size_t sizes[] = {0, 1, 79, 4095, 4096, 4097, FILE_BYTES - 1, FILE_BYTES + 1};
    const char *good = scratch_path("good.plasmite"), *bad = scratch_path("bad.plasmite");
    auto_buf struct buf bytes = BUF_INIT;

    (void)state;
    make_pool(good);
    file_read(good, &bytes);
    assert_int_equal(buf_add_char(&bytes, 0), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct pool *pool = NULL;
        struct error err = ERROR_INIT;
        file_write(bad, bytes.p, sizes[i]);
        assert_true(try_everything(bad));
        assert_int_equal(pool_open(bad, POOL_READ_WRITE, &pool, &err), -1);
        assert_int_equal(err.kind, PLSM_ERROR_CORRUPT);
        assert_string_equal(err.path, bad);
    }
}

/* ---- taken away while in use ---- */

enum role { READER, WRITER_ROLE, FOLLOWER, ROLES };
static const char *const role_names[] = {"reader", "writer", "follower"};

static int write_until_error(struct pool *pool, struct error *err)
{
    auto_buf struct buf data = BUF_INIT;

    proof_make(&data, WRITER, 1, 200);
    struct payload payload = payload_make(BYTES(""), 0, buf_bytes(&data));
    while (pool_append(pool, &payload, 1, 0, NULL, err) == 0)
        ;
    return (int)err->kind;
}

static int read_until_error(struct pool *pool, struct error *err)
{
    auto_buf struct buf store = BUF_INIT;
    struct message message;
    struct cursor cursor;

    for (;;) {
        if (cursor_at_oldest(pool, &cursor, err) < 0)
            return (int)err->kind;
        for (enum cursor_result result = CURSOR_MESSAGE;
             result == CURSOR_MESSAGE || result == CURSOR_GAP;) {
            result = cursor_next(pool, &cursor, &store, &message, err);
            if (result == CURSOR_FAILED)
                return (int)err->kind;
        }
        if (pool_check_alive(pool, err) < 0)
            return (int)err->kind;
    }
}

static int follow_until_error(struct pool *pool, struct error *err)
{
    auto_stream struct stream *stream = NULL;
    struct stream_options options = {.start = STREAM_ALL};
    struct message message;

    if (stream_open(pool, &options, &stream, err) < 0)
        return (int)err->kind;
    for (;;) {
        enum stream_result result = stream_next(stream, &message, err);
        uint64_t pos = stream_pos(stream);
        if (result == STREAM_FAILED)
            return (int)err->kind;
        if (result == STREAM_WAIT)
            (void)pool_wait(&pool, &pos, 1, UINT64_MAX, NULL, 0);
    }
}

/* Starts a process at work in the pool; it ends with the kind of its error.  Returns when it is at work. */
static pid_t start(const char *path, enum role role)
{
    int ready[2];
    char c;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct error err = ERROR_INIT;
        int kind;
        alarm(STEP_SECONDS);
        sigaction(SIGBUS, &guard, NULL);
        struct pool *pool = pool_must_open(path, role == WRITER_ROLE ? POOL_READ_WRITE : POOL_READ);
        must(write(ready[1], "x", 1) == 1, "pipe");
        kind = role == READER     ? read_until_error(pool, &err)
               : role == FOLLOWER ? follow_until_error(pool, &err)
                                  : write_until_error(pool, &err);
        pool_close(pool);
        _exit(kind);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void expect_end(pid_t pid, enum role role, int kind)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != kind)
        fail_msg("the %s ended with %#x, not with kind %d", role_names[role], (unsigned)status,
                 kind);
}

static void cut(const char *path)
{
    must(truncate(path, 4096) == 0, "%s", strerror(errno));
}

static void cut_to_nothing(const char *path)
{
    must(truncate(path, 0) == 0, "%s", strerror(errno));
}

static void delete_it(const char *path)
{
    struct error err = ERROR_INIT;

    must(pool_delete(path, &err) == 0, "%s", err.message);
    must(access(path, F_OK) < 0, "it is still there");
}

static void unlink_it(const char *path)
{
    must(unlink(path) == 0, "%s", strerror(errno));
}

static void replace_it(const char *path)
{
    const char *other = scratch_path("other.plasmite");

    make_pool(other);
    must(rename(other, path) == 0, "%s", strerror(errno));
}

static void take_away(void (*how)(const char *), int kind)
{
    const char *path = scratch_path("taken.plasmite");

    for (enum role role = 0; role < ROLES; role++) {
        make_pool(path);
        pid_t pid = start(path, role);
        how(path);
        expect_end(pid, role, kind);
        (void)unlink(path);
    }
}

static void a_file_cut_short__is_an_io_error(void **state)
{
    (void)state;
    take_away(cut, PLSM_ERROR_IO);
    take_away(cut_to_nothing, PLSM_ERROR_IO);
}

/* Between the look whether all is well and the look at what there is. */
static void a_file_cut_while_somebody_looks_at_it__is_not_called_damaged(void **state)
{
    const char *path = scratch_path("cut.plasmite");
    struct error err = ERROR_INIT;

    (void)state;
    sigaction(SIGBUS, &guard, NULL);
    make_pool(path);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    cut_to_nothing(path);
    assert_int_equal(pool_fail_corrupt(pool, 0, "a message is damaged", &err), -1);
    assert_int_equal(err.kind, PLSM_ERROR_IO);
}

static void a_deleted_pool__is_not_found(void **state)
{
    (void)state;
    take_away(delete_it, PLSM_ERROR_NOT_FOUND);
}

static void an_unlinked_pool__is_not_found(void **state)
{
    (void)state;
    take_away(unlink_it, PLSM_ERROR_NOT_FOUND);
}

static void a_replaced_pool__is_not_found(void **state)
{
    (void)state;
    take_away(replace_it, PLSM_ERROR_NOT_FOUND);
}

/* What was in it is delivered before the end. */
static void a_deleted_pool__delivers_the_rest_first(void **state)
{
    const char *path = scratch_path("rest.plasmite");
    auto_buf struct buf store = BUF_INIT;
    struct cursor cursor;
    struct message message;
    struct error err = ERROR_INIT;
    uint64_t n = 0;

    (void)state;
    make_pool(path);
    struct pool *pool = pool_must_open(path, POOL_READ);
    assert_int_equal(cursor_at_oldest(pool, &cursor, &err), 0);
    uint64_t expected = 71 - cursor.seq;
    delete_it(path);
    enum cursor_result result;
    while ((result = cursor_next(pool, &cursor, &store, &message, &err)) == CURSOR_MESSAGE)
        n++;
    assert_int_equal(result, CURSOR_FAILED);
    assert_int_equal(err.kind, PLSM_ERROR_NOT_FOUND);
    assert_int_equal(n, expected);
    pool_close(pool);
}

/* ---- a full disk ---- */

/* In a mount namespace of its own: a disk of 1 MiB. */
static void fill_a_disk(void)
{
    const char *disk = scratch_path("disk");
    char path[600], entry[700];
    struct pool_options options = POOL_OPTIONS_INIT;
    struct error err = ERROR_INIT;

    options.size = 8 << 20;
    must(mkdir(disk, 0700) == 0, "%s", strerror(errno));
    must(unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) == 0, "unshare: %s",
         strerror(errno));
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mount: %s", strerror(errno));
    must(mount("tmpfs", disk, "tmpfs", 0, "size=1m,mode=700") == 0, "mount tmpfs: %s",
         strerror(errno));
    (void)snprintf(path, sizeof path, "%s/large.plasmite", disk);
    must(pool_create(path, &options, &err) == -1, "it fits");
    must(err.kind == PLSM_ERROR_IO && err.os_errno == ENOSPC, "%s (%s)", err.message, err.cause);
    (void)snprintf(entry, sizeof entry, "test -z \"$(ls -A '%s')\"", disk);
    must(system(entry) == 0, "something is left behind");
    options.size = 64 << 10; /* and what fits still does */
    must(pool_create(path, &options, &err) == 0, "%s", err.message);
    struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    for (uint64_t n = 1; n < 2000; n++)
        must(append_proof(pool, WRITER, n, 100) == n, "number %" PRIu64, n);
    pool_close(pool);
}

static void a_full_disk__is_an_io_error_at_create(void **state)
{
    int status;

    (void)state;
    (void)scratch_dir();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fill_a_disk();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit__may_flip),
        cmocka_unit_test(garbage__in_the_header),
        cmocka_unit_test(garbage__in_the_ring),
        cmocka_unit_test(wrong_sizes__are_refused),
        cmocka_unit_test(a_file_cut_short__is_an_io_error),
        cmocka_unit_test(a_file_cut_while_somebody_looks_at_it__is_not_called_damaged),
        cmocka_unit_test(a_deleted_pool__is_not_found),
        cmocka_unit_test(an_unlinked_pool__is_not_found),
        cmocka_unit_test(a_replaced_pool__is_not_found),
        cmocka_unit_test(a_deleted_pool__delivers_the_rest_first),
        cmocka_unit_test(a_full_disk__is_an_io_error_at_create),
    };

    signal(SIGALRM, on_alarm);
    pool_guard_sigbus();
    sigaction(SIGBUS, NULL, &guard);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
