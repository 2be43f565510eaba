/*
 * Kills an append at every machine instruction.
 *
 * A child appends under PTRACE_SINGLESTEP.  What SIGKILL leaves of it is the file as it is at that instruction, so after each
 * one that changed the file the parent takes a copy and asks of it everything that must hold after a kill:
 *
 *   - it is sound before anybody repairs it, it opens, and it opens within time;
 *   - messages are a contiguous range, each whole; what had been committed is there, unless this append needs its room;
 *   - of the child's messages a prefix is there, and once there, never gone again;
 *   - the next append succeeds, gets the number after the newest, and the file is sound after it.
 *
 * For several states of the ring.  The last ones go on from states that a kill has left, and kill again.
 */
#include "pools.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "layout.h"
#include "pool/verify.h"
#include "testing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define FILE_BYTES 8192
#define OLD_WRITER 1
#define CHILD 2
#define NEXT 3
#define CHECK_NS                                                                                   \
    NS_PER_S /* opening, reading, appending to an 8 KiB pool; takes a fraction of a millisecond */

/* One append to be killed, and the ring it meets. */
struct scene {
    const char *name;
    int64_t index;
    uint64_t start;  /* first position; 0: as usual */
    uint64_t before; /* bytes to append first, in messages of FILL_BYTES */
    uint64_t
        left; /* then one more, so that so many bytes are left before the end of the ring; 0: no matter */
    size_t n;    /* payloads of the append */
    size_t size; /* of each; 0: the largest possible */
    enum append_flags flags;
    bool locked;   /* the lock is held by somebody who is dead */
    bool followed; /* somebody sleeps */
};

#define FILL_BYTES 240 /* of ring for each message before */
#define RING 4096      /* of a pool of 8 KiB without index */

static const struct scene scenes[] = {
    {.name = "empty", .n = 1, .size = 100},
    {.name = "empty, index", .index = POOL_INDEX_AUTO, .n = 1, .size = 100},
    {.name = "half full", .before = RING / 2, .n = 1, .size = 100},
    {.name = "full", .before = 3 * RING, .n = 1, .size = 300},
    {.name = "full, index", .index = POOL_INDEX_AUTO, .before = 3 * RING, .n = 1, .size = 300},
    {.name = "filler", .before = 2 * RING, .left = 80, .n = 1, .size = 200},
    {.name = "filler, index", .index = 8, .before = 2 * RING, .left = 400, .n = 1, .size = 500},
    {.name = "smallest filler", .before = 2 * RING, .left = 40, .n = 1, .size = 200},
    {.name = "exact fit", .before = 2 * RING, .left = 240, .n = 1, .size = 200},
    {.name = "no room for a header", .before = 2 * RING, .left = 32, .n = 1, .size = 200},
    {.name = "just 8 bytes left", .before = 2 * RING, .left = 8, .n = 1, .size = 200},
    {.name = "at the beginning", .before = 2 * RING, .left = RING, .n = 1, .size = 200},
    {.name = "largest, empty", .n = 1},
    {.name = "largest, full", .before = 2 * RING, .n = 1},
    {.name = "largest, index", .index = POOL_INDEX_AUTO, .before = RING, .n = 1},
    {.name = "batch", .before = 2 * RING, .n = 3, .size = 150},
    {.name = "batch across the end", .before = 2 * RING, .left = 304, .n = 3, .size = 150},
    {.name = "batch of more than half a ring", .before = 2 * RING, .n = 3, .size = 1500},
    {.name = "batch of more than a ring",
     .index = POOL_INDEX_AUTO,
     .before = RING,
     .n = 9,
     .size = 700},
    {.name = "flush", .before = RING, .n = 1, .size = 100, .flags = APPEND_FLUSH},
    {.name = "below 2^32",
     .start = (1ULL << 32) - 3 * RING,
     .before = 2 * RING,
     .left = 200,
     .n = 1,
     .size = 300},
    {.name = "dead holder", .before = RING / 2, .n = 1, .size = 100, .locked = true},
    {.name = "follower asleep", .before = RING / 2, .n = 1, .size = 100, .followed = true},
};

