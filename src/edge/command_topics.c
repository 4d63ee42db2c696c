/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/command_topics.h"
#include "base/err.h"
#include "base/json.h"

static int add_topic(struct td_command_topics *topics, struct td_slice text)
{
    if (!td_pattern_valid(text))
        return TD_ETOPIC;
    if (topics->n == TD_COMMAND_TOPICS_MAX)
        return TD_ETOOLARGE;
    topics->items[topics->n++] = text;
    return 0;
}

int td_command_text(struct td_command_topics *topics, struct td_slice raw,
                    struct td_slice *ret_text)
{
    if (td_json_type(raw) != TD_JSON_STRING)
        return TD_EINVAL;
    size_t at = topics->_text.len;
    int r = td_json_unescape(raw, &topics->_text);
    if (r < 0)
        return r;
    *ret_text = td_slice(topics->_text.ptr + at, topics->_text.len - at);
    return 0;
}

static int take_topics(struct td_command_topics *topics, struct td_slice value)
{
    struct td_slice name, item, text;

    if (td_json_type(value) == TD_JSON_STRING) {
        int r = td_command_text(topics, value, &text);
        return r < 0 ? r : add_topic(topics, text);
    }
    if (td_json_type(value) != TD_JSON_ARRAY)
        return TD_EINVAL;
    struct td_json_iter it = td_json_iter(value);
    while (td_json_next(&it, &name, &item)) {
        int r = td_command_text(topics, item, &text);
        if (r == 0)
            r = add_topic(topics, text);
        if (r < 0)
            return r;
    }
    return topics->n > 0 ? 0 : TD_EINVAL;
}

static int add_entity_topic(struct td_command_topics *topics, struct td_slice type,
                            struct td_slice id)
{
    size_t at = topics->_text.len;

    td_buf_puts(&topics->_text, "entities/");
    td_buf_put(&topics->_text, type);
    td_buf_puts(&topics->_text, "/");
    int r = td_buf_put(&topics->_text, id.len > 0 ? id : TD_S("*"));
    if (r < 0)
        return r;
    return add_topic(topics, td_slice(topics->_text.ptr + at, topics->_text.len - at));
}

/* `"all"`, `"applications"`, `"applications/app123"`. */
static int take_scope_text(struct td_command_topics *topics, struct td_slice raw)
{
    struct td_slice text, type;

    int r = td_command_text(topics, raw, &text);
    if (r < 0)
        return r;
    if (td_slice_eq_nocase(text, TD_S("all")))
        return add_topic(topics, TD_S("entities/**"));
    if (!td_slice_split(&text, '/', &type) || !td_segment_valid(type) ||
        (text.ptr && !td_segment_valid(text)))
        return TD_ETOPIC;
    return add_entity_topic(topics, type, text);
}

/* An object with `entity_type`, `entity_id`, `all`, `scope`: the command itself, or its member `scope`. */
static int take_scope_members(struct td_command_topics *topics, struct td_slice object)
{
    struct td_slice raw, type = {NULL, 0}, id = {NULL, 0};

    if (td_json_get(object, "all", &raw) && td_json_type(raw) == TD_JSON_TRUE)
        return add_topic(topics, TD_S("entities/**"));
    if (!td_json_get(object, "entity_type", &raw))
        return TD_EINVAL;
    int r = td_command_text(topics, raw, &type);
    if (r == 0 && td_json_get(object, "entity_id", &raw))
        r = td_command_text(topics, raw, &id);
    if (r < 0)
        return r;
    if (!td_segment_valid(type) || (id.ptr && !td_segment_valid(id)))
        return TD_ETOPIC;
    return add_entity_topic(topics, type, id);
}

static int take_scope(struct td_command_topics *topics, struct td_slice command)
{
    struct td_slice scope;

    if (!td_json_get(command, "scope", &scope))
        return take_scope_members(topics, command);
    if (td_json_type(scope) == TD_JSON_OBJECT)
        return take_scope_members(topics, scope);
    /* {"scope":"entity_type","entity_type":…} names the kind of scope, not a type. */
    if (td_json_string_is(scope, "entity_type") || td_json_string_is(scope, "entity"))
        return take_scope_members(topics, command);
    return take_scope_text(topics, scope);
}

int td_command_topics_read(struct td_command_topics *topics, struct td_slice command)
{
    struct td_slice value;

    topics->n = 0;
    td_buf_init(&topics->_text, command.len * 2 + 64);
    int r = td_buf_reserve(&topics->_text, topics->_text.max);
    if (r < 0)
        return r;
    if (td_json_get(command, "topics", &value))
        return take_topics(topics, value);
    return take_scope(topics, command);
}

void td_command_topics_done(struct td_command_topics *topics)
{
    td_buf_done(&topics->_text);
}
