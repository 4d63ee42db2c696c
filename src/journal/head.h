/* SPDX-License-Identifier: Apache-2.0 */
/* The head file of a log: see struct td_head_file. */
#pragma once

#include "base/compiler.h"
#include "journal/format.h"

/* Seals `head` and replaces the file, atomically and durably. */
TD_MUST_USE int td_head_write(const char *dir, struct td_head_file *head);
/* 0, -ENOENT, TD_EDAMAGED, or -errno. */
TD_MUST_USE int td_head_load(const char *dir, struct td_head_file *ret_head);
