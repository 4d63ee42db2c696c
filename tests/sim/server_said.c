/* SPDX-License-Identifier: Apache-2.0 */
/* What publishers say: each event follows from its number and a few choices, so that whoever meets it again knows all of it. */
#include "base/assert.h"
#include "server_world.h"

static const char *const topics[SRV_TOPICS] = {
    "a",     "a/b",         "a/b/c",     "a/x/c",        "a/x",          "b",
    "b/1",   "b/2",         "b/2/x",     "p/1/q/1",      "p/1/q/2",      "p/2/q/1",
    "p/2/r", "users/ann/x", "users/eve", "entities/t/1", "entities/t/2", "entities/u/1",
};

/* Pieces of texts, as they stand in JSON, and how many bytes of the text each is. */
static const struct piece {
    const char *raw;
    unsigned bytes;
} pieces[] = {
    {"text ",             5},
    {"\\u00e9",           2},
    {"\\n",               1},
    {"\xc3\xa9",          2},
    {"\xf0\x9f\x92\xa1",  4},
    {"\\ud83d\\udca1",    4},
    {"\\\"",              1},
    {"\\u20ac",           3},
    {"\xe2\x82\xac\\\\/", 5},
};

struct td_slice srv_topic(unsigned topic)
{
    return td_slice_str(topics[topic]);
}

unsigned srv_topic_number(struct td_slice topic)
{
    unsigned i = 0;

    while (i < SRV_TOPICS && !td_slice_eq(srv_topic(i), topic))
        i++;
    return i;
}

bool srv_is_entity(unsigned topic)
{
    return td_slice_starts(srv_topic(topic), TD_S("entities/"));
}

struct td_slice srv_type(uint32_t number, const struct srv_said *said)
{
    static const char *const types[] = {"t0", "t1", "error", "open"};
    static char removal[16];

    if (srv_is_entity(said->topic))
        return TD_S("ENTITY_UPDATED");
    if (said->removes) { /* whose data can't tell the number */
        snprintf(removal, sizeof removal, "r%u", number);
        return td_slice_str(removal);
    }
    /* Chunks of one text are of one type, mostly. */
    if (said->class == TD_CLASS_APPEND)
        return number % 16 == 0 ? TD_S("t0") : TD_S("t1");
    return td_slice_str(types[said->pad % TD_ARRAY_LEN(types)]);
}

struct td_slice srv_key(const struct srv_said *said)
{
    static const char *const keys[SRV_KEYS] = {"", "k0", "k/1", "k2"};

    if (srv_is_entity(said->topic) && said->key > 0)
        return TD_S("entity"); /* no other is taken */
    return td_slice_str(keys[said->key]);
}

uint32_t srv_number(struct td_slice data, struct td_slice type)
{
    bool removes = td_slice_eq(data, TD_S("null"));
    struct td_slice digits = removes ? type : data;
    uint32_t number = 0;

    for (size_t i = removes ? 1 : 5; i < digits.len && digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
         i++)
        number = number * 10 + (uint32_t)(digits.ptr[i] - '0');
    return number;
}

/* ---- data ---- */

uint32_t srv_put_content(struct td_buf *out, uint32_t number, const struct srv_said *said)
{
    uint32_t bytes = 0;

    for (uint32_t i = 0; i <= number % 6; i++) {
        const struct piece *piece = &pieces[(number / 3 + i * 2) % TD_ARRAY_LEN(pieces)];

        td_buf_puts(out, piece->raw);
        bytes += piece->bytes;
    }
    if (number % 4 == 0) {
        uint32_t pad = TD_MIN(said->pad, (uint32_t)2000);

        td_buf_reserve(out, pad + 1u);
        memset(out->ptr + out->len, 'A' + (int)(number % 26), pad);
        out->len += pad;
        bytes += pad;
    }
    return bytes;
}

