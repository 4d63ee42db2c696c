/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated disk keeps its promises: what is synced stays, what is not is torn in ways that a real disk knows. */
#include "base/assert.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"
#include "os/sim/sim.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RDWR (TD_FILE_READ | TD_FILE_WRITE | TD_FILE_CREATE)

static int begin(uint64_t seed)
{
    td_sim_reset(seed);
    assert_int_equal(td_dir_make("d/e"), 0);
    int file = td_file_open("d/e/f", RDWR);
    assert_true(file > 0);
    return file;
}

static void put(int file, char fill, size_t len, uint64_t at)
{
    char bytes[8192];

    assert_true(len <= sizeof bytes);
    memset(bytes, fill, len);
    assert_int_equal(td_file_write_at(file, bytes, len, at), 0);
}

static void durable(int file)
{
    assert_int_equal(td_file_sync(file), 0);
    assert_int_equal(td_dir_sync("d/e"), 0);
}

static void power_loss(void)
{
    td_sim_disk_crash();
    assert_int_equal(td_file_open("d/e/f", TD_FILE_READ), -EIO);
    td_sim_boot();
}

/* Reads the file whole; its size, or -ENOENT. */
static int64_t get(char *ret_bytes, size_t cap)
{
    int file = td_file_open("d/e/f", TD_FILE_READ);

    if (file < 0)
        return file;
    int64_t n = td_file_read_at(file, ret_bytes, cap, 0);
    td_file_close(file);
    return n;
}

static void test_synced_stays(void **state)
{
    char bytes[3000];

    for (uint64_t seed = 0; seed < 50; seed++) {
        int file = begin(seed);

        put(file, 'a', 1000, 0);
        durable(file);
        put(file, 'b', 1000, 1000);
        power_loss();
        int64_t n = get(bytes, sizeof bytes);
        assert_in_range(n, 1000, 2000);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(bytes[i], 'a');
        for (int64_t i = 1000; i < n; i++)
            assert_true(bytes[i] == 'b' || bytes[i] == 0);
    }
}

/* Over the seeds an unsynced write is seen whole, not at all, and torn; and torn only between sectors. */
static void test_unsynced_tears(void **state)
{
    unsigned whole = 0, none = 0, torn = 0;
    char bytes[4096];

    for (uint64_t seed = 0; seed < 200; seed++) {
        int file = begin(seed);

        assert_int_equal(td_file_allocate(file, 4096), 0);
        durable(file);
        put(file, 'x', 2000, 100);
        power_loss();
        assert_int_equal(get(bytes, sizeof bytes), 4096);
        unsigned seen = 0;
        for (unsigned i = 0; i < 4096; i++) {
            bool inside = i >= 100 && i < 2100;

            assert_true(bytes[i] == 0 || (inside && bytes[i] == 'x'));
            seen += bytes[i] == 'x';
            if (inside && i > 100 && i % 512 != 0)
                assert_int_equal(bytes[i], bytes[i - 1]);
        }
        whole += seen == 2000;
        none += seen == 0;
        torn += seen > 0 && seen < 2000;
    }
    assert_true(whole > 20 && none > 20 && torn > 20);
}

/* Within a sector what was written later never survives without what was written earlier. */
static void test_sectors_have_a_history(void **state)
{
    unsigned later = 0;
    char bytes[512];

    for (uint64_t seed = 0; seed < 100; seed++) {
        int file = begin(seed);

        assert_int_equal(td_file_allocate(file, 512), 0);
        durable(file);
        put(file, 'a', 100, 0);
        put(file, 'b', 100, 100);
        power_loss();
        assert_int_equal(get(bytes, sizeof bytes), 512);
        if (bytes[100] == 'b') {
            assert_int_equal(bytes[0], 'a');
            later++;
        }
    }
    assert_true(later > 20);
}

static void test_cut_is_all_or_nothing(void **state)
{
    unsigned cut = 0, old = 0;
    char bytes[2048];

    for (uint64_t seed = 0; seed < 100; seed++) {
        int file = begin(seed);

        put(file, 'a', 2000, 0);
        durable(file);
        assert_int_equal(td_file_truncate(file, 100), 0);
        put(file, 'b', 100, 100);
        power_loss();
        int64_t n = get(bytes, sizeof bytes);
        if (n == 2000) {
            assert_int_equal(bytes[150], 'a');
            assert_int_equal(bytes[1999], 'a');
            old++;
        } else {
            assert_in_range(n, 100, 200);
            assert_int_equal(bytes[99], 'a');
            cut++;
        }
    }
    assert_true(cut > 20 && old > 20);
}

