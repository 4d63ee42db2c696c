#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a C source that holds a file as it is, and a function td_embedded_NAME() that gives it.

    embed.py FILE SOURCE

NAME is the file's, with _ for what can't stand in a C name.  The assembler takes the bytes in; as SOURCE is written
anew when the file changes, the build compiles it again, which the directive by itself would not tell it.
"""
import pathlib
import re
import sys

TEXT = """\
/* Made by tools/embed.py of {name}. */
#include "base/slice.h"

__asm__(".section .rodata\\n"
        ".global {symbol}_start\\n"
        "{symbol}_start:\\n"
        ".incbin \\"{path}\\"\\n"
        ".global {symbol}_end\\n"
        "{symbol}_end:\\n"
        ".previous\\n");
extern const char {symbol}_start[], {symbol}_end[];

struct td_slice {symbol}(void);

struct td_slice {symbol}(void)
{{
    return td_slice({symbol}_start, (size_t)({symbol}_end - {symbol}_start));
}}
"""


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    path = pathlib.Path(sys.argv[1]).resolve()
    symbol = "td_embedded_" + re.sub(r"\W", "_", path.name, flags=re.ASCII)
    pathlib.Path(sys.argv[2]).write_text(TEXT.format(name=path.name, symbol=symbol, path=path))


main()
