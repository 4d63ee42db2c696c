/* SPDX-License-Identifier: Apache-2.0 */
/* Arbitrary bytes behind a segment's header.  What the scan takes for a record has the right checksum (computed another way
 * here), lies inside the bytes, comes later than the one before, and can be viewed and indexed.  With an odd first byte the checksums are made
 * right first, so that what stands behind them is reached. */
#include "base/topic.h"
#include "journal/format.h"
#include "journal/index.h"
#include "journal/record.h"
#include "journal/scan.h"
#include <stdlib.h>

#define SEED UINT64_C(0x7469646e67730a)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static uint32_t crc_bit_by_bit(const char *bytes, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= (uint8_t)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static void mend_checksums(char *bytes, size_t len)
{
    struct td_record_head head;

    for (size_t at = sizeof(struct td_segment_header); at + sizeof(head) <= len;) {
        memcpy(&head, bytes + at, sizeof(head));
        if (head.size < sizeof(head) || head.size > len - at)
            return;
        head.crc = crc_bit_by_bit(bytes + at + 8, head.size - 8);
        memcpy(bytes + at, &head, sizeof(head));
        at += TD_ALIGN_UP((size_t)head.size, 8);
    }
}

static void must_lie_in(struct td_slice part, const char *bytes, uint32_t size)
{
    must(part.len == 0 || (part.ptr >= bytes && part.ptr + part.len <= bytes + size));
}

static void check_record(const char *bytes, size_t room)
{
    struct td_record record;
    struct td_record_head head;

    memcpy(&head, bytes, sizeof(head));
    must(head.size <= room && head.size % 8 == 0);
    must(head.crc == crc_bit_by_bit(bytes + 8, head.size - 8));
    td_record_view(bytes, &record);
    must(record.size == head.size && record.seq == td_record_seq(bytes));
    must_lie_in(record.frame, bytes, record.size);
    must_lie_in(record.json, bytes, record.size);
    must_lie_in(record.topic, bytes, record.size);
    must_lie_in(record.type, bytes, record.size);
    must_lie_in(record.data, bytes, record.size);
    must_lie_in(record.key, bytes, record.size);
    must(td_topic_valid(record.topic));
}

static void check_scan(struct td_slice bytes)
{
    struct td_index *index = td_index_new(SEED);
    struct td_scan scan = {
        .bytes = bytes, .at = sizeof(struct td_segment_header), .seq_max = UINT64_MAX};
    uint64_t last = 0;
    uint32_t offset = 0, n = 0;

    for (;;) {
        enum td_scan_what what = td_scan_next(&scan, &offset);
        if (what == TD_SCAN_RECORD) {
            check_record(bytes.ptr + offset, bytes.len - offset);
            must(td_record_seq(bytes.ptr + offset) > last);
            last = td_record_seq(bytes.ptr + offset);
            td_index_add(index, bytes.ptr + offset, offset);
            n++;
        } else if (!td_scan_resync(&scan)) {
            break;
        }
    }
    must(td_index_get(index, index->all_key).n == n);
    td_index_free(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = sizeof(struct td_segment_header) + (size > 0 ? size - 1 : 0);
    char *bytes = calloc(1, len);

    must(bytes != NULL);
    if (size > 1)
        memcpy(bytes + sizeof(struct td_segment_header), data + 1, size - 1);
    if (size > 0 && data[0] % 2)
        mend_checksums(bytes, len);
    check_scan(td_slice(bytes, len));
    free(bytes);
    return 0;
}
