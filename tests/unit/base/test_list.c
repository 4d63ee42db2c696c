/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int number;
    struct td_list node;
};

static int pop(struct td_list *list)
{
    struct td_list *node = td_list_pop(list);

    return node ? TD_CONTAINER_OF(node, struct item, node)->number : -1;
}

static void test_order(void **state)
{
    struct td_list list;
    struct item items[4];

    td_list_init(&list);
    assert_true(td_list_empty(&list));
    assert_int_equal(pop(&list), -1);
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        td_list_append(&list, &items[i].node);
    }
    td_list_remove(&items[1].node);
    td_list_remove(&items[1].node); /* harmless */
    assert_true(td_list_empty(&items[1].node));
    assert_int_equal(pop(&list), 0);
    td_list_append(&list, &items[0].node);
    assert_int_equal(pop(&list), 2);
    assert_int_equal(pop(&list), 3);
    assert_int_equal(pop(&list), 0);
    assert_true(td_list_empty(&list));
}

static void test_splice(void **state)
{
    struct td_list to, from;
    struct item items[4];

    td_list_init(&to);
    td_list_init(&from);
    td_list_splice(&to, &from);
    assert_true(td_list_empty(&to));
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        td_list_append(i < 2 ? &to : &from, &items[i].node);
    }
    td_list_splice(&to, &from);
    assert_true(td_list_empty(&from));
    td_list_splice(&to, &from);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pop(&to), i);
    assert_int_equal(pop(&to), -1);
    /* Into an empty list, and the other way round. */
    td_list_append(&from, &items[3].node);
    td_list_splice(&to, &from);
    assert_int_equal(pop(&to), 3);
    assert_true(td_list_empty(&to) && td_list_empty(&from));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_splice),
    };

    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
