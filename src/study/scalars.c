/** @file scalars.c  From one YAML scalar to a value, checked by its key's row. */
#include "scalars.h"
#include "numbers.h"
#include "reading.h"
#include "spelling.h"
#include "suggest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool nl_node_is_null(const nl_yaml_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

    for (size_t k = 0; k < NL_COUNT(nulls); k++) {
        if (node->kind == NL_YAML_SCALAR && !node->quoted && strcmp(node->text, nulls[k]) == 0) {
            return true;
        }
    }
    return false;
}

const char *nl_node_describe(const nl_yaml_node *node, char out[80])
{
    char excerpt[64];

    if (node->kind == NL_YAML_LIST) {
        snprintf(out, 80, node->count > 0 ? "a list" : "an empty list");
    } else if (node->kind == NL_YAML_MAP) {
        snprintf(out, 80, "a group of keys");
    } else if (nl_node_is_null(node)) {
        snprintf(out, 80, "empty");
    } else {
        const char *mark = !node->quoted && nl_text_is_decimal(node->text) ? "" : "\"";

        snprintf(out, 80, "%s%s%s", mark, nl_excerpt(node->text, excerpt), mark);
    }
    return out;
}

/* "X was expected, this is Y; note" */
static void refuse(nl_reading *reading, nl_key key, const nl_yaml_node *node, const char *note)
{
    const nl_key_info *info = nl_key_describe(key);
    bool choice = info->type == NL_TYPE_CHOICE;
    char expected[nl_expected_size];
    char advice[nl_advice_size];
    char found[80];

    nl_key_expected(info, expected);
    if (nl_node_is_null(node)) {
        bool optional = info->fallback != NULL;

        nl_reading_complain(reading, node->mark, info->path, "no value: %s%s was expected%s%s%s",
                            choice ? "one of " : "", expected,
                            optional ? " (without this line it is " : "",
                            optional ? info->fallback : "", optional ? ")" : "");
        return;
    }
    nl_node_describe(node, found);
    if (node->kind == NL_YAML_LIST && info->shape == NL_SHAPE_SCALAR) {
        note = "this key takes one value";
    } else if (node->quoted && !choice && info->type != NL_TYPE_TEXT) {
        snprintf(found, sizeof found, "a string in quotes");
        note = "remove the quotes";
    } else if (node->kind == NL_YAML_SCALAR && nl_lookalike_find(node->text) != NULL) {
        nl_lookalike_advise(nl_lookalike_find(node->text), advice);
        note = advice;
    }
    nl_reading_complain(reading, node->mark, info->path, "%s%s was expected, this is %s%s%s",
                        choice ? "one of " : "", expected, found, note != NULL ? "; " : "",
                        note != NULL ? note : "");
}

/*---------------------------------------------------------------------------------------------
 * Numbers
 *-------------------------------------------------------------------------------------------*/

/* 1e-400: not 0, but too small for any number. */
static bool underflows(const char *text, double value)
{
    const size_t mantissa = strcspn(text, "eE");

    return value == 0.0 && strcspn(text, "123456789") < mantissa;
}

/* 20.000: twenty, or twenty thousand? */
static bool may_be_thousands(const char *text)
{
    const size_t whole = strspn(text, "0123456789");

    return whole >= 1 && whole <= 3 && text[0] != '0' && strlen(text) == whole + 4 &&
           text[whole] == '.' && strspn(text + whole + 1, "0123456789") == 3;
}

const char *nl_node_why_no_number(const nl_yaml_node *node)
{
    static const char *const infinite[] = {".inf", ".nan", "inf", "nan", "infinity"};
    const char *text = node->text + (node->text[0] == '+' || node->text[0] == '-');

    if (node->quoted) {
        return "remove the quotes";
    }
    for (size_t k = 0; k < NL_COUNT(infinite); k++) {
        if (strcasecmp(text, infinite[k]) == 0) {
            return "a finite number is needed";
        }
    }
    if (!nl_text_is_decimal(node->text)) {
        return "not a number";
    }
    return nl_has_leading_zero(node->text) ? "a leading zero means octal in YAML 1.1: remove it"
                                           : NULL;
}

static bool read_number(nl_reading *reading, nl_key key, const nl_yaml_node *node, double *out)
{
    const nl_key_info *info = nl_key_describe(key);
    const char *note = nl_node_why_no_number(node);
    char advice[nl_advice_size];

    if (note == NULL) {
        *out = strtod(node->text, NULL) + 0.0; /* -0 becomes 0: one spelling in hashes */
        note = nl_key_accepts(info, *out);
        if (note == NULL && underflows(node->text, *out)) {
            note = "too near 0 for double precision: write 0";
        } else if (note == NULL && info->type == NL_TYPE_INT && may_be_thousands(node->text)) {
            snprintf(advice, sizeof advice, "write %.0f or %.0f", *out, 1000.0 * *out);
            note = advice;
        }
        if (note == NULL) {
            return true;
        }
    } else if (!node->quoted && !nl_text_is_decimal(node->text)) {
        const char *meant = nl_number_advice(info, node->text, advice);

        note = meant != NULL ? meant : note;
    }
    refuse(reading, key, node, note);
    return false;
}

