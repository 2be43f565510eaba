/*
 * A pool file in which anything may be: patches of a sound 8 KiB pool, their checksums made right again so that what lies behind
 * them is reached.  Whatever is found, nothing may crash, hang or grow.
 *
 * Input: one byte of choices, then patches of four bytes: offset (2), how (1), value (1).
 */
#include "crc32c.h"
#include "layout.h"
#include "pool/stream.h"
#include "pool/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

#define POOL_BYTES 8192u

static uint8_t sound[POOL_BYTES];
static char dir[] = "/tmp/fuzz-pool-XXXXXX", path[64];

static void clean_up(void)
{
    unlink(path);
    rmdir(dir);
}

static void must(int result)
{
    if (result < 0)
        abort();
}

/* A ring that has wrapped, with tags, an index and messages of several sizes. */
static void make_sound(void)
{
    struct pool_options options = POOL_OPTIONS_INIT;
    struct pool *pool;
    char data[256];

    if (mkdtemp(dir) == NULL)
        abort();
    (void)snprintf(path, sizeof path, "%s/p", dir);
    options.size = POOL_BYTES;
    must(pool_create(path, &options, NULL));
    must(pool_open(path, POOL_READ_WRITE, &pool, NULL));
    for (int i = 0; i < 100; i++) {
        int length = snprintf(data, sizeof data, "{\"n\":%d,\"pad\":\"%*s\"}", i, i * 7 % 90, "x");
        struct payload payload =
            payload_make(BYTES("\"a\",\"b\""), 2, (struct bytes){data, (size_t)length});
        must(pool_append(pool, &payload, 1, 0, NULL, NULL));
    }
    pool_close(pool);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(sound, 1, sizeof sound, file) != sizeof sound)
        abort();
    fclose(file);
    atexit(clean_up);
}

static void write_file(const uint8_t *bytes)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL || fwrite(bytes, 1, POOL_BYTES, file) != POOL_BYTES || fclose(file) != 0)
        abort();
}

static void patch(uint8_t *bytes, const uint8_t *input, size_t n)
{
    for (; n >= 4; input += 4, n -= 4) {
        uint8_t *at = &bytes[(input[0] | input[1] << 8) % POOL_BYTES];
        *at = input[2] % 3 == 0 ? input[3] : input[2] % 3 == 1 ? (uint8_t)(*at ^ input[3]) : (uint8_t)(*at + input[3]);
    }
}

static void mend_checksums(uint8_t *bytes, unsigned choices)
{
    struct header_page *page = (struct header_page *)(void *)bytes;

    if ((choices & 1) != 0)
        page->fixed.crc = crc32c(0, &page->fixed, offsetof(struct header_fixed, crc));
    for (int i = 0; i < 2; i++)
        if ((choices & 2u << i) != 0)
            page->live.commits[i][COMMIT_CRC] =
                crc32c(page->fixed.salt, (void *)page->live.commits[i], COMMIT_CRC * sizeof(uint64_t));
    for (size_t off = LAYOUT_HEADER_BYTES; (choices & 8) != 0 && off + FRAME_HEADER_BYTES <= POOL_BYTES; off += 8) {
        struct frame_header *h = (struct frame_header *)(void *)(bytes + off);
        unsigned kind = h->tags_kind_lap >> FRAME_KIND_SHIFT & 3;
        if (kind == FRAME_MESSAGE || kind == FRAME_FILLER)
            h->header_crc = crc32c(page->fixed.salt, h, offsetof(struct frame_header, header_crc));
    }
}

static void read_it(struct pool *pool, enum stream_start start)
{
    struct stream_options options = {
        .start = start, .tail = 3, .from_seq = 90, .since_ns = 1, .finite = true};
    struct stream *stream = NULL;
    struct message message;

    if (stream_open(pool, &options, &stream, NULL) < 0)
        return;
    for (int i = 0; i < 3000; i++) { /* more than an 8 KiB ring can hold */
        enum stream_result result = stream_next(stream, &message, NULL);
        if (result != STREAM_MESSAGE && result != STREAM_GAP)
            break;
        if (i == 2999)
            abort();
    }
    stream_close(stream);
}

static void use_it(void)
{
    struct verify_report report;
    struct pool *pool;
    auto_buf struct buf store = BUF_INIT;
    struct message message;
    struct payload payload = payload_make(BYTES(""), 0, BYTES("{\"new\":true}"));

    (void)verify_pool(path, &report, NULL);
    if (pool_open(path, POOL_READ_WRITE, &pool, NULL) < 0)
        return;
    for (int start = STREAM_LIVE; start <= STREAM_ALL; start++)
        read_it(pool, (enum stream_start)start);
    (void)pool_get(pool, 95, &store, &message, NULL);
    for (int i = 0; i < 3; i++)
        (void)pool_append(pool, &payload, 1, 0, NULL, NULL);
    read_it(pool, STREAM_ALL);
    pool_close(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
    uint8_t bytes[POOL_BYTES] __attribute__((aligned(64)));

    if (n < 1)
        return 0;
    if (sound[0] == 0)
        make_sound();
    memcpy(bytes, sound, sizeof bytes);
    patch(bytes, input + 1, n - 1);
    mend_checksums(bytes, input[0]);
    write_file(bytes);
    use_it();
    return 0;
}
