/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/publish.h"
#include "base/err.h"
#include "base/json.h"
#include "base/topic.h"
#include "codec/chunk.h"
#include "codec/format.h"
#include "edge/worker.h"
#include "jobs/reserved.h"
#include <errno.h>

/* The members of an event to publish, raw. */
struct members {
    struct td_slice topic, topics, type, data, class, key, dedup;
};

struct member_name {
    const char *name;
    size_t offset;
};

static const struct member_name names[] = {
    {"topic",  offsetof(struct members, topic) },
    {"topics", offsetof(struct members, topics)},
    {"type",   offsetof(struct members, type)  },
    {"data",   offsetof(struct members, data)  },
    {"class",  offsetof(struct members, class) },
    {"key",    offsetof(struct members, key)   },
    {"dedup",  offsetof(struct members, dedup) },
};

/* One parse under way. */
struct parse {
    struct td_publish *publish;
    const struct td_publish_options *options;
    struct td_buf *why;
    size_t event; /* which of the request is looked at, from 0 */
};

static int refuse(struct parse *parse, int err, const char *what)
{
    if (parse->publish->is_list)
        td_buf_putf(parse->why, "Event %zu: ", parse->event);
    td_buf_puts(parse->why, what);
    return err;
}

static int take_members(struct parse *parse, struct td_slice value, struct members *ret)
{
    struct td_slice name, member;

    if (td_json_type(value) != TD_JSON_OBJECT)
        return refuse(parse, TD_EINVAL, "an event must be a JSON object.");
    struct td_json_iter it = td_json_iter(value);
    while (td_json_next(&it, &name, &member)) {
        struct td_slice *into = NULL;
        for (size_t i = 0; i < TD_ARRAY_LEN(names) && !into; i++)
            if (td_json_string_is(name, names[i].name))
                into = (struct td_slice *)(void *)((char *)ret + names[i].offset);
        if (!into)
            return refuse(parse, TD_EINVAL,
                          "an event has the members topic or topics, type, data, class, key and "
                          "dedup, and no other.");
        if (into->ptr)
            return refuse(parse, TD_EINVAL, "a member stands twice.");
        *into = member;
    }
    return 0;
}

/* The unescaped text of a raw string: a slice of it, or of `_text` when it holds escapes. */
static int take_text(struct parse *parse, struct td_slice raw, struct td_slice *ret_text)
{
    if (td_json_type(raw) != TD_JSON_STRING)
        return TD_EINVAL;
    if (td_json_plain(raw, ret_text))
        return 0;
    struct td_buf *text = &parse->publish->_text;
    size_t at = text->len;
    int r = td_json_unescape(raw, text);
    if (r < 0)
        return r;
    *ret_text = td_slice(text->ptr + at, text->len - at);
    return 0;
}

static bool key_valid(struct td_slice key)
{
    if (key.len == 0 || key.len > TD_PUBLISH_KEY_MAX)
        return false;
    struct td_slice rest = key, part;
    while (td_slice_split(&rest, '/', &part))
        while (part.len > 0) {
            size_t n = TD_MIN(part.len, (size_t)TD_SEGMENT_LEN_MAX);
            if (!td_segment_valid(td_slice_to(part, n)))
                return false;
            part = td_slice_from(part, n);
        }
    return true;
}

