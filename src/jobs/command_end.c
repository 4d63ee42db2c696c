/* SPDX-License-Identifier: Apache-2.0 */
/* How a command ended, in words. */
#include "base/err.h"
#include "jobs/command_impl.h"
#include "os/process.h"

#define SAY(command, ...) td_buf_putf(&(command)->table->clean, __VA_ARGS__)

struct end {
    struct td_run_end run;
    struct td_slice action;
    struct td_report_error error;
};

static void fail(struct end *end, const char *code, struct td_slice action)
{
    end->run.outcome = TD_RUN_FAILED;
    end->run.code = td_slice_str(code);
    end->action = action;
    end->run.actions = &end->action;
    end->run.n_actions = 1;
}

static void not_started(struct td_command *command, struct end *end)
{
    SAY(command, "%s could not be started: %s.", command->program,
        td_err_name(command->start_error));
    fail(end, "not_started",
         TD_S("Check argv and dir of the kind: the program must exist and be executable, and a "
              "script must begin with #!."));
}

static void timeout(struct td_command *command, struct end *end)
{
    SAY(command, "%s was ended because it ran longer than %.10g s.", command->program,
        (double)command->time_ms / 1000);
    fail(end, "timeout", TD_S("Give it less to do, or raise the time of the kind."));
}

static void output_limit(struct td_command *command, struct end *end)
{
    SAY(command, "%s was ended because it wrote more than %llu bytes.", command->program,
        (unsigned long long)command->output_bytes);
    fail(end, "output_limit", TD_S("Let it say less, or raise the output_bytes of the kind."));
}

/* It was checked when it was reported; false also where memory is out now. */
static bool reported(struct td_command *command, struct end *end)
{
    struct td_slice object = td_buf_slice(&command->error);

    if (object.len == 0 || td_report_error_read(object, &command->table->texts, &end->error) < 0)
        return false;
    fail(end, "command_error", (struct td_slice){NULL, 0});
    if (end->error.code.len > 0)
        end->run.code = end->error.code;
    end->run.message = end->error.message;
    end->run.details = end->error.details;
    end->run.actions = end->error.actions;
    end->run.n_actions = end->error.n_actions;
    return true;
}

static void killed(struct td_command *command, struct end *end)
{
    int signal = -command->status;

    if (!command->has_exited) {
        SAY(command, "%s was killed together with the process that watches over it.",
            command->program);
        fail(end, "killed", TD_S("Look into the system's log for who did it, and start it again."));
    } else if (signal == SIGXCPU) {
        SAY(command, "%s used up the %llu s of CPU time that it may use.", command->program,
            (unsigned long long)command->cpu_s);
        fail(end, "killed", TD_S("Give it less to do, or raise the CPU time of the kind."));
    } else {
        SAY(command, "%s was ended by signal %d (%s).", command->program, signal,
            signal == SIGKILL ? "killed, perhaps because memory was out" : strsignal(signal));
        fail(end, "killed", TD_S("Look into its output and the system's log for why."));
    }
}

static void exit_status(struct td_command *command, struct end *end)
{
    SAY(command, "%s ended with exit status %d.", command->program, command->status);
    fail(end, "exit_status", TD_S("Look into its output for why."));
    end->run.details = td_slice(command->last_line, command->last_line_len);
}

/* The first that holds: see jobs/command.h. */
static void judge(struct td_command *command, struct end *end)
{
    bool is_signal = !command->has_exited || command->status < 0;

    end->run.outcome = TD_RUN_DONE;
    if (command->cause == TD_CAUSE_CANCELLED)
        end->run.outcome = TD_RUN_CANCELLED;
    else if (command->start_error < 0)
        not_started(command, end);
    else if (command->cause == TD_CAUSE_TIMEOUT)
        timeout(command, end);
    else if (command->cause == TD_CAUSE_OUTPUT)
        output_limit(command, end);
    else if (reported(command, end))
        return;
    else if (is_signal)
        killed(command, end);
    else if (command->status != 0 && !command->exit_status_is_result)
        exit_status(command, end);
}

void td_command_tell_end(struct td_command *command)
{
    struct td_buf *words = &command->table->clean;
    struct end end = {
        .run.exit_status =
            command->has_exited && command->start_error == 0 ? TD_MAX(command->status, -1) : -1,
        .run.result = td_buf_slice(&command->result),
    };

    td_buf_reset(words);
    judge(command, &end);
    if (words->len > 0)
        end.run.message = td_buf_slice(words);
    command->ops.ended(command->arg, &end.run);
}
