#include "pools.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "hash.h"
#include "notes.h"
#include "pool/store.h"
#include "tags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define N_BUCKETS 1024
#define RETIRED (1u << 30) /* in `uses`; there are never as many users */
#define DESCRIPTORS                                                                                \
    4 /* that a pool may take: its file, its writer lock, one who has it open; and some for the rest */
#define MAX_OPEN                                                                                   \
    1024 /* each is mapped besides, and the kernel's limit of mappings is not far above that of files */
#define MAX_OPEN_LEAST 48 /* when nobody says how many files may be open */
#define RETIRE_BATCH 16   /* pools closed at once when descriptors are short */

struct mpools {
    struct mount *mount;
    pthread_mutex_t lock;
    struct mpool *buckets[N_BUCKETS];
    size_t
        max_open; /* beyond that many idle ones are closed: files are opened for other things, too */
    atomic_size_t n_open;
    size_t hand;          /* the bucket that was looked through last for unused pools; under lock */
    uint64_t last_serial; /* of the loop alone */
};

struct mpools *pools_new(struct mount *m)
{
    struct mpools *pools = calloc(1, sizeof *pools);
    struct rlimit limit;

    if (pools == NULL)
        return NULL;
    pools->mount = m;
    pools->max_open =
        getrlimit(RLIMIT_NOFILE, &limit) < 0 ? MAX_OPEN_LEAST : limit.rlim_cur / DESCRIPTORS;
    if (pools->max_open > MAX_OPEN)
        pools->max_open = MAX_OPEN;
    pthread_mutex_init(&pools->lock, NULL);
    return pools;
}

void pools_free(struct mpools *pools)
{
    if (pools == NULL)
        return;
    pthread_mutex_destroy(&pools->lock);
    free(pools);
}

char *pools_path(const struct mount *m, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s%s", m->dir, name, POOL_SUFFIX) < 0 ? NULL : path;
}

static struct mpool **bucket_of(struct mpools *pools, const char *name)
{
    return &pools->buckets[hash_bytes(HASH_START, bytes_of(name)) % N_BUCKETS];
}

/* Takes the entry out of the table, so that its name finds it no more.  Under lock. */
static void unlink_entry(struct mpools *pools, struct mpool *pool)
{
    struct mpool **at = bucket_of(pools, pool->name);

    while (*at != NULL && *at != pool)
        at = &(*at)->next;
    if (*at != NULL)
        *at = pool->next;
}

static struct mpool *find(struct mpools *pools, const char *name)
{
    struct mpool *pool;

    pthread_mutex_lock(&pools->lock);
    pool = *bucket_of(pools, name);
    while (pool != NULL && strcmp(pool->name, name) != 0)
        pool = pool->next;
    if (pool != NULL)
        pool->refs++;
    pthread_mutex_unlock(&pools->lock);
    return pool;
}

static void close_pool(struct mpool *pool)
{
    if (pool->pool == NULL)
        return;
    pool_close(pool->pool);
    pool->pool = NULL;
    atomic_fetch_sub(&pool->mount->pools->n_open, 1);
}

static void destroy(struct mpool *pool)
{
    /* One that was only closed is still there, and so are its failures. */
    notes_put(pool->mount, pool->notes, atomic_load(&pool->gone) && pool->pool != NULL);
    tags_free(pool->tags);
    close_pool(pool);
    pthread_mutex_destroy(&pool->appends.lock);
    pthread_mutex_destroy(&pool->edge.lock);
    free(pool->name);
    free(pool->path);
    free(pool);
}

struct mpool *mpool_ref(struct mpool *pool)
{
    struct mpools *pools = pool->mount->pools;

    pthread_mutex_lock(&pools->lock);
    pool->refs++;
    pthread_mutex_unlock(&pools->lock);
    return pool;
}

void mpool_unref(struct mpool *pool)
{
    struct mpools *pools;
    bool last;

    if (pool == NULL)
        return;
    pools = pool->mount->pools;
    pthread_mutex_lock(&pools->lock);
    last = --pool->refs == 0;
    if (last)
        unlink_entry(pools, pool);
    pthread_mutex_unlock(&pools->lock);
    if (last)
        destroy(pool);
}

