/*
 * Order after a crash: nothing of a dead writer appears, what was flushed survives, recovery may be killed and repeated, and a
 * hostile file cannot keep it busy.
 */
#include "pools.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "crc32c.h"
#include "frame.h"
#include "handle.h"
#include "header.h"
#include "index.h"
#include "pool/verify.h"
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE 104 /* bytes of a message */
#define LIVE PROOF_WRITER /* who appends */
#define DEAD 666          /* who is killed before it commits */
#define KILLS 30
#define PATIENCE_S 10 /* for opening a hostile file; it takes well under one */

static void flush(struct pool *pool)
{
    struct error err = ERROR_INIT;

    must(pool_flush(pool, &err) == 0, "%s", err.message);
}

/* Is message `seq` there, as it was appended?  A wrong one ends the test; a damaged or missing one is false. */
static bool is_there(struct pool *pool, uint64_t seq)
{
    auto_buf struct buf store = BUF_INIT;
    struct message message;
    struct error err = ERROR_INIT;
    uint32_t writer;
    uint64_t n;

    if (pool_get(pool, seq, &store, &message, &err) < 0) {
        assert_true(err.kind == PLSM_ERROR_CORRUPT || err.kind == PLSM_ERROR_NOT_FOUND);
        return false;
    }
    assert_int_equal(message.seq, seq);
    if (!proof_check(message.data, &writer, &n) || writer != LIVE || n != seq)
        fail_msg("message %" PRIu64 " is %.*s", seq, (int)message.data.n, message.data.p);
    return true;
}

static void all_are_there(struct pool *pool, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++)
        if (!is_there(pool, seq))
            fail_msg("message %" PRIu64 " is not readable", seq);
}

/* Where in the file position `pos` is. */
static off_t place_of(const struct pool *pool, uint64_t pos)
{
    return (off_t)(pool->fixed.ring_off + ring_off(&pool->ring, pos));
}

static void patch(const char *path, off_t at, const void *bytes, size_t n)
{
    auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);

    must(fd >= 0 && pwrite(fd, bytes, n, at) == (ssize_t)n, "%s: %s", path, strerror(errno));
}

static void flip(const char *path, off_t at, unsigned bit)
{
    auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    must(fd >= 0 && pread(fd, &byte, 1, at) == 1, "%s: %s", path, strerror(errno));
    byte ^= (uint8_t)(1u << bit);
    must(pwrite(fd, &byte, 1, at) == 1, "%s: %s", path, strerror(errno));
}

/* The system was down since the pool was last found sound. */
static void another_boot(const char *path)
{
    static const uint64_t boot[2] = {1, 2};

    patch(path, LIVE_OFFSET(boot), boot, sizeof boot);
}

static void must_be_sound(const char *path)
{
    struct verify_report report;

    must(verify_pool(path, &report, NULL) == 0, "%s", path);
    if (report.n_issues > 0)
        fail_msg("%s", report.issues[0].message);
}

/* ---- writers that died ---- */

/* In a child: takes the lock, writes n frames and their index entries, and is killed before it commits. */
static void write_and_die(struct pool *pool, uint64_t n)
{
    struct ring *ring = &pool->ring;
    struct commit commit;

    must(lock_acquire(&pool->lock, &ring->live->lock, LOCK_WAIT, NULL) != LOCK_FAILED, "no lock");
    must(ring_commit(ring, &commit), "no commit");
    for (uint64_t i = 1; i <= n; i++) {
        auto_buf struct buf data = BUF_INIT;
        proof_make(&data, DEAD, i, SIZE);
        struct payload payload = payload_make(BYTES(""), 0, buf_bytes(&data));
        struct frame frame = {.seq = commit.newest + i,
                              .time_ns = commit.newest_time + i,
                              .rendered_before = commit.rendered_end,
                              .data_len = SIZE,
                              .body_crc = payload.body_crc};
        commit.head = frame_write(ring, commit.head, &frame, "", data.p);
        commit.rendered_end += message_length(frame.seq, 0, SIZE);
        index_note(ring, commit.head - frame_bytes(0, SIZE));
    }
    raise(SIGKILL);
}

