#include "readme.h"

static const char root_text[] =
    "Every directory here is a pool: a ring of JSON messages that outlives its readers and "
    "writers.\n"
    "\n"
    "    mkdir ci                                 make a pool\n"
    "    echo '{\"status\":\"green\"}' > ci/append    append a message\n"
    "    cat ci/tail                              the last ten messages\n"
    "    cat ci/follow                            new messages, for ever\n"
    "    head -n1 ci/next                         wait for the next message\n"
    "    rmdir ci                                 delete a pool that holds no messages\n"
    "    echo delete > ci/ctl                     delete any (rm -r is refused, file by file)\n"
    "\n"
    "Each pool has a README of its own.\n";

static const char pool_text[] =
    "A pool. One line is one message: "
    "{\"seq\":1,\"time\":\"...\",\"meta\":{\"tags\":[]},\"data\":{...}}\n"
    "\n"
    "    append            write JSON objects here; > and >> mean the same.  What is wrong is "
    "refused\n"
    "                      by write(): look at the exit status.  Only an object that is cut off "
    "at\n"
    "                      the end is refused by close(), which a shell's echo does not look at.\n"
    "                      Opened for reading and writing it gives a receipt for each message.\n"
    "                      Whole messages are copied as messages.\n"
    "    lines             write plain text here: each line becomes the message "
    "{\"line\":\"...\"}\n"
    "                      (make 2>&1 | tee lines)\n"
    "    log               all of it as a growing file: tail -f log, less +F log, log shippers, "
    "inotifywait;\n"
    "                      what was overwritten reads as blank lines, so that offsets stay true\n"
    "    tail  all         the last ten messages; all that are kept\n"
    "    last/N            the last N\n"
    "    from/SEQ seq/N    from that number on; exactly that one\n"
    "    since/T           since/90s since/5m since/1h since/2d since/14:30 since/@1700000000\n"
    "                      since/2026-03-04T05:06:07Z, or since/T1..T2\n"
    "    follow  next      wait: new messages for ever; the next message only\n"
    "    errors            what was refused lately, why, and the place: jq -r .place errors\n"
    "    info  size        about the pool, as JSON; its size in bytes\n"
    "                      (echo 64M > size gives it another one while it holds no messages)\n"
    "    stat/...          newest oldest count used capacity rejected: one number each\n"
    "    tags              how many messages have which tag, most frequent first\n"
    "    ctl               echo delete > ctl: away with the pool and all that is in it;\n"
    "                      framing jsonl: every JSON value ends with its line, or write() refuses "
    "it;\n"
    "                      framing json: values may span lines\n"
    "\n"
    "Directories in between change what is below them, in any order:\n"
    "\n"
    "    tag/NAME/...      only messages with this tag; tag/NAME/append gives it\n"
    "    where/EXPR/...    only messages for which this jq expression is true: where/'.data.n > "
    "3'/all\n"
    "    data/...          only the data, without the envelope; data/append takes objects as they "
    "are\n"
    "    strict/...        tell when messages were lost: one read fails with `Broken pipe`, then "
    "it goes on\n"
    "    replay/SPEED/...  wait between messages as long as they were apart: 1, 10 (times as "
    "fast), 0.5; 0: not at all\n"
    "    live/...          do not stop at the end, wait for more (live is not listed: it would "
    "stop grep -r)\n"
    "\n"
    "    timeout 5m head -n1 where/'.data.status == \"green\"'/live/since/1h && ./deploy.sh\n"
    "                                  goes on when it was green within the last hour, or gets green\n"
    "                                  within five minutes\n"
    "    cat live/since/1h             the last hour, then what comes\n"
    "    cat live/seq/1234             wait until message 1234 is there\n"
    "    cat replay/10/since/1h        the last hour in six minutes\n"
    "    cat tag/deploy/data/tail      what was deployed last\n"
    "\n"
    "In a name %2F is a slash and %25 a percent sign.  `jq` wants --unbuffered behind `follow`, "
    "mawk -W interactive.\n";

static const char argument_text[] =
    "Names below this directory are arguments, for example last/5, since/1h, from/100, seq/7 or "
    "tag/deploy.\n"
    "They work although they are not listed.  The README of the pool says more.\n";

static const char system_text[] =
    "About this mount. No pool can have a name that begins with a dot.\n"
    "\n"
    "    events    pools that come and go, for ever: cat events\n"
    "    errors    what failed lately in any pool, one JSON line each\n"
    "    stats     what the mount is doing\n"
    "    version   of it, libfuse and the kernel's protocol\n";

const char *readme_text(const struct place *place)
{
    if (place->in_argument)
        return argument_text;
    if (place->in_pool)
        return pool_text;
    return place->in_system ? system_text : root_text;
}