/* What the class asks of the other members. */
static int take_class(struct parse *parse, const struct members *members, struct td_draft *draft)
{
    static const char *const classes[] = {
        [TD_CLASS_LOG] = "log",
        [TD_CLASS_LATEST] = "latest",
        [TD_CLASS_APPEND] = "append",
        [TD_CLASS_EPHEMERAL] = "ephemeral",
    };
    struct td_chunk chunk;
    size_t class = 0;

    while (members->class.ptr && class < TD_ARRAY_LEN(classes) &&
           !(td_json_type(members->class) == TD_JSON_STRING &&
             td_json_string_is(members->class, classes[class])))
        class ++;
    if (class == TD_ARRAY_LEN(classes))
        return refuse(parse, TD_EINVAL,
                      "`class` must be \"log\", \"latest\", \"append\" or \"ephemeral\".");
    draft->class = (enum td_class) class;
    if (draft->class == TD_CLASS_APPEND) {
        if (draft->key.len == 0)
            return refuse(parse, TD_EINVAL, "an event of class append needs a `key`.");
        if (td_chunk_parse(draft->data, &chunk) < 0)
            return refuse(
                parse, TD_EINVAL,
                "`data` of an event of class append must be an object with one `content`, "
                "a string, and one `offset`, the number of UTF-8 bytes before it.");
        draft->begins_text = chunk.at == 0;
    }
    if (draft->class == TD_CLASS_EPHEMERAL &&
        (draft->dedup.len > 0 || parse->options->idempotency_key.len > 0))
        return refuse(parse, TD_EINVAL,
                      "an ephemeral event leaves nothing by which a repeat could be told: send it "
                      "without `dedup` and Idempotency-Key.");
    return 0;
}

static int take_fields(struct parse *parse, const struct members *members, struct td_draft *draft)
{
    if (!members->type.ptr || take_text(parse, members->type, &draft->type) < 0 ||
        !td_segment_valid(draft->type))
        return refuse(parse, TD_EINVAL,
                      "`type` must be a string of 1 to 64 bytes A-Z a-z 0-9 . _ ~ @ : -.");
    draft->data = members->data.ptr ? members->data : TD_S("null");
    if (draft->data.len > parse->options->event_bytes_max)
        return refuse(parse, TD_ETOOLARGE, "`data` is larger than one message may be.");
    if (members->key.ptr &&
        (take_text(parse, members->key, &draft->key) < 0 || !key_valid(draft->key)))
        return refuse(parse, TD_EINVAL,
                      "`key` must be a string of 1 to 128 bytes A-Z a-z 0-9 . _ ~ @ : - /.");
    if (members->dedup.ptr && (take_text(parse, members->dedup, &draft->dedup) < 0 ||
                               draft->dedup.len == 0 || draft->dedup.len > TD_PUBLISH_DEDUP_MAX))
        return refuse(parse, TD_EINVAL, "`dedup` must be a string of 1 to 255 bytes.");
    const struct td_principal *principal = parse->options->principal;
    draft->dedup_scope = principal->subject;
    draft->actor = principal->subject_json;
    draft->origin = parse->options->origin;
    return take_class(parse, members, draft);
}

/* Entity topics carry entity events, so that every reader of them may rely on their shape. */
static bool entity_type_fits(const struct td_draft *draft)
{
    if (!td_topic_below(draft->topic, TD_S("entities")))
        return true;
    return td_slice_eq(draft->type, TD_S("ENTITY_CREATED")) ||
           td_slice_eq(draft->type, TD_S("ENTITY_UPDATED")) ||
           td_slice_eq(draft->type, TD_S("ENTITY_DELETED"));
}

/* A change of an entity is told to everyone, and its state is the entity's. */
static bool entity_fits(const struct td_draft *draft)
{
    return !td_format_is_entity(draft->topic, draft->type) ||
           ((draft->class == TD_CLASS_LOG || draft->class == TD_CLASS_LATEST) &&
            (draft->key.len == 0 || td_slice_eq(draft->key, TD_S("entity"))));
}