static void die_writing(struct pool *pool, uint64_t n)
{
    int status;
    pid_t pid = fork();

    must(pid >= 0, "%s", strerror(errno));
    if (pid == 0)
        write_and_die(pool, n);
    must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
         "status %#x", (unsigned)status);
}

/*
 * A ring with at least `left` bytes before its end; a writer that died in them; then a message that does not fit there, so that a
 * filler of 40 bytes stands before the dead one's frames; then others.
 */
static void bury_a_dead_writer(struct pool *pool, uint64_t left)
{
    struct ring *ring = &pool->ring;
    uint64_t seq = 1;

    while (ring->bytes - ring_off(ring, ring_head(ring)) > left)
        append_proof(pool, LIVE, seq++, SIZE);
    die_writing(pool, (left - 300) / frame_bytes(0, SIZE));
    append_proof(pool, LIVE, seq, left);
    append_up_to(pool, seq + 60, SIZE);
}

static void frames_of_a_dead_writer__never_appear(void **state)
{
    (void)state;
    for (uint64_t left = 3000; left < 28000; left += 2500) {
        auto_pool struct pool *pool = pool_must_make("dead.plasmite", 65536, POOL_INDEX_AUTO);
        bury_a_dead_writer(pool, left);
        all_are_there(pool, bounds_of(pool).oldest, bounds_of(pool).newest);
        must_be_sound(pool_path(pool));
    }
}

static void frames_of_a_dead_writer__are_not_recovered(void **state)
{
    (void)state;
    for (uint64_t left = 3000; left < 28000; left += 2500) {
        struct pool *pool = pool_must_make("garbage.plasmite", 65536, POOL_INDEX_AUTO);
        const char *path = scratch_path("garbage.plasmite");
        bury_a_dead_writer(pool, left);
        flush(pool);
        struct pool_bounds before = bounds_of(pool);
        off_t place = place_of(pool, before.tail) + 50;
        pool_close(pool);
        flip(path, place, 3);
        another_boot(path);
        auto_pool struct pool *again = pool_must_open(path, POOL_READ_WRITE);
        assert_int_equal(bounds_of(again).newest, before.newest);
        assert_true(bounds_of(again).oldest <= before.oldest + 1);
        all_are_there(again, before.oldest + 1, before.newest);
    }
}

/* Closes the pool; in the next boot it has messages 1 to newest, all whole. */
static void has_after_a_boot(struct pool *pool, const char *path, uint64_t newest)
{
    pool_close(pool);
    another_boot(path);
    auto_pool struct pool *again = pool_must_open(path, POOL_READ_WRITE);
    assert_int_equal(bounds_of(again).newest, newest);
    all_are_there(again, 1, newest);
}

/* One that died before another wrote a message, as long as its own first one, in its place. */
static void frames_of_a_dead_writer__are_not_recovered_behind_another(void **state)
{
    const char *path = scratch_path("behind.plasmite");

    (void)state;
    struct pool *pool = pool_must_make("behind.plasmite", 65536, POOL_INDEX_AUTO);
    append_up_to(pool, 10, SIZE);
    die_writing(pool, 5);
    append_up_to(pool, 11, SIZE);
    has_after_a_boot(pool, path, 11);
}

static void damage_commits(struct pool *pool);

/* Their numbers are those of others, so that of each there are two. */
static void frames_of_a_dead_writer__do_not_part_the_others(void **state)
{
    const char *path = scratch_path("parted.plasmite");

    (void)state;
    for (uint64_t left = 3000; left < 28000; left += 2500) {
        struct pool *pool = pool_must_make("parted.plasmite", 65536, POOL_INDEX_AUTO);
        bury_a_dead_writer(pool, left);
        struct pool_bounds before = bounds_of(pool);
        damage_commits(pool);
        pool_close(pool);
        auto_pool struct pool *again = pool_must_open(path, POOL_READ_WRITE);
        assert_int_equal(bounds_of(again).oldest, before.oldest);
        assert_int_equal(bounds_of(again).newest, before.newest);
        all_are_there(again, before.oldest, before.newest);
        must_be_sound(path);
    }
}

