/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/heap.h"
#include "base/rng.h"

#define NODES 200

static void come_in_order(void **state)
{
    struct td_heap heap = {0};
    struct td_heap_node nodes[5] = {0};
    const uint64_t at[5] = {30, 10, 50, 10, UINT64_MAX};
    const uint64_t wanted[5] = {10, 10, 30, 50, UINT64_MAX};

    (void)state;
    assert_null(heap.first);
    for (size_t i = 0; i < 5; i++)
        td_heap_add(&heap, &nodes[i], at[i]);
    for (size_t i = 0; i < 5; i++) {
        struct td_heap_node *first = heap.first;
        assert_int_equal(first->at, wanted[i]);
        td_heap_remove(&heap, first);
        assert_false(td_heap_has(first));
    }
    assert_null(heap.first);
}

/* Added and taken out in any order, the first is always the least of those that are in. */
static void the_first_is_the_least(void **state)
{
    static struct td_heap_node nodes[NODES];
    struct td_heap heap = {0};
    struct td_rng rng;

    (void)state;
    td_rng_init(&rng, 7);
    for (int step = 0; step < 20000; step++) {
        struct td_heap_node *node = &nodes[td_rng_below(&rng, NODES)];
        if (td_heap_has(node))
            td_heap_remove(&heap, node);
        else
            td_heap_add(&heap, node, td_rng_below(&rng, 50));
        uint64_t least = UINT64_MAX;
        size_t n = 0;
        for (size_t i = 0; i < NODES; i++) {
            if (!td_heap_has(&nodes[i]))
                continue;
            n++;
            least = TD_MIN(least, nodes[i].at);
        }
        assert_int_equal(heap.first != NULL, n > 0);
        if (n > 0)
            assert_int_equal(heap.first->at, least);
    }
}

static void one_that_is_in_no_heap_stays_so(void **state)
{
    struct td_heap heap = {0};
    struct td_heap_node in = {0}, out = {0};

    (void)state;
    td_heap_add(&heap, &in, 1);
    td_heap_remove(&heap, &out);
    assert_ptr_equal(heap.first, &in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_in_order),
        cmocka_unit_test(the_first_is_the_least),
        cmocka_unit_test(one_that_is_in_no_heap_stays_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
