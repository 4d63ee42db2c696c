/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as permessage-deflate carries them (RFC 7692 §7.2): DEFLATE blocks (RFC 1951) that end with an empty stored one, whose last
 * four bytes, always 00 00 ff ff, are left out.  Sans-IO; zlib stays behind this header. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/utf8.h"

/* log2 of the window with which the server compresses.  A smaller one than the 32 KiB that DEFLATE allows costs nothing for messages up
 * to its size and some per cent for longer ones, and is what clients that save memory ask for. */
#define TD_DEFLATE_BITS 12
/* The least and the most that can be agreed to (RFC 7692 §7.1.2). */
#define TD_DEFLATE_BITS_MIN 8
#define TD_DEFLATE_BITS_MAX 15

/* Compresses messages, each with an empty window: the same message always gives the same bytes.  About 40 KiB. */
struct td_deflater;

/* 0 or -ENOMEM. */
TD_MUST_USE int td_deflater_new(struct td_deflater **ret_deflater);
void td_deflater_free(struct td_deflater *deflater);
/* Appends the compressed message if that is shorter than the message.  1, 0 when it is not (nothing is appended then), or the error
 * of the buffer, TD_ETOOLARGE or -ENOMEM.  The message may lie in the same buffer if that has room for its length and TD_DEFLATE_ROOM,
 * so that it does not move. */
#define TD_DEFLATE_ROOM 4
TD_MUST_USE int td_deflate(struct td_deflater *deflater, struct td_slice message,
                           struct td_buf *out);

/* Inflates the messages of one peer: 7 KiB, and its window once something has come. */
struct td_inflater;

/* `window_bits`: log2 of the window that the peer may use, TD_DEFLATE_BITS_MIN to TD_DEFLATE_BITS_MAX.  0 or -ENOMEM. */
TD_MUST_USE int td_inflater_new(unsigned window_bits, struct td_inflater **ret_inflater);
void td_inflater_free(struct td_inflater *inflater);
/* Inflates what has come of a message and appends it to `out`, whose maximum is the message's: what is beyond it is not made.  With
 * `utf8` (not NULL) each byte is checked as it comes out.  `last`: the message ends here; the next call begins another, in the window
 * that this one leaves.  However the input is cut, the same comes out, and the same fault.
 * 0, TD_ETOOLARGE, TD_EUTF8, TD_EPROTO when the bytes are no DEFLATE or the message ends in the middle of a block, or -ENOMEM.  After
 * an error only td_inflater_free may follow. */
TD_MUST_USE int td_inflate(struct td_inflater *inflater, struct td_slice in, bool last,
                           struct td_utf8 *utf8, struct td_buf *out);
