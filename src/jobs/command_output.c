/* SPDX-License-Identifier: Apache-2.0 */
/* What a command writes, told as it comes. */
#include "base/assert.h"
#include "base/err.h"
#include "base/utf8.h"
#include "jobs/command_impl.h"
#include <errno.h>

#define SHOWN_MAX ((size_t)200) /* of a report that can't be read */

/* The line with U+FFFD for each byte that belongs to no character. */
static struct td_slice clean(struct td_commands *commands, struct td_slice line)
{
    struct td_buf *out = &commands->clean;

    if (td_utf8_valid(line))
        return line;
    td_buf_reset(out);
    while (line.len > 0) {
        size_t n = td_utf8_char(line);
        td_buf_put(out, n > 0 ? td_slice_to(line, n) : TD_S("\xEF\xBF\xBD"));
        line = td_slice_from(line, TD_MAX(n, (size_t)1));
    }
    TD_ASSERT(out->err == 0); /* it has its memory, for the longest line */
    return td_buf_slice(out);
}

/* ---- lines ---- */

static void remember_last(struct td_command *command, struct td_slice line)
{
    if (line.len == 0)
        return;
    size_t len = TD_MIN(line.len, sizeof(command->last_line));
    while (len < line.len && len > 0 && ((unsigned char)line.ptr[len] & 0xC0) == 0x80)
        len--; /* no character is torn */
    memcpy(command->last_line, line.ptr, len);
    command->last_line_len = len;
}

static void tell_line(struct td_command *command, enum td_command_source source,
                      const struct td_line *line)
{
    struct td_slice text = line->text;

    if (!line->partial && text.len > 0 && text.ptr[text.len - 1] == '\r')
        text.len--;
    text = clean(command->table, text);
    if (source == TD_SOURCE_ERR)
        remember_last(command, text);
    command->ops.line(command->arg, text, source == TD_SOURCE_ERR);
}

/* ---- reports ---- */

static void warn(struct td_command *command, const char *what, struct td_slice line)
{
    struct td_buf text = TD_BUF_INIT(1024);
    struct td_slice shown = clean(command->table, td_slice_to(line, TD_MIN(line.len, SHOWN_MAX)));

    td_buf_puts(&text, what);
    td_buf_puts(&text, ": ");
    td_buf_put(&text, shown);
    command->ops.log(command->arg, td_buf_slice(&text), TD_S("warn"));
    td_buf_done(&text);
}

/* The last one counts; without memory for it, the one before. */
static void keep(struct td_command *command, struct td_buf *kept, struct td_slice json)
{
    size_t before = kept->len;

    if (td_buf_reserve(kept, json.len > before ? json.len - before : 0) < 0) {
        warn(command, "There is no memory for a report on descriptor 3", json);
        kept->err = 0;
        return;
    }
    td_buf_reset(kept);
    td_buf_put(kept, json);
}

static void tell_report(struct td_command *command, struct td_slice line)
{
    struct td_report report;
    int r = td_report_read(line, &command->table->texts, &report);

    if (r < 0) {
        warn(command,
             r == -ENOMEM     ? "There is no memory for a report on descriptor 3"
             : r == TD_EINVAL ? "A report on descriptor 3 is not as docs/jobs.md has it"
                              : "A report on descriptor 3 is no line of JSON",
             line);
        return;
    }
    if (report.result.ptr)
        keep(command, &command->result, report.result);
    if (report.error.ptr)
        keep(command, &command->error, report.error);
    if (report.has_progress || report.message.ptr)
        command->ops.progress(command->arg, report.has_progress ? report.progress : -1.0,
                              report.message.ptr ? report.message : TD_S(""));
    if (report.log.ptr)
        command->ops.log(command->arg, report.log, report.level);
    if (report.text.ptr && report.text.len > 0)
        command->ops.text(command->arg, report.text);
}

static void take_report(struct td_command *command, const struct td_line *line)
{
    bool is_begin = !command->in_long_report;

    command->in_long_report = line->partial;
    if (is_begin && line->partial)
        warn(command, "A report on descriptor 3 is longer than 256 KiB", line->text);
    else if (is_begin && td_slice_trim(line->text).len > 0)
        tell_report(command, line->text);
}

/* ---- streams ---- */

static void tell(struct td_command *command, enum td_command_source source,
                 const struct td_line *line)
{
    if (source == TD_SOURCE_REPORT)
        take_report(command, line);
    else
        tell_line(command, source, line);
}

void td_command_take_in(struct td_command *command, enum td_command_source source,
                        struct td_slice bytes)
{
    struct td_line line;

    while (td_lines_next(&command->lines[source], &bytes, &line))
        tell(command, source, &line);
}

void td_command_take_end(struct td_command *command, enum td_command_source source)
{
    struct td_line line;

    if (td_lines_end(&command->lines[source], &line))
        tell(command, source, &line);
}