/* What is known of the file before the child begins, and what was seen since. */
struct known {
    const struct scene *scene;
    struct pool_bounds bounds; /* before */
    uint64_t oldest, newest;   /* last seen: neither goes back */
    uint64_t last_oldest;      /* after the whole append */
    size_t child_size;
    uint64_t slowest_ns;
    unsigned states;
};

static size_t size_of(const struct scene *scene, const struct pool *pool)
{
    return scene->size != 0 ? scene->size : (size_t)pool_message_max(pool);
}

static void get_bounds(struct pool *pool, struct pool_bounds *ret)
{
    struct error err = ERROR_INIT;

    must(pool_bounds(pool, ret, &err) == 0, "%s", err.message);
}

/* The first position, far enough ahead, that has `left` bytes before the end of the ring. */
static uint64_t place_with(uint64_t left, uint64_t head, uint64_t ring)
{
    uint64_t place = head - head % ring + ring - left;

    while (place < head + 2 * FILL_BYTES)
        place += ring;
    return place;
}

/* Appends messages until the ring stands as the scene wants it. */
static void fill(struct pool *pool, const struct scene *scene)
{
    struct pool_bounds bounds;
    struct pool_info info;
    uint64_t begin, target;

    must(pool_info(pool, &info, NULL) == 0, "no info");
    uint64_t ring = info.ring_size;
    get_bounds(pool, &bounds);
    for (begin = bounds.head; bounds.head - begin < scene->before; get_bounds(pool, &bounds))
        append_proof(pool, OLD_WRITER, bounds.newest + 1,
                     FILL_BYTES - FRAME_HEADER_BYTES - bounds.newest % 3);
    if (scene->left == 0)
        return;
    while ((target = place_with(scene->left, bounds.head, ring)) - bounds.head >= 3 * FILL_BYTES) {
        append_proof(pool, OLD_WRITER, bounds.newest + 1, FILL_BYTES - FRAME_HEADER_BYTES);
        get_bounds(pool, &bounds);
    }
    append_proof(pool, OLD_WRITER, bounds.newest + 1,
                 (size_t)(target - bounds.head) - FRAME_HEADER_BYTES);
    get_bounds(pool, &bounds);
    must(bounds.head == target, "%s: head %" PRIu64 ", wanted %" PRIu64, scene->name, bounds.head,
         target);
}

static struct header_live *live_of(uint8_t *map)
{
    return &((struct header_page *)(void *)map)->live;
}

static void set_scene(const char *path, const struct scene *scene, struct known *known)
{
    struct pool_options options = {
        .size = FILE_BYTES, .index_capacity = scene->index, .mode = POOL_MODE_DEFAULT};
    struct error err = ERROR_INIT;

    (void)unlink(path);
    must(pool_create_at(path, &options, scene->start, 1, &err) == 0, "%s", err.message);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    fill(pool, scene);
    get_bounds(pool, &known->bounds);
    known->scene = scene;
    known->child_size = size_of(scene, pool);
}

static uint8_t *map_file(const char *path)
{
    auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t *map = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    must(fd >= 0 && map != MAP_FAILED, "%s: %s", path, strerror(errno));
    return map;
}

/* In the child: stops, appends, stops, ends. */
static void child_appends(const char *path, const struct scene *scene)
{
    static struct buf texts[16];
    struct payload payloads[16];
    struct error err = ERROR_INIT;
    struct pool *pool = pool_must_open(path, POOL_READ_WRITE);

    for (size_t i = 0; i < scene->n; i++) {
        proof_make(&texts[i], CHILD, i, size_of(scene, pool));
        payloads[i] = payload_make(BYTES(""), 0, buf_bytes(&texts[i]));
    }
    must(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0, "%s", strerror(errno));
    raise(SIGSTOP);
    int result = pool_append(pool, payloads, scene->n, scene->flags, NULL, &err);
    must(result == 0, "%s", err.message);
    raise(SIGSTOP);
    _exit(0);
}

