/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/principal.h"
#include "auth/pattern_set.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include <errno.h>

#define MAGIC 0x7072696eu /* "prin" */

static bool begins_wild(struct td_slice pattern)
{
    return pattern.ptr[0] == '*';
}

/* Whether a grant of `outer` reaches all that one of `inner` does. */
static bool grant_covers(struct td_slice outer, struct td_slice inner)
{
    return td_pattern_covers(outer, inner) && !(begins_wild(outer) && td_topic_private(inner));
}

/* Replaces each `{sub}` in a pattern.  Returns the length, or TD_ETOOLARGE. */
static int expand(struct td_slice pattern, struct td_slice segment,
                  char ret_text[TD_TOPIC_LEN_MAX + 1])
{
    const struct td_slice variable = TD_S("{sub}");
    size_t len = 0;

    while (pattern.len > 0) {
        bool found = td_slice_starts(pattern, variable);
        struct td_slice piece = found ? segment : td_slice_to(pattern, 1);
        if (len + piece.len > TD_TOPIC_LEN_MAX)
            return TD_ETOOLARGE;
        memcpy(ret_text + len, piece.ptr, piece.len);
        len += piece.len;
        pattern = td_slice_from(pattern, found ? variable.len : 1);
    }
    return (int)len;
}

bool td_policy_pattern_valid(struct td_slice pattern)
{
    char text[TD_TOPIC_LEN_MAX + 1];
    int len = expand(pattern, TD_S("x"), text);

    return len > 0 && td_pattern_valid(td_slice(text, (size_t)len));
}

static bool segment_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("._@:-", c) != NULL);
}

int td_segment_escape(struct td_slice text, char ret_segment[TD_SEGMENT_LEN_MAX + 1])
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;

    if (text.len == 0)
        return TD_EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = segment_byte(c);
        if (len + (plain ? 1 : 3) > TD_SEGMENT_LEN_MAX)
            return TD_ETOOLARGE;
        if (plain) {
            ret_segment[len++] = (char)c;
            continue;
        }
        ret_segment[len++] = '~';
        ret_segment[len++] = hex[c >> 4];
        ret_segment[len++] = hex[c & 15];
    }
    ret_segment[len] = '\0';
    return (int)len;
}

/* A principal in the making. */
struct draft {
    const struct td_claims *claims;
    struct td_slice segment;
    struct td_buf text; /* of both sets */
    struct td_pattern_set subscribe, publish;
    struct td_pattern_set taken;
    bool is_admin, is_revoked;
    uint64_t policy_version, revision;
};

static int grant(struct draft *draft, struct td_pattern_set *set, struct td_slices patterns)
{
    for (size_t i = 0; i < patterns.n; i++) {
        char text[TD_TOPIC_LEN_MAX + 1];
        int len = expand(patterns.items[i], draft->segment, text);
        if (len < 0)
            return len;
        struct td_slice pattern = td_slice(text, (size_t)len);
        if (!td_pattern_valid(pattern)) /* the subject made a segment too long */
            return TD_ETOOLARGE;
        int r = td_pattern_set_add(set, pattern, grant_covers);
        if (r < 0)
            return r;
    }
    return 0;
}

static int grant_all(struct draft *draft, const struct td_grants *grants)
{
    int r = grant(draft, &draft->subscribe, grants->subscribe);

    return r < 0 ? r : grant(draft, &draft->publish, grants->publish);
}

static bool has_role(struct td_slices roles, struct td_slice role)
{
    for (size_t i = 0; i < roles.n; i++)
        if (td_slice_eq_nocase(roles.items[i], role))
            return true;
    return false;
}

bool td_principal_has_role(const struct td_principal *principal, struct td_slice role)
{
    return has_role(principal->roles, role);
}

/* The rules of the header, in their order: admin, the claim, roles and default, one's own topics. */
static int compile(struct draft *draft, const struct td_policy *policy)
{
    static const struct td_slice everything = {"**", 2};
    static const struct td_slice own[] = {
        {"users/{sub}/**",   14},
        {"enhance/{sub}/**", 16}
    };
    const struct td_claims *claims = draft->claims;
    int r = 0;

    if (draft->is_admin) {
        struct td_slices all = {&everything, 1};
        return grant_all(draft, &(struct td_grants){all, all});
    }
    if (claims->has_grants) {
        r = grant_all(draft, &claims->grants);
    } else {
        r = grant_all(draft, &policy->default_grants);
        for (size_t i = 0; i < policy->n_roles && r == 0; i++)
            if (has_role(claims->roles, policy->roles[i].name))
                r = grant_all(draft, &policy->roles[i].grants);
    }
    return r < 0 ? r : grant(draft, &draft->subscribe, (struct td_slices){own, TD_ARRAY_LEN(own)});
}