static void test_names(void **state)
{
    unsigned gone = 0, there = 0;

    for (uint64_t seed = 0; seed < 100; seed++) {
        char byte;
        int file = begin(seed);

        put(file, 'o', 1, 0);
        durable(file);
        /* A file that was synced, under a name that was not. */
        int other = td_file_open("d/e/g", RDWR | TD_FILE_EXCLUSIVE);
        put(other, 'n', 1, 0);
        assert_int_equal(td_file_sync(other), 0);
        assert_int_equal(td_path_rename("d/e/g", "d/e/f"), 0);
        power_loss();
        /* A rename is atomic: f is the old file or the new one. */
        assert_int_equal(get(&byte, 1), 1);
        assert_true(byte == 'o' || byte == 'n');
        there += byte == 'n';
        gone += byte == 'o';
        assert_true(byte == 'o' || td_file_open("d/e/g", TD_FILE_READ) == -ENOENT);
    }
    assert_true(gone > 10 && there > 10);
    /* Once the directory is synced there is no doubt. */
    for (uint64_t seed = 0; seed < 20; seed++) {
        int file = begin(seed);
        char byte;

        put(file, 'o', 1, 0);
        durable(file);
        assert_int_equal(td_file_store("d/e/f", TD_S("n")), 0);
        power_loss();
        assert_int_equal(get(&byte, 1), 1);
        assert_int_equal(byte, 'n');
        assert_int_equal(td_path_unlink("d/e/f"), 0);
        assert_int_equal(td_dir_sync("d/e/"), 0);
        power_loss();
        assert_int_equal(get(&byte, 1), -ENOENT);
    }
}

static void test_kill_keeps_what_was_written(void **state)
{
    int file = begin(1);
    char byte;

    put(file, 'k', 1, 0);
    assert_int_equal(td_file_lock(file), 0);
    td_sim_disk_kill();
    assert_int_equal(td_file_write_at(file, "x", 1, 0), -EIO);
    assert_int_equal(td_file_sync(file), -EIO);
    td_file_close(file);
    td_sim_boot();
    assert_int_equal(get(&byte, 1), 1);
    assert_int_equal(byte, 'k');
    file = td_file_open("d/e/f", TD_FILE_READ);
    assert_int_equal(td_file_lock(file), 0);
    int second = td_file_open("d/e/f", TD_FILE_READ);
    assert_int_equal(td_file_lock(second), -EAGAIN);
    td_file_close(file);
    assert_int_equal(td_file_lock(second), 0);
    td_file_close(second);
}

static void test_mapping_sees_later_writes_and_outlives_the_crash(void **state)
{
    const char *bytes = NULL;
    int file = begin(2);

    assert_int_equal(td_file_allocate(file, 8192), 0);
    assert_int_equal(td_file_map(file, 8192, &bytes), 0);
    assert_int_equal(bytes[5000], 0);
    put(file, 'm', 10, 5000);
    assert_int_equal(bytes[5009], 'm');
    td_sim_disk_crash();
    assert_int_equal(bytes[5009], 'm');
    assert_int_equal(td_sim_files_open(), 0);
    assert_int_equal(td_sim_maps_open(), 1);
    td_file_unmap(bytes, 8192);
    assert_int_equal(td_sim_maps_open(), 0);
    td_sim_boot();
}

static void test_full_disk(void **state)
{
    int file = begin(3);
    uint64_t left = 0, size = 0;

    td_sim_disk_set(&(struct td_sim_disk_faults){.space_bytes = 16384});
    assert_int_equal(td_file_allocate(file, 8192), 0);
    assert_int_equal(td_disk_free("d/e", &left), 0);
    assert_int_equal(left, 8192);
    assert_int_equal(td_file_allocate(file, 16385), -ENOSPC);
    int other = td_file_open("d/e/g", RDWR);
    put(other, 'g', 8192, 0);
    assert_int_equal(td_file_write_at(other, "x", 1, 8192), -ENOSPC);
    /* What was allocated can still be written. */
    put(file, 'f', 8192, 0);
    /* Space of a file without a name comes back when it is closed. */
    assert_int_equal(td_path_unlink("d/e/g"), 0);
    assert_int_equal(td_file_allocate(file, 16384), -ENOSPC);
    td_file_close(other);
    assert_int_equal(td_file_allocate(file, 16384), 0);
    assert_int_equal(td_file_size(file, &size), 0);
    assert_int_equal(size, 16384);
    assert_int_equal(td_sim_disk_used_bytes(), 16384);
}

