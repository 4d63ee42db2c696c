/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/record.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/position.h"
#include "base/topic.h"
#include "journal/encode.h"
#include "journal/format.h"

/* The parts of the envelope that are the same in all. */
#define ENVELOPE_FIXED                                                                         \
    (sizeof("{\"id\":\"\",\"topic\":\"\",\"type\":\"\",\"time\":\"\",\"key\":\"\",\"actor\":," \
            "\"origin\":,\"data\":}"))

_Static_assert(TD_RECORD_HEAD == sizeof(struct td_record_head), "one size");

static unsigned frame_head_len(uint64_t json_len)
{
    return json_len < 126 ? 2 : json_len < 65536 ? 4 : 10;
}

uint64_t td_record_size_max(const struct td_draft *draft)
{
    uint64_t json = ENVELOPE_FIXED + TD_POSITION_LEN_MAX + TD_TIME_LEN + draft->topic.len +
                    draft->type.len + draft->key.len + draft->data.len + draft->actor.len +
                    draft->origin.len;

    return TD_ALIGN_UP(TD_RECORD_HEAD + sizeof(struct td_record_dedup) + 10 + json, 8);
}

static char *put(char *at, struct td_slice bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

/* RFC 6455 §5.2: FIN and opcode text, no mask, the shortest form of the length. */
static void put_frame_head(char *at, uint64_t json_len)
{
    unsigned len = frame_head_len(json_len);

    at[0] = (char)0x81;
    if (len == 2) {
        at[1] = (char)json_len;
        return;
    }
    at[1] = len == 4 ? 126 : 127;
    for (unsigned i = 2; i < len; i++)
        at[i] = (char)(json_len >> 8 * (len - 1 - i));
}

/* A line break between the tokens of `data` would end a line of SSE or NDJSON; inside a string there can be none. */
static char *put_data(char *at, struct td_slice data)
{
    static const char breaks[] = {'\n', '\r'};
    char *end = put(at, data);

    for (size_t i = 0; i < sizeof(breaks); i++) {
        char *hit = at;
        while ((hit = memchr(hit, breaks[i], (size_t)(end - hit))))
            *hit = ' ';
    }
    return end;
}

static char *put_envelope(char *json, const struct td_draft *draft, const struct td_stamp *stamp,
                          struct td_record_head *head)
{
    char id[TD_POSITION_LEN_MAX + 1];
    struct td_position position = {stamp->epoch, stamp->seq};
    char *at = put(json, TD_S("{"));

    if (stamp->seq > 0) { /* what is in no log has none */
        at = put(at, TD_S("\"id\":\""));
        at = put(at, td_slice(id, td_position_format(position, id)));
        at = put(at, TD_S("\","));
    }
    at = put(at, TD_S("\"topic\":\""));
    head->topic_at = (uint16_t)(at - json);
    at = put(at, draft->topic);
    at = put(at, TD_S("\",\"type\":\""));
    head->type_at = (uint16_t)(at - json);
    at = put(at, draft->type);
    at = put(at, TD_S("\",\"time\":\""));
    at = put(at, td_slice(stamp->time_text, TD_TIME_LEN));
    at = put(at, TD_S("\""));
    if (draft->key.len > 0) {
        at = put(at, TD_S(",\"key\":\""));
        head->key_at = (uint16_t)(at - json);
        at = put(at, draft->key);
        at = put(at, TD_S("\""));
    }
    if (draft->actor.len > 0)
        at = put(put(at, TD_S(",\"actor\":")), draft->actor);
    if (draft->origin.len > 0)
        at = put(put(at, TD_S(",\"origin\":")), draft->origin);
    at = put(at, TD_S(",\"data\":"));
    head->data_at = (uint32_t)(at - json);
    at = put_data(at, draft->data);
    *at++ = '}';
    return at;
}

uint32_t td_record_encode(const struct td_draft *draft, const struct td_stamp *stamp,
                          char *ret_bytes)
{
    struct td_record_head head = {
        .seq = stamp->seq,
        .time = stamp->time,
        .synced = stamp->synced,
        .flags = (uint16_t)stamp->flags,
        .topic_len = (uint8_t)draft->topic.len,
        .type_len = (uint8_t)draft->type.len,
        .key_len = (uint8_t)draft->key.len,
        .frame_at = TD_RECORD_HEAD,
    };

    TD_ASSERT(draft->topic.len <= TD_TOPIC_LEN_MAX && draft->type.len <= TD_SEGMENT_LEN_MAX);
    TD_ASSERT(draft->key.len <= 128 && draft->data.len > 0);
    if (stamp->flags & TD_RECORD_DEDUP) {
        memcpy(ret_bytes + head.frame_at, stamp->dedup, sizeof(*stamp->dedup));
        head.frame_at += sizeof(*stamp->dedup);
    }
    /* The frame's head depends on the length behind it: write behind the longest, then move close up.  The guess
     * is right but for texts within a few dozen bytes of a boundary. */
    char *frame = ret_bytes + head.frame_at;
    unsigned guess =
        frame_head_len(draft->topic.len + draft->type.len + draft->key.len + draft->data.len +
                       draft->actor.len + draft->origin.len + ENVELOPE_FIXED + TD_TIME_LEN);
    char *end = put_envelope(frame + guess, draft, stamp, &head);
    head.json_len = (uint32_t)(end - (frame + guess));
    head.frame_head = (uint8_t)frame_head_len(head.json_len);
    if (head.frame_head != guess)
        memmove(frame + head.frame_head, frame + guess, head.json_len);
    put_frame_head(frame, head.json_len);

    uint32_t used = head.frame_at + head.frame_head + head.json_len;
    head.size = TD_ALIGN_UP(used, 8);
    memset(ret_bytes + used, 0, head.size - used);
    memcpy(ret_bytes, &head, sizeof(head));
    head.crc = td_crc32c(0, ret_bytes + 8, head.size - 8);
    memcpy(ret_bytes, &head, sizeof(head));
    return head.size;
}

uint64_t td_record_seq(const char *bytes)
{
    uint64_t seq;

    memcpy(&seq, bytes + offsetof(struct td_record_head, seq), sizeof(seq));
    return seq;
}

void td_record_view(const char *bytes, struct td_record *ret_record)
{
    struct td_record_head head;

    memcpy(&head, bytes, sizeof(head));
    const char *frame = bytes + head.frame_at;
    const char *json = frame + head.frame_head;
    *ret_record = (struct td_record){
        .seq = head.seq,
        .time = head.time,
        .flags = head.flags,
        .size = head.size,
        .frame = td_slice(frame, head.frame_head + (size_t)head.json_len),
        .json = td_slice(json, head.json_len),
        .topic = td_slice(json + head.topic_at, head.topic_len),
        .type = td_slice(json + head.type_at, head.type_len),
        .data = td_slice(json + head.data_at, head.json_len - 1 - head.data_at),
        .key = td_slice(head.key_len > 0 ? json + head.key_at : NULL, head.key_len),
    };
}

static bool zeros(struct td_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.ptr[i] != 0)
            return false;
    return true;
}

