/* SPDX-License-Identifier: Apache-2.0 */
/* A principal: who a token speaks for, and what that subject may do, compiled once when the token is verified.
 *
 * Grants.  Every subject may subscribe `users/{sub}/**` and `enhance/{sub}/**`.  A token with a `tidings` claim has that
 * claim's grants besides; one without has the default ones and those of its roles.  The role `admin` may do everything, whatever
 * else its token says, except publish to reserved topics, which only the server writes.
 *
 * Some topics are private (td_topic_private): a grant reaches them only when it names their first segment, so that a `**` or a `*` in that
 * place does not open everybody's jobs; and `audit/**` is seen by an admin only, whatever is granted.  Patterns cannot say "all but", so
 * td_principal_intersect leaves out what lies wholly inside and says when the rest may still touch private topics; the reader of
 * the log then asks td_principal_excludes for each record.
 *
 * What a revocation has taken from a subject is seen by nobody, not even by an admin: patterns can't say that either.
 *
 * Immutable but for its counter, and for the revision as of which it stands.  References are counted without atomics: a principal stays on the thread
 * that made it. */
#pragma once

#include "auth/token.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "base/topic.h"
#include "base/units.h"
#include <stdatomic.h>
#include <stdbool.h>

/* Patterns that a principal holds for subscribing, or for publishing: a token's, and those of its own topics. */
#define TD_GRANTS_MAX (TD_TOKEN_PATTERNS_MAX + 2)

struct td_role {
    struct td_slice name; /* compared without regard to case */
    struct td_grants grants;
};

/* What has been taken from a subject since its tokens were issued. */
#define TD_TAKEN_MAX 64
struct td_taken {
    td_unix_ms before; /* tokens issued before this are not valid; 0: all are */
    struct td_slice
        *patterns; /* that it may not subscribe, whatever is granted: valid, at most TD_TAKEN_MAX */
    size_t n;
};

/* Who knows that: a table that others change meanwhile. */
struct td_revocations {
    _Atomic uint64_t revision; /* raised with each change, behind it */
    /* Calls `look` with what has been taken from a subject, by its segment, unless that is nothing; `look` keeps nothing of it.  Any thread. */
    void (*find)(struct td_revocations *revocations, struct td_slice segment,
                 void (*look)(void *arg, const struct td_taken *taken), void *arg);
};

/* What configuration grants.  In its patterns `{sub}` stands for the subject's segment. */
struct td_policy {
    struct td_grants default_grants;
    const struct td_role *roles;
    size_t n_roles;
    uint64_t version; /* another number when it may say something else: see td_principal_renew */
    struct td_revocations *revocations; /* NULL: there are none */
};

struct td_principal {
    struct td_slice subject;      /* as the token says it */
    struct td_slice segment;      /* as topics say it: bytes outside A-Za-z0-9._@:- as ~XX */
    struct td_slice subject_json; /* as a JSON string with its quotes, for `actor` and `user` */
    td_unix_ms exp;               /* TD_EXP_NEVER: does not expire */
    td_unix_ms iat;               /* 0: unknown */
    bool is_admin;
    bool is_public;         /* nobody: made by td_principal_new_public */
    struct td_slices roles; /* as the token says them */
    struct td_grants
        grants; /* none reaches nothing but what another reaches; texts live as long as the principal */
    struct td_slices taken;        /* patterns that it may not subscribe all the same */
    uint64_t revision;             /* of the revocations, as of which that is so */
    bool by_policy;                /* its grants are the policy's of this … */
    uint64_t policy_version;       /* … version */
    struct td_principal *_renewed; /* what td_principal_renew made of it last; a reference */
    uint32_t _refs;
    uint32_t _magic;
};

/* Compiles claims under a policy whose patterns have passed td_policy_pattern_valid.  0 with one reference; TD_EUNAUTHORIZED
 * when the subject does not fit in a segment or there are more than TD_GRANTS_MAX patterns, or -ENOMEM; then `*reason` is a
 * static sentence. */
TD_MUST_USE int td_principal_new(const struct td_claims *claims, const struct td_policy *policy,
                                 struct td_principal **ret_principal, const char **reason);
/* Who comes without a token to what is open to everyone: may subscribe these valid patterns, at most TD_GRANTS_MAX, and nothing else.  Its
 * subject is empty, and `null` in JSON.  0 with one reference, or -ENOMEM. */
TD_MUST_USE int td_principal_new_public(struct td_slices subscribe,
                                        struct td_principal **ret_principal);
/* Whether the principal is what its claims come to under this policy. */
static inline bool td_principal_is_current(const struct td_principal *principal,
                                           const struct td_policy *policy)
{
    return (!principal->by_policy || principal->policy_version == policy->version) &&
           (!policy->revocations || principal->is_public ||
            principal->revision ==
                atomic_load_explicit(&policy->revocations->revision, memory_order_acquire));
}
/* What the claims of `old` come to under another policy, or after a revocation (then TD_EUNAUTHORIZED when its token is not valid any more): 0 with one reference, which connections that shared `old` share again.  Errors as
 * td_principal_new. */
