#include "node.h"

#include "base/units.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

#define IDLE_NS (10 * NS_PER_S)
#define CROWDED_IDLE_NS NS_PER_S /* ... when there are more than: */
#define ARGUMENTS_MAX 16384      /* names below parameter directories */
#define N_BUCKETS_MIN 1024
#define LOOK_BUCKETS 4096 /* looked through under one hold of the lock */

struct nodes {
    struct mount *mount;
    pthread_mutex_t lock;
    const struct node *root;
    struct node **by_id, **by_key;
    size_t n_buckets; /* a power of two */
    size_t n, n_arguments;
    uint64_t last_id;
};

/* A name that is an argument: one of endlessly many. */
static bool is_argument(const struct node *node)
{
    return node->parent != NULL && node->parent->place.kind == PLACE_PARAM;
}

static uint64_t ino_of(const struct place *place, uint64_t identity)
{
    uint64_t ino = hash_u64(place->ino_seed, identity) & INT64_MAX;

    return ino > FUSE_ROOT_ID ? ino : ino + 2;
}

uint64_t node_pool_ino(ino_t file, const struct place *place)
{
    return ino_of(place, file);
}

uint64_t node_ino(const struct mpool *pool, const struct place *place)
{
    if (place->kind == PLACE_ROOT)
        return FUSE_ROOT_ID;
    if (path_is_pool(place))
        return node_pool_ino(pool->ino, place);
    return ino_of(place, pool == NULL ? 0 : pool->identity);
}

int node_add_path(const struct node *node, struct buf *out)
{
    if (node->parent == NULL)
        return 0;
    if (node_add_path(node->parent, out) < 0)
        return -1;
    if (out->n > 0 && buf_add_char(out, '/') < 0)
        return -1;
    return buf_add_str(out, node->name);
}

static bool is_root(const struct node *node)
{
    return node != NULL && node->id == FUSE_ROOT_ID;
}

/* In the root without the version, so that nodes_of_pool() finds all of a name in one place. */
static uint64_t key_hash(const struct node *parent, const char *name, struct node_version version)
{
    uint64_t h = hash_bytes(hash_u64(HASH_START, parent == NULL ? 0 : parent->id), bytes_of(name));

    return is_root(parent) ? h : hash_u64(hash_u64(h, version.a), version.b);
}

static void insert(struct nodes *nodes, struct node *node)
{
    struct node **by_id = &nodes->by_id[node->id & (nodes->n_buckets - 1)];
    struct node **by_key = &nodes->by_key[node->key_hash & (nodes->n_buckets - 1)];

    node->next_by_id = *by_id;
    *by_id = node;
    node->next_by_key = *by_key;
    *by_key = node;
}

static void take_out(struct nodes *nodes, struct node *node)
{
    struct node **at = &nodes->by_id[node->id & (nodes->n_buckets - 1)];

    while (*at != node)
        at = &(*at)->next_by_id;
    *at = node->next_by_id;
    at = &nodes->by_key[node->key_hash & (nodes->n_buckets - 1)];
    while (*at != node)
        at = &(*at)->next_by_key;
    *at = node->next_by_key;
    nodes->n--;
    if (is_argument(node))
        nodes->n_arguments--;
}

/* Another number of buckets, a power of two; when memory is short the chains just get longer. */
static void rehash(struct nodes *nodes, size_t n_buckets)
{
    size_t n_old = nodes->n_buckets;
    struct node **old_by_id = nodes->by_id, **old_by_key = nodes->by_key;
    struct node **by_id = calloc(n_buckets, sizeof *by_id);
    struct node **by_key = calloc(n_buckets, sizeof *by_key);

    if (by_id == NULL || by_key == NULL) {
        free(by_id);
        free(by_key);
        return;
    }
    nodes->by_id = by_id;
    nodes->by_key = by_key;
    nodes->n_buckets = n_buckets;
    for (size_t i = 0; i < n_old; i++)
        for (struct node *node = old_by_id[i], *next; node != NULL; node = next) {
            next = node->next_by_id;
            insert(nodes, node);
        }
    free(old_by_id);
    free(old_by_key);
}

static void destroy(struct node *node)
{
    snapshot_unref(node->snapshot);
    path_done(&node->place);
    mpool_unref(node->pool);
    free(node->name);
    free(node);
}

/* Drops one reference under lock; whoever lost the last one is chained to *ret_dead, its parents too. */
static void unref_locked(struct nodes *nodes, struct node *node, struct node **ret_dead)
{
    while (node != NULL && --node->refs == 0) {
        struct node *parent = node->parent;

        take_out(nodes, node);
        node->next_by_id = *ret_dead;
        *ret_dead = node;
        node = parent;
    }
}

static void destroy_all(struct node *dead)
{
    for (struct node *next; dead != NULL; dead = next) {
        next = dead->next_by_id;
        destroy(dead);
    }
}

