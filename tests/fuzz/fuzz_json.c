/*
 * Whatever the bytes and wherever they are cut, every scanner says what the machine says.  The first byte of the input
 * is where the rest is cut.
 */
#include "pool/json.h"

#include "json_state.h"

#include <stdio.h>
#include <stdlib.h>

struct verdict {
    enum json_status status;
    size_t at;
    struct buf out;
};

static struct verdict judge(const char *scanner, const char *p, size_t n, size_t cut)
{
    struct verdict v = {.status = JSON_MORE};
    struct json_gate gate = JSON_GATE_INIT;
    size_t used = 0;

    if (!json_use_scanner(scanner))
        json_use_plain(false);
    v.status = json_gate_feed(&gate, p, cut, &used, &v.out);
    v.at = used;
    if (v.status == JSON_MORE) {
        v.status = json_gate_feed(&gate, p + cut, n - cut, &used, &v.out);
        v.at = cut + used;
    }
    if (v.status == JSON_MORE)
        v.status = json_gate_end(&gate);
    return v;
}

/* Walking what has passed stays inside, and so does walking what has not. */
static void walk(struct bytes text)
{
    auto_buf struct buf plain = BUF_INIT;
    size_t end = json_skip(text, 0);

    if (end > text.n)
        abort();
    if (json_string_decode((struct bytes){text.p, end}, &plain) == 0 && text.n > 0 &&
        text.p[0] == '"' && !json_string_equal((struct bytes){text.p, end}, buf_bytes(&plain)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const scanners[] = {"sse2", "avx2"};
    struct verdict plain;
    const char *p = (const char *)data + 1;
    size_t cut;

    if (n < 1)
        return 0;
    n--;
    cut = n > 0 ? data[0] % (n + 1) : 0;
    plain = judge("plain", p, n, cut);
    for (size_t i = 0; i < 2; i++) {
        struct verdict v = judge(scanners[i], p, n, cut);

        if (v.status != plain.status || v.at != plain.at ||
            (v.status == JSON_VALUE && !bytes_equal(buf_bytes(&v.out), buf_bytes(&plain.out))))
            abort();
        buf_done(&v.out);
    }
    if (plain.status == JSON_VALUE)
        walk(buf_bytes(&plain.out));
    walk((struct bytes){p, n});
    buf_done(&plain.out);
    return 0;
}
