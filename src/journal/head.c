/* SPDX-License-Identifier: Apache-2.0 */
/* The head file: see struct td_head_file. */
#include "journal/head.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "journal/internal.h"
#include "os/file.h"

int td_head_write(const char *dir, struct td_head_file *head)
{
    char path[TD_LOG_PATH_MAX];

    memcpy(head->magic, TD_HEAD_MAGIC, TD_MAGIC_LEN);
    head->version = TD_LOG_VERSION;
    head->crc = td_crc32c(0, head, offsetof(struct td_head_file, crc));
    td_log_path(dir, "head", path);
    return td_file_store(path, td_slice((const char *)head, sizeof(*head)));
}

int td_head_store(struct td_journal *journal, bool clean)
{
    struct td_head_file head = {
        .epoch = journal->epoch,
        .seed = journal->seed,
        .last_seq = journal->last_seq,
        .skip_to = TD_MAX(journal->skip_to, journal->jump_to),
        .created_ms = journal->created_ms,
        .clean = clean,
    };

    return td_head_write(journal->dir, &head);
}

int td_head_load(const char *dir, struct td_head_file *ret_head)
{
    struct td_buf file = TD_BUF_INIT(sizeof(*ret_head));
    struct td_head_file head = {0};
    char path[TD_LOG_PATH_MAX];

    td_log_path(dir, "head", path);
    int r = td_file_load(path, &file);
    if (r >= 0 && file.len == sizeof(head))
        memcpy(&head, file.ptr, sizeof(head));
    td_buf_done(&file);
    if (r < 0)
        return r == TD_ETOOLARGE ? TD_EDAMAGED : r;
    if (memcmp(head.magic, TD_HEAD_MAGIC, TD_MAGIC_LEN) != 0 || head.version != TD_LOG_VERSION ||
        head.crc != td_crc32c(0, &head, offsetof(struct td_head_file, crc)))
        return TD_EDAMAGED;
    *ret_head = head;
    return 0;
}