/* ---- what a power cut took ---- */

/* n messages, of which the first was damaged before any of them was flushed; the pool is opened again. */
static struct pool *lose(struct pool *pool, uint64_t n)
{
    const char *path = scratch_path("lost.plasmite");
    uint64_t newest = bounds_of(pool).newest;

    flush(pool);
    off_t end = place_of(pool, bounds_of(pool).head);
    for (uint64_t i = 0; i < n; i++)
        append_proof(pool, DEAD, i, SIZE);
    pool_close(pool);
    flip(path, end + 50, 0);
    another_boot(path);
    pool = pool_must_open(path, POOL_READ_WRITE);
    assert_int_equal(bounds_of(pool).newest, newest);
    return pool;
}

static uint64_t in_the_past(void)
{
    return 1000000000;
}

/* Also when the clock went back meanwhile, so that their times would fit. */
static void what_a_power_cut_took__does_not_come_back_with_the_next(void **state)
{
    const char *path = scratch_path("lost.plasmite");

    (void)state;
    for (int back = 0; back < 2; back++) {
        struct pool *pool = pool_must_make("lost.plasmite", 65536, POOL_INDEX_AUTO);
        append_up_to(pool, 100, SIZE);
        pool = lose(pool, 80);
        if (back)
            pool->now_ns = in_the_past;
        append_up_to(pool, 101, SIZE);
        has_after_a_boot(pool, path, 101);
    }
}

/* Nothing leads to them where only a filler was written over them. */
static void what_a_power_cut_took__is_not_found(void **state)
{
    (void)state;
    for (uint64_t left = 3000; left < 28000; left += 2500) {
        struct pool *made = pool_must_make("lost.plasmite", 65536, POOL_INDEX_AUTO);
        struct ring *ring = &made->ring;
        uint64_t seq = 1;

        while (ring->bytes - ring_off(ring, ring_head(ring)) > left)
            append_proof(made, LIVE, seq++, SIZE);
        auto_pool struct pool *pool = lose(made, (left - 300) / frame_bytes(0, SIZE));
        append_proof(pool, LIVE, seq, left);
        append_up_to(pool, seq + 60, SIZE);
        all_are_there(pool, bounds_of(pool).oldest, bounds_of(pool).newest);
        must_be_sound(pool_path(pool));
    }
}

/* ---- what was flushed ---- */

/* 100 flushed messages; 80 more, of which one page never reached the disk. */
static void an_unwritten_page__costs_nothing_that_was_flushed(void **state)
{
    static const char zeros[4096];
    const char *path = scratch_path("page.plasmite");

    (void)state;
    struct pool *pool = pool_must_make("page.plasmite", 65536, POOL_INDEX_AUTO);
    append_up_to(pool, 100, SIZE);
    flush(pool);
    off_t end = place_of(pool, bounds_of(pool).head);
    append_up_to(pool, 180, SIZE);
    pool_close(pool);
    patch(path, (end + 4095) & ~(off_t)4095, zeros, sizeof zeros);
    another_boot(path);
    auto_pool struct pool *again = pool_must_open(path, POOL_READ_WRITE);
    struct pool_bounds bounds = bounds_of(again);
    assert_int_equal(bounds.oldest, 1);
    assert_true(bounds.newest >= 100 && bounds.newest < 180);
    all_are_there(again, 1, bounds.newest);
    append_up_to(again, bounds.newest + 50, SIZE);
    all_are_there(again, 1, bounds.newest + 50);
    must_be_sound(path);
}

