#include "pools.h"

#include "base/cleanup.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sys/stat.h>

static char dir[256];
static pid_t dir_owner;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_dir(void)
{
    if (getpid() == dir_owner) /* not when a forked child ends */
        (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

const char *scratch_dir(void)
{
    const char *tmp = getenv("TMPDIR");

    if (dir[0] != '\0')
        return dir;
    (void)snprintf(dir, sizeof dir, "%s/plasmite-test-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    must(mkdtemp(dir) != NULL, "%s", dir);
    dir_owner = getpid();
    atexit(remove_dir);
    return dir;
}

const char *scratch_path(const char *name)
{
    static struct path {
        struct path *next;
        char text[512];
    } * paths;
    char text[512];

    (void)snprintf(text, sizeof text, "%s/%s", scratch_dir(), name);
    for (struct path *p = paths; p != NULL; p = p->next)
        if (strcmp(p->text, text) == 0)
            return p->text;
    struct path *p = calloc(1, sizeof *p);
    must(p != NULL, "out of memory");
    memcpy(p->text, text, sizeof text);
    p->next = paths;
    paths = p;
    return p->text;
}

uint64_t seed_from_env(void)
{
    const char *text = getenv("PLASMITE_TEST_SEED");

    return text == NULL ? clock_real_ns() : strtoull(text, NULL, 0);
}

uint64_t random_next(struct random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t random_below(struct random *r, uint64_t n)
{
    return random_next(r) % n;
}

void proof_make(struct buf *out, uint32_t writer, uint64_t n, size_t size)
{
    struct random r = {writer * 1000003ULL + n * 7919 + size};
    char head[PROOF_MIN + 1];

    must(size >= PROOF_MIN, "%zu", size);
    int head_n =
        snprintf(head, sizeof head, "{\"w\":%" PRIu32 ",\"n\":%" PRIu64 ",\"p\":\"", writer, n);
    must(head_n > 0 && (size_t)head_n <= PROOF_MIN - 2, "the number is too long");
    buf_add(out, head, (size_t)head_n);
    for (size_t i = (size_t)head_n + 2; i < size; i++)
        buf_add_char(out, (char)('a' + random_below(&r, 26)));
    buf_add_str(out, "\"}");
    must(!buf_failed(out), "out of memory");
}

bool proof_check(struct bytes data, uint32_t *ret_writer, uint64_t *ret_n)
{
    auto_buf struct buf text = BUF_INIT, again = BUF_INIT;

    if (data.n < PROOF_MIN || buf_add_bytes(&text, data) < 0 ||
        sscanf(buf_str(&text), "{\"w\":%" SCNu32 ",\"n\":%" SCNu64 ",", ret_writer, ret_n) != 2)
        return false;
    proof_make(&again, *ret_writer, *ret_n, data.n);
    return bytes_equal(data, buf_bytes(&again));
}

void pool_must_create(const char *path, uint64_t size, int64_t index_capacity)
{
    struct pool_options options = {
        .size = size, .index_capacity = index_capacity, .mode = POOL_MODE_DEFAULT};
    struct error err = ERROR_INIT;

    must(pool_create(path, &options, &err) == 0, "%s: %s", path, err.message);
}

struct pool *pool_must_open(const char *path, enum pool_access access)
{
    struct error err = ERROR_INIT;
    struct pool *pool = NULL;

    must(pool_open(path, access, &pool, &err) == 0, "%s: %s", path, err.message);
    return pool;
}

struct pool *pool_must_make(const char *name, uint64_t size, int64_t index_capacity)
{
    const char *path = scratch_path(name);

    (void)unlink(path);
    pool_must_create(path, size, index_capacity);
    return pool_must_open(path, POOL_READ_WRITE);
}

struct pool_bounds bounds_of(struct pool *pool)
{
    struct pool_bounds bounds;
    struct error err = ERROR_INIT;

    must(pool_bounds(pool, &bounds, &err) == 0, "%s", err.message);
    return bounds;
}

uint64_t append_proof(struct pool *pool, uint32_t writer, uint64_t n, size_t size)
{
    auto_buf struct buf data = BUF_INIT;
    struct receipt receipt;
    struct error err = ERROR_INIT;

    proof_make(&data, writer, n, size);
    struct payload payload = payload_make(BYTES(""), 0, buf_bytes(&data));
    must(pool_append(pool, &payload, 1, 0, &receipt, &err) == 0, "%s", err.message);
    return receipt.first_seq;
}

void append_up_to(struct pool *pool, uint64_t last, size_t size)
{
    for (uint64_t seq = bounds_of(pool).newest + 1; seq <= last; seq++)
        must(append_proof(pool, PROOF_WRITER, seq, size) == seq, "not number %" PRIu64, seq);
}

void file_write(const char *path, const void *bytes, size_t n)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    must(fd >= 0 && ftruncate(fd, (off_t)n) == 0, "%s: %s", path, strerror(errno));
    for (size_t done = 0; done < n;) {
        ssize_t some = write(fd, (const char *)bytes + done, n - done);
        must(some > 0, "%s: %s", path, strerror(errno));
        done += (size_t)some;
    }
}

void file_read(const char *path, struct buf *ret)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    must(fd >= 0 && fstat(fd, &st) == 0, "%s: %s", path, strerror(errno));
    buf_clear(ret);
    must(buf_room(ret, (size_t)st.st_size + 1) == 0, "out of memory");
    for (ssize_t n; (n = read(fd, ret->p + ret->n, (size_t)st.st_size - ret->n)) > 0;)
        ret->n += (size_t)n;
    must(ret->n == (size_t)st.st_size, "%s: %s", path, strerror(errno));
}

void file_copy(const char *from, const char *to)
{
    auto_buf struct buf bytes = BUF_INIT;

    file_read(from, &bytes);
    file_write(to, bytes.p, bytes.n);
}
