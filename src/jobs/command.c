/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: who has something to read, and what is due. */
#include "jobs/command.h"
#include "base/assert.h"
#include "base/err.h"
#include "jobs/command_impl.h"
#include "os/file.h"
#include "os/process.h"
#include <errno.h>
#include <stdlib.h>

/* What one call of td_commands_serve reads; then the desk has its turn. */
#define SERVE_BYTES ((size_t)32 * 1024)
/* How long a killed command may need to be gone.  Beyond, the kernel can't end it just now. */
#define GIVE_UP   (5 * TD_NS_PER_S)
#define NEVER     UINT64_MAX
#define FD_CLOSED (-1)
/* The source stands in the low bits of the tag, the command in the others: it is aligned. */
#define SOURCE_MASK UINT64_C(3)

_Static_assert(TD_SOURCES <= SOURCE_MASK + 1, "a source fits into the tag");

/* ---- the table ---- */

int td_commands_new(const struct td_launcher *launcher, size_t max,
                    struct td_commands **ret_commands)
{
    struct td_commands *commands = calloc(1, sizeof(*commands));

    if (!commands)
        return -ENOMEM;
    commands->launcher = launcher;
    commands->max = max;
    td_list_init(&commands->all);
    td_list_init(&commands->ready);
    /* U+FFFD is three bytes for one. */
    td_buf_init(&commands->clean, 3 * TD_COMMAND_LINE_MAX);
    td_buf_init(&commands->texts, TD_REPORT_LINE_MAX);
    int r = td_loop_new(&commands->loop);
    if (r == 0)
        r = td_buf_reserve(&commands->clean, 3 * TD_COMMAND_LINE_MAX);
    if (r < 0) {
        td_commands_free(commands);
        return r;
    }
    *ret_commands = commands;
    return 0;
}

static void free_command(struct td_command *command)
{
    td_list_remove(&command->all);
    td_list_remove(&command->ready);
    command->table->n--;
    td_launched_close(&command->launched);
    for (int i = 0; i < TD_STREAMS; i++)
        td_lines_done(&command->lines[i]);
    td_buf_done(&command->result);
    td_buf_done(&command->error);
    free(command);
}

void td_commands_free(struct td_commands *commands)
{
    if (!commands)
        return;
    while (!td_list_empty(&commands->all))
        free_command(TD_CONTAINER_OF(commands->all.next, struct td_command, all));
    td_loop_free(commands->loop);
    td_buf_done(&commands->clean);
    td_buf_done(&commands->texts);
    free(commands);
}

int td_commands_fd(const struct td_commands *commands)
{
    return td_loop_fd(commands->loop);
}

size_t td_commands_running(const struct td_commands *commands)
{
    return commands->n;
}

/* ---- the start ---- */

static int watch(struct td_command *command)
{
    for (int i = 0; i < TD_SOURCES; i++) {
        uint64_t tag = (uint64_t)(uintptr_t)command | (uint64_t)i;
        int r = td_loop_add(command->table->loop, *td_command_fd(command, i), tag);
        if (r < 0)
            return r;
    }
    return 0;
}

static td_ns after_ms(td_ns now, uint64_t ms)
{
    return ms < (NEVER - now) / TD_NS_PER_MS ? now + ms * TD_NS_PER_MS : NEVER;
}

/* All memory that its output will need is taken here, where there is somebody to tell that there is none. */
static int make(struct td_commands *commands, const struct td_command_spec *spec,
                struct td_command **ret_command)
{
    struct td_command *command = calloc(1, sizeof(*command));
    struct td_slice program =
        td_slice_to(spec->argv[0], TD_MIN(spec->argv[0].len, TD_COMMAND_PROGRAM));
    int r = 0;

    if (!command)
        return -ENOMEM;
    command->table = commands;
    command->launched = (struct td_launched){FD_CLOSED, FD_CLOSED, FD_CLOSED, FD_CLOSED};
    td_list_init(&command->all);
    td_list_init(&command->ready);
    td_list_append(&commands->all, &command->all);
    commands->n++;
    td_buf_init(&command->result, TD_REPORT_LINE_MAX);
    td_buf_init(&command->error, TD_REPORT_LINE_MAX);
    for (int i = 0; i < TD_STREAMS; i++) {
        td_lines_init(&command->lines[i],
                      i == TD_SOURCE_REPORT ? TD_REPORT_LINE_MAX : TD_COMMAND_LINE_MAX);
        r = r < 0 ? r : td_lines_reserve(&command->lines[i]);
    }
    memcpy(command->program, program.ptr, program.len);
    if (r < 0)
        free_command(command);
    else
        *ret_command = command;
    return r;
}

