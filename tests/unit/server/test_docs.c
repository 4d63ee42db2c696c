/* SPDX-License-Identifier: Apache-2.0 */
/* docs/configuration.md says what the table says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "os/file.h"
#include "server/config.h"

static const char *path;

static void docs_are_fresh(void **state)
{
    struct td_buf made = TD_BUF_INIT(TD_MIB), kept = TD_BUF_INIT(TD_MIB);

    td_config_put_docs(&made);
    assert_int_equal(made.err, 0);
    assert_int_equal(td_file_load(path, &kept), 0);
    bool fresh = td_slice_eq(td_buf_slice(&made), td_buf_slice(&kept));
    td_buf_done(&made);
    td_buf_done(&kept);
    if (!fresh)
        fail_msg("stale: run 'tidings check --print-docs > docs/configuration.md'");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(docs_are_fresh)};

    if (argc != 2)
        return 2;
    path = argv[1];
    return cmocka_run_group_tests_name("docs", tests, NULL, NULL);
}