static void take(void *arg, const struct td_taken *taken)
{
    struct draft *draft = arg;
    int r = 0;

    draft->is_revoked = draft->claims->iat < taken->before;
    for (size_t i = 0; i < taken->n && r == 0; i++)
        r = td_pattern_set_add(&draft->taken, taken->patterns[i], td_pattern_covers);
}

/* The revision first: what changes behind it is looked at again. */
static int take_all(struct draft *draft, const struct td_policy *policy)
{
    struct td_revocations *revocations = policy->revocations;

    if (!revocations)
        return 0;
    draft->revision = atomic_load_explicit(&revocations->revision, memory_order_acquire);
    revocations->find(revocations, draft->segment, take, draft);
    return draft->text.err < 0 ? draft->text.err : draft->is_revoked ? TD_EUNAUTHORIZED : 0;
}

/* Where the next list and the next text go in a principal's one block. */
struct block {
    struct td_slice *items;
    char *text;
};

static struct td_slice block_text(struct block *block, struct td_slice text)
{
    struct td_slice copy = {block->text, text.len};

    if (text.len > 0)
        memcpy(block->text, text.ptr, text.len);
    block->text += text.len;
    return copy;
}

static struct td_slices block_set(struct block *block, const struct td_pattern_set *set)
{
    struct td_slices list = {block->items, set->n};

    for (size_t i = 0; i < set->n; i++)
        *block->items++ = block_text(block, td_pattern_set_item(set, i));
    return list;
}

static struct td_slices block_list(struct block *block, struct td_slices texts)
{
    struct td_slices list = {block->items, texts.n};

    for (size_t i = 0; i < texts.n; i++)
        *block->items++ = block_text(block, texts.items[i]);
    return list;
}

/* Moves a finished draft into one allocation: the principal, its lists, its texts. */
static int settle(const struct draft *draft, struct td_slice subject_json,
                  struct td_principal **ret_principal)
{
    const struct td_claims *claims = draft->claims;
    size_t n = draft->subscribe.n + draft->publish.n + draft->taken.n + claims->roles.n;
    size_t text_bytes = draft->text.len + claims->sub.len + draft->segment.len + subject_json.len;

    for (size_t i = 0; i < claims->roles.n; i++)
        text_bytes += claims->roles.items[i].len;
    struct td_principal *principal =
        malloc(sizeof(*principal) + n * sizeof(struct td_slice) + text_bytes);
    if (!principal)
        return -ENOMEM;
    struct td_slice *items = (struct td_slice *)(void *)(principal + 1);
    struct block block = {items, (char *)(items + n)};
    *principal = (struct td_principal){
        .subject = block_text(&block, claims->sub),
        .segment = block_text(&block, draft->segment),
        .subject_json = block_text(&block, subject_json),
        .exp = claims->exp,
        .iat = claims->iat,
        .is_admin = draft->is_admin,
        .by_policy = !draft->is_admin && !claims->has_grants,
        .policy_version = draft->policy_version,
        .roles = block_list(&block, claims->roles),
        .grants = {.subscribe = block_set(&block, &draft->subscribe),
                   .publish = block_set(&block, &draft->publish)},
        .taken = block_set(&block, &draft->taken),
        .revision = draft->revision,
        ._refs = 1,
        ._magic = MAGIC,
    };
    TD_ASSERT(block.items == items + n);
    TD_ASSERT(block.text <= (char *)(items + n) + text_bytes);
    *ret_principal = principal;
    return 0;
}

int td_principal_new(const struct td_claims *claims, const struct td_policy *policy,
                     struct td_principal **ret_principal, const char **reason)
{
    char segment[TD_SEGMENT_LEN_MAX + 1];
    int len = td_segment_escape(claims->sub, segment);