int td_commands_start(struct td_commands *commands, const struct td_command_spec *spec,
                      const struct td_run_input *input, const struct td_run_ops *ops, void *arg,
                      td_ns now, struct td_command **ret_command)
{
    struct td_command *command;

    if (commands->n >= commands->max)
        return TD_EMANY;
    if (spec->n_argv == 0)
        return TD_EINVAL;
    int r = make(commands, spec, &command);
    if (r < 0)
        return r;
    command->ops = *ops;
    command->arg = arg;
    command->output_bytes = spec->output_bytes > 0 ? spec->output_bytes : UINT64_MAX;
    command->time_ms = spec->time_ms;
    command->cpu_s = spec->cpu_s;
    command->grace = (spec->grace_ms > 0 ? spec->grace_ms : TD_COMMAND_GRACE_MS) * TD_NS_PER_MS;
    command->exit_status_is_result = spec->exit_status_is_result;
    command->time_at = spec->time_ms > 0 ? after_ms(now, spec->time_ms) : NEVER;
    command->kill_at = command->give_up_at = NEVER;
    r = td_command_launch(commands->launcher, spec, input, &command->launched);
    if (r == 0)
        r = watch(command);
    if (r < 0)
        free_command(command);
    else
        *ret_command = command;
    return r;
}

/* ---- making it end ---- */

static void kill_it(struct td_command *command, td_ns now)
{
    if (command->was_killed)
        return;
    td_launched_signal(&command->launched, SIGKILL);
    command->was_killed = true;
    command->kill_at = NEVER;
    command->give_up_at = now + GIVE_UP;
}

/* Of a command that has exited only what it left behind can still be ended, and what comes of it is known; unless not all that it wrote was read. */
static void end_it(struct td_command *command, enum td_command_cause cause, td_ns now)
{
    bool is_first = command->cause == TD_CAUSE_NONE;

    if (is_first && (!command->has_exited || cause == TD_CAUSE_OUTPUT))
        command->cause = cause;
    command->time_at = NEVER;
    if (command->has_exited) {
        kill_it(command, now);
    } else if (is_first) {
        td_launched_signal(&command->launched, SIGTERM);
        command->kill_at = now + command->grace;
    }
}

void td_command_cancel(struct td_command *command, td_ns now)
{
    end_it(command, TD_CAUSE_CANCELLED, now);
}

/* ---- reading ---- */

static void close_stream(struct td_command *command, enum td_command_source source)
{
    int *fd = td_command_fd(command, source);

    if (*fd == FD_CLOSED)
        return;
    td_file_close(*fd);
    *fd = FD_CLOSED;
    td_command_take_end(command, source);
}

static bool streams_are_closed(const struct td_command *command)
{
    return command->launched.out == FD_CLOSED && command->launched.err == FD_CLOSED &&
           command->launched.report == FD_CLOSED;
}

static void read_link(struct td_command *command)
{
    enum td_launched_news news = TD_LAUNCHED_NONE;
    int value = 0;

    while (!command->is_gone &&
           (news = td_launched_next(&command->launched, &value)) != TD_LAUNCHED_NONE) {
        if (news == TD_LAUNCHED_NOT_STARTED)
            command->start_error = value;
        if (news == TD_LAUNCHED_EXITED)
            command->status = value;
        command->has_exited |= news != TD_LAUNCHED_GONE;
        command->is_gone = news == TD_LAUNCHED_GONE;
    }
    command->readable &= ~(1u << TD_SOURCE_LINK);
    if (command->is_gone) /* what is in the pipes now is all there will be */
        command->readable |= (1u << TD_STREAMS) - 1;
}

