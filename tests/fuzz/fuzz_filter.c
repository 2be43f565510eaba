/*
 * Any expression, any bytes as a payload: the words, the parser and the evaluator read and loop no
 * further than they may. The input is an expression, a NUL, and a payload; of a payload that is
 * JSON, both readings of each path must agree.
 */
#include "filter_eval.h"
#include "pool/json.h"

#include <stdlib.h>
#include <string.h>

static enum filter_result run(struct evaluation *evaluation, struct bytes data)
{
    struct message message = {
        .seq = 7, .time_ns = 1700000000000000000, .tags = BYTES("\"a\",\"b c\""), .data = data};
    auto_buf struct buf odd = BUF_INIT;
    struct error err = ERROR_INIT;

    return evaluation_run(evaluation, &message, &odd, &err);
}

/* The same message twice says the same: nothing is left over of another one in between. */
static void repeat(const struct program *program, struct bytes data)
{
    struct evaluation *evaluation = evaluation_new(program);
    enum filter_result first;

    if (evaluation == NULL)
        return;
    first = run(evaluation, data);
    (void)run(evaluation, BYTES("{\"a\":{\"a\":1,\"b\":[1,\"a\"]},\"b\":null,\"c\":\"x\"}"));
    if (run(evaluation, data) != first)
        abort();
    evaluation_free(evaluation);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data, *nul = n > 0 ? memchr(text, '\0', n) : NULL;
    struct bytes expression = {text, nul != NULL ? (size_t)(nul - text) : n};
    struct bytes payload = {text + expression.n, n - expression.n};
    auto_buf struct buf compact = BUF_INIT;
    struct program program = {0};
    struct words words = {0};
    struct error err = ERROR_INIT;
    size_t at;

    if (payload.n > 0) { /* the NUL */
        payload.p++;
        payload.n--;
    }
    if (words_scan(expression, &words, &err) < 0)
        return 0;
    if (program_parse(&words, &program, &at, &err) == 1) {
        repeat(&program, payload);
        if (json_compact(payload, &compact, &err) == 0)
            repeat(&program, buf_bytes(&compact));
    }
    program_done(&program);
    words_done(&words);
    return 0;
}
