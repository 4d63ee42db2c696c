/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/reserved.h"
#include "base/topic.h"
#include <errno.h>

void td_reserved_init(struct td_reserved *reserved, uint64_t seed)
{
    td_mutex_init(&reserved->_mutex);
    td_map_init(&reserved->_topics, sizeof(size_t));
    reserved->_seed = seed;
    atomic_init(&reserved->_n, 0);
}

void td_reserved_done(struct td_reserved *reserved)
{
    td_map_done(&reserved->_topics);
    td_mutex_done(&reserved->_mutex);
}

int td_reserved_add(struct td_reserved *reserved, struct td_slice topic)
{
    td_mutex_lock(&reserved->_mutex);
    size_t *n = td_map_put(&reserved->_topics, td_topic_key(reserved->_seed, topic), NULL);
    if (n) {
        ++*n;
        atomic_fetch_add(&reserved->_n, 1);
    }
    td_mutex_unlock(&reserved->_mutex);
    return n ? 0 : -ENOMEM;
}

void td_reserved_drop(struct td_reserved *reserved, struct td_slice topic)
{
    uint64_t key = td_topic_key(reserved->_seed, topic);

    td_mutex_lock(&reserved->_mutex);
    size_t *n = td_map_get(&reserved->_topics, key);
    if (n && --*n == 0)
        td_map_remove(&reserved->_topics, key);
    if (n)
        atomic_fetch_sub(&reserved->_n, 1);
    td_mutex_unlock(&reserved->_mutex);
}

bool td_reserved_has(struct td_reserved *reserved, struct td_slice topic)
{
    if (!reserved || atomic_load(&reserved->_n) == 0)
        return false;
    td_mutex_lock(&reserved->_mutex);
    bool has = td_map_get(&reserved->_topics, td_topic_key(reserved->_seed, topic)) != NULL;
    td_mutex_unlock(&reserved->_mutex);
    return has;
}
