/* SPDX-License-Identifier: Apache-2.0 */
/* The subjects, what each is granted, and readers made anew: who they are and what they ask for. */
#include "base/assert.h"
#include "server_world.h"

struct subject {
    const char *name;
    const char *grants[4];
};

static const struct subject subjects[SRV_SUBJECTS] = {
    {"root", {"**"}                                          },
    {"all",  {"**"}                                          },
    {"ann",  {"a/**", "p/*/q/1", "users/ann/**"}             },
    {"bob",  {"b/*", "entities/t/*", "a/*/c", "users/bob/**"}},
    {"eve",  {"users/eve/**", "p/**"}                        },
};

const char *srv_subject(unsigned subject)
{
    return subjects[subject].name;
}

bool srv_granted(const struct srv_world *world, unsigned subject, struct td_slice topic)
{
    (void)world;
    for (size_t i = 0; i < TD_ARRAY_LEN(subjects[0].grants) && subjects[subject].grants[i]; i++)
        if (td_pattern_match(td_slice_str(subjects[subject].grants[i]), topic))
            return true;
    return false;
}

bool srv_overlaps(unsigned subject, struct td_slice pattern, bool *ret_loose)
{
    char text[TD_TOPIC_LEN_MAX + 1];
    bool any = false;

    for (size_t i = 0; i < TD_ARRAY_LEN(subjects[0].grants) && subjects[subject].grants[i]; i++) {
        int n = td_pattern_intersect(pattern, td_slice_str(subjects[subject].grants[i]), text);

        any |= n > 0;
        if (ret_loose && n > 0 && memmem(text, (size_t)n, "*/", 2))
            *ret_loose = true;
    }
    return any;
}

static void pattern_new(struct srv_world *world, char *ret_text)
{
    static const char *const wild[] = {"**",    "a/**",     "p/*/q/1", "p/1/**", "*",
                                       "*/b",   "b/*",      "p/*/**",  "*/1",    "entities/**",
                                       "a/*/c", "users/**", "b/**",    "*/x/**"};
    struct td_rng *rng = &world->rng;

    if (td_rng_one_in(rng, 3)) {
        struct td_slice topic = srv_topic((unsigned)td_rng_below(rng, SRV_TOPICS));

        memcpy(ret_text, topic.ptr, topic.len);
        ret_text[topic.len] = 0;
        return;
    }
    const char *text = wild[td_rng_below(rng, TD_ARRAY_LEN(wild))];
    memcpy(ret_text, text, strlen(text) + 1);
}

void srv_reader_new(struct srv_world *world, struct srv_reader *reader)
{
    struct td_rng *rng = &world->rng;
    unsigned number = reader->number;

    *reader = (struct srv_reader){.number = number};
    reader->kind = (enum srv_kind)td_rng_below(rng, SRV_KINDS);
    reader->subject = (unsigned)td_rng_below(rng, SRV_SUBJECTS);
    reader->n_patterns = 1 + (size_t)td_rng_below(rng, SRV_PATTERNS);
    for (size_t i = 0; i < reader->n_patterns; i++) {
        pattern_new(world, reader->patterns[i].text);
        for (size_t j = 0; j < i; j++)
            if (strcmp(reader->patterns[i].text, reader->patterns[j].text) == 0)
                reader->n_patterns = i; /* the last one stands twice: it is left out */
        if (reader->n_patterns == i)
            break;
    }
    if (td_rng_one_in(rng, 5))
        memcpy(reader->type, "t1", 3);
    for (size_t i = 0; i < reader->n_patterns; i++)
        /* What is not granted at all is asked for now and then. */
        if (!srv_overlaps(reader->subject, td_slice_str(reader->patterns[i].text), NULL) &&
            !td_rng_one_in(rng, 12)) {
            const char *grant = subjects[reader->subject].grants[0];

            reader->n_patterns = 1;
            memcpy(reader->patterns[0].text, grant, strlen(grant) + 1);
        }
    reader->limit = 1 + (unsigned)td_rng_below(rng, td_rng_one_in(rng, 2) ? 5 : 60);
    if (td_rng_one_in(rng, 2))
        reader->state = td_rng_one_in(rng, 2) ? SRV_STATE_NEVER : SRV_STATE_FIRST;
    if (td_rng_one_in(rng, 3))
        reader->format = td_rng_one_in(rng, 2) ? "flat" : "entity";
    td_world_say(
        "reader %u: %s, subject %s, %zu patterns, first %s%s%s", number,
        (const char *const[]){"ws", "ws with topics", "sse", "poll", "pages"}[reader->kind],
        subjects[reader->subject].name, reader->n_patterns, reader->patterns[0].text,
        reader->type[0] ? ", type " : "", reader->type);
}