bool mpool_use(struct mpool *pool)
{
    if (atomic_fetch_add(&pool->uses, 1) < RETIRED)
        return true;
    atomic_fetch_sub(&pool->uses, 1);
    return false;
}

void mpool_unuse(struct mpool *pool)
{
    atomic_fetch_sub(&pool->uses, 1);
}

/* From now on its name finds it no more. */
static void lose_name(struct mpool *pool, atomic_bool *why)
{
    struct mpools *pools = pool->mount->pools;

    pthread_mutex_lock(&pools->lock);
    unlink_entry(pools, pool);
    pthread_mutex_unlock(&pools->lock);
    atomic_store(why, true);
}

static bool look_alive(struct mpool *pool)
{
    struct error err = ERROR_INIT;

    if (atomic_load(&pool->gone))
        return false;
    if (atomic_load(&pool->moved))
        return false;
    if (pool_check_alive(pool->pool, &err) == 0)
        return true;
    /* A part of the file that is missing, or that a disk refused, may be back when it is opened anew. */
    lose_name(pool, err.kind == PLSM_ERROR_NOT_FOUND ? &pool->gone : &pool->moved);
    return false;
}

bool mpool_alive(struct mpool *pool)
{
    bool alive;

    if (pool->name == NULL)
        return true; /* no pool at all */
    if (!mpool_use(pool))
        return false;
    atomic_store(&pool->recent, true);
    alive = look_alive(pool);
    mpool_unuse(pool);
    return alive;
}

bool mpool_in_place(struct mpool *pool)
{
    struct stat st;

    if (!mpool_alive(pool))
        return false;
    if (stat(pool->path, &st) == 0 ? st.st_dev == pool->dev && st.st_ino == pool->ino
                                   : errno != ENOENT && errno != ENOTDIR)
        return true;
    lose_name(pool, &pool->moved);
    return false;
}

bool mpool_ready(struct mpool *pool, uint64_t pos)
{
    if (atomic_load(&pool->gone))
        return true;
    return pool->pool == NULL ? atomic_load(&pool->news) > pos : pool_ready(pool->pool, pos);
}

/* Opens for appending where that is allowed, else for reading alone. */
static int open_pool(struct mpool *pool, bool read_only, struct error *err)
{
    if (!read_only && pool_open(pool->path, POOL_READ_WRITE, &pool->pool, err) == 0) {
        pool->writable = true;
        return 0;
    }
    if (!read_only && err->kind != PLSM_ERROR_PERMISSION)
        return -1;
    return pool_open(pool->path, POOL_READ, &pool->pool, err);
}

static int describe(struct mpool *pool, struct error *err)
{
    struct pool_info info;
    struct stat st;

    if (pool_info(pool->pool, &info, err) < 0)
        return -1;
    if (stat(pool->path, &st) < 0)
        return fail_os(err, errno == ENOENT ? PLSM_ERROR_NOT_FOUND : PLSM_ERROR_IO, errno,
                       "failed to look at the pool file");
    pool->created_ns = info.created_ns;
    pool->ring_size = info.ring_size;
    pool->file_size = info.file_size;
    memcpy(pool->uuid, info.uuid, sizeof pool->uuid);
    pool->dev = st.st_dev;
    pool->ino = st.st_ino;
    pool->edge.last_stat = st;
    pool->identity = hash_bytes(hash_u64(HASH_START, st.st_ino),
                                (struct bytes){(const char *)info.uuid, sizeof info.uuid});
    pool->notes = notes_get(pool->mount, pool->identity);
    pool->tags = tags_new();
    return pool->notes == NULL || pool->tags == NULL
               ? fail(err, PLSM_ERROR_INTERNAL, "out of memory")
               : 0;
}