static int add_draft(struct parse *parse, const struct td_draft *fields, struct td_slice topic_raw)
{
    struct td_publish *publish = parse->publish;
    struct td_draft draft = *fields;

    if (take_text(parse, topic_raw, &draft.topic) < 0 || !td_topic_valid(draft.topic))
        return refuse(parse, TD_ETOPIC, "`topic` is not a topic.");
    int r = td_principal_check_publish(parse->options->principal, draft.topic);
    if (r == TD_ERESERVED)
        return refuse(parse, r, "only the server writes to this topic.");
    if (r == 0 && td_reserved_has(parse->options->reserved, draft.topic))
        return refuse(parse, TD_ERESERVED, "only the job that runs on this topic writes to it.");
    if (r < 0)
        return refuse(parse, r, "the token does not grant publishing to this topic.");
    if (!entity_type_fits(&draft))
        return refuse(parse, TD_EINVAL,
                      "events on entities/… have type ENTITY_CREATED, ENTITY_UPDATED or "
                      "ENTITY_DELETED.");
    if (!entity_fits(&draft))
        return refuse(parse, TD_EINVAL,
                      "an event of an entity has the class \"log\" or \"latest\", and no `key` but "
                      "\"entity\".");
    if (publish->n == parse->options->events_max)
        return refuse(parse, TD_ETOOLARGE, "too many events in one request.");
    if (publish->n == publish->_cap) {
        size_t cap = publish->_cap ? publish->_cap * 4 : 1;
        struct td_draft *drafts = realloc(publish->_drafts, cap * sizeof(*drafts));
        if (!drafts)
            return -ENOMEM;
        publish->_drafts = drafts;
        publish->_cap = cap;
    }
    publish->_drafts[publish->n++] = draft;
    publish->n_ephemeral += draft.class == TD_CLASS_EPHEMERAL;
    publish->n_entities += td_format_is_entity(draft.topic, draft.type);
    return 0;
}

/* One event to several topics.  A dedup key of its own then stands for each of them. */
static int add_to_topics(struct parse *parse, const struct td_draft *fields, struct td_slice topics)
{
    struct td_slice name, topic;
    size_t n = 0;

    if (td_json_type(topics) != TD_JSON_ARRAY)
        return refuse(parse, TD_EINVAL, "`topics` must be an array of topics.");
    parse->publish->is_list = true;
    struct td_json_iter it = td_json_iter(topics);
    while (td_json_next(&it, &name, &topic)) {
        struct td_draft draft = *fields;
        if (draft.dedup.len > 0) {
            struct td_buf *text = &parse->publish->_text;
            size_t at = text->len;
            int r = td_buf_put(text, fields->dedup);
            if (r == 0)
                r = td_buf_putf(text, "#%zu", n);
            if (r < 0)
                return r;
            draft.dedup = td_slice(text->ptr + at, text->len - at);
        }
        int r = add_draft(parse, &draft, topic);
        if (r < 0)
            return r;
        n++;
    }
    return n > 0 ? 0 : refuse(parse, TD_EINVAL, "`topics` must name at least one topic.");
}

static int add_event(struct parse *parse, struct td_slice value)
{
    struct members members = {0};
    struct td_draft fields = {0};

    int r = take_members(parse, value, &members);
    if (r < 0)
        return r;
    r = take_fields(parse, &members, &fields);
    if (r < 0)
        return r;
    if (!members.topic.ptr == !members.topics.ptr)
        return refuse(parse, TD_EINVAL, "an event needs either `topic` or `topics`.");
    r = members.topic.ptr ? add_draft(parse, &fields, members.topic)
                          : add_to_topics(parse, &fields, members.topics);
    parse->event++;
    return r;
}

static int check_json(struct parse *parse, struct td_slice text, struct td_slice *ret_value)
{
    size_t at = 0;
    int r = td_json_check(text, ret_value, &at);

    if (r < 0) {
        char what[64];
        snprintf(what, sizeof(what), "not valid JSON at byte %zu.", at);
        return refuse(parse, r, what);
    }
    return 0;
}

static int parse_json(struct parse *parse, struct td_slice body)
{
    struct td_slice value, name, event;

    int r = check_json(parse, body, &value);
    if (r < 0)
        return r;
    if (td_json_type(value) != TD_JSON_ARRAY)
        return add_event(parse, value);
    parse->publish->is_list = true;
    struct td_json_iter it = td_json_iter(value);
    while (r == 0 && td_json_next(&it, &name, &event))
        r = add_event(parse, event);
    return r;
}

