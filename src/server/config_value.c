/* SPDX-License-Identifier: Apache-2.0 */
/* Text to value, and the memory that values lie in. */
#include "base/assert.h"
#include "base/err.h"
#include "server/config_schema.h"

struct td_config_block {
    struct td_config_block *next;
    max_align_t bytes[];
};

void *td_config_alloc(struct td_config *config, size_t size)
{
    struct td_config_block *block = calloc(1, sizeof(*block) + size);

    TD_ASSERT(block);
    block->next = config->_blocks;
    config->_blocks = block;
    return block->bytes;
}

void td_config_release(struct td_config *config)
{
    while (config->_blocks) {
        struct td_config_block *next = config->_blocks->next;
        free(config->_blocks);
        config->_blocks = next;
    }
}

struct td_slice td_config_copy(struct td_config *config, struct td_slice text)
{
    char *copy = td_config_alloc(config, text.len + 1);

    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return td_slice(copy, text.len);
}

void *td_config_append(struct td_config *config, struct td_config_array *array, size_t size)
{
    bool full = (array->n & (array->n - 1)) == 0; /* it has room for the next power of two */

    if (full) {
        void *items = td_config_alloc(config, size * TD_MAX((size_t)1, array->n * 2));
        if (array->n > 0)
            memcpy(items, array->items, array->n * size);
        array->items = items;
    }
    return (char *)array->items + array->n++ * size;
}

struct unit {
    struct td_slice name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {{"ms", 2}, 1       },
    {{"s", 1},  1000    },
    {{"m", 1},  60000   },
    {{"h", 1},  3600000 },
    {{"d", 1},  86400000},
};

static const struct unit size_units[] = {
    {{"", 0},    1                },
    {{"KiB", 3}, (uint64_t)1 << 10},
    {{"MiB", 3}, (uint64_t)1 << 20},
    {{"GiB", 3}, (uint64_t)1 << 30},
    {{"TiB", 3}, (uint64_t)1 << 40},
};

/* A number and one of the units. */
static bool parse_units(struct td_slice text, const struct unit *units, size_t n_units,
                        uint64_t *ret_value)
{
    size_t digits = 0;
    uint64_t number;

    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (td_slice_u64(td_slice_to(text, digits), &number) < 0)
        return false;
    struct td_slice unit = td_slice_from(text, digits);
    for (size_t i = 0; i < n_units; i++) {
        if (!td_slice_eq(unit, units[i].name) || number > UINT64_MAX / units[i].factor)
            continue;
        *ret_value = number * units[i].factor;
        return true;
    }
    return false;
}

int td_config_duration(struct td_slice text, uint64_t *ret_ms)
{
    if (td_slice_eq(text, TD_S("0"))) {
        *ret_ms = 0;
        return 0;
    }
    return parse_units(text, duration_units, TD_ARRAY_LEN(duration_units), ret_ms) ? 0 : TD_EINVAL;
}

static bool parse_number(const struct td_config_option *option, struct td_slice text,
                         uint64_t *ret_value)
{
    uint64_t value;
    bool good = false;

    if (option->type == TD_CONFIG_NUMBER)
        good = td_slice_u64(text, &value) == 0;
    else if (option->type == TD_CONFIG_BYTES)
        good = parse_units(text, size_units, TD_ARRAY_LEN(size_units), &value);
    else
        good = td_config_duration(text, &value) == 0;
    if (!good || value > option->max || (value < option->min && !(value == 0 && option->off)))
        return false;
    *ret_value = value;
    return true;
}

static bool parse_bool(struct td_slice text, bool *ret_value)
{
    bool yes = td_slice_eq(text, TD_S("true"));

    if (!yes && !td_slice_eq(text, TD_S("false")))
        return false;
    *ret_value = yes;
    return true;
}

