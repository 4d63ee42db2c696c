/* SPDX-License-Identifier: Apache-2.0 */
/*     extension-list = 1#extension                                      (RFC 6455 §9.1)
 *     extension      = token *( ";" param )
 *     param          = token [ "=" ( token | quoted-string ) ]
 *
 * What a quoted string says must be a token too, so a value has no blank, comma or semicolon in it, and the only thing that quoting adds is
 * the backslash.  Several headers are one list (RFC 9110 §5.3). */
#include "codec/ws_extension.h"
#include "base/err.h"
#include "codec/deflate.h"
#include "codec/http1_chars.h"

/* Longer values are of no parameter that is known. */
#define VALUE_MAX 32

struct param {
    struct td_slice name;
    char value[VALUE_MAX]; /* unquoted, as far as it has room */
    size_t value_len;      /* may be more than that */
    bool has_value;
};

static void skip_blanks(struct td_slice *rest)
{
    while (rest->len > 0 && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t'))
        *rest = td_slice_from(*rest, 1);
}

/* Takes `c` with the blanks around it; whether it was there. */
static bool take_char(struct td_slice *rest, char c)
{
    skip_blanks(rest);
    if (rest->len == 0 || rest->ptr[0] != c)
        return false;
    *rest = td_slice_from(*rest, 1);
    skip_blanks(rest);
    return true;
}

/* Takes a token; empty when there is none. */
static struct td_slice take_token(struct td_slice *rest)
{
    size_t n = 0;

    while (n < rest->len && td_http_is(rest->ptr[n], TD_HTTP_TOKEN))
        n++;
    struct td_slice token = td_slice_to(*rest, n);
    *rest = td_slice_from(*rest, n);
    return token;
}

static void value_add(struct param *param, char c)
{
    if (param->value_len < sizeof(param->value))
        param->value[param->value_len] = c;
    param->value_len++;
}

/* Takes the rest of a quoted string, behind its first quote. */
static int take_quoted(struct td_slice *rest, struct param *param)
{
    while (rest->len > 0 && rest->ptr[0] != '"') {
        size_t escape = rest->ptr[0] == '\\';
        if (escape == rest->len || !td_http_is(rest->ptr[escape], TD_HTTP_TOKEN))
            return TD_EINVAL;
        value_add(param, rest->ptr[escape]);
        *rest = td_slice_from(*rest, escape + 1);
    }
    if (rest->len == 0 || param->value_len == 0)
        return TD_EINVAL;
    *rest = td_slice_from(*rest, 1);
    return 0;
}

static int take_param(struct td_slice *rest, struct param *param)
{
    *param = (struct param){.name = take_token(rest)};
    if (param->name.len == 0)
        return TD_EINVAL;
    if (!take_char(rest, '='))
        return 0;
    param->has_value = true;
    if (rest->len > 0 && rest->ptr[0] == '"') {
        *rest = td_slice_from(*rest, 1);
        return take_quoted(rest, param);
    }
    struct td_slice token = take_token(rest);
    for (size_t i = 0; i < token.len; i++)
        value_add(param, token.ptr[i]);
    return token.len > 0 ? 0 : TD_EINVAL;
}

/* ---- permessage-deflate ---- */

/* The parameters of an offer; bits 0: not named, or (the client's) named without a value. */
struct offer {
    bool server_no_takeover, client_no_takeover, names_client_bits;
    uint8_t server_bits, client_bits;
};

/* A number from 8 to 15 without leading zeros (RFC 7692 §7.1.2); 0 for anything else. */
static uint8_t read_bits(const struct param *param)
{
    uint64_t bits;

    if (!param->has_value || param->value_len > 2 || param->value[0] == '0' ||
        td_slice_u64(td_slice(param->value, param->value_len), &bits) < 0)
        return 0;
    return bits >= TD_DEFLATE_BITS_MIN && bits <= TD_DEFLATE_BITS_MAX ? (uint8_t)bits : 0;
}

/* Whether the parameter is one that an offer may have, with the value that it has, for the first time. */
static bool read_param(const struct param *param, struct offer *offer)
{
    if (td_slice_eq_nocase(param->name, TD_S("server_no_context_takeover"))) {
        bool first = !offer->server_no_takeover;
        offer->server_no_takeover = true;
        return first && !param->has_value;
    }
    if (td_slice_eq_nocase(param->name, TD_S("client_no_context_takeover"))) {
        bool first = !offer->client_no_takeover;
        offer->client_no_takeover = true;
        return first && !param->has_value;
    }
    if (td_slice_eq_nocase(param->name, TD_S("server_max_window_bits"))) {
        bool first = offer->server_bits == 0;
        offer->server_bits = read_bits(param);
        return first && offer->server_bits > 0;
    }
    if (td_slice_eq_nocase(param->name, TD_S("client_max_window_bits"))) {
        bool first = !offer->names_client_bits;
        offer->names_client_bits = true;
        offer->client_bits = read_bits(param);
        return first && (!param->has_value || offer->client_bits > 0);
    }
    return false;
}

static struct td_ws_deflate agree_to(const struct offer *offer, bool takeover)
{
    struct td_ws_deflate agreed = {
        .server_bits = TD_DEFLATE_BITS_MAX,
        .client_bits = TD_DEFLATE_BITS_MAX,
        .client_takeover = takeover && !offer->client_no_takeover,
    };

    if (offer->server_bits > 0) {
        agreed.server_bits = TD_MIN(offer->server_bits, (uint8_t)TD_DEFLATE_BITS);
        agreed.tells_server_bits = true;
    }
    /* Where a window lives only as long as a message, its size does not matter. */
    if (agreed.client_takeover && offer->names_client_bits) {
        agreed.client_bits = TD_WS_TAKEOVER_BITS;
        if (offer->client_bits > 0)
            agreed.client_bits = TD_MIN(offer->client_bits, agreed.client_bits);
        agreed.tells_client_bits = true;
    }
    return agreed;
}

/* Takes one extension with its parameters.  1 when it is an offer that can be agreed to, 0 when not, TD_EINVAL. */
static int take_extension(struct td_slice *rest, struct offer *ret_offer)
{
    struct td_slice name = take_token(rest);
    bool good = td_slice_eq_nocase(name, TD_S("permessage-deflate"));

    *ret_offer = (struct offer){0};
    if (name.len == 0)
        return TD_EINVAL;
    while (take_char(rest, ';')) {
        struct param param;
        int r = take_param(rest, &param);
        if (r < 0)
            return r;
        good = good && read_param(&param, ret_offer);
    }
    return good;
}

/* Looks through the list of one header, to its end, since all of it has to follow the grammar. */
static int read_list(struct td_slice rest, struct offer *found)
{
    struct offer offer;
    int any = 0;

    skip_blanks(&rest);
    while (rest.len > 0) {
        if (take_char(&rest, ',')) /* a list may have empty elements (RFC 9110 §5.6.1.2) */
            continue;
        int r = take_extension(&rest, &offer);
        if (r < 0)
            return r;
        if (r > 0 && !any)
            *found = offer;
        any |= r;
        if (!take_char(&rest, ',') && rest.len > 0)
            return TD_EINVAL;
    }
    return any;
}

int td_ws_deflate_choose(const struct td_http_request *request, bool takeover,
                         struct td_ws_deflate *ret_agreed)
{
    struct offer offer, chosen = {0};
    int any = 0;

    for (size_t i = 0; i < request->n_headers; i++) {
        const struct td_http_header *header = &request->headers[i];
        if (!td_slice_eq_nocase(header->name, TD_S("sec-websocket-extensions")))
            continue;
        int r = read_list(header->value, &offer);
        if (r < 0)
            return r;
        if (r > 0 && !any)
            chosen = offer;
        any |= r;
    }
    if (any)
        *ret_agreed = agree_to(&chosen, takeover);
    return any;
}

int td_ws_deflate_put(const struct td_ws_deflate *agreed, struct td_buf *out)
{
    td_buf_puts(out, "permessage-deflate; server_no_context_takeover");
    if (!agreed->client_takeover)
        td_buf_puts(out, "; client_no_context_takeover");
    if (agreed->tells_server_bits)
        td_buf_putf(out, "; server_max_window_bits=%u", (unsigned)agreed->server_bits);
    if (agreed->tells_client_bits)
        td_buf_putf(out, "; client_max_window_bits=%u", (unsigned)agreed->client_bits);
    return out->err;
}