static void test_failed_sync_is_not_made_good_by_the_next(void **state)
{
    unsigned lost = 0;

    for (uint64_t seed = 0; seed < 50; seed++) {
        char byte = 0;
        int file = begin(seed);

        assert_int_equal(td_file_allocate(file, 512), 0);
        durable(file);
        td_sim_disk_set(&(struct td_sim_disk_faults){.fail_write_in = 2, .fail_sync_in = 1});
        put(file, 's', 1, 0);
        assert_int_equal(td_file_sync(file), -EIO);
        assert_int_equal(td_file_sync(file), 0);
        assert_int_equal(td_file_read_at(file, &byte, 1, 0), 1);
        assert_int_equal(byte, 's');
        assert_int_equal(td_file_write_at(file, "t", 1, 511), -EIO);
        power_loss();
        assert_int_equal(get(&byte, 1), 1);
        lost += byte != 's';
    }
    assert_true(lost > 5 && lost < 45);
}

static void test_dies_in_the_middle(void **state)
{
    int file = begin(4);

    td_sim_disk_set(&(struct td_sim_disk_faults){.die_in = 2});
    put(file, 'a', 10, 0);
    assert_false(td_sim_dead());
    assert_int_equal(td_file_write_at(file, "bbbb", 4, 10), -EIO);
    assert_true(td_sim_dead());
    assert_int_equal(td_file_sync(file), -EIO);
    td_sim_disk_kill();
    td_sim_boot();
    file = td_file_open("d/e/f", TD_FILE_READ);
    uint64_t size = 0;
    assert_int_equal(td_file_size(file, &size), 0);
    assert_in_range(size, 10, 14);
    td_file_close(file);
}

static void test_flip_stays(void **state)
{
    int file = begin(5);
    char byte;

    put(file, 'a', 10, 0);
    durable(file);
    assert_int_equal(td_sim_disk_flip("d/e/f", 0, 1), 0);
    assert_int_equal(td_file_read_at(file, &byte, 1, 0), 1);
    assert_int_equal(byte, 'a' ^ 2);
    power_loss();
    assert_int_equal(get(&byte, 1), 1);
    assert_int_equal(byte, 'a' ^ 2);
    assert_int_equal(td_sim_disk_flip("d/e/f", 10, 1), -EINVAL);
    assert_int_equal(td_sim_disk_flip("d/e/x", 0, 1), -ENOENT);
}

static int name_seen(const char *name, void *arg)
{
    unsigned *seen = arg;

    *seen |= name[0] == 'f' ? 1 : name[0] == 'g' ? 2 : 4;
    return 0;
}

static void test_directories(void **state)
{
    int file = begin(6);
    unsigned seen = 0;
    const char *path = NULL;
    uint64_t size = 0;

    put(file, 'a', 3, 0);
    td_file_close(td_file_open("d/e/g", RDWR));
    assert_int_equal(td_file_open("d/no/g", RDWR), -ENOENT);
    assert_int_equal(td_file_open("d/e/f", RDWR | TD_FILE_EXCLUSIVE), -EEXIST);
    assert_int_equal(td_dir_list("d/e", name_seen, &seen), 0);
    assert_int_equal(seen, 3);
    assert_int_equal(td_dir_list("d/no", name_seen, &seen), -ENOENT);
    assert_true(td_sim_disk_file(0, &path, &size));
    assert_string_equal(path, "d/e/f");
    assert_int_equal(size, 3);
    assert_false(td_sim_disk_file(2, &path, &size));
    td_file_close(file);
}

static void test_same_seed_same_run(void **state)
{
    uint64_t first[2], words[2];
    char bytes[2][4096];
    int64_t n[2];

    for (int i = 0; i < 2; i++) {
        int file = begin(77);

        td_random_bytes(&words[i], sizeof words[i]);
        put(file, 'a', 4000, 0);
        assert_int_equal(td_dir_sync("d/e"), 0);
        power_loss();
        memset(bytes[i], 0, sizeof bytes[i]);
        n[i] = get(bytes[i], sizeof bytes[i]);
        td_sim_advance(5 * TD_NS_PER_MS);
        first[i] = td_clock_ns();
    }
    assert_int_equal(words[0], words[1]);
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], sizeof bytes[0]);
    assert_int_equal(first[0], first[1]);
    td_unix_ms wall = td_clock_unix_ms();
    td_sim_jump_wall(-3600000);
    assert_int_equal(td_clock_unix_ms(), wall - 3600000);
    assert_int_equal(td_clock_ns(), first[1]);
}

static int end(void **state)
{
    td_sim_reset(0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synced_stays),
        cmocka_unit_test(test_unsynced_tears),
        cmocka_unit_test(test_sectors_have_a_history),
        cmocka_unit_test(test_cut_is_all_or_nothing),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_kill_keeps_what_was_written),
        cmocka_unit_test(test_mapping_sees_later_writes_and_outlives_the_crash),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_failed_sync_is_not_made_good_by_the_next),
        cmocka_unit_test(test_dies_in_the_middle),
        cmocka_unit_test(test_flip_stays),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_same_seed_same_run),
    };

    td_expect_aborts = true;
    return cmocka_run_group_tests(tests, NULL, end);
}