/* Whether the lengths and offsets agree with each other; all of it stands below `size`. */
static bool head_sound(const struct td_record_head *head)
{
    unsigned dedup = head->flags & TD_RECORD_DEDUP ? sizeof(struct td_record_dedup) : 0;
    uint64_t used = (uint64_t)head->frame_at + head->frame_head + head->json_len;

    return head->frame_at == TD_RECORD_HEAD + dedup && head->json_len >= 2 &&
           head->frame_head == frame_head_len(head->json_len) &&
           TD_ALIGN_UP(used, 8) == head->size && head->seq > 0 && head->synced < head->seq &&
           (head->flags & ~(unsigned)TD_RECORD_FLAGS) == 0 && head->data_at < head->json_len - 1 &&
           head->topic_at + head->topic_len < head->data_at &&
           head->type_at + head->type_len < head->data_at &&
           head->key_at + head->key_len < head->data_at;
}

int td_record_check(struct td_slice bytes)
{
    struct td_record_head head;
    struct td_record record;
    char frame[10];

    if (bytes.len < sizeof(head))
        return zeros(bytes) ? 0 : TD_EDAMAGED;
    memcpy(&head, bytes.ptr, sizeof(head));
    if (head.size == 0)
        return zeros(td_slice_to(bytes, sizeof(head))) ? 0 : TD_EDAMAGED;
    if (head.size > bytes.len || head.size > TD_SEGMENT_MAX || head.size % 8 != 0 ||
        !head_sound(&head))
        return TD_EDAMAGED;
    if (td_crc32c(0, bytes.ptr + 8, head.size - 8) != head.crc)
        return TD_EDAMAGED;
    /* The checksum is right, so this is what was written; these hold unless another program wrote it. */
    td_record_view(bytes.ptr, &record);
    put_frame_head(frame, head.json_len);
    if (memcmp(record.frame.ptr, frame, head.frame_head) != 0 || !td_topic_valid(record.topic) ||
        record.json.ptr[0] != '{' || record.json.ptr[record.json.len - 1] != '}')
        return TD_EDAMAGED;
    return (int)head.size;
}