/* Reads one chunk of a stream; how many bytes. */
static size_t read_stream(struct td_command *command, enum td_command_source source, td_ns now)
{
    struct td_commands *commands = command->table;
    uint64_t left = command->output_bytes - command->written;
    int fd = *td_command_fd(command, source);
    int64_t n = fd == FD_CLOSED ? 0 : td_read_some(fd, commands->chunk, sizeof(commands->chunk));

    if (n == -EAGAIN && !command->is_gone) {
        command->readable &= ~(1u << source);
        return 0;
    }
    if (n <= 0) {
        /* Somebody who is none of its processes may hold the pipe open: he is not waited for. */
        command->readable &= ~(1u << source);
        close_stream(command, source);
        return 0;
    }
    size_t taken = TD_MIN((size_t)n, left);
    command->written += taken;
    td_command_take_in(command, source, td_slice(commands->chunk, taken));
    if (taken < (size_t)n) { /* it learns that nobody reads on, and is told to end */
        for (int i = 0; i < TD_STREAMS; i++)
            close_stream(command, i);
        end_it(command, TD_CAUSE_OUTPUT, now);
    }
    return (size_t)n;
}

/* Who has exited and left somebody behind. */
static void look_behind(struct td_command *command, td_ns now)
{
    if (!command->has_exited || command->is_gone || command->was_killed)
        return;
    if (streams_are_closed(command))
        kill_it(command, now);
    else if (command->kill_at == NEVER)
        command->kill_at = now + command->grace;
}

/* Everybody's turn: a chunk of each stream.  How much it read.  The command may be freed. */
static size_t take_turn(struct td_command *command, td_ns now)
{
    size_t n = 0;

    if (command->readable & 1u << TD_SOURCE_LINK)
        read_link(command);
    for (int i = 0; i < TD_STREAMS; i++)
        if (command->readable & 1u << i)
            n += read_stream(command, i, now);
    if (command->is_gone && streams_are_closed(command)) {
        td_command_tell_end(command);
        free_command(command);
        return n;
    }
    look_behind(command, now);
    if (command->readable != 0 && td_list_empty(&command->ready))
        td_list_append(&command->table->ready, &command->ready);
    return n;
}

/* ---- serving ---- */

static void note_events(struct td_commands *commands)
{
    struct td_io_event events[TD_LOOP_EVENTS_MAX];
    int n;

    do {
        n = td_loop_wait(commands->loop, events, TD_LOOP_EVENTS_MAX, 0);
        for (int i = 0; i < n; i++) {
            struct td_command *command =
                (struct td_command *)(uintptr_t)(events[i].tag & ~SOURCE_MASK);
            command->readable |= 1u << (events[i].tag & SOURCE_MASK);
            if (td_list_empty(&command->ready))
                td_list_append(&commands->ready, &command->ready);
        }
    } while (n == TD_LOOP_EVENTS_MAX);
}

static void carry_out_due(struct td_command *command, td_ns now)
{
    if (command->time_at <= now)
        end_it(command, TD_CAUSE_TIMEOUT, now);
    if (command->kill_at <= now)
        kill_it(command, now);
    if (command->give_up_at <= now && !command->is_gone) {
        command->is_gone = true;
        command->readable |= (1u << TD_STREAMS) - 1;
        if (td_list_empty(&command->ready))
            td_list_append(&command->table->ready, &command->ready);
    }
}

void td_commands_serve(struct td_commands *commands, td_ns now)
{
    struct td_list turn;
    size_t n = 0;

    note_events(commands);
    for (struct td_list *node = commands->all.next; node != &commands->all; node = node->next)
        carry_out_due(TD_CONTAINER_OF(node, struct td_command, all), now);
    td_list_init(&turn);
    td_list_splice(&turn, &commands->ready);
    while (n < SERVE_BYTES && !td_list_empty(&turn))
        n += take_turn(TD_CONTAINER_OF(td_list_pop(&turn), struct td_command, ready), now);
    /* Those who have had no turn come first in the next one. */
    td_list_splice(&turn, &commands->ready);
    td_list_splice(&commands->ready, &turn);
}

td_ns td_commands_deadline(const struct td_commands *commands)
{
    td_ns at = td_list_empty(&commands->ready) ? NEVER : 0;

    for (struct td_list *node = commands->all.next; node != &commands->all; node = node->next) {
        const struct td_command *command = TD_CONTAINER_OF(node, struct td_command, all);
        at = TD_MIN(at, TD_MIN(command->time_at, TD_MIN(command->kill_at, command->give_up_at)));
    }
    return at;
}