/* Every message there is, and whose. */
static void check_messages(struct pool *pool, const struct known *known,
                           const struct pool_bounds *now)
{
    auto_buf struct buf store = BUF_INIT;
    struct cursor cursor;
    struct error err = ERROR_INIT;

    must(cursor_at_oldest(pool, &cursor, &err) == 0, "%s", err.message);
    for (uint64_t seq = now->oldest; seq <= now->newest; seq++) {
        struct message by_cursor, by_number;
        uint32_t writer;
        uint64_t n;
        must(cursor_next(pool, &cursor, &store, &by_cursor, &err) == CURSOR_MESSAGE, "%s",
             err.message);
        must(by_cursor.seq == seq && proof_check(by_cursor.data, &writer, &n), "message %" PRIu64,
             seq);
        if (seq <= known->bounds.newest)
            must(n == seq && writer != CHILD, "message %" PRIu64 " became another", seq);
        else
            must(writer == CHILD && n == seq - known->bounds.newest - 1, "message %" PRIu64, seq);
        must(pool_get(pool, seq, &store, &by_number, &err) == 0, "%" PRIu64 ": %s", seq,
             err.message);
        must(proof_check(by_number.data, &writer, &n), "message %" PRIu64 " by number", seq);
    }
    struct message none;
    must(cursor_next(pool, &cursor, &store, &none, &err) == CURSOR_END, "more than the newest");
}

static void check_sound(const char *path)
{
    struct verify_report report;
    struct error err = ERROR_INIT;

    must(verify_pool(path, &report, &err) == 0, "%s", err.message);
    must(report.n_issues == 0, "%s", report.issues[0].message);
}

/* The append after the kill. */
static void check_next(const char *path, struct pool *pool, uint64_t newest)
{
    auto_buf struct buf store = BUF_INIT;
    struct message message;
    struct error err = ERROR_INIT;
    uint32_t writer;
    uint64_t n, seq = append_proof(pool, NEXT, 77, 120);

    must(seq == newest + 1, "number %" PRIu64 " after %" PRIu64, seq, newest);
    must(pool_get(pool, seq, &store, &message, &err) == 0, "%s", err.message);
    must(proof_check(message.data, &writer, &n) && writer == NEXT && n == 77,
         "the next message is another");
    check_sound(path);
}

static void check_state(const uint8_t *bytes, struct known *known)
{
    const char *path = scratch_path("killed.plasmite");
    struct pool_bounds now;
    uint64_t begin = clock_mono_ns();

    file_write(path, bytes, FILE_BYTES);
    check_sound(path);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    get_bounds(pool, &now);
    must(now.newest >= known->newest && now.newest <= known->bounds.newest + known->scene->n,
         "newest %" PRIu64 " after %" PRIu64, now.newest, known->newest);
    must(now.oldest >= known->oldest && now.oldest <= known->last_oldest,
         "oldest %" PRIu64 ", before %" PRIu64 ", in the end %" PRIu64, now.oldest, known->oldest,
         known->last_oldest);
    known->newest = now.newest;
    known->oldest = now.oldest;
    check_messages(pool, known, &now);
    check_next(path, pool, now.newest);
    uint64_t took = clock_mono_ns() - begin;
    must(took < CHECK_NS, "going on took %" PRIu64 " ns", took);
    if (took > known->slowest_ns)
        known->slowest_ns = took;
    known->states++;
}

/* The whole append on a copy: what is the oldest message afterwards? */
static uint64_t oldest_in_the_end(const uint8_t *bytes, const struct scene *scene)
{
    const char *path = scratch_path("whole.plasmite");
    struct payload payloads[16];
    struct pool_bounds now;
    struct error err = ERROR_INIT;
    auto_buf struct buf text = BUF_INIT;

    file_write(path, bytes, FILE_BYTES);
    auto_pool struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
    proof_make(&text, CHILD, 0, size_of(scene, pool));
    for (size_t i = 0; i < scene->n; i++)
        payloads[i] = payload_make(BYTES(""), 0, buf_bytes(&text));
    must(pool_append(pool, payloads, scene->n, 0, NULL, &err) == 0, "%s", err.message);
    get_bounds(pool, &now);
    return now.oldest;
}

static void wait_for_stop(pid_t child)
{
    int status;

    must(waitpid(child, &status, 0) == child && WIFSTOPPED(status), "the child has ended: %#x",
         (unsigned)status);
}

static bool at_sigstop(pid_t child)
{
    int status;

    must(waitpid(child, &status, 0) == child && WIFSTOPPED(status), "the child has ended: %#x",
         (unsigned)status);
    return WSTOPSIG(status) == SIGSTOP;
}

