/* SPDX-License-Identifier: Apache-2.0 */
/* The built pages of web/dist, as they lie in the program. */
#pragma once

#include <stddef.h>

struct td_page {
    const char *path;             /* "/index.html", "/assets/…" */
    const char *type;             /* of its content */
    const char *tag;              /* names this content: the ETag without W/ and its quotes */
    size_t at, len;               /* in td_pages_bytes */
    size_t packed_at, packed_len; /* the same by gzip; 0 long when that is not shorter */
};

extern const char td_pages_bytes[];
extern const struct td_page td_pages[]; /* in the order of their paths */
extern const size_t td_pages_len;
