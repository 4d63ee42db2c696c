/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a YAML document along the table of options.  libyaml gives nodes with their lines; the table says what may stand
 * where, so depth and size of what is kept are the table's.  Nothing stops at the first fault. */
#include "base/assert.h"
#include "base/err.h"
#include "server/config_schema.h"
#include <yaml.h>

struct walk {
    struct td_config *config;
    const char *name;
    yaml_document_t *document;
    struct td_buf *errors;
};

#define PATH_MAX_BYTES 128

static void fault(const struct walk *walk, const yaml_node_t *node, const char *format, ...)
    TD_PRINTF(3, 4);

static void fault(const struct walk *walk, const yaml_node_t *node, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    td_buf_putf(walk->errors, "%s:%zu: %s\n", walk->name, node->start_mark.line + 1, text);
}

static yaml_node_t *node_at(const struct walk *walk, int index)
{
    return yaml_document_get_node(walk->document, index);
}

static struct td_slice scalar(const yaml_node_t *node)
{
    return td_slice((const char *)node->data.scalar.value, node->data.scalar.length);
}

/* "PATH must be EXPECTED, not 'value'". */
static void fault_value(const struct walk *walk, const yaml_node_t *node, const char *path,
                        const struct td_config_option *option)
{
    struct td_buf expected = TD_BUF_INIT(256);

    td_config_put_expected(&expected, option);
    if (node->type == YAML_SCALAR_NODE && !option->secret)
        fault(walk, node, "%s must be %.*s, not '%.*s'", path, (int)expected.len, expected.ptr,
              (int)TD_MIN(scalar(node).len, (size_t)64), scalar(node).ptr);
    else
        fault(walk, node, "%s must be %.*s", path, (int)expected.len, expected.ptr);
    td_buf_done(&expected);
}

static void read_list(const struct walk *walk, const yaml_node_t *node, const char *path,
                      void *base, const struct td_config_option *option)
{
    struct td_config_array *list = (void *)((char *)base + option->offset);

    *list = (struct td_config_array){NULL, 0}; /* the file's list replaces the default */
    if (node->type == YAML_SCALAR_NODE) {      /* one element may stand alone */
        if (!td_config_add(walk->config, base, option, scalar(node)))
            fault_value(walk, node, path, option);
        return;
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        fault_value(walk, node, path, option);
        return;
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *element = node_at(walk, *item);
        if (element->type != YAML_SCALAR_NODE ||
            !td_config_add(walk->config, base, option, scalar(element)))
            fault_value(walk, element, path, option);
    }
}

static void read_value(const struct walk *walk, const yaml_node_t *node, const char *path,
                       void *base, const struct td_config_option *option)
{
    if (option->type == TD_CONFIG_LIST)
        read_list(walk, node, path, base, option);
    else if (node->type != YAML_SCALAR_NODE ||
             !td_config_set(walk->config, base, option, scalar(node)))
        fault_value(walk, node, path, option);
}

/* Whether the key at `pair` stands in the mapping before it. */
static bool repeated(const struct walk *walk, const yaml_node_t *mapping,
                     const yaml_node_pair_t *pair)
{
    const yaml_node_pair_t *earlier = mapping->data.mapping.pairs.start;

    for (; earlier < pair; earlier++) {
        const yaml_node_t *key = node_at(walk, earlier->key);
        if (key->type == YAML_SCALAR_NODE &&
            td_slice_eq(scalar(key), scalar(node_at(walk, pair->key))))
            return true;
    }
    return false;
}

/* Gives the key of a pair, and its path below `prefix`.  False, with a fault told, when it can't be used. */
static bool read_key(const struct walk *walk, const yaml_node_t *mapping,
                     const yaml_node_pair_t *pair, const char *prefix,
                     char ret_path[PATH_MAX_BYTES])
{
    const yaml_node_t *key = node_at(walk, pair->key);

    if (key->type != YAML_SCALAR_NODE) {
        fault(walk, key, "a key must be text");
        return false;
    }
    int len = snprintf(ret_path, PATH_MAX_BYTES, "%s%s%.*s", prefix, prefix[0] ? "." : "",
                       (int)TD_MIN(scalar(key).len, (size_t)PATH_MAX_BYTES), scalar(key).ptr);
    if (len >= PATH_MAX_BYTES) {
        fault(walk, key, "%s… is not an option", ret_path);
        return false;
    }
    if (repeated(walk, mapping, pair)) {
        fault(walk, key, "%s stands here twice", ret_path);
        return false;
    }
    return true;
}

static const struct td_config_option *field_named(const struct td_config_fields *fields,
                                                  struct td_slice name)
{
    for (size_t i = 0; i < fields->n; i++)
        if (td_slice_eq(td_slice_str(fields->items[i].path), name))
            return &fields->items[i];
    return NULL;
}

static void fault_unknown(const struct walk *walk, const yaml_node_t *key, const char *path,
                          const char *nearest)
{
    if (nearest)
        fault(walk, key, "%s is not an option; did you mean %s?", path, nearest);
    else
        fault(walk, key, "%s is not an option", path);
}

