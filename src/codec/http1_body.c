/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: of a known length, or chunked (RFC 9112 §7.1):
 *
 *     5;name=value CRLF  hello CRLF  …  0 CRLF  trailer: fields CRLF  CRLF
 *
 * The framing goes through a state machine byte by byte; content is handed on in slices. */
#include "base/assert.h"
#include "base/err.h"
#include "codec/http1.h"
#include "codec/http1_chars.h"

enum state {
    SIZE_FIRST, /* the size needs one digit */
    SIZE,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_VALUE_FIRST,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_END,
    SIZE_LF,
    CONTENT,
    CONTENT_CR,
    CONTENT_LF,
    TRAILER_FIRST, /* a trailer's name, or the empty line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    DONE,
    BROKEN,
};

void td_http_body_init(struct td_http_body *body, const struct td_http_request *request)
{
    *body = (struct td_http_body){
        ._left = request->content_length,
        ._chunked = request->chunked,
        ._state = request->chunked              ? SIZE_FIRST
                  : request->content_length > 0 ? CONTENT
                                                : DONE,
    };
    body->done = body->_state == DONE;
}

/* Where a chunk's line goes on after a whole size, name or value. */
static enum state after_part(char c)
{
    return c == ';' ? EXT_NAME_FIRST : c == '\r' ? SIZE_LF : BROKEN;
}

static enum state size_digit(struct td_http_body *body, char c)
{
    int digit = td_http_hex(c);

    if (digit < 0)
        return body->_state == SIZE ? after_part(c) : BROKEN;
    /* Leading zeros count too: no size needs more than 16 digits. */
    if (body->_overhead > 16 || body->_left >> 56)
        return BROKEN;
    body->_left = body->_left << 4 | (unsigned)digit;
    return SIZE;
}

/* The state after byte `c` of an extension (§7.1.1): a list of `;name`, `;name=token`, `;name="quoted"`. */
static enum state extension_byte(enum state state, char c)
{
    bool token = td_http_is(c, TD_HTTP_TOKEN);

    switch ((unsigned)state) {
    case EXT_NAME_FIRST: return token ? EXT_NAME : BROKEN;
    case EXT_NAME: return token ? EXT_NAME : c == '=' ? EXT_VALUE_FIRST : after_part(c);
    case EXT_VALUE_FIRST: return token ? EXT_VALUE : c == '"' ? EXT_QUOTED : BROKEN;
    case EXT_VALUE: return token ? EXT_VALUE : after_part(c);
    case EXT_QUOTED:
        if (c == '"')
            return EXT_QUOTED_END;
        if (c == '\\')
            return EXT_ESCAPED;
        return td_http_is(c, TD_HTTP_VALUE) ? EXT_QUOTED : BROKEN;
    case EXT_ESCAPED: return td_http_is(c, TD_HTTP_VALUE) ? EXT_QUOTED : BROKEN;
    default: return after_part(c); /* EXT_QUOTED_END */
    }
}

/* The state after byte `c` of the trailers (§7.1.2). */
static enum state trailer_byte(enum state state, char c)
{
    bool token = td_http_is(c, TD_HTTP_TOKEN);

    switch ((unsigned)state) {
    case TRAILER_FIRST: return token ? TRAILER_NAME : c == '\r' ? END_LF : BROKEN;
    case TRAILER_NAME: return token ? TRAILER_NAME : c == ':' ? TRAILER_VALUE : BROKEN;
    case TRAILER_VALUE:
        return td_http_is(c, TD_HTTP_VALUE) ? TRAILER_VALUE : c == '\r' ? TRAILER_LF : BROKEN;
    case TRAILER_LF: return c == '\n' ? TRAILER_FIRST : BROKEN;
    default: return c == '\n' ? DONE : BROKEN; /* END_LF */
    }
}

/* The state after one byte of framing. */
static enum state framing_byte(struct td_http_body *body, char c)
{
    enum state state = body->_state;

    body->_overhead++;
    if (state >= TRAILER_FIRST && state <= END_LF)
        return body->_overhead > TD_HTTP_TRAILERS_MAX ? BROKEN : trailer_byte(state, c);
    if (body->_overhead > TD_HTTP_CHUNK_LINE_MAX)
        return BROKEN;
    if (state <= SIZE)
        return size_digit(body, c);
    if (state <= EXT_QUOTED_END)
        return extension_byte(state, c);
    if (state == CONTENT_CR)
        return c == '\r' ? CONTENT_LF : BROKEN;
    if (c != '\n')
        return BROKEN;
    body->_overhead = 0;
    if (state == CONTENT_LF)
        return SIZE_FIRST;
    return body->_left > 0 ? CONTENT : TRAILER_FIRST; /* SIZE_LF */
}

static struct td_slice take_content(struct td_http_body *body, struct td_slice *in)
{
    struct td_slice piece = td_slice_to(*in, TD_MIN(in->len, body->_left));

    TD_ASSERT(body->_left > 0);
    *in = td_slice_from(*in, piece.len);
    body->_left -= piece.len;
    body->total += piece.len;
    if (body->_left == 0)
        body->_state = body->_chunked ? CONTENT_CR : DONE;
    body->done = body->_state == DONE;
    return piece;
}

int td_http_body_next(struct td_http_body *body, struct td_slice *in, struct td_slice *ret_piece)
{
    while (in->len > 0 && body->_state < DONE) {
        if (body->_state == CONTENT) {
            *ret_piece = take_content(body, in);
            return 1;
        }
        body->_state = framing_byte(body, in->ptr[0]);
        *in = td_slice_from(*in, 1);
    }
    if (body->_state == BROKEN)
        return TD_EINVAL;
    body->done = body->_state == DONE;
    return 0;
}