struct nodes *nodes_new(struct mount *m)
{
    struct nodes *nodes = calloc(1, sizeof *nodes);
    struct node *root = calloc(1, sizeof *root);

    if (nodes == NULL || root == NULL)
        goto drop;
    nodes->mount = m;
    nodes->n_buckets = N_BUCKETS_MIN;
    nodes->by_id = calloc(nodes->n_buckets, sizeof *nodes->by_id);
    nodes->by_key = calloc(nodes->n_buckets, sizeof *nodes->by_key);
    root->name = strdup("");
    if (nodes->by_id == NULL || nodes->by_key == NULL || root->name == NULL ||
        path_root(&root->place) != 0)
        goto drop;
    pthread_mutex_init(&nodes->lock, NULL);
    root->id = nodes->last_id = FUSE_ROOT_ID;
    root->ino = FUSE_ROOT_ID;
    root->refs = 1;
    nodes->root = root;
    root->key_hash = key_hash(NULL, "", root->version);
    nodes->n = 1;
    insert(nodes, root);
    return nodes;

drop:
    if (root != NULL)
        destroy(root);
    if (nodes != NULL) {
        free(nodes->by_id);
        free(nodes->by_key);
    }
    free(nodes);
    return NULL;
}

void nodes_free(struct nodes *nodes)
{
    if (nodes == NULL)
        return;
    for (size_t i = 0; i < nodes->n_buckets; i++)
        destroy_all(nodes->by_id[i]);
    free(nodes->by_id);
    free(nodes->by_key);
    pthread_mutex_destroy(&nodes->lock);
    free(nodes);
}

struct node *nodes_find(struct nodes *nodes, uint64_t id)
{
    struct node *node;

    pthread_mutex_lock(&nodes->lock);
    node = nodes->by_id[id & (nodes->n_buckets - 1)];
    while (node != NULL && node->id != id)
        node = node->next_by_id;
    pthread_mutex_unlock(&nodes->lock);
    return node;
}

/* Under lock, as the next.  A look-up holds a reference while there is at least one. */
static void count_lookup(struct node *node)
{
    if (node->lookups++ == 0)
        node->refs++;
    node->used_ns = clock_mono_ns();
}

static struct node *find_key(struct nodes *nodes, const struct node *parent, const char *name,
                             struct node_version version)
{
    uint64_t hash = key_hash(parent, name, version);
    struct node *node = nodes->by_key[hash & (nodes->n_buckets - 1)];

    while (node != NULL &&
           (node->key_hash != hash || node->parent != parent || node->version.a != version.a ||
            node->version.b != version.b || strcmp(node->name, name) != 0))
        node = node->next_by_key;
    return node;
}

struct node *nodes_reenter(struct nodes *nodes, struct node *parent, const char *name,
                           struct node_version version)
{
    struct node *node;

    pthread_mutex_lock(&nodes->lock);
    node = find_key(nodes, parent, name, version);
    if (node != NULL)
        count_lookup(node);
    pthread_mutex_unlock(&nodes->lock);
    return node;
}

static struct node *make(const char *name, struct node_version version, struct place *place,
                         struct mpool *pool, struct snapshot *snapshot)
{
    struct node *node = calloc(1, sizeof *node);

    if (node == NULL)
        return NULL;
    node->name = strdup(name);
    if (node->name == NULL) {
        free(node);
        return NULL;
    }
    node->version = version;
    node->place = *place;
    node->pool = pool == NULL ? NULL : mpool_ref(pool);
    node->snapshot = snapshot;
    node->ino = node_ino(pool, place);
    return node;
}

struct node *nodes_enter(struct nodes *nodes, struct node *parent, const char *name,
                         struct node_version version, struct place *place, struct mpool *pool,
                         struct snapshot *snapshot)
{
    struct node *made = make(name, version, place, pool, snapshot), *node;

    if (made == NULL) {
        path_done(place);
        snapshot_unref(snapshot);
        return NULL;
    }
    pthread_mutex_lock(&nodes->lock);
    node = find_key(nodes, parent, name, version);
    if (node == NULL) {
        node = made;
        made = NULL;
        node->id = ++nodes->last_id;
        node->parent = parent;
        node->key_hash = key_hash(parent, name, version);
        parent->refs++;
        if (++nodes->n > nodes->n_buckets)
            rehash(nodes, nodes->n_buckets * 2);
        if (is_argument(node))
            nodes->n_arguments++;
        insert(nodes, node);
    }
    count_lookup(node);
    pthread_mutex_unlock(&nodes->lock);
    if (made != NULL)
        destroy(made);
    return node;
}