/* Empty lines are skipped; each line is checked only when its turn comes, so that a body of newlines costs nothing. */
static int parse_ndjson(struct parse *parse, struct td_slice body)
{
    struct td_slice rest = body, line, value;

    parse->publish->is_list = true;
    while (td_slice_split(&rest, '\n', &line)) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (td_slice_trim(line).len == 0)
            continue;
        int r = check_json(parse, line, &value);
        if (r == 0)
            r = add_event(parse, value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Moves the ephemeral events behind the others. */
static int part(struct td_publish *publish)
{
    size_t n = publish->n, n_log = n - publish->n_ephemeral, log = 0, ephemeral = n_log;

    publish->batch.drafts = publish->_drafts;
    publish->batch.n = n_log;
    if (n_log == n)
        return 0;
    struct td_draft *drafts = calloc(n, sizeof(*drafts));
    publish->_is_ephemeral = calloc(n, sizeof(bool));
    if (!drafts || !publish->_is_ephemeral) {
        free(drafts);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        publish->_is_ephemeral[i] = publish->_drafts[i].class == TD_CLASS_EPHEMERAL;
        drafts[publish->_is_ephemeral[i] ? ephemeral++ : log++] = publish->_drafts[i];
    }
    free(publish->_drafts);
    publish->batch.drafts = publish->_drafts = drafts;
    return 0;
}

int td_publish_parse(struct td_publish *publish, struct td_slice body, bool ndjson,
                     const struct td_publish_options *options, struct td_buf *why)
{
    struct parse parse = {publish, options, why, 0};

    *publish = (struct td_publish){0};
    /* Drafts point into `_text`, so all that it may ever hold is taken now: unescaped text is never longer than its source,
     * and `topics` puts a suffixed copy of the dedup key for each topic on top. */
    bool escapes = body.len > 0 && memchr(body.ptr, '\\', body.len);
    bool topics = body.len > 0 && memmem(body.ptr, body.len, "\"topics\"", 8);
    td_buf_init(&publish->_text,
                (escapes ? body.len : 0) +
                    (topics ? (TD_PUBLISH_DEDUP_MAX + 8) * options->events_max : 0));
    if (td_buf_reserve(&publish->_text, publish->_text.max) < 0)
        return -ENOMEM;
    if (options->idempotency_key.len > TD_PUBLISH_DEDUP_MAX)
        return refuse(&parse, TD_EINVAL, "Idempotency-Key must be 1 to 255 bytes.");
    int r = ndjson ? parse_ndjson(&parse, body) : parse_json(&parse, body);
    if (r < 0)
        return r;
    if (publish->n == 0)
        return refuse(&parse, TD_EINVAL, "the request holds no event.");
    r = part(publish);
    if (r < 0)
        return r;
    publish->batch.dedup = options->idempotency_key;
    publish->batch.dedup_scope = options->principal->subject;
    return 0;
}

/* The sequences of the log's events, in front, each to its place in the request. */
static void spread(struct td_publish *publish)
{
    size_t log = publish->batch.n;

    for (size_t i = publish->n; publish->_is_ephemeral && i-- > 0;)
        publish->seqs[i] = publish->_is_ephemeral[i] ? 0 : publish->seqs[--log];
}

static int tell_ephemeral(struct td_publish *publish, struct td_worker *worker)
{
    if (publish->n_ephemeral == 0)
        return 0;
    return td_ephemeral_publish(worker->journal, publish->_drafts + publish->batch.n,
                                publish->n_ephemeral);
}

static void count(const struct td_publish *publish, struct td_worker *worker)
{
    TD_COUNT(worker, published_requests);
    TD_COUNT_BY(worker, published_events, publish->n);
    /* One at a time, so that timing costs a look at the clock for each broadcast at most; a repeat of what was stored before is none. */
    if (worker->sample_began == 0 && publish->last > td_hub_head(worker->hub)) {
        worker->sample_seq = publish->last;
        worker->sample_began = worker->now;
    }
}

void td_publish_appended(struct td_publish *publish, struct td_worker *worker)
{
    for (size_t i = 0; i < publish->batch.n; i++)
        publish->last = TD_MAX(publish->last, publish->seqs[i]);
    spread(publish);
    /* With what is in the log the publish has succeeded; the rest was never promised to anybody. */
    (void)tell_ephemeral(publish, worker);
    count(publish, worker);
}

/* Puts what has been parsed into the log, and tells what is not for it. */
static int append(struct td_publish *publish, struct td_worker *worker)
{
    publish->seqs = calloc(publish->n, sizeof(*publish->seqs));
    if (!publish->seqs)
        return TD_EUNAVAILABLE;
    if (publish->batch.n > 0) {
        int r = td_journal_append(worker->journal, &publish->batch, publish->seqs);
        if (r == 0)
            td_publish_appended(publish, worker);
        return r;
    }
    int r = tell_ephemeral(publish, worker);
    if (r == 0)
        count(publish, worker);
    return r;
}

static void tell_audit(const struct td_publish *publish, const struct td_worker *worker,
                       const struct td_principal *principal)
{
    for (size_t i = 0; i < publish->batch.n; i++) {
        struct td_audit_note note;
        td_audit_begin(&note, worker->audit, TD_AUDIT_PUBLISHED, TD_AUDIT_DONE);
        td_audit_actor(&note, principal->subject);
        td_audit_topic(&note, publish->batch.drafts[i].topic);
        td_audit_str(&note, "type", publish->batch.drafts[i].type);
        td_audit_end(&note);
    }
}

int td_publish_run(struct td_publish *publish, struct td_worker *worker, struct td_slice body,
                   bool ndjson, const struct td_publish_options *options, struct td_buf *why)
{
    struct td_publish_options limited = *options;

    limited.reserved = worker->reserved;
    limited.events_max = worker->options->events_max;
    limited.event_bytes_max = worker->options->message_bytes_max;
    int r = td_publish_parse(publish, body, ndjson, &limited, why);
    /* Where there is no desk, as in the simulator, they are events like others. */
    if (r == 0 && publish->n_entities > 0 && worker->desk)
        return TD_PUBLISH_ASK;
    if (r == 0)
        r = append(publish, worker);
    if (r == 0 && worker->options->audit_publishes)
        tell_audit(publish, worker, options->principal);
    if (r < 0 && why->len == 0)
        td_buf_puts(why, td_err_hint(r));
    return r;
}

static void put_id(const struct td_worker *worker, uint64_t seq, struct td_buf *out)
{
    if (seq > 0)
        td_position_put(out, td_here(worker, seq));
    else
        td_buf_puts(out, "null");
}

void td_publish_put_answer(const struct td_publish *publish, const struct td_worker *worker,
                           struct td_buf *out)
{
    uint64_t position = publish->last > 0 ? publish->last : td_journal_readable(worker->journal);
    bool durable = publish->last > 0 && !td_journal_is_fast(worker->journal);

    td_buf_puts(out, publish->is_list ? "\"ids\":[" : "\"id\":");
    for (size_t i = 0; i < publish->n; i++) {
        if (i > 0)
            td_buf_putc(out, ',');
        put_id(worker, publish->seqs[i], out);
    }
    td_buf_puts(out, publish->is_list ? "],\"position\":" : ",\"position\":");
    td_position_put(out, td_here(worker, position));
    td_buf_puts(out, durable ? ",\"durable\":true" : ",\"durable\":false");
}

void td_publish_done(struct td_publish *publish)
{
    free(publish->_is_ephemeral);
    free(publish->seqs);
    free(publish->_drafts);
    td_buf_done(&publish->_text);
}