/* One bit anywhere in flushed messages: the others stay, and so do the numbers. */
static void a_flipped_bit__costs_one_message(void **state)
{
    enum { N = 16 };
    const char *good = scratch_path("good.plasmite"), *path = scratch_path("bit.plasmite");
    struct random random = {seed_from_env()};

    (void)state;
    print_message("PLASMITE_TEST_SEED=%" PRIu64 "\n", random.state);
    struct pool *pool = pool_must_make("good.plasmite", 8192, POOL_INDEX_AUTO);
    append_up_to(pool, N, SIZE);
    flush(pool);
    off_t begin = place_of(pool, bounds_of(pool).tail), end = place_of(pool, bounds_of(pool).head);
    pool_close(pool);
    for (off_t at = begin; at < end; at++) {
        uint64_t hit = 1 + (uint64_t)(at - begin) / frame_bytes(0, SIZE);
        file_copy(good, path);
        flip(path, at, (unsigned)random_below(&random, 8));
        another_boot(path);
        auto_pool struct pool *again = pool_must_open(path, POOL_READ_WRITE);
        struct pool_bounds bounds = bounds_of(again);
        assert_int_equal(bounds.newest, N);
        assert_int_equal(bounds.oldest, hit == 1 && !is_there(again, 1) ? 2 : 1);
        all_are_there(again, bounds.oldest, hit - 1);
        if ((uint64_t)(at - begin) % frame_bytes(0, SIZE) >= FRAME_HEADER_BYTES)
            all_are_there(again, hit + 1, N); /* else the way to them may be cut */
        assert_int_equal(append_proof(again, LIVE, N + 1, SIZE), N + 1);
    }
}

static void a_flipped_bit__in_the_last_but_one_of_many(void **state)
{
    const char *path = scratch_path("last.plasmite");

    (void)state;
    struct pool *pool = pool_must_make("last.plasmite", 65536, POOL_INDEX_AUTO);
    append_up_to(pool, 199, SIZE);
    off_t place = place_of(pool, bounds_of(pool).head) - 20;
    append_up_to(pool, 200, SIZE);
    flush(pool);
    pool_close(pool);
    flip(path, place, 0);
    another_boot(path);
    auto_pool struct pool *again = pool_must_open(path, POOL_READ_WRITE);
    assert_int_equal(bounds_of(again).oldest, 1);
    assert_int_equal(bounds_of(again).newest, 200);
    all_are_there(again, 1, 198);
    assert_false(is_there(again, 199));
    assert_true(is_there(again, 200));
}

/* ---- killed while it puts things in order ---- */

/* In the same boot, so that nothing but the damage itself tells the next opener that there is something to do. */
static void damage_oldest(struct pool *pool)
{
    flip(pool_path(pool), place_of(pool, bounds_of(pool).tail) + 10, 2);
}

static void damage_commits(struct pool *pool)
{
    for (unsigned i = 0; i < 2; i++)
        flip(pool_path(pool), (off_t)(LIVE_OFFSET(commits) + i * COMMIT_WORDS * 8 + COMMIT_CRC * 8),
             1);
}

/* The tail behind the head by more than a ring: so a rebuilding that was killed half way leaves it. */
static void damage_tail(struct pool *pool)
{
    struct pool_bounds bounds = bounds_of(pool);
    uint64_t tail = bounds.tail + 3 * pool->ring.bytes;

    patch(pool_path(pool), LIVE_OFFSET(tail), &tail, sizeof tail);
}

/* The header of a pool file, to see what others do to it. */
static struct header_page *map_header(const char *path)
{
    auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);

    must(fd >= 0, "%s: %s", path, strerror(errno));
    void *map = mmap(NULL, sizeof(struct header_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(map != MAP_FAILED, "%s: %s", path, strerror(errno));
    return map;
}

/* Until the tail has moved once more, or the moment has come, or the opener is through. */
static void await_moment(const struct header_page *header, bool by_tail, uint64_t until_ns,
                         pid_t pid)
{
    uint64_t tail = atomic_load(&header->live.tail);
    siginfo_t info = {0};

    while (by_tail ? atomic_load(&header->live.tail) == tail : clock_mono_ns() < until_ns)
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid)
            return;
}

