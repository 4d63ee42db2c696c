/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file.  Each thing that is wrong is one line that names the file and a line of it; a file is read the same way twice;
 * and what was read, of plain options, is within the bounds of the table. */
#include "base/err.h"
#include "fuzz.h"
#include "server/config_schema.h"
#include <stdlib.h>

#define TEXT_MAX 8192

static void must(bool holds)
{
    if (!holds)
        abort();
}

static size_t check_errors(struct td_slice errors)
{
    struct td_slice rest = errors, line;
    size_t n = 0;

    while (td_slice_split(&rest, '\n', &line)) {
        uint64_t number = 0;
        if (line.len == 0)
            continue;
        n++;
        must(td_slice_starts(line, TD_S("tidings.yaml:")));
        line = td_slice_from(line, sizeof("tidings.yaml:") - 1);
        struct td_slice digits = {NULL, 0};
        must(td_slice_split(&line, ':', &digits) && td_slice_u64(digits, &number) == 0);
        must(number >= 1 && number <= TEXT_MAX + 1);
        must(line.len > 1);
    }
    return n;
}

static void check_values(const struct td_config *config)
{
    for (size_t i = 0; i < td_config_n_options; i++) {
        const struct td_config_option *option = &td_config_options[i];
        const char *at = (const char *)config + option->offset;
        if (option->type != TD_CONFIG_NUMBER && option->type != TD_CONFIG_BYTES &&
            option->type != TD_CONFIG_DURATION)
            continue;
        uint64_t value;
        memcpy(&value, at, sizeof(value));
        must(value == 0 || (value >= option->min && value <= option->max));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_config *configs[2];
    struct td_buf errors[2] = {TD_BUF_INIT(TD_CONFIG_ERRORS_MAX),
                               TD_BUF_INIT(TD_CONFIG_ERRORS_MAX)};
    struct td_slice text = td_slice(size ? (const char *)data : "", size);

    if (size > TEXT_MAX)
        return 0;
    for (int i = 0; i < 2; i++) {
        configs[i] = calloc(1, sizeof(struct td_config));
        must(configs[i] != NULL);
        td_config_read_yaml(configs[i], "tidings.yaml", text, &errors[i]);
    }
    (void)check_errors(td_buf_slice(&errors[0]));
    check_values(configs[0]);
    must(td_slice_eq(td_buf_slice(&errors[0]), td_buf_slice(&errors[1])));
    must(td_config_diff_fixed(configs[0], configs[1], &errors[1]) == 0);
    for (int i = 0; i < 2; i++) {
        td_config_release(configs[i]);
        free(configs[i]);
        td_buf_done(&errors[i]);
    }
    return 0;
}