/* Slurm writes 4G for 4 GiB; 4GB is decimal, as on disks. */
static double unit_of_bytes(const char *unit)
{
    static const char letters[] = "KMGT";
    const char *letter = NULL;

    if (*unit == '\0' || strcasecmp(unit, "B") == 0) {
        return 1.0;
    }
    letter = strchr(letters, *unit == 'k' ? 'K' : *unit);
    if (letter == NULL) {
        return NAN;
    }
    if (unit[1] == '\0' || strcmp(unit + 1, "iB") == 0) {
        return pow(1024.0, (double)(letter - letters + 1));
    }
    return strcmp(unit + 1, "B") == 0 ? pow(1000.0, (double)(letter - letters + 1)) : NAN;
}

bool nl_bytes_parse(const char *text, double *bytes)
{
    const size_t length = nl_decimal_length(text);

    *bytes = length > 0 ? round(strtod(text, NULL) * unit_of_bytes(text + length)) : NAN;
    return *bytes >= 1.0;
}

static bool read_bytes(nl_reading *reading, nl_key key, const nl_yaml_node *node, double *out)
{
    const nl_key_info *info = nl_key_describe(key);
    size_t length = nl_decimal_length(node->text);
    const char *unit = node->text + length + strspn(node->text + length, " ");
    const char *note = "not a size";

    if (length > 0 && !nl_has_leading_zero(node->text) && !(node->quoted && *unit == '\0')) {
        *out = round(strtod(node->text, NULL) * unit_of_bytes(unit));
        if (nl_key_in_range(info, *out)) {
            return true;
        }
        if (*out < info->min) {
            note = "at least 1MiB is needed: write the unit, as in 4G";
        } else if (*out > info->max) {
            note = "out of range";
        } else {
            note = "units are K, M, G, T (KiB .. TiB) and KB, MB, GB, TB";
        }
    }
    refuse(reading, key, node, note);
    return false;
}

/*---------------------------------------------------------------------------------------------
 * Scalars
 *-------------------------------------------------------------------------------------------*/

static bool read_bool(nl_reading *reading, nl_key key, const nl_yaml_node *node, double *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    char advice[nl_advice_size];

    for (size_t k = 0; k < NL_COUNT(words); k++) {
        if (!node->quoted && strcasecmp(node->text, words[k]) == 0) {
            *out = (double)(k % 2);
            return true;
        }
    }
    refuse(reading, key, node, nl_words_advice(nl_key_describe(key), node->text, advice));
    return false;
}

/* One of the words of a CHOICE, or a word that stands beside numbers. */
static bool read_word(nl_reading *reading, nl_key key, const nl_yaml_node *node, nl_scalar *out)
{
    const nl_key_info *info = nl_key_describe(key);
    int index = nl_choice_find(info->choices, node->text);
    char advice[nl_advice_size];
    char meant[64];
    char note[96];

    if (index >= 0) {
        out->number = info->type == NL_TYPE_CHOICE ? (double)index : NAN;
        out->word = nl_reading_keep(reading, node->text);
        return true;
    }
    if (info->refused != NULL &&
        strncasecmp(node->text, info->refused, strlen(info->refused)) == 0) {
        refuse(reading, key, node, info->reason);
    } else if (nl_choice_suggest(info->choices, node->text, meant)) {
        snprintf(note, sizeof note, "did you mean %s?", meant);
        refuse(reading, key, node, note);
    } else {
        refuse(reading, key, node, nl_words_advice(info, node->text, advice));
    }
    return false;
}

static bool read_text(nl_reading *reading, nl_key key, const nl_yaml_node *node, nl_scalar *out)
{
    if (key == NL_KEY_STUDY && node->text[0] == '\0') {
        refuse(reading, key, node, "a study has a name");
        return false;
    }
    out->number = NAN;
    out->word = nl_reading_keep(reading, node->text);
    return true;
}

/* Does a key of numbers hold a word here, or what was meant as one? */
static bool is_word_for(const nl_key_info *info, const nl_yaml_node *node)
{
    char meant[64];

    return info->choices != NULL && (nl_choice_find(info->choices, node->text) >= 0 ||
                                     (nl_decimal_length(node->text) == 0 &&
                                      nl_choice_suggest(info->choices, node->text, meant)));
}

bool nl_reading_scalar(nl_reading *reading, nl_key key, const nl_yaml_node *node, nl_scalar *out)
{
    const nl_key_info *info = nl_key_describe(key);

    *out = (nl_scalar){0};
    if (node->kind == NL_YAML_BROKEN) {
        return false;
    }
    if (node->kind != NL_YAML_SCALAR || nl_node_is_null(node)) {
        refuse(reading, key, node, NULL);
        return false;
    }
    if (info->type == NL_TYPE_CHOICE || is_word_for(info, node)) {
        return read_word(reading, key, node, out);
    }
    switch (info->type) {
    case NL_TYPE_TEXT:
        return read_text(reading, key, node, out);
    case NL_TYPE_BOOL:
        return read_bool(reading, key, node, &out->number);
    case NL_TYPE_BYTES:
        return read_bytes(reading, key, node, &out->number);
    default:
        return read_number(reading, key, node, &out->number);
    }
}

bool nl_reading_number(nl_reading *reading, nl_key key, const nl_yaml_node *node, double *out)
{
    if (node->kind == NL_YAML_BROKEN) {
        return false;
    }
    if (node->kind != NL_YAML_SCALAR || nl_node_is_null(node)) {
        refuse(reading, key, node, NULL);
        return false;
    }
    return read_number(reading, key, node, out);
}