/*
 * A process that opens the pool is killed: at any moment (moves 0), or as soon as it has moved the tail so many times.
 */
static void kill_an_opener(const char *path, const struct header_page *header, unsigned moves,
                           uint64_t after_ns)
{
    pid_t pid = fork();

    must(pid >= 0, "%s", strerror(errno));
    if (pid == 0) {
        pool_close(pool_must_open(path, POOL_READ_WRITE));
        _exit(0);
    }
    uint64_t until = clock_mono_ns() + after_ns;
    for (unsigned i = 0; i < moves || i == 0; i++)
        await_moment(header, moves > 0, until, pid);
    (void)kill(pid, SIGKILL);
    must(waitpid(pid, NULL, 0) == pid, "%s", strerror(errno));
}

static uint64_t time_to_open(const char *path)
{
    uint64_t begin = clock_mono_ns();
    pid_t pid = fork();

    must(pid >= 0, "%s", strerror(errno));
    if (pid == 0) {
        pool_close(pool_must_open(path, POOL_READ_WRITE));
        _exit(0);
    }
    must(waitpid(pid, NULL, 0) == pid, "%s", strerror(errno));
    return clock_mono_ns() - begin;
}

/* Opens after the kills: everything but perhaps the oldest is as it was. */
static void is_as_before(const char *path, const struct pool_bounds *before)
{
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    struct pool_bounds bounds = bounds_of(pool);

    assert_int_equal(bounds.newest, before->newest);
    assert_true(bounds.oldest <= before->oldest + 1);
    all_are_there(pool, before->oldest + 1, before->newest);
    assert_int_equal(append_proof(pool, LIVE, before->newest + 1, SIZE), before->newest + 1);
    must_be_sound(path);
}

static void recovers_after_kills(const char *name, void (*damage)(struct pool *pool))
{
    const char *path = scratch_path(name), *bad = scratch_path("bad.plasmite");
    struct random random = {seed_from_env()};

    print_message("PLASMITE_TEST_SEED=%" PRIu64 "\n", random.state);
    struct pool *pool = pool_must_make(name, 256 * 1024, POOL_INDEX_AUTO);
    append_up_to(pool, 3000, SIZE);
    flush(pool);
    struct pool_bounds before = bounds_of(pool);
    damage(pool);
    pool_close(pool);
    file_copy(path, bad);
    uint64_t whole_ns = time_to_open(path);
    struct header_page *header = map_header(path);
    for (unsigned i = 0; i < KILLS; i++) {
        file_copy(bad, path);
        kill_an_opener(path, header, i % 3, random_below(&random, whole_ns));
        if (i % 2 == 1) /* and its successor */
            kill_an_opener(path, header, 0, random_below(&random, whole_ns));
        is_as_before(path, &before);
    }
    munmap(header, sizeof *header);
}

static void recovery__may_be_killed_while_it_mends(void **state)
{
    (void)state;
    recovers_after_kills("mend.plasmite", damage_oldest);
}

static void recovery__may_be_killed_while_it_looks_everywhere(void **state)
{
    (void)state;
    recovers_after_kills("salvage.plasmite", damage_commits);
}

static void recovery__may_find_what_a_killed_one_left(void **state)
{
    (void)state;
    recovers_after_kills("half.plasmite", damage_tail);
}

/* ---- hostile files ---- */

