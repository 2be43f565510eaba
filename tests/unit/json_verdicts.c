/*
 * Documents in, verdicts out, for test_json_python.py.
 *
 * On stdin each document follows its length (4 bytes, little-endian).  On stdout each answer is one byte, 1 for JSON and
 * 0 for anything else, and the compact text behind its length, which is 0 for anything else.
 */
#include "pool/json.h"

#include <stdio.h>
#include <stdlib.h>

static bool read_document(struct buf *document)
{
    unsigned char length[4];
    size_t n;

    if (fread(length, 1, 4, stdin) != 4)
        return false;
    n = length[0] | length[1] << 8 | length[2] << 16 | (size_t)length[3] << 24;
    buf_clear(document);
    if (buf_room(document, n + 1) < 0 || fread(document->p, 1, n, stdin) != n)
        exit(1);
    document->n = n;
    return true;
}

static void answer(bool good, struct bytes text)
{
    const unsigned char head[5] = {good, (unsigned char)text.n, (unsigned char)(text.n >> 8),
                                   (unsigned char)(text.n >> 16), (unsigned char)(text.n >> 24)};

    if (fwrite(head, 1, 5, stdout) != 5 || fwrite(text.p, 1, text.n, stdout) != text.n)
        exit(1);
}

int main(void)
{
    auto_buf struct buf document = BUF_INIT, compact = BUF_INIT;

    while (read_document(&document)) {
        buf_clear(&compact);
        if (json_compact(buf_bytes(&document), &compact, NULL) == 0)
            answer(true, buf_bytes(&compact));
        else
            answer(false, BYTES(""));
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
