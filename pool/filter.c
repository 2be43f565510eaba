#include "pool/filter.h"

#include "filter_libjq.h"
#include "filter_problem.h"

#include <stdlib.h>

struct filter {
    struct buf expression;
    struct libjq_filter *libjq;
};

static int compile(struct filter *filter, const struct words *words, struct error *err)
{
    if (words_refuse(words, err) < 0)
        return -1;
    return libjq_filter_new(words, &filter->libjq, err);
}

int filter_new(struct bytes expression, struct filter **ret, struct error *err)
{
    auto_filter struct filter *filter = calloc(1, sizeof *filter);
    auto_words struct words words = {0};

    if (filter == NULL || buf_add_bytes(&filter->expression, expression) < 0)
        return fail(err, PLSM_ERROR_INTERNAL, "out of memory");
    if (words_scan(buf_bytes(&filter->expression), &words, err) < 0 ||
        compile(filter, &words, err) < 0)
        return -1;
    *ret = filter;
    filter = NULL; /* handed to the caller */
    return 0;
}

void filter_free(struct filter *filter)
{
    if (filter == NULL)
        return;
    libjq_filter_free(filter->libjq);
    buf_done(&filter->expression);
    free(filter);
}

static enum filter_result fail_odd(const struct filter *filter, const struct message *message,
                                   struct buf *odd, struct error *err)
{
    auto_buf struct buf excerpt = BUF_INIT;

    (void)filter_excerpt(&excerpt, buf_bytes(&filter->expression), FILTER_NOWHERE);
    fail(err, PLSM_ERROR_USAGE, "filter expression must yield booleans");
    fail_seq(err, message->seq);
    if (buf_str(&excerpt) != NULL && buf_str(odd) != NULL)
        fail_hint(err, "%s gave %s. Compare it with something, as in `(...) != null`.", excerpt.p,
                  odd->p);
    return FILTER_ODD;
}

enum filter_result filter_match(struct filter *filter, const struct message *message,
                                struct error *err)
{
    auto_buf struct buf odd = BUF_INIT;
    enum filter_result result = libjq_filter_match(filter->libjq, message, &odd, err);

    return result == FILTER_ODD ? fail_odd(filter, message, &odd, err) : result;
}
