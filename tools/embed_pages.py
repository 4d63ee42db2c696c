#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the built pages as C: embed_pages.py FOLDER OUT.c OUT.bin DEPFILE

Each file of FOLDER is stored as it is, and once more compressed where that is shorter.  OUT.bin holds all of it, OUT.c the table
and the line that takes OUT.bin in.  DEPFILE names what the outcome depends on, for ninja."""
import gzip
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}


def main(folder, source, blob, depfile):
    root = pathlib.Path(folder)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    data, rows = bytearray(), []
    for path in files:
        if path.suffix not in TYPES:
            sys.exit(f"{path}: no type is known for such a file; add it to {sys.argv[0]}")
        plain = path.read_bytes()
        packed = gzip.compress(plain, 9, mtime=0)
        if len(packed) >= len(plain):
            packed = b""
        tag = hashlib.sha256(plain).hexdigest()[:16]
        rows.append(f'    {{"/{path.relative_to(root).as_posix()}", "{TYPES[path.suffix]}", "{tag}", '
                    f"{len(data)}, {len(plain)}, {len(data) + len(plain)}, {len(packed)}}},")
        data += plain + packed
    pathlib.Path(blob).write_bytes(data)
    table = "\n".join(rows)
    pathlib.Path(source).write_text(f"""/* Written by tools/embed_pages.py. */
#include "api/page.h"

__asm__(".section .rodata\\n"
        ".global td_pages_bytes\\n"
        "td_pages_bytes:\\n"
        ".incbin \\"{pathlib.Path(blob).resolve()}\\"\\n"
        ".byte 0\\n"
        ".previous\\n");

const struct td_page td_pages[] = {{
{table}
}};
const size_t td_pages_len = {len(rows)};
""")
    folders = [root] + sorted(path for path in root.rglob("*") if path.is_dir())
    needed = " ".join(str(path) for path in folders + files)
    pathlib.Path(depfile).write_text(f"{source}: {needed}\n")


main(*sys.argv[1:])