void nodes_forget(struct nodes *nodes, uint64_t id, uint64_t lookups)
{
    struct node *node = nodes_find(nodes, id), *dead = NULL;

    if (node == NULL || id == FUSE_ROOT_ID)
        return;
    pthread_mutex_lock(&nodes->lock);
    bool had = node->lookups > 0;
    node->lookups -= lookups < node->lookups ? lookups : node->lookups;
    if (had && node->lookups == 0)
        unref_locked(nodes, node, &dead);
    if (nodes->n_buckets > N_BUCKETS_MIN && nodes->n < nodes->n_buckets / 8)
        rehash(nodes, nodes->n_buckets / 2);
    pthread_mutex_unlock(&nodes->lock);
    destroy_all(dead);
}

struct node *node_ref(struct nodes *nodes, struct node *node)
{
    pthread_mutex_lock(&nodes->lock);
    node->refs++;
    pthread_mutex_unlock(&nodes->lock);
    return node;
}

void node_unref(struct nodes *nodes, struct node *node)
{
    struct node *dead = NULL;

    pthread_mutex_lock(&nodes->lock);
    unref_locked(nodes, node, &dead);
    pthread_mutex_unlock(&nodes->lock);
    destroy_all(dead);
}

static bool is_lost(const struct node *node)
{
    return node->pool != NULL && !is_root(node->parent) &&
           (atomic_load(&node->pool->gone) || atomic_load(&node->pool->moved));
}

bool nodes_stale(struct nodes *nodes, uint64_t now_ns, bool lost, size_t *at, struct node **ret,
                 size_t *n)
{
    size_t room = *n, found = 0, end;

    pthread_mutex_lock(&nodes->lock);
    uint64_t idle_ns = nodes->n_arguments > ARGUMENTS_MAX ? CROWDED_IDLE_NS : IDLE_NS;
    bool more = (lost || nodes->n_arguments > 0) && *at < nodes->n_buckets;
    end =
        nodes->n_buckets - (more ? *at : 0) < LOOK_BUCKETS ? nodes->n_buckets : *at + LOOK_BUCKETS;
    for (; more && *at < end && found < room; ++*at)
        for (struct node *node = nodes->by_id[*at]; node != NULL && found < room;
             node = node->next_by_id) {
            bool idle = is_argument(node) && now_ns - node->used_ns >= idle_ns;

            if (node->lookups == 0 || (!idle && !(lost && is_lost(node))))
                continue;
            node->refs++;
            node->used_ns = now_ns; /* asked for once; if the kernel keeps it, it is in use */
            ret[found++] = node;
        }
    pthread_mutex_unlock(&nodes->lock);
    *n = found;
    return more;
}

size_t nodes_count(struct nodes *nodes)
{
    size_t n;

    pthread_mutex_lock(&nodes->lock);
    n = nodes->n;
    pthread_mutex_unlock(&nodes->lock);
    return n;
}

/* Under lock. */
static bool is_known_pool(const struct node *node)
{
    return node->pool != NULL && is_root(node->parent) && !node->announced;
}

size_t nodes_of_pool(struct nodes *nodes, const char *name, struct node **ret, size_t n)
{
    size_t found = 0;

    pthread_mutex_lock(&nodes->lock);
    uint64_t hash = key_hash(nodes->root, name, (struct node_version){0});
    struct node *node = nodes->by_key[hash & (nodes->n_buckets - 1)];
    for (; node != NULL && found < n; node = node->next_by_key) {
        if (!is_known_pool(node) || strcmp(node->name, name) != 0)
            continue;
        node->refs++;
        ret[found++] = node;
    }
    pthread_mutex_unlock(&nodes->lock);
    return found;
}

struct node **nodes_pools(struct nodes *nodes, size_t *ret_n)
{
    struct node **found;
    size_t n = 0;

    pthread_mutex_lock(&nodes->lock);
    found = malloc((nodes->n + 1) * sizeof(struct node *));
    for (size_t i = 0; found != NULL && i < nodes->n_buckets; i++)
        for (struct node *node = nodes->by_id[i]; node != NULL; node = node->next_by_id)
            if (is_known_pool(node)) {
                node->refs++;
                found[n++] = node;
            }
    pthread_mutex_unlock(&nodes->lock);
    *ret_n = n;
    return found;
}

bool node_is_known(struct nodes *nodes, const struct node *node)
{
    bool known;

    pthread_mutex_lock(&nodes->lock);
    known = node->lookups > 0;
    pthread_mutex_unlock(&nodes->lock);
    return known;
}

void node_announce(struct nodes *nodes, struct node *node)
{
    pthread_mutex_lock(&nodes->lock);
    node->announced = true;
    pthread_mutex_unlock(&nodes->lock);
}

size_t nodes_below(struct nodes *nodes, const struct mpool *pool, uint64_t *ret, size_t n)
{
    size_t found = 0;

    pthread_mutex_lock(&nodes->lock);
    for (size_t i = 0; i < nodes->n_buckets && found < n; i++)
        for (struct node *node = nodes->by_id[i]; node != NULL && found < n;
             node = node->next_by_id)
            if (node->pool == pool && node->lookups > 0)
                ret[found++] = node->id;
    pthread_mutex_unlock(&nodes->lock);
    return found;
}
