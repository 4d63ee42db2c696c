/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct value {
    uint64_t key, mark;
};

static void test_empty(void **state)
{
    struct td_map map;
    size_t cursor = 0;
    uint64_t key;

    td_map_init(&map, sizeof(struct value));
    assert_null(td_map_get(&map, 1));
    assert_null(td_map_get(&map, 0));
    assert_false(td_map_remove(&map, 1));
    assert_null(td_map_each(&map, &cursor, &key));
    assert_int_equal(td_map_bytes(&map), 0);
    td_map_clear(&map);
    td_map_done(&map);
}

/* 0 marks an empty slot inside, but is a key like any other outside; 1 is not its double. */
static void test_key_zero(void **state)
{
    struct td_map map;
    bool is_new;
    uint64_t key;

    td_map_init(&map, sizeof(struct value));
    struct value *zero = td_map_put(&map, 0, &is_new);
    assert_true(is_new);
    zero->mark = 100;
    struct value *one = td_map_put(&map, 1, &is_new);
    assert_true(is_new);
    assert_int_equal(one->mark, 0);
    one->mark = 101;
    for (uint64_t i = 2; i < 200; i++)
        assert_non_null(td_map_put(&map, i, NULL));
    assert_int_equal(map.len, 200);
    zero = td_map_put(&map, 0, &is_new);
    assert_false(is_new);
    assert_int_equal(zero->mark, 100);
    size_t cursor = 0, seen = 0, zeros = 0;
    while (td_map_each(&map, &cursor, &key)) {
        seen++;
        zeros += key == 0;
    }
    assert_int_equal(seen, 200);
    assert_int_equal(zeros, 1);
    assert_true(td_map_remove(&map, 0));
    assert_false(td_map_remove(&map, 0));
    assert_null(td_map_get(&map, 0));
    assert_int_equal(((struct value *)td_map_get(&map, 1))->mark, 101);
    zero = td_map_put(&map, 0, &is_new);
    assert_true(is_new);
    assert_int_equal(zero->mark, 0);
    td_map_clear(&map);
    assert_null(td_map_get(&map, 0));
    assert_null(td_map_get(&map, 1));
    assert_int_equal(map.len, 0);
    td_map_done(&map);
}

/* Random puts and removes against a plain array.  Keys are small multiples of powers of two, so that they crowd
 * around few homes, the last slots too, and removal has long runs to close. */
static void against_array(uint64_t seed, unsigned shift)
{
    enum { KEYS = 96 };
    uint64_t marks[KEYS] = {0}, key;
    struct td_map map;
    struct td_rng rng;
    size_t len = 0;
    bool is_new;

    td_map_init(&map, sizeof(struct value));
    td_rng_init(&rng, seed);
    for (uint64_t round = 1; round < 4000; round++) {
        size_t i = td_rng_below(&rng, KEYS);
        key = (uint64_t)i << shift ^ (i % 3 == 0 ? 15 : 0);
        /* Waves, so that the table is by turns full and empty. */
        if (td_rng_below(&rng, 8) < (round / 500 % 2 ? 2 : 6)) {
            struct value *value = td_map_put(&map, key, &is_new);
            assert_non_null(value);
            assert_int_equal(is_new, marks[i] == 0);
            assert_int_equal(value->mark, marks[i]);
            len += is_new;
            *value = (struct value){key, round};
            marks[i] = round;
        } else {
            assert_int_equal(td_map_remove(&map, key), marks[i] != 0);
            len -= marks[i] != 0;
            marks[i] = 0;
        }
        assert_int_equal(map.len, len);
        for (size_t k = 0; k < KEYS; k++) {
            struct value *value = td_map_get(&map, (uint64_t)k << shift ^ (k % 3 == 0 ? 15 : 0));
            assert_int_equal(value ? value->mark : 0, marks[k]);
        }
    }
    size_t cursor = 0, seen = 0;
    for (struct value *value; (value = td_map_each(&map, &cursor, &key)); seen++)
        assert_int_equal(value->key, key);
    assert_int_equal(seen, len);
    td_map_done(&map);
}

static void test_against_array(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        against_array(seed, (unsigned)(seed % 6) + 4);
}

/* 3/4 full at most, and cleared without giving back memory. */
static void test_growth(void **state)
{
    struct td_map map;

    td_map_init(&map, 8);
    for (uint64_t i = 1; i <= 1000; i++) {
        assert_non_null(td_map_put(&map, i * UINT64_C(0x9e3779b97f4a7c15), NULL));
        assert_true(map.len * 4 <= (map._mask + 1) * 3);
    }
    assert_in_range(td_map_bytes(&map), 1000 * 16, 2100 * 16);
    size_t bytes = td_map_bytes(&map);
    td_map_clear(&map);
    assert_int_equal(td_map_bytes(&map), bytes);
    td_map_done(&map);
    assert_int_equal(td_map_bytes(&map), 0);
}

/* The linker puts these in place of the allocator (see meson.build): one of the next calls fails. */
static int calls_left = -1;

static bool out_of_memory(void)
{
    return calls_left >= 0 && calls_left-- == 0;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *ptr, size_t n, size_t size);
void *__wrap_reallocarray(void *ptr, size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    return out_of_memory() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *ptr, size_t n, size_t size)
{
    return out_of_memory() ? NULL : __real_reallocarray(ptr, n, size);
}

/* A table that cannot grow says so, keeps what it has, and grows when there is memory again. */
static void test_no_memory(void **state)
{
    struct td_map map;
    uint64_t refused = 0;

    td_map_init(&map, sizeof(uint64_t));
    for (uint64_t i = 1; i <= 100; i++) {
        for (int fail = 0; fail < 2; fail++) {
            calls_left = fail;
            uint64_t *value = td_map_put(&map, i, NULL);
            calls_left = -1;
            if (value)
                break;
            refused++;
            assert_int_equal(map.len, i - 1);
            assert_null(td_map_get(&map, i));
        }
        uint64_t *value = td_map_put(&map, i, NULL);
        assert_non_null(value);
        *value = i;
        for (uint64_t k = 1; k <= i; k++)
            assert_int_equal(*(uint64_t *)td_map_get(&map, k), k);
    }
    assert_int_equal(refused, 2 * 5); /* 0 to 16, 32, 64, 128, 256 slots */
    td_map_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),         cmocka_unit_test(test_key_zero),
        cmocka_unit_test(test_against_array), cmocka_unit_test(test_growth),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