static bool parse_word(const char *const *words, struct td_slice text, unsigned *ret_index)
{
    for (unsigned i = 0; words[i]; i++) {
        if (td_slice_eq(td_slice_str(words[i]), text)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool text_valid(const struct td_config_option *option, struct td_slice text)
{
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return false;
    return !option->valid || option->valid(text);
}

bool td_config_add(struct td_config *config, void *base, const struct td_config_option *option,
                   struct td_slice text)
{
    struct td_config_array *list = (void *)((char *)base + option->offset);

    TD_ASSERT(option->type == TD_CONFIG_LIST);
    if (!text_valid(option, text))
        return false;
    struct td_slice copy = td_config_copy(config, text);
    *(struct td_slice *)td_config_append(config, list, sizeof(copy)) = copy;
    return true;
}

/* Replaces a list by comma-separated elements; the empty text is the empty list. */
static bool set_list(struct td_config *config, void *base, const struct td_config_option *option,
                     struct td_slice text)
{
    struct td_config_array *list = (void *)((char *)base + option->offset);
    struct td_config_array old = *list;
    struct td_slice item;

    *list = (struct td_config_array){NULL, 0};
    while (text.len > 0 && td_slice_split(&text, ',', &item)) {
        if (!td_config_add(config, base, option, td_slice_trim(item))) {
            *list = old;
            return false;
        }
    }
    return true;
}

bool td_config_set(struct td_config *config, void *base, const struct td_config_option *option,
                   struct td_slice text)
{
    void *place = (char *)base + option->offset;

    switch (option->type) {
    case TD_CONFIG_BOOL: return parse_bool(text, place);
    case TD_CONFIG_NUMBER:
    case TD_CONFIG_BYTES:
    case TD_CONFIG_DURATION: return parse_number(option, text, place);
    case TD_CONFIG_WORD: return parse_word(option->words, text, place);
    case TD_CONFIG_TEXT:
        if (!text_valid(option, text))
            return false;
        *(struct td_slice *)place = td_config_copy(config, text);
        return true;
    case TD_CONFIG_LIST: return set_list(config, base, option, text);
    case TD_CONFIG_RECORDS:
    case TD_CONFIG_NAMED: break;
    }
    return false; /* records stand in the file only */
}

/* Writes a number with the greatest unit that divides it. */
static void put_units(struct td_buf *out, uint64_t value, const struct unit *units, size_t n)
{
    size_t best = 0;

    for (size_t i = 0; i < n; i++)
        if (value % units[i].factor == 0)
            best = i;
    td_buf_putu(out, value / units[best].factor);
    td_buf_put(out, units[best].name);
}

static void put_value(struct td_buf *out, const struct td_config_option *option, uint64_t value)
{
    if (option->type == TD_CONFIG_BYTES)
        put_units(out, value, size_units, TD_ARRAY_LEN(size_units));
    else if (option->type == TD_CONFIG_DURATION && value > 0)
        put_units(out, value, duration_units, TD_ARRAY_LEN(duration_units));
    else
        td_buf_putu(out, value);
}

static void put_range(struct td_buf *out, const struct td_config_option *option)
{
    td_buf_puts(out, option->max == UINT64_MAX ? ", at least " : " from ");
    put_value(out, option, option->min);
    if (option->max != UINT64_MAX) {
        td_buf_puts(out, " to ");
        put_value(out, option, option->max);
    }
    if (option->off)
        td_buf_putf(out, ", or 0 (%s)", option->off);
}

void td_config_put_expected(struct td_buf *out, const struct td_config_option *option)
{
    switch (option->type) {
    case TD_CONFIG_BOOL: td_buf_puts(out, "true or false"); break;
    case TD_CONFIG_NUMBER:
        td_buf_puts(out, "a number");
        put_range(out, option);
        break;
    case TD_CONFIG_BYTES:
        td_buf_puts(out, "a size such as 512KiB, 64MiB or 10GiB");
        put_range(out, option);
        break;
    case TD_CONFIG_DURATION:
        td_buf_puts(out, "a duration such as 500ms, 30s, 5m, 1h or 7d");
        put_range(out, option);
        break;
    case TD_CONFIG_WORD:
        for (size_t i = 0; option->words[i]; i++)
            td_buf_putf(out, "%s%s",
                        i == 0                 ? ""
                        : option->words[i + 1] ? ", "
                                               : " or ",
                        option->words[i]);
        break;
    case TD_CONFIG_TEXT: td_buf_puts(out, option->expected ? option->expected : "text"); break;
    case TD_CONFIG_LIST:
        td_buf_puts(out, "a list, each ");
        td_buf_puts(out, option->expected ? option->expected : "text");
        break;
    case TD_CONFIG_RECORDS: td_buf_puts(out, "a list of mappings"); break;
    case TD_CONFIG_NAMED: td_buf_puts(out, "a mapping from names to mappings"); break;
    }
}