/* The ring full of headers, each right, and each claiming a body up to the ring's end with a wrong checksum. */
static void fill_with_headers(struct ring *ring)
{
    for (uint64_t off = 0; off + 48 <= ring->bytes; off += FRAME_HEADER_BYTES) {
        uint64_t body = (ring->bytes - off - FRAME_HEADER_BYTES) & ~(uint64_t)7;
        uint64_t words[5] = {body | 123ull << 32, 5, 1, 0, (uint64_t)FRAME_MESSAGE << 24};
        words[4] |= (uint64_t)crc32c(ring->salt, words, 36) << 32;
        for (int i = 0; i < 5; i++)
            atomic_store(ring->words + off / 8 + (uint64_t)i, words[i]);
    }
}

static const char *hostile_pool(const char *name)
{
    auto_pool struct pool *pool = pool_must_make(name, 4 << 20, 0);
    struct ring *ring = &pool->ring;
    struct commit commit;

    fill_with_headers(ring);
    must(ring_commit(ring, &commit), "no commit");
    commit.head = 2 * ring->bytes;
    commit.newest = 5;
    ring_publish(ring, &commit);
    ring_move_tail(ring, ring->bytes);
    atomic_store(&ring->live->flushed, commit.head);
    return scratch_path(name);
}

static void opens_or_refuses_in_time(const char *path)
{
    int status;
    pid_t pid = fork();

    must(pid >= 0, "%s", strerror(errno));
    if (pid == 0) {
        struct pool *pool = NULL;
        alarm(PATIENCE_S);
        if (pool_open(path, POOL_READ_WRITE, &pool, NULL) == 0)
            pool_close(pool);
        _exit(0);
    }
    must(waitpid(pid, &status, 0) == pid, "%s", strerror(errno));
    assert_int_equal(status, 0); /* 14: it was still at it */
}

static void a_hostile_ring__is_looked_at_in_bounded_time(void **state)
{
    const char *path = hostile_pool("hostile.plasmite");

    (void)state;
    another_boot(path);
    opens_or_refuses_in_time(path);
}

static void a_hostile_ring_without_commits__too(void **state)
{
    const char *path = hostile_pool("nocommit.plasmite");

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        flip(path, (off_t)(LIVE_OFFSET(commits) + i * COMMIT_WORDS * 8 + COMMIT_CRC * 8), 1);
    opens_or_refuses_in_time(path);
}

/* ---- memory ---- */

#define ROOM (2 << 20) /* bytes beside the mapped file */

/* Bytes of address space that this process has. */
static uint64_t address_space(void)
{
    auto_fd int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[64] = "";

    must(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "statm: %s", strerror(errno));
    return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void open_and_close(const char *path)
{
    struct error err = ERROR_INIT;
    struct pool *pool = NULL;

    must(pool_open(path, POOL_READ_WRITE, &pool, &err) == 0, "%s", err.message);
    pool_close(pool);
}

static void verify(const char *path)
{
    struct verify_report report;
    struct error err = ERROR_INIT;

    must(verify_pool(path, &report, &err) == 0 && report.is_mended && report.n_mended > 0, "%s",
         err.message);
}

/* With `bytes` for the mapped file. */
static void does_with_little_memory(void (*what)(const char *path), const char *path,
                                    uint64_t bytes)
{
    int status;
    pid_t pid = fork();

    must(pid >= 0, "%s", strerror(errno));
    if (pid == 0) {
        rlim_t most = address_space() + bytes + ROOM;

        must(setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) == 0, "%s", strerror(errno));
        what(path);
        _exit(0);
    }
    must(waitpid(pid, &status, 0) == pid, "%s", strerror(errno));
    assert_int_equal(status, 0);
}