TD_MUST_USE int td_principal_renew(struct td_principal *old, const struct td_policy *policy,
                                   struct td_principal **ret_principal, const char **reason);
/* Whether the token named a role, without regard to case. */
bool td_principal_has_role(const struct td_principal *principal, struct td_slice role);
/* Whether two principals of one subject may do the same. */
bool td_principal_grants_eq(const struct td_principal *a, const struct td_principal *b);
struct td_principal *td_principal_ref(struct td_principal *principal);
/* NULL is fine. */
void td_principal_unref(struct td_principal *principal);

/* Whether a configured pattern is valid once `{sub}` in it is replaced.  (A subject with which it grows beyond the limits of a
 * topic is refused when its token comes.) */
bool td_policy_pattern_valid(struct td_slice pattern);

/* Writes `text` as one segment of a topic: each byte outside A-Za-z0-9._@:- as ~XX (two upper-case hex digits).
 * Returns its length, or TD_ETOOLARGE when it passes TD_SEGMENT_LEN_MAX; TD_EINVAL for the empty text. */
TD_MUST_USE int td_segment_escape(struct td_slice text, char ret_segment[TD_SEGMENT_LEN_MAX + 1]);

/* Whether a valid topic is below `root`: is it, or begins with it and a '/'. */
static inline bool td_topic_below(struct td_slice topic, struct td_slice root)
{
    return td_slice_starts(topic, root) && (topic.len == root.len || topic.ptr[root.len] == '/');
}

static inline bool td_topic_audit(struct td_slice topic)
{
    return td_topic_below(topic, TD_S("audit"));
}

/* Whether a valid topic or pattern begins with the name of what a wildcard does not reach: audit/**, jobs/**, enhance/**. */
static inline bool td_topic_private(struct td_slice topic)
{
    return td_topic_audit(topic) || td_topic_below(topic, TD_S("jobs")) ||
           td_topic_below(topic, TD_S("enhance"));
}

/* Whether only the server writes to a valid topic: audit/**, jobs/**, locks/**, enhance/**. */
static inline bool td_topic_reserved(struct td_slice topic)
{
    return td_topic_audit(topic) || td_topic_below(topic, TD_S("jobs")) ||
           td_topic_below(topic, TD_S("locks")) || td_topic_below(topic, TD_S("enhance"));
}

/* Whether the principal may publish to a valid topic: 0, TD_ERESERVED or TD_EFORBIDDEN. */
TD_MUST_USE int td_principal_check_publish(const struct td_principal *principal,
                                           struct td_slice topic);
static inline bool td_principal_may_publish(const struct td_principal *principal,
                                            struct td_slice topic)
{
    return td_principal_check_publish(principal, topic) == 0;
}

/* Why a principal sees a topic, or does not. */
enum td_sight {
    TD_SEES,            /* by the pattern */
    TD_BLIND_UNGRANTED, /* no grant matches */
    TD_BLIND_PRIVATE, /* a grant matches, the pattern, but a wildcard does not reach what is private */
    TD_BLIND_AUDIT, /* only an admin sees audit */
    TD_BLIND_TAKEN, /* a revocation has taken the pattern */
};
/* Decides whether the principal may see records of a valid topic: the whole question.  `ret_pattern` gets the pattern that decided, or an empty one. */
enum td_sight td_principal_decide(const struct td_principal *principal, struct td_slice topic,
                                  struct td_slice *ret_pattern);
static inline bool td_principal_may_see(const struct td_principal *principal, struct td_slice topic)
{
    struct td_slice pattern;

    return td_principal_decide(principal, topic, &pattern) == TD_SEES;
}

/* The part of that question which patterns cannot answer; cheap.  Asked for each record of a subscription whose intersection
 * said so. */
static inline bool td_principal_excludes(const struct td_principal *principal,
                                         struct td_slice topic)
{
    return (td_topic_private(topic) || principal->taken.n > 0) &&
           !td_principal_may_see(principal, topic);
}

/* The finite set of patterns that together match exactly what a valid pattern and the principal's grants both match, none
 * covered by another.  Their texts are appended to `text`; `ret_patterns` points into it, so it is good until `text` changes.
 *
 * Returns how many, 0 when nothing may be seen, or the error of the buffer (TD_ETOOLARGE: give it TD_INTERSECT_TEXT_MAX).
 * `*ret_check` (written on success): some pattern may match private topics or what has been taken, which td_principal_excludes has to sort out. */
#define TD_INTERSECT_TEXT_MAX ((size_t)TD_GRANTS_MAX * TD_TOPIC_LEN_MAX)
TD_MUST_USE int td_principal_intersect(const struct td_principal *principal,
                                       struct td_slice pattern, struct td_buf *text,
                                       struct td_slice ret_patterns[TD_GRANTS_MAX],
                                       bool *ret_check);
