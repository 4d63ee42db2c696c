/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/groups.h"
#include "base/assert.h"
#include "base/err.h"
#include "journal/hash.h"
#include <errno.h>
#include <stdlib.h>

static int check(const struct td_journal_options *options, size_t *ret_bytes)
{
    size_t bytes = 0;

    if (options->n_groups > TD_GROUPS_MAX)
        return TD_EINVAL;
    for (size_t i = 0; i < options->n_groups; i++) {
        const struct td_retention_group *group = &options->groups[i];
        if (group->name.len == 0 || group->n_patterns > TD_GROUP_PATTERNS_MAX)
            return TD_EINVAL;
        for (size_t j = 0; j < i; j++)
            if (td_slice_eq(options->groups[j].name, group->name))
                return TD_EINVAL;
        bytes += group->name.len;
        for (size_t j = 0; j < group->n_patterns; j++) {
            if (!td_pattern_valid(group->patterns[j]))
                return TD_EINVAL;
            bytes += group->patterns[j].len;
        }
    }
    *ret_bytes = bytes;
    return 0;
}

static struct td_slice copy(char **at, struct td_slice text)
{
    struct td_slice copied = td_slice(*at, text.len);

    memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copied;
}

static int copy_group(struct td_group *group, const struct td_retention_group *from, char **at)
{
    struct td_hash hash;
    uint64_t id[2];

    *group = (struct td_group){
        .name = copy(at, from->name),
        .patterns = calloc(from->n_patterns + 1, sizeof(struct td_slice)),
        .n_patterns = from->n_patterns,
        .retain_bytes = from->retain_bytes,
        .retain_ms = from->retain_ms,
        .state_ttl_ms = from->state_ttl_ms,
    };
    if (!group->patterns)
        return -ENOMEM;
    td_hash_init(&hash, 1, 2);
    td_hash_field(&hash, group->name);
    for (size_t i = 0; i < from->n_patterns; i++) {
        group->patterns[i] = copy(at, from->patterns[i]);
        td_hash_field(&hash, group->patterns[i]);
    }
    td_hash_end(&hash, id);
    group->id = id[0];
    return 0;
}

int td_groups_init(struct td_groups *groups, const struct td_journal_options *options)
{
    size_t bytes;
    int r = check(options, &bytes);

    *groups = (struct td_groups){.n = 1};
    if (r < 0)
        return r;
    groups->texts = malloc(bytes + 1);
    if (!groups->texts)
        return -ENOMEM;
    groups->n = 1 + options->n_groups;
    groups->at[0] = (struct td_group){
        .retain_bytes = options->retain_bytes,
        .retain_ms = options->retain_ms,
        .state_ttl_ms = options->state_ttl_ms,
    };
    char *at = groups->texts;
    for (size_t i = 1; i < groups->n && r == 0; i++) {
        r = copy_group(&groups->at[i], &options->groups[i - 1], &at);
        groups->id = groups->id * 31 + groups->at[i].id;
    }
    return r;
}

void td_groups_done(struct td_groups *groups)
{
    for (size_t i = 0; i < groups->n; i++)
        free(groups->at[i].patterns);
    free(groups->texts);
    *groups = (struct td_groups){0};
}

unsigned td_groups_of(const struct td_groups *groups, struct td_slice topic)
{
    for (size_t i = 1; i < groups->n; i++)
        for (size_t j = 0; j < groups->at[i].n_patterns; j++)
            if (td_pattern_match(groups->at[i].patterns[j], topic))
                return (unsigned)i;
    return 0;
}

bool td_group_meets(const struct td_group *group, struct td_slice pattern)
{
    char both[TD_TOPIC_LEN_MAX + 1];

    if (group->name.len == 0)
        return true;
    for (size_t i = 0; i < group->n_patterns; i++)
        if (td_pattern_intersect(group->patterns[i], pattern, both) != 0)
            return true;
    return false;
}
