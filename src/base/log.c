/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include <stdarg.h>
#include <stdatomic.h>

static struct td_log_sink sink;
static _Atomic int least = TD_LOG_NONE;

static const char *const level_names[] = {"debug", "info", "warn", "error", "none"};

void td_log_open(const struct td_log_sink *to)
{
    sink = *to;
    td_log_set_level(to->level);
}

void td_log_set_level(enum td_log_level level)
{
    atomic_store_explicit(&least, (int)level, memory_order_relaxed);
}

/* Room that is kept for the end of a line, and for saying that something was left out. */
#define END_ROOM 32

/* What does not fit makes the line full; the field that it belongs to is then left out as a whole, so that the line stays one that a program
 * can read. */
static void put(struct td_log_line *line, const char *text, size_t len)
{
    line->_full = line->_full || len > sizeof(line->_text) - END_ROOM - line->_len;
    if (line->_full)
        return;
    memcpy(line->_text + line->_len, text, len);
    line->_len += len;
}

static void put_text(struct td_log_line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Printable ASCII as it is, all else as \xHH or \u00HH: a log is read on terminals. */
static void put_escaped(struct td_log_line *line, struct td_slice value)
{
    char code[8];

    for (size_t i = 0; i < TD_MIN(value.len, (size_t)TD_LOG_VALUE_MAX); i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c == '"' || c == '\\') {
            code[0] = '\\';
            code[1] = (char)c;
            put(line, code, 2);
        } else if (c >= 0x20 && c < 0x7f) {
            put(line, (const char *)&c, 1);
        } else {
            snprintf(code, sizeof(code), "\\u00%02x", c);
            put(line, code, 6);
        }
    }
    if (value.len > TD_LOG_VALUE_MAX)
        put_text(line, "...");
}

bool td_log_begin(struct td_log_line *line, enum td_log_level level, const char *event)
{
    char time[TD_TIME_LEN + 1];

    if ((int)level < atomic_load_explicit(&least, memory_order_relaxed) || !sink.write)
        return false;
    td_time_format(sink.now(), time);
    line->_len = 0;
    line->_full = line->_cut = false;
    put_text(line, sink.json ? "{\"time\":\"" : "");
    put_text(line, time);
    put_text(line, sink.json ? "\",\"level\":\"" : " ");
    put_text(line, level_names[level]);
    put_text(line, sink.json ? "\",\"event\":\"" : " ");
    put_text(line, event);
    put_text(line, sink.json ? "\"" : "");
    return true;
}

/* Takes back a field that did not fit. */
static void end_field(struct td_log_line *line, size_t began)
{
    if (!line->_full)
        return;
    line->_len = began;
    line->_full = false;
    line->_cut = true;
}

static void put_name(struct td_log_line *line, const char *name)
{
    put_text(line, sink.json ? ",\"" : " ");
    put_text(line, name);
    put_text(line, sink.json ? "\":" : "=");
}

void td_log_str(struct td_log_line *line, const char *name, struct td_slice value)
{
    size_t began = line->_len;

    put_name(line, name);
    put_text(line, "\"");
    put_escaped(line, value);
    put_text(line, "\"");
    end_field(line, began);
}

void td_log_u64(struct td_log_line *line, const char *name, uint64_t value)
{
    size_t began = line->_len;
    char digits[24];

    put_name(line, name);
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    put_text(line, digits);
    end_field(line, began);
}

void td_log_end(struct td_log_line *line)
{
    const char *cut = !line->_cut ? "" : sink.json ? ",\"cut\":true" : " cut=true";
    char *at = line->_text + line->_len;
    size_t len = (size_t)snprintf(at, END_ROOM, "%s%s\n", cut, sink.json ? "}" : "");

    line->_len += len;
    sink.write(td_slice(line->_text, line->_len));
}

void td_log(enum td_log_level level, const char *event, const char *format, ...)
{
    struct td_log_line line;
    char message[TD_LOG_VALUE_MAX];
    va_list args;

    if (!td_log_begin(&line, level, event))
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    td_log_str(&line, "message", td_slice_str(message));
    td_log_end(&line);
}