    if (len < 0) {
        *reason = "sub does not fit in a topic's segment (64 bytes once escaped)";
        return TD_EUNAUTHORIZED;
    }
    struct draft draft = {
        .claims = claims,
        .segment = td_slice(segment, (size_t)len),
        .text = TD_BUF_INIT(8 * TD_INTERSECT_TEXT_MAX),
        .is_admin = has_role(claims->roles, TD_S("admin")),
        .policy_version = policy->version,
    };
    struct td_buf subject_json = TD_BUF_INIT((size_t)TD_TOKEN_SUB_MAX * 6 + 2);
    draft.subscribe.text = draft.publish.text = draft.taken.text = &draft.text;
    int r = td_json_put_string(&subject_json, claims->sub);
    if (r == 0)
        r = compile(&draft, policy);
    if (r == 0)
        r = take_all(&draft, policy);
    if (r == 0)
        r = settle(&draft, td_buf_slice(&subject_json), ret_principal);
    td_buf_done(&draft.text);
    td_buf_done(&subject_json);
    if (r == TD_EUNAUTHORIZED)
        *reason = "the token was revoked";
    if (r == TD_ETOOLARGE) {
        *reason = "the grants of this subject pass their limits (258 patterns of 255 bytes)";
        return TD_EUNAUTHORIZED;
    }
    if (r < 0)
        *reason = "out of memory";
    return r;
}

int td_principal_new_public(struct td_slices subscribe, struct td_principal **ret_principal)
{
    const struct td_claims nobody = {.exp = TD_EXP_NEVER, .has_grants = true};
    struct draft draft = {
        .claims = &nobody,
        .text = TD_BUF_INIT(TD_INTERSECT_TEXT_MAX),
    };
    draft.subscribe.text = draft.publish.text = draft.taken.text = &draft.text;
    int r = grant(&draft, &draft.subscribe, subscribe);
    TD_ASSERT(r != TD_ETOOLARGE);
    if (r == 0)
        r = settle(&draft, TD_S("null"), ret_principal);
    if (r == 0)
        (*ret_principal)->is_public = true;
    td_buf_done(&draft.text);
    return r;
}

struct td_principal *td_principal_ref(struct td_principal *principal)
{
    TD_ASSERT(principal->_magic == MAGIC && principal->_refs < UINT32_MAX);
    principal->_refs++;
    return principal;
}

void td_principal_unref(struct td_principal *principal)
{
    if (!principal)
        return;
    TD_ASSERT(principal->_magic == MAGIC && principal->_refs > 0);
    if (--principal->_refs > 0)
        return;
    principal->_magic = 0;
    td_principal_unref(principal->_renewed);
    free(principal);
}

/* What a principal's own revocation says, next to what it was made with. */
struct comparison {
    const struct td_principal *principal;
    bool differs;
    size_t n;
};

static void compare_taken(void *arg, const struct td_taken *taken)
{
    struct comparison *comparison = arg;
    struct td_slices had = comparison->principal->taken;

    comparison->n = taken->n;
    comparison->differs = comparison->principal->iat < taken->before || had.n != taken->n;
    for (size_t i = 0; i < taken->n && !comparison->differs; i++)
        comparison->differs = !td_slice_eq(had.items[i], taken->patterns[i]);
}

/* Whether others were meant by the revocations since: then it is current again without being made anew. */
static bool was_not_meant(struct td_principal *principal, const struct td_policy *policy)
{
    struct td_revocations *revocations = policy->revocations;
    struct comparison comparison = {.principal = principal};

    if (!revocations || (principal->by_policy && principal->policy_version != policy->version))
        return false;
    uint64_t revision = atomic_load_explicit(&revocations->revision, memory_order_acquire);
    revocations->find(revocations, principal->segment, compare_taken, &comparison);
    if (comparison.differs || comparison.n != principal->taken.n)
        return false;
    principal->revision = revision;
    return true;
}

int td_principal_renew(struct td_principal *old, const struct td_policy *policy,
                       struct td_principal **ret_principal, const char **reason)
{
    const struct td_claims claims = {
        .sub = old->subject,
        .roles = old->roles,
        .exp = old->exp,
        .iat = old->iat,
        .has_grants = !old->by_policy && !old->is_admin,
        .grants = old->grants,
    };

    if (td_principal_is_current(old, policy) || was_not_meant(old, policy)) {
        *ret_principal = td_principal_ref(old);
        return 0;
    }
    if (!old->_renewed || !td_principal_is_current(old->_renewed, policy)) {
        struct td_principal *renewed;
        int r = td_principal_new(&claims, policy, &renewed, reason);
        if (r < 0)
            return r;
        td_principal_unref(old->_renewed);
        old->_renewed = renewed;
    }
    *ret_principal = td_principal_ref(old->_renewed);
    return 0;
}

