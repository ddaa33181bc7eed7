/** @file values.c  From YAML nodes to all values of a key: one, a list, a range. */
#include "values.h"
#include "reading.h"
#include "scalars.h"
#include "suggest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Lists
 *-------------------------------------------------------------------------------------------*/

static bool same_value(const nl_scalar *a, const nl_scalar *b)
{
    if (a->word != NULL && b->word != NULL) {
        return strcmp(a->word, b->word) == 0;
    }
    return a->word == NULL && b->word == NULL && a->number == b->number;
}

static bool is_repeated(const nl_values *values, const nl_scalar *value)
{
    for (int k = 0; k < values->count; k++) {
        if (same_value(&values->item[k], value)) {
            return true;
        }
    }
    return false;
}

static bool reserve(nl_reading *reading, nl_values *values, int count)
{
    values->item = calloc((size_t)count + 1, sizeof *values->item); /* never of size 0 */
    reading->failed |= values->item == NULL;
    return values->item != NULL;
}

/* Do two items touch at their comma, as in [0,1]? */
static bool touch(const nl_yaml_node *a, const nl_yaml_node *b)
{
    return a->mark.line == b->mark.line && a->mark.line > 0 &&
           b->mark.column == a->mark.column + (int)strlen(a->text) + 1;
}

static bool is_digits(const nl_yaml_node *node)
{
    return node->kind == NL_YAML_SCALAR && !node->quoted && node->text[0] != '\0' &&
           node->text[strspn(node->text, "0123456789")] == '\0';
}

/* [0,1, 0,2]: pairs of digits that touch, with spaces between the pairs, are decimal commas. */
static bool has_decimal_commas(const nl_yaml_node *list)
{
    for (int k = 0; k < list->count; k++) {
        if (!is_digits(list->values[k]) ||
            (k > 0 && touch(list->values[k - 1], list->values[k]) != (k % 2 == 1))) {
            return false;
        }
    }
    return list->count >= 4 && list->count % 2 == 0;
}

static bool read_list(nl_reading *reading, nl_key key, const nl_yaml_node *list, nl_values *out)
{
    const nl_key_info *info = nl_key_describe(key);
    bool may_be_empty =
        key == NL_KEY_AT_STEPS || key == NL_KEY_AT_TRAIN_LOSS || key == NL_KEY_PROBE_PREFIXES;
    bool sound = true;

    if (list->count == 0 && !may_be_empty) {
        nl_reading_complain(reading, list->mark, info->path,
                            "an empty list: give one value at least");
        return false;
    }
    if (list->count > nl_most_values) {
        nl_reading_complain(reading, list->mark, info->path, "a list of %d values: at most %d",
                            list->count, nl_most_values);
        return false;
    }
    if (info->type == NL_TYPE_REAL && has_decimal_commas(list)) {
        nl_reading_complain(reading, list->values[0]->mark, info->path,
                            "a comma separates values; if it is meant as a decimal point here, "
                            "write %s.%s",
                            list->values[0]->text, list->values[1]->text);
        return false;
    }
    if (!reserve(reading, out, list->count)) {
        return false;
    }
    for (int k = 0; k < list->count; k++) {
        nl_scalar value = {0};
        char found[80];

        if (!nl_reading_scalar(reading, key, list->values[k], &value)) {
            sound = false;
        } else if (!info->repeats && is_repeated(out, &value)) {
            nl_reading_complain(reading, list->values[k]->mark, info->path,
                                "%s is repeated: each value once",
                                nl_node_describe(list->values[k], found));
            sound = false;
        } else {
            out->item[out->count++] = value;
        }
    }
    return sound;
}

/*---------------------------------------------------------------------------------------------
 * Ranges: {from: 8, to: 1024, factor: 2}, {from: 0, to: 9, step: 1}
 *-------------------------------------------------------------------------------------------*/

enum { range_from, range_to, range_factor, range_step, range_parts };

static const char *const range_part_names = "from|to|factor|step";

/* {8, 16}: keys without values, none of them a part of a range. */
static bool is_list_in_braces(const nl_yaml_node *map)
{
    for (int k = 0; k < map->count; k++) {
        nl_yaml_slip slip;

        if (!nl_node_is_null(map->values[k]) ||
            nl_choice_find(range_part_names, map->keys[k]->text) >= 0 ||
            nl_yaml_find_slip(map->keys[k]->text, strlen(map->keys[k]->text), &slip)) {
            return false;
        }
    }
    return map->count > 0;
}

static void complain_part(nl_reading *reading, const char *path, const nl_yaml_node *name)
{
    nl_yaml_slip slip;
    nl_mark mark = name->mark;
    char excerpt[64];

    if (nl_yaml_find_slip(name->text, strlen(name->text), &slip)) {
        mark.column += mark.line > 0 ? slip.column : 0;
        nl_reading_complain(reading, mark, path, "%s", slip.advice);
    } else {
        nl_reading_complain(reading, mark, path,
                            "%s: unknown in a range, which is {from, to, factor} or {from, to, "
                            "step}",
                            nl_excerpt(name->text, excerpt));
    }
}