/* Calls `look` with every state of the file that the append passes through, the last one included. */
static unsigned step_through(const char *path, const struct scene *scene,
                             void (*look)(const uint8_t *, struct known *), struct known *known)
{
    uint8_t *map = map_file(path), last[FILE_BYTES];
    unsigned steps = 0;

    memcpy(last, map, FILE_BYTES);
    pid_t child = fork();
    must(child >= 0, "%s", strerror(errno));
    if (child == 0)
        child_appends(path, scene);
    wait_for_stop(child);
    do {
        if (memcmp(last, map, FILE_BYTES) != 0) {
            memcpy(last, map, FILE_BYTES);
            look(last, known);
        }
        steps++;
        must(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0, "%s", strerror(errno));
    } while (!at_sigstop(child));
    kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    munmap(map, FILE_BYTES);
    return steps;
}

static void play(const struct scene *scene)
{
    const char *path = scratch_path("stage.plasmite");
    struct known known = {0};

    set_scene(path, scene, &known);
    uint8_t *map = map_file(path);
    known.oldest = known.bounds.oldest;
    known.newest = known.bounds.newest;
    known.last_oldest = oldest_in_the_end(map, scene);
    if (scene->locked)
        live_of(map)->lock = 5ULL << 32 | 77 << 1 | 1;
    if (scene->followed)
        live_of(map)->waiting |= 1;
    check_state(map, &known);
    unsigned steps = step_through(path, scene, check_state, &known);
    must(known.newest == known.bounds.newest + scene->n,
         "%s: the append returned, newest is %" PRIu64, scene->name, known.newest);
    must(known.oldest == known.last_oldest, "%s: oldest %" PRIu64, scene->name, known.oldest);
    must(steps > 100 && known.states > 5, "%s: only %u steps", scene->name, steps);
    munmap(map, FILE_BYTES);
    printf("%-32s %6u instructions, %4u states, slowest to go on %5" PRIu64 " us\n", scene->name,
           steps, known.states, (uint64_t)(known.slowest_ns / NS_PER_US));
}

/* States in which the first kill leaves the file. */
struct states {
    uint8_t (*list)[FILE_BYTES];
    size_t n;
};
static struct states gathered;

static void gather(const uint8_t *bytes, struct known *known)
{
    (void)known;
    gathered.list = realloc(gathered.list, (gathered.n + 1) * FILE_BYTES);
    must(gathered.list != NULL, "out of memory");
    memcpy(gathered.list[gathered.n++], bytes, FILE_BYTES);
}

/* A second writer is killed where the first one was killed before: all pairs of states, or with many states a sample of the first. */
#define FIRST_STATES 50
static void play_twice(const struct scene *scene)
{
    const char *path = scratch_path("stage.plasmite");
    struct known first = {0}, known = {0};
    unsigned states = 0;

    set_scene(path, scene, &first);
    step_through(path, scene, gather, &first);
    for (size_t i = 0; i < gathered.n; i += 1 + gathered.n / FIRST_STATES) {
        file_write(path, gathered.list[i], FILE_BYTES);
        struct pool *pool = pool_must_open(path, POOL_READ_WRITE);
        get_bounds(pool, &known.bounds);
        pool_close(pool);
        if (known.bounds.newest != first.bounds.newest)
            break; /* the first one's message is visible: an ordinary state */
        known.scene = scene;
        known.oldest = known.bounds.oldest;
        known.newest = known.bounds.newest;
        known.last_oldest = oldest_in_the_end(gathered.list[i], scene);
        known.states = 0;
        step_through(path, scene, check_state, &known);
        must(known.newest == known.bounds.newest + scene->n, "%s: newest is %" PRIu64, scene->name,
             known.newest);
        states += known.states;
    }
    free(gathered.list);
    gathered = (struct states){0};
    printf("%-32s killed twice: %u states\n", scene->name, states);
    must(states > 100, "%s: only %u states", scene->name, states);
}

int main(void)
{
    static const struct scene twice[] = {
        {.name = "filler", .before = 2 * RING, .left = 80, .n = 1, .size = 100},
        {.name = "largest", .index = 8, .before = 2 * RING, .n = 1},
    };

    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        play(&scenes[i]);
    for (size_t i = 0; i < sizeof twice / sizeof twice[0]; i++)
        play_twice(&twice[i]);
    return 0;
}