static void fault_unknown_field(const struct walk *walk, const yaml_node_t *key, const char *path,
                                const struct td_config_fields *fields)
{
    const char *nearest = NULL;
    size_t best = 4;

    for (size_t i = 0; i < fields->n; i++) {
        size_t distance =
            td_config_distance(scalar(key), td_slice_str(fields->items[i].path), best);
        if (distance < best) {
            best = distance;
            nearest = fields->items[i].path;
        }
    }
    fault_unknown(walk, key, path, nearest);
}

/* Fills one record from a mapping.  `first`: the first field that may stand in it. */
static void read_record(const struct walk *walk, const yaml_node_t *node, const char *prefix,
                        void *record, const struct td_config_option *option, size_t first)
{
    const struct td_config_fields fields = {option->fields->items + first,
                                            option->fields->n - first, option->fields->size};
    char path[PATH_MAX_BYTES];

    for (size_t i = 0; i < fields.n; i++)
        if (fields.items[i].standard) {
            bool set = td_config_set(walk->config, record, &fields.items[i],
                                     td_slice_str(fields.items[i].standard));
            TD_ASSERT(set);
        }
    if (node->type != YAML_MAPPING_NODE) {
        fault(walk, node, "%s must be a mapping", prefix);
        return;
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(walk, pair->key);
        if (!read_key(walk, node, pair, prefix, path))
            continue;
        const struct td_config_option *field = field_named(&fields, scalar(key));
        if (field)
            read_value(walk, node_at(walk, pair->value), path, record, field);
        else
            fault_unknown_field(walk, key, path, &fields);
    }
}

static void read_records(const struct walk *walk, const yaml_node_t *node,
                         const struct td_config_option *option)
{
    struct td_config_array *array = (void *)((char *)walk->config + option->offset);

    if (node->type != YAML_SEQUENCE_NODE) {
        fault_value(walk, node, option->path, option);
        return;
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++)
        read_record(walk, node_at(walk, *item), option->path,
                    td_config_append(walk->config, array, option->fields->size), option, 0);
}

static void read_named(const struct walk *walk, const yaml_node_t *node,
                       const struct td_config_option *option)
{
    struct td_config_array *array = (void *)((char *)walk->config + option->offset);
    char path[PATH_MAX_BYTES];

    if (node->type != YAML_MAPPING_NODE) {
        fault_value(walk, node, option->path, option);
        return;
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        if (!read_key(walk, node, pair, option->path, path))
            continue;
        void *record = td_config_append(walk->config, array, option->fields->size);
        if (option->fields->line_at > 0)
            *(unsigned *)(void *)((char *)record + option->fields->line_at) =
                (unsigned)node_at(walk, pair->key)->start_mark.line + 1;
        read_value(walk, node_at(walk, pair->key), path, record, &option->fields->items[0]);
        read_record(walk, node_at(walk, pair->value), path, record, option, 1);
    }
}

static void read_section(const struct walk *walk, const yaml_node_t *node, const char *prefix)
{
    char path[PATH_MAX_BYTES], nearest[64];
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;

    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(walk, pair->key);
        const yaml_node_t *value = node_at(walk, pair->value);
        if (!read_key(walk, node, pair, prefix, path))
            continue;
        const struct td_config_option *option = td_config_find(td_slice_str(path));
        if (option && option->type == TD_CONFIG_RECORDS)
            read_records(walk, value, option);
        else if (option && option->type == TD_CONFIG_NAMED)
            read_named(walk, value, option);
        else if (option)
            read_value(walk, value, path, walk->config, option);
        else if (!td_config_is_section(td_slice_str(path)))
            fault_unknown(walk, key, path, td_config_nearest(td_slice_str(path), nearest));
        else if (value->type == YAML_MAPPING_NODE)
            read_section(walk, value, path); /* as deep as the table's paths */
        else
            fault(walk, value, "%s must be a mapping", path);
    }
}

static void read_document(struct walk *walk, size_t nth)
{
    const yaml_node_t *root = yaml_document_get_root_node(walk->document);

    if (!root)
        return;
    if (nth > 0)
        fault(walk, root, "a second document stands here; the file must be one");
    else if (root->type == YAML_MAPPING_NODE)
        read_section(walk, root, "");
    else
        fault(walk, root, "the file must be a mapping from options to values");
}

void td_config_read_yaml(struct td_config *config, const char *name, struct td_slice text,
                         struct td_buf *errors)
{
    yaml_parser_t parser;
    yaml_document_t document;
    struct walk walk = {config, name, &document, errors};

    int ready = yaml_parser_initialize(&parser);
    TD_ASSERT(ready);
    if (!text.ptr)
        text = TD_S(""); /* an empty file has no bytes to point to */
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    for (size_t nth = 0; nth < 2; nth++) {
        if (!yaml_parser_load(&parser, &document)) {
            td_buf_putf(errors, "%s:%zu: %s\n", name, parser.problem_mark.line + 1,
                        parser.problem ? parser.problem : "not YAML");
            break;
        }
        read_document(&walk, nth);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
}
