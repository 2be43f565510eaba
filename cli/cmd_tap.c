#include "capture.h"
#include "child.h"
#include "cli.h"
#include "target.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES (64 * 1024) /* as much as a pipe holds */

struct tap_options {
    const char *pool;
    struct opt_list command;
    struct target_creation creation;
    struct opt_list tags;
    bool quiet;
    const char *durability;
};

#define OPTIONS struct tap_options
static const struct option_spec options[] = {
    ARG("POOL", pool, "name or path of the pool"),
    OPT(0, "COMMAND...", command, NULL, "program to run, and its arguments: all words after --",
        .flags = OPT_ARGUMENT | OPT_OPTIONAL | OPT_BEHIND),
    TARGET_CREATION_ROWS,
    OPT(0, "tag", tags, "TAG", "tag for every line; may be repeated"),
    OPT('q', "quiet", quiet, NULL, "do not print what the command prints"),
    OPT(0, "durability", durability, "fast|flush",
        "fast (the default), or every line on disk at once"),
    OPT_END,
};

/* One run of the command. */
struct tap {
    struct cli *cli;
    const struct tap_options *o;
    struct child child;
    struct capture capture;
    bool pass[CAPTURE_STREAMS]; /* does its output go on to ours? */
    uint64_t start_ns;
};

/* The reader of our output may have gone: then the pool still has one. */
static int pass_on(struct tap *t, enum capture_stream stream, struct bytes bytes)
{
    int to = stream == CAPTURE_STDOUT ? STDOUT_FILENO : STDERR_FILENO;

    if (!t->pass[stream] || out_write_all(to, bytes.p, bytes.n) == 0)
        return 0;
    t->pass[stream] = false;
    if (errno == EPIPE || errno == EBADF)
        return 0;
    return fail_os(&t->cli->error, PLSM_ERROR_IO, errno, "failed to write passthrough output");
}

/* Reads once: a line is in the pool before anybody sees it, and a stream that never ends stops nothing else. */
static int read_stream(struct tap *t, enum capture_stream stream, int *fd)
{
    char piece[READ_BYTES];
    ssize_t n = read(*fd, piece, sizeof piece);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return fail_os(&t->cli->error, PLSM_ERROR_IO, errno,
                       "failed to read wrapped command output");
    if (n == 0) {
        close(*fd);
        *fd = -1;
        return capture_end(&t->capture, stream, &t->cli->error);
    }
    if (capture_bytes(&t->capture, stream, (struct bytes){piece, (size_t)n}, &t->cli->error) < 0)
        return -1;
    return pass_on(t, stream, (struct bytes){piece, (size_t)n});
}

static int read_streams(struct tap *t)
{
    if (t->child.out >= 0 && read_stream(t, CAPTURE_STDOUT, &t->child.out) < 0)
        return -1;
    return t->child.err >= 0 ? read_stream(t, CAPTURE_STDERR, &t->child.err) : 0;
}

/*
 * Until both streams have ended.  Something that the command has left behind may hold them open: we wait for it, unless
 * the command is gone and somebody asks us to stop.
 */
static int read_all(struct tap *t)
{
    bool is_over = false;

    while (!is_over && (t->child.out >= 0 || t->child.err >= 0)) {
        struct pollfd ready[] = {
            {.fd = child_nudged_fd(), .events = POLLIN},
            {.fd = t->child.out,      .events = POLLIN},
            {.fd = t->child.err,      .events = POLLIN}
        };

        if (poll(ready, 3, -1) < 0 && errno != EINTR)
            return fail_os(&t->cli->error, PLSM_ERROR_IO, errno,
                           "failed to read wrapped command output");
        if (ready[0].revents != 0) {
            child_nudged();
            is_over = child_is_over(&t->child); /* before reading: all that it wrote is there */
        }
        if (read_streams(t) < 0)
            return -1;
    }
    if (capture_end(&t->capture, CAPTURE_STDOUT, &t->cli->error) < 0)
        return -1;
    return capture_end(&t->capture, CAPTURE_STDERR, &t->cli->error);
}

static void say_start(const struct tap *t)
{
    auto_buf struct buf line = BUF_INIT;

    if (!t->cli->stderr_tty)
        return;
    buf_add_str(&line, "tapping ");
    buf_add_shell_word(&line, t->o->pool);
    buf_add_str(&line, " <-");
    for (size_t i = 0; i < t->o->command.n; i++) {
        buf_add_char(&line, ' ');
        buf_add_shell_word(&line, t->o->command.items[i]);
    }
    buf_add_char(&line, '\n');
    log_write(buf_bytes(&line));
}