static int make(struct mpools *pools, const char *name, struct mpool **ret, struct error *err)
{
    struct mpool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    pool->refs = 1;
    pool->mount = pools->mount;
    pthread_mutex_init(&pool->appends.lock, NULL);
    pthread_mutex_init(&pool->edge.lock, NULL);
    pool->appends.last = &pool->appends.first;
    pool->edge.tail = UINT64_MAX;
    pool->name = strdup(name);
    pool->path = pools_path(pools->mount, name);
    if (pool->name == NULL || pool->path == NULL) {
        (void)fail(err, PLSM_ERROR_INTERNAL, "out of memory");
        goto drop;
    }
    if (open_pool(pool, pools->mount->read_only, err) < 0)
        goto drop;
    atomic_fetch_add(&pools->n_open, 1);
    if (describe(pool, err) < 0)
        goto drop;
    *ret = pool;
    return 0;

drop:
    destroy(pool);
    return -1;
}

static bool is_idle(struct mpool *pool)
{
    return !atomic_load(&pool->gone) && atomic_load(&pool->handles) == 0 &&
           atomic_load(&pool->uses) == 0;
}

/* Retires it unless it is in use, or was since the last look. */
static bool retire(struct mpool *pool)
{
    unsigned nobody = 0;

    if (!is_idle(pool) || atomic_exchange(&pool->recent, false) ||
        !atomic_compare_exchange_strong(&pool->uses, &nobody, RETIRED))
        return false;
    atomic_store(&pool->gone, true);
    return true;
}

/*
 * Takes up to n pools out of the table, with a reference each, in the manner of a clock: its hand goes on from where it was, and
 * passes by what was used since it was there last, once.
 */
static size_t take_unused(struct mpools *pools, struct mpool **ret, size_t n)
{
    size_t found = 0;

    pthread_mutex_lock(&pools->lock);
    for (size_t i = 0; i < 2 * N_BUCKETS && found < n; i++) {
        struct mpool **at, *pool;

        pools->hand = (pools->hand + 1) % N_BUCKETS;
        for (at = &pools->buckets[pools->hand]; found < n && (pool = *at) != NULL;) {
            if (!retire(pool)) {
                at = &pool->next;
                continue;
            }
            *at = pool->next;
            pool->refs++;
            ret[found++] = pool;
        }
    }
    pthread_mutex_unlock(&pools->lock);
    return found;
}

/* Closes pools that nobody uses.  By the loop: nobody else opens files of an idle pool. */
static void retire_some(struct mpools *pools)
{
    struct mpool *unused[RETIRE_BATCH];
    size_t n = take_unused(pools, unused, RETIRE_BATCH);

    for (size_t i = 0; i < n; i++) {
        close_pool(unused[i]);
        mpool_unref(unused[i]);
    }
}

/* Only the loop opens pools, so no second entry of the name can appear between the look and the opening. */
int pools_get(struct mpools *pools, const char *name, struct mpool **ret, struct error *err)
{
    struct mpool *pool = find(pools, name);

    if (pool != NULL && mpool_in_place(pool)) {
        *ret = pool;
        return 0;
    }
    mpool_unref(pool);
    if (atomic_load(&pools->n_open) >= pools->max_open)
        retire_some(pools);
    if (make(pools, name, &pool, err) < 0)
        return -1;
    pool->serial = ++pools->last_serial;
    atomic_store(&pool->recent, true);
    pthread_mutex_lock(&pools->lock);
    pool->next = *bucket_of(pools, name);
    *bucket_of(pools, name) = pool;
    pthread_mutex_unlock(&pools->lock);
    *ret = pool;
    return 0;
}

void pools_check(struct mpools *pools, const char *name)
{
    struct mpool *pool = find(pools, name);

    if (pool == NULL)
        return;
    (void)mpool_in_place(pool); /* wanted for the mark it sets */
    mpool_unref(pool);
}

void mpool_stat(struct mpool *pool, struct stat *st)
{
    bool known =
        !atomic_load(&pool->gone) && !atomic_load(&pool->moved) && stat(pool->path, st) == 0;

    pthread_mutex_lock(&pool->edge.lock);
    if (known)
        pool->edge.last_stat = *st;
    else
        *st = pool->edge.last_stat;
    pthread_mutex_unlock(&pool->edge.lock);
}