static void put_text(struct td_buf *out, uint32_t number, struct td_slice content, uint64_t offset)
{
    if (number % 3 == 0) {
        td_buf_putf(out, "\"offset\":%llu, \"content\":\"", (unsigned long long)offset);
        td_buf_put(out, content);
        td_buf_puts(out, "\",");
    } else {
        td_buf_puts(out, "\"content\" : \"");
        td_buf_put(out, content);
        td_buf_putf(out, "\",\"offset\":%llu,", (unsigned long long)offset);
    }
}

void srv_put_joined(struct td_buf *out, uint32_t number, const struct srv_said *said,
                    bool as_stored, struct td_slice content, uint64_t offset)
{
    bool line_end = number % 5 == 1;

    if (said->removes) {
        td_buf_puts(out, "null");
        return;
    }
    td_buf_putf(out, "{\"n\":%u,", number);
    if (line_end) /* between tokens, which the log makes two spaces */
        td_buf_puts(out, as_stored ? "  " : "\r\n");
    if (number % 5 == 2)
        td_buf_puts(out, "\"q\":\"\\u00e9 \\\" \\\\ \\n \xc3\xa9 \xf0\x9f\x92\xa1\",");
    if (said->class == TD_CLASS_APPEND)
        put_text(out, number, content, offset);
    if (number % 5 == 3)
        td_buf_puts(out, "\"o\":{\"n\":[1,-2.5e3,{\"n\":0}],\"x\":null } ,");
    td_buf_puts(out, "\"z\":\"");
    td_buf_reserve(out, said->pad + 1u);
    memset(out->ptr + out->len, 'a' + (int)(number % 26), said->pad);
    out->len += said->pad;
    td_buf_puts(out, "\"}");
    TD_ASSERT(out->err == 0);
}

void srv_put_data(struct td_buf *out, uint32_t number, const struct srv_said *said, bool as_stored)
{
    struct td_buf content = TD_BUF_INIT(64 * 1024);

    if (said->class == TD_CLASS_APPEND)
        (void)srv_put_content(&content, number, said);
    srv_put_joined(out, number, said, as_stored, td_buf_slice(&content), said->offset);
    td_buf_done(&content);
}

void srv_put_event(struct td_buf *out, uint32_t number, const struct srv_said *said, bool one_line)
{
    static const char *const classes[] = {
        [TD_CLASS_LOG] = "log",
        [TD_CLASS_LATEST] = "latest",
        [TD_CLASS_APPEND] = "append",
        [TD_CLASS_EPHEMERAL] = "ephemeral",
    };

    td_buf_puts(out, "{\"topic\":\"");
    td_buf_put(out, srv_topic(said->topic));
    td_buf_puts(out, "\",\"type\":\"");
    td_buf_put(out, srv_type(number, said));
    td_buf_puts(out, "\",\"data\":");
    srv_put_data(out, number, said, one_line);
    if (said->key > 0) {
        td_buf_puts(out, ",\"key\":\"");
        td_buf_put(out, srv_key(said));
        td_buf_puts(out, "\"");
    }
    if (said->class != TD_CLASS_LOG || number % 7 == 0)
        td_buf_putf(out, ",\"class\":\"%s\"", classes[said->class]);
    td_buf_puts(out, "}");
}

/* ---- a new one ---- */

/* Where the next chunk begins: mostly where the text ends as far as the world knows, which is no more than a belief. */
static void choose_offset(struct srv_world *world, struct srv_said *said, uint32_t number)
{
    struct td_rng *rng = &world->rng;
    uint32_t *end = &world->text_ends[said->topic][said->key];
    struct td_buf content = TD_BUF_INIT(64 * 1024);
    uint32_t bytes = srv_put_content(&content, number, said);

    said->offset = td_rng_one_in(rng, *end > 4000 ? 2 : 10) ? 0 : *end;
    if (td_rng_one_in(rng, 25))
        said->offset = (uint32_t)td_rng_below(rng, *end + 10);
    *end = said->offset + bytes;
    td_buf_done(&content);
}