static bool same_patterns(struct td_slices a, struct td_slices b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (!td_slice_eq(a.items[i], b.items[i]))
            return false;
    return true;
}

bool td_principal_grants_eq(const struct td_principal *a, const struct td_principal *b)
{
    return a->is_admin == b->is_admin && same_patterns(a->grants.subscribe, b->grants.subscribe) &&
           same_patterns(a->grants.publish, b->grants.publish) && same_patterns(a->taken, b->taken);
}

static bool matches(struct td_slices patterns, struct td_slice topic)
{
    for (size_t i = 0; i < patterns.n; i++)
        if (td_pattern_match(patterns.items[i], topic))
            return true;
    return false;
}

int td_principal_check_publish(const struct td_principal *principal, struct td_slice topic)
{
    TD_ASSERT(principal->_magic == MAGIC);
    if (td_topic_reserved(topic))
        return TD_ERESERVED;
    return matches(principal->grants.publish, topic) ? 0 : TD_EFORBIDDEN;
}

enum td_sight td_principal_decide(const struct td_principal *principal, struct td_slice topic,
                                  struct td_slice *ret_pattern)
{
    struct td_slices grants = principal->grants.subscribe, taken = principal->taken;
    bool by_name = !principal->is_admin && td_topic_private(topic);
    enum td_sight sight = TD_BLIND_UNGRANTED;

    TD_ASSERT(principal->_magic == MAGIC);
    *ret_pattern = (struct td_slice){NULL, 0};
    for (size_t i = 0; i < taken.n; i++) {
        if (td_pattern_match(taken.items[i], topic)) {
            *ret_pattern = taken.items[i];
            return TD_BLIND_TAKEN;
        }
    }
    if (!principal->is_admin && td_topic_audit(topic))
        return TD_BLIND_AUDIT;
    for (size_t i = 0; i < grants.n; i++) {
        if (!td_pattern_match(grants.items[i], topic))
            continue;
        *ret_pattern = grants.items[i];
        if (!by_name || !begins_wild(grants.items[i]))
            return TD_SEES;
        sight = TD_BLIND_PRIVATE;
    }
    return sight;
}

/* Whether nothing of `part`, which `grant` was intersected to, is reached by it. */
static bool is_out_of_reach(const struct td_principal *principal, struct td_slice grant,
                            struct td_slice part)
{
    for (size_t i = 0; i < principal->taken.n; i++)
        if (td_pattern_covers(principal->taken.items[i], part))
            return true;
    return !principal->is_admin &&
           (td_topic_audit(part) || (begins_wild(grant) && td_topic_private(part)));
}

/* Whether a pattern may match what the principal does not see. */
static bool has_to_be_checked(const struct td_principal *principal, struct td_slice pattern)
{
    char both[TD_TOPIC_LEN_MAX + 1];

    for (size_t i = 0; i < principal->taken.n; i++)
        if (td_pattern_intersect(principal->taken.items[i], pattern, both) != 0)
            return true;
    return !principal->is_admin && begins_wild(pattern);
}

int td_principal_intersect(const struct td_principal *principal, struct td_slice pattern,
                           struct td_buf *text, struct td_slice ret_patterns[TD_GRANTS_MAX],
                           bool *ret_check)
{
    struct td_slices grants = principal->grants.subscribe;
    struct td_pattern_set set = {.text = text};
    bool check = false;

    TD_ASSERT(principal->_magic == MAGIC);
    for (size_t i = 0; i < grants.n; i++) {
        char both[TD_TOPIC_LEN_MAX + 1];
        int len = td_pattern_intersect(pattern, grants.items[i], both);
        if (len <= 0) /* nothing in common, or only what is too long to be a topic */
            continue;
        struct td_slice part = td_slice(both, (size_t)len);
        if (is_out_of_reach(principal, grants.items[i], part))
            continue;
        /* What is covered by a pattern that begins with a wildcard is sorted out record by record. */
        int r = td_pattern_set_add(&set, part, td_pattern_covers);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < set.n; i++) {
        ret_patterns[i] = td_pattern_set_item(&set, i);
        check |= has_to_be_checked(principal, ret_patterns[i]);
    }
    *ret_check = check;
    return (int)set.n;
}