/* The parts of a range by name, NULL where not given; false after a complaint. */
static bool collect_range(nl_reading *reading, nl_key key, const nl_yaml_node *map,
                          const nl_yaml_node *part[range_parts])
{
    const char *path = nl_key_describe(key)->path;
    bool sound = true;

    if (is_list_in_braces(map)) {
        nl_reading_complain(reading, map->mark, path,
                            "a list stands in brackets: [ ... ] instead of { ... }");
        return false;
    }
    for (int k = 0; k < map->count; k++) {
        int index = nl_choice_find(range_part_names, map->keys[k]->text);

        if (index >= 0) {
            part[index] = map->values[k];
        } else {
            complain_part(reading, path, map->keys[k]);
            sound = false;
        }
    }
    if (!sound) {
        return false; /* what is missing may be what that was meant for */
    }
    if (part[range_from] == NULL || part[range_to] == NULL) {
        nl_reading_complain(reading, map->mark, path, "%s is missing in this range",
                            part[range_from] == NULL ? "from" : "to");
        sound = false;
    }
    if ((part[range_factor] == NULL) == (part[range_step] == NULL)) {
        nl_reading_complain(reading, map->mark, path, "%s in this range",
                            part[range_step] != NULL ? "factor and step exclude each other"
                                                     : "factor or step is missing");
        sound = false;
    }
    return sound;
}

/* The stride of a range, and the one thing that is asked of it. */
static bool read_stride(nl_reading *reading, nl_key key, const nl_yaml_node *node, double above,
                        double *out)
{
    char found[80];

    if (node->kind == NL_YAML_SCALAR && nl_node_why_no_number(node) == NULL) {
        *out = strtod(node->text, NULL);
        if (*out > above && isfinite(*out)) {
            return true;
        }
    }
    if (node->kind != NL_YAML_BROKEN) {
        nl_reading_complain(reading, node->mark, nl_key_describe(key)->path,
                            "a number above %g was expected, this is %s", above,
                            nl_node_describe(node, found));
    }
    return false;
}

typedef struct range {
    double from, to, stride;
    bool geometric, whole;
} range;

/* Value k; `to` itself where the range hits it, and otherwise 15 digits, so that {from: 0.1, to:
 * 0.5, step: 0.1} is [0.1, 0.2, 0.3, 0.4, 0.5] as written by hand.  Not yet rounded. */
static double range_value(const range *r, int k)
{
    double value = r->geometric ? r->from * pow(r->stride, k) : r->from + r->stride * k;
    char digits[32];

    if (k == 0) {
        return r->from;
    }
    if (fabs(value - r->to) <= 1e-9 * fabs(r->to)) {
        return r->to;
    }
    snprintf(digits, sizeof digits, "%.15g", value);
    return strtod(digits, NULL);
}

static bool expand_range(nl_reading *reading, const range *r, nl_values *out)
{
    double value = 0.0;

    if (!reserve(reading, out, nl_most_values)) {
        return false;
    }
    for (int k = 0; (value = range_value(r, k)) <= r->to; k++) {
        double rounded = r->whole ? round(value) : value;
        bool news = out->count == 0 || rounded > out->item[out->count - 1].number;

        if (k > 100 * nl_most_values || (news && out->count == nl_most_values)) {
            return false;
        }
        if (news) { /* whole numbers of a small factor repeat: 1, 1.2, 1.44, ... */
            out->item[out->count++].number = rounded;
        }
    }
    return true;
}

static bool read_range(nl_reading *reading, nl_key key, const nl_yaml_node *map, nl_values *out)
{
    const nl_key_info *info = nl_key_describe(key);
    const nl_yaml_node *part[range_parts] = {NULL};
    range r = {.whole = info->type == NL_TYPE_INT};
    bool sound = collect_range(reading, key, map, part);

    r.geometric = part[range_factor] != NULL;
    sound =
        (part[range_from] == NULL || nl_reading_number(reading, key, part[range_from], &r.from)) &&
        sound;
    sound =
        (part[range_to] == NULL || nl_reading_number(reading, key, part[range_to], &r.to)) && sound;
    for (int k = range_factor; k <= range_step; k++) {
        sound = (part[k] == NULL ||
                 read_stride(reading, key, part[k], k == range_factor ? 1.0 : 0.0, &r.stride)) &&
                sound;
    }
    if (!sound) {
        return false;
    }
    if (r.to < r.from || (r.geometric && r.from <= 0.0)) {
        nl_reading_complain(reading, map->mark, info->path,
                            r.to < r.from ? "this range ends below its start"
                                          : "a range by a factor starts above 0");
        return false;
    }
    if (!expand_range(reading, &r, out)) {
        nl_reading_complain(reading, map->mark, info->path, "this range has more than %d values",
                            nl_most_values);
        return false;
    }
    return true;
}

/*---------------------------------------------------------------------------------------------
 * A key's value in any shape
 *-------------------------------------------------------------------------------------------*/

static bool read_values(nl_reading *reading, nl_key key, const nl_yaml_node *node, nl_values *out)
{
    const nl_key_info *info = nl_key_describe(key);
    bool numeric = info->type == NL_TYPE_INT || info->type == NL_TYPE_REAL;

    if (node->kind == NL_YAML_LIST && info->shape != NL_SHAPE_SCALAR) {
        return read_list(reading, key, node, out);
    }
    if (node->kind == NL_YAML_MAP && info->shape != NL_SHAPE_SCALAR && numeric) {
        return read_range(reading, key, node, out);
    }
    if (!reserve(reading, out, 1)) {
        return false;
    }
    out->count = 1;
    return nl_reading_scalar(reading, key, node, out->item);
}

void nl_reading_take(nl_reading *reading, nl_key key, const nl_yaml_node *node)
{
    nl_values values = {0};

    reading->sound[key] = read_values(reading, key, node, &values);
    free(reading->study->value[key].item); /* --set wins over the file */
    reading->study->value[key] = values;
}
