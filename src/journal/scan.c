/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/scan.h"
#include "base/compiler.h"
#include "journal/format.h"
#include "journal/record.h"

/* The size of the sound record at `at` that belongs behind what was read; 0 for zeros, or an error. */
static int look(const struct td_scan *scan, uint32_t at, struct td_record_head *ret_head)
{
    int size = td_record_check(td_slice_from(scan->bytes, at));

    if (size <= 0)
        return size;
    memcpy(ret_head, scan->bytes.ptr + at, sizeof(*ret_head));
    return ret_head->seq > scan->seq && ret_head->seq <= scan->seq_max ? size : -1;
}

enum td_scan_what td_scan_next(struct td_scan *scan, uint32_t *ret_offset)
{
    struct td_record_head head;

    if (scan->at >= scan->bytes.len)
        return TD_SCAN_END;
    int size = look(scan, scan->at, &head);
    if (size == 0)
        return TD_SCAN_END;
    if (size < 0)
        return TD_SCAN_BAD;
    *ret_offset = scan->at;
    scan->at += (uint32_t)size;
    scan->seq = head.seq;
    scan->synced = TD_MAX(scan->synced, head.synced);
    return TD_SCAN_RECORD;
}

bool td_scan_resync(struct td_scan *scan)
{
    struct td_record_head head;

    for (uint64_t at = TD_ALIGN_UP((uint64_t)scan->at + 1, 8); at + 8 <= scan->bytes.len; at += 8) {
        uint64_t word;
        memcpy(&word, scan->bytes.ptr + at, sizeof(word));
        if (word == 0)
            continue;
        if (look(scan, (uint32_t)at, &head) > 0) {
            scan->at = (uint32_t)at;
            return true;
        }
    }
    scan->at = (uint32_t)scan->bytes.len;
    return false;
}