/* Of the smallest ones there are as many as the ring has room for headers. */
static void many_messages_without_commits__take_little_memory(void **state)
{
    enum { BYTES_OF_FILE = 16 << 20 };
    const char *path = scratch_path("tiny.plasmite");
    struct pool *pool = pool_must_make("tiny.plasmite", BYTES_OF_FILE, POOL_INDEX_AUTO);
    struct payload smallest[1000];
    struct receipt receipt;

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        smallest[i] = payload_make(BYTES(""), 0, BYTES("{}"));
    for (uint64_t n = 0; n < BYTES_OF_FILE / frame_bytes(0, 2) + 1000; n += 1000)
        must(pool_append(pool, smallest, 1000, 0, &receipt, NULL) == 0, "append");
    struct pool_bounds before = bounds_of(pool);
    damage_commits(pool);
    pool_close(pool);
    does_with_little_memory(verify, path, 2 * BYTES_OF_FILE); /* it is mapped twice */
    does_with_little_memory(open_and_close, path, BYTES_OF_FILE);
    pool = pool_must_open(path, POOL_READ);
    assert_int_equal(bounds_of(pool).oldest, before.oldest);
    assert_int_equal(bounds_of(pool).newest, before.newest);
    pool_close(pool);
}

/* Bytes of the mapping at `map` that are copies of pages of its file. */
static uint64_t copied_bytes(const void *map)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[4096];
    bool is_it = false;
    uint64_t begin, end, kib = 0;

    must(file != NULL, "smaps: %s", strerror(errno));
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%" SCNx64 "-%" SCNx64, &begin, &end) == 2)
            is_it = begin == (uint64_t)(uintptr_t)map;
        else if (is_it && sscanf(line, "Anonymous: %" SCNu64, &kib) == 1)
            break;
    must(is_it, "not mapped");
    fclose(file);
    return kib * 1024;
}

/* Nearly all messages are given up in it. */
static void a_rehearsal__copies_next_to_nothing(void **state)
{
    enum { N = 20000 };
    const char *path = scratch_path("rehearsal.plasmite");
    struct pool *pool = pool_must_make("rehearsal.plasmite", 4 << 20, POOL_INDEX_AUTO);
    struct header_fixed fixed;
    struct file file;
    struct ring ring;
    struct commit commit;

    (void)state;
    flush(pool);
    append_up_to(pool, 10, SIZE);
    off_t place = place_of(pool, bounds_of(pool).head) + 50;
    append_up_to(pool, N, SIZE);
    pool_close(pool);
    flip(path, place, 0);
    another_boot(path);
    must(file_map(&file, path, FILE_PRIVATE, NULL) == 0 &&
             header_check(file.map, file.size, &fixed, NULL) == 0,
         "%s", path);
    ring_init(&ring, file.map, &fixed);
    must(recover_ring(&ring, RECOVER_PRIVATE, NULL) == 0 && ring_commit(&ring, &commit), "recover");
    assert_int_equal(commit.newest, 10);
    uint64_t copied = copied_bytes(file.map);
    if (copied > 512 * 1024)
        fail_msg("%" PRIu64 " bytes", copied);
    file_unmap(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_a_dead_writer__never_appear),
        cmocka_unit_test(frames_of_a_dead_writer__are_not_recovered),
        cmocka_unit_test(frames_of_a_dead_writer__are_not_recovered_behind_another),
        cmocka_unit_test(frames_of_a_dead_writer__do_not_part_the_others),
        cmocka_unit_test(what_a_power_cut_took__does_not_come_back_with_the_next),
        cmocka_unit_test(what_a_power_cut_took__is_not_found),
        cmocka_unit_test(an_unwritten_page__costs_nothing_that_was_flushed),
        cmocka_unit_test(a_flipped_bit__costs_one_message),
        cmocka_unit_test(a_flipped_bit__in_the_last_but_one_of_many),
        cmocka_unit_test(recovery__may_be_killed_while_it_mends),
        cmocka_unit_test(recovery__may_be_killed_while_it_looks_everywhere),
        cmocka_unit_test(recovery__may_find_what_a_killed_one_left),
        cmocka_unit_test(a_hostile_ring__is_looked_at_in_bounded_time),
        cmocka_unit_test(a_hostile_ring_without_commits__too),
        cmocka_unit_test(many_messages_without_commits__take_little_memory),
        cmocka_unit_test(a_rehearsal__copies_next_to_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
