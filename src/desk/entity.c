/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/entity.h"
#include "base/json.h"
#include "codec/format.h"
#include "desk/desk.h"
#include "desk/internal.h"

bool td_entity_unwrap(struct td_slice data, struct td_slice *ret_payload, uint64_t *ret_version)
{
    struct td_slice name, value, payload = {NULL, 0};
    uint64_t version = 0;
    bool other = false;

    *ret_payload = data;
    *ret_version = 0;
    if (td_json_type(data) != TD_JSON_OBJECT)
        return false;
    struct td_json_iter it = td_json_iter(data);
    while (!other && td_json_next(&it, &name, &value)) {
        if (td_json_string_is(name, "payload"))
            payload = value;
        else if (!td_json_string_is(name, "version"))
            other = true;
        else if (td_json_u64(value, &version) < 0)
            version = 0; /* whatever it is, it is not the document's */
    }
    if (other || !payload.ptr)
        return false;
    *ret_payload = payload;
    *ret_version = version;
    return true;
}

void td_entity_wrap(struct td_buf *out, struct td_slice payload, uint64_t version)
{
    td_buf_puts(out, "{\"payload\":");
    td_buf_put(out, payload);
    td_buf_puts(out, ",\"version\":");
    td_buf_putu(out, version);
    td_buf_putc(out, '}');
}

int td_entity_find(struct td_desk *desk, struct td_slice topic, struct td_entity *ret_entity)
{
    *ret_entity = (struct td_entity){0};
    int r = td_desk_state(desk, topic, TD_ENTITY_KEY, &ret_entity->record);
    if (r < 0)
        return r;
    ret_entity->exists = r > 0;
    if (ret_entity->exists)
        (void)td_entity_unwrap(ret_entity->record.data, &ret_entity->payload, &ret_entity->version);
    ret_entity->last = td_journal_last(desk->journal, topic);
    return 0;
}

void td_entity_note(const struct td_desk *desk, const struct td_ask *ask, struct td_slice topic,
                    struct td_slice type, uint64_t version)
{
    struct td_audit_note note;
    enum td_audit_action action =
        td_slice_eq(type, TD_S("ENTITY_CREATED"))   ? TD_AUDIT_ENTITY_CREATED
        : td_slice_eq(type, TD_S("ENTITY_UPDATED")) ? TD_AUDIT_ENTITY_UPDATED
                                                    : TD_AUDIT_ENTITY_DELETED;

    td_desk_note(&note, desk, ask, action, topic);
    td_audit_u64(&note, "version", version);
    td_audit_end(&note);
}

static void put_member(struct td_buf *out, const struct td_record *record, const char *name,
                       const char *as)
{
    struct td_slice value;

    if (!td_json_get(record->json, name, &value))
        return;
    td_buf_puts(out, as);
    td_buf_put(out, value);
}

void td_entity_put(struct td_buf *out, const struct td_record *record, bool may_see)
{
    struct td_slice type = {NULL, 0}, id = {NULL, 0}, payload;
    uint64_t version;

    (void)td_entity_topic(record->topic, &type, &id);
    (void)td_entity_unwrap(record->data, &payload, &version);
    td_buf_puts(out, "{\"entity_type\":\"");
    td_buf_put(out, type);
    td_buf_puts(out, "\",\"entity_id\":\"");
    td_buf_put(out, id);
    td_buf_puts(out, "\",\"version\":");
    td_buf_putu(out, version);
    if (may_see) {
        td_buf_puts(out, ",\"payload\":");
        td_buf_put(out, payload);
    }
    put_member(out, record, "id", ",\"event_id\":");
    put_member(out, record, "time", ",\"timestamp\":");
    if (may_see)
        put_member(out, record, "actor", ",\"actor\":");
    td_buf_putc(out, '}');
}
