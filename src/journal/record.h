/* SPDX-License-Identifier: Apache-2.0 */
/* A record: an event as it lies in the log.  The same bytes are file, memory and wire: the WebSocket frame of
 * the `event` format is a slice of them.  Little-endian, 8-byte aligned, in a segment file:
 *
 *      0  u32  size        of the whole record with padding, a multiple of 8
 *      4  u32  crc         CRC-32C of the bytes from 8 to `size`
 *      8  u64  seq
 *     16  u64  time        milliseconds since 1970
 *     24  u64  synced      the durable head when this was appended: what stood at or before it was on disk
 *     32  u16  flags       TD_RECORD_…
 *     34  u8   topic_len
 *     35  u8   type_len
 *     36  u8   key_len
 *     37  u8   frame_head  length of the WebSocket frame's head: 2, 4 or 10
 *     38  u16  topic_at    offsets into the JSON
 *     40  u16  type_at
 *     42  u16  key_at
 *     44  u32  data_at     (`data` is the last member: it ends one byte before the JSON does)
 *     48  u32  json_len
 *     52  u32  frame_at    offset of the frame in the record (56, or 80 behind a dedup block)
 *     56  [dedup: u64 key hash, u64 key hash, u64 content hash]
 *     frame_at  frame head, then the JSON:
 *         {"id":"9f3c21aa.1729","topic":"…","type":"…","time":"…"[,"key":"…"][,"actor":"…"][,"origin":"…"],"data":…}
 *
 * Topic, type and key are of the topic alphabet, so they need no escapes in the JSON. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include "base/units.h"

/* How an event treats a reader that is slower than it. */
enum td_class {
    TD_CLASS_LOG,       /* each one is delivered */
    TD_CLASS_LATEST,    /* a newer one of the same topic and key may replace it */
    TD_CLASS_APPEND,    /* a chunk of a growing text; has a key */
    TD_CLASS_EPHEMERAL, /* never appended: no event of it is in the log */
};

enum td_record_flags {
    TD_RECORD_LAST =
        1, /* the last of its batch: what follows the last of these was never acknowledged */
    TD_RECORD_DEDUP = 2,  /* holds a dedup block */
    TD_RECORD_LATEST = 4, /* its class; with neither of these two it is `log` */
    TD_RECORD_APPEND = 8,
    TD_RECORD_KEPT =
        16, /* stays for the sake of state alone, and is no part of the history any more */
    TD_RECORD_BEGINS = 32, /* of class `append`: begins a text (offset 0) */
    TD_RECORD_REMOVES =
        64, /* has a key whose state it removes: its `data` is null, or it was said so */
    TD_RECORD_STARTS =
        128, /* of class `append`: begins no text, but there was none before it that it could continue */
};
/* All that a sound record may have. */
#define TD_RECORD_FLAGS 255

#define TD_RECORD_HEAD 56

struct td_record {
    uint64_t seq;
    td_unix_ms time;
    unsigned flags;
    uint32_t size;
    struct td_slice frame; /* the WebSocket text frame, head and JSON */
    struct td_slice json;  /* the `event` format */
    struct td_slice topic, type, data;
    struct td_slice key; /* empty when it has none */
};

/* Looks at the record at `bytes`, which the journal has verified. */
void td_record_view(const char *bytes, struct td_record *ret_record);
/* The sequence alone. */
uint64_t td_record_seq(const char *bytes);
/* Checks that a whole, sound record lies at the start of `bytes`.  Returns its size, 0 for zeros (the end of a segment),
 * or TD_EDAMAGED. */
TD_MUST_USE int td_record_check(struct td_slice bytes);