static void say_end(const struct tap *t, int status, uint64_t elapsed_ns)
{
    auto_buf struct buf line = BUF_INIT;
    uint64_t tenths = elapsed_ns / (NS_PER_S / 10);

    if (!t->cli->stderr_tty)
        return;
    buf_printf(&line, "tapped %" PRIu64 " lines (%" PRIu64 ".%us) -> ", t->capture.n_lines,
               tenths / 10, (unsigned)(tenths % 10));
    buf_add_shell_word(&line, t->o->pool);
    if (WIFSIGNALED(status)) {
        buf_add_str(&line, " signal ");
        capture_add_signal(WTERMSIG(status), &line);
    } else {
        buf_printf(&line, " exit %d", WEXITSTATUS(status));
    }
    buf_add_char(&line, '\n');
    log_write(buf_bytes(&line));
}

/* The child runs: its output into the pool, then its end.  The exit code, or -1 when the pool or our output fails. */
static int follow_child(struct tap *t)
{
    uint64_t elapsed_ns;
    int status;

    if (capture_start(&t->capture, &t->o->command, &t->cli->error) < 0 || read_all(t) < 0) {
        child_kill(&t->child);
        return -1;
    }
    status = child_wait(&t->child);
    elapsed_ns = clock_mono_ns() - t->start_ns;
    if (capture_exit(&t->capture, status, elapsed_ns, &t->cli->error) < 0)
        return -1;
    say_end(t, status, elapsed_ns);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int tap(struct tap *t, const char *const *argv)
{
    struct error *err = &t->cli->error;

    if (capture_check_start(&t->capture, &t->o->command, err) < 0)
        return -1;
    t->start_ns = clock_mono_ns();
    if (child_start(argv, &t->child, err) < 0)
        return -1;
    say_start(t);
    return follow_child(t);
}

static int check(const struct tap_options *o, struct error *err)
{
    if (strstr(o->pool, "://") != NULL) {
        fail(err, PLSM_ERROR_USAGE, "tap accepts local pool refs only");
        return fail_hint(err, "Use a local pool name/path.");
    }
    if (o->command.n == 0) {
        fail(err, PLSM_ERROR_USAGE, "tap requires a wrapped command after `--`");
        return fail_hint(
            err, "Write it behind the name of the pool: plasmite tap <pool> -- <command...>");
    }
    return 0;
}

static int run(const void *values, void *program)
{
    struct cli *cli = program;
    const struct tap_options *o = values;
    struct tap t = {
        .cli = cli, .o = o, .pass = {!o->quiet, !o->quiet}
    };
    auto_free const char **argv = calloc(o->command.n + 1, sizeof *argv);
    auto_pool struct pool *pool = NULL;
    enum append_flags flags = 0;
    int code;

    if (check(o, &cli->error) < 0 || target_parse_durability(cli, o->durability, &flags) < 0 ||
        target_open(cli, o->pool, POOL_READ_WRITE, &o->creation, &pool) < 0)
        return -1;
    if (argv == NULL)
        return fail(&cli->error, PLSM_ERROR_INTERNAL, "out of memory");
    memcpy(argv, o->command.items, o->command.n * sizeof *argv);
    code = capture_init(&t.capture, pool, flags, &o->tags, &cli->error);
    if (code == 0)
        code = tap(&t, argv);
    capture_done(&t.capture);
    return code;
}

const struct command_spec cmd_tap = {
    .name = "tap",
    .summary = "Capture command output into a local pool",
    .usage = "[OPTIONS] <POOL> -- <COMMAND>...",
    .options = options,
    .values_size = sizeof(struct tap_options),
    .run = run,
    .details =
        "Runs the command and appends every line it prints, as soon as it is complete:\n"
        "{\"kind\":\"line\",\"stream\":\"stdout\",\"line\":TEXT}, between a message when it starts "
        "and one\n"
        "when it ends, which have the tag `lifecycle`. What it prints is also passed on.\n"
        "\n"
        "`--` is required before wrapped command args. Signals (INT, TERM, HUP, QUIT, USR1, USR2) "
        "go\n"
        "to the command. What is returned is the wrapped command's exit status, or 128 and the "
        "number\n"
        "of the signal that ended it.\n"
        "\n"
        "What is not UTF-8 reads as U+FFFD, with the original as base64 in `bytes`. A line that "
        "does\n"
        "not fit a message of the pool becomes several, all but the last with \"more\":true.\n"
        "\n"
        "EXAMPLES\n"
        "  plasmite tap build --create -- cargo build\n"
        "  plasmite tap api --create --create-size 64M -- ./server\n"
        "  plasmite follow build --where '.data.stream == \"stderr\"'     in another terminal\n",
};