static void choose_class(struct srv_world *world, struct srv_said *said)
{
    struct td_rng *rng = &world->rng;
    uint64_t deed = td_rng_below(rng, 100);

    if (deed >= world->classed)
        return;
    /* A text comes in many chunks, one soon after the other. */
    if (world->text_left > 0) {
        world->text_left--;
        said->topic = world->hot[0];
        said->key = 1;
        said->class = TD_CLASS_APPEND;
        return;
    }
    if (td_rng_one_in(rng, 20))
        world->text_left = (unsigned)td_rng_below(rng, 30);
    if (!td_rng_one_in(rng, 3))
        said->topic = world->hot[td_rng_below(rng, SRV_HOT)];
    said->key = (uint8_t)td_rng_below(rng, SRV_KEYS);
    switch (td_rng_below(rng, 10)) {
    case 0: break;
    case 1:
    case 2:
    case 3: said->class = TD_CLASS_LATEST; break;
    case 4:
    case 5:
    case 6:
    case 7:
        said->class = TD_CLASS_APPEND;
        said->key = 1 + (uint8_t)td_rng_below(rng, SRV_KEYS - 1);
        break;
    case 8:
        if (!said->keyed)
            said->class = TD_CLASS_EPHEMERAL;
        break;
    default:
        said->removes = said->key > 0 && !srv_is_entity(said->topic);
        if (td_rng_one_in(rng, 2))
            said->class = TD_CLASS_LATEST;
        break;
    }
}

/* Of an entity everything is told, under its one key or none. */
static void fit_entity(struct srv_said *said)
{
    if (!srv_is_entity(said->topic))
        return;
    if (said->class != TD_CLASS_LATEST)
        said->class = TD_CLASS_LOG;
    said->key = said->key > 0;
}

uint32_t srv_say(struct srv_world *world, struct srv_said said)
{
    struct srv_truth *truth = &world->truth;
    struct td_rng *rng = &world->rng;
    uint32_t number = (uint32_t)truth->n_said + 1;

    said.pad = (uint16_t)td_rng_below(rng, 120);
    if (td_rng_one_in(rng, 12))
        said.pad = (uint16_t)td_rng_below(rng, said.count > 1 ? 700 : 9000);
    said.topic = (uint16_t)td_rng_below(rng, SRV_TOPICS);
    choose_class(world, &said);
    fit_entity(&said);
    if (said.class == TD_CLASS_APPEND)
        choose_offset(world, &said, number);
    if (truth->n_said == truth->said_cap) {
        truth->said_cap = truth->said_cap ? truth->said_cap * 2 : 256;
        truth->said = realloc(truth->said, truth->said_cap * sizeof *truth->said);
        TD_ASSERT(truth->said);
    }
    truth->said[truth->n_said++] = said;
    return number;
}

struct srv_said *srv_said(struct srv_world *world, uint32_t number)
{
    return number > 0 && number <= world->truth.n_said ? &world->truth.said[number - 1] : NULL;
}

uint32_t srv_said_before(struct srv_world *world, uint32_t number)
{
    const struct srv_said *all = world->truth.said;

    TD_ASSERT(number > 0 && number <= world->truth.n_said);
    for (uint32_t i = 1; i <= all[number - 1].index; i++)
        if (all[number - 1 - i].class != TD_CLASS_EPHEMERAL)
            return number - i;
    return 0;
}

bool srv_said_is_last(struct srv_world *world, uint32_t number)
{
    const struct srv_said *all = world->truth.said;

    TD_ASSERT(number > 0 && number <= world->truth.n_said);
    for (uint32_t i = number; i < number + all[number - 1].count - all[number - 1].index - 1; i++)
        if (all[i].class != TD_CLASS_EPHEMERAL)
            return false;
    return true;
}
