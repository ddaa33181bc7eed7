/** @file parse.c  The study file and --set, read by the key table. */
#include "check.h"
#include "reading.h"
#include "scalars.h"
#include "specs.h"
#include "suggest.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * The tree, section by section
 *-------------------------------------------------------------------------------------------*/

static const char *join_path(const char *section, const char *name, char out[nl_path_size])
{
    snprintf(out, nl_path_size, "%s%s%s", section, section[0] != '\0' ? "." : "", name);
    return out;
}

static void read_section(nl_reading *reading, const char *section, nl_mark mark,
                         const nl_yaml_node *node);

/* One slip gives one complaint: nothing of this key or section is missing besides. */
static void count_as_given(nl_reading *reading, const char *section)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const char *path = nl_key_describe((nl_key)key)->path;

        if (strcmp(path, section) == 0 || nl_path_is_below(path, section)) {
            reading->given[key] = true;
        }
    }
}

/* `key:value` and its like, which YAML takes for one text; false where it is none of these. */
static bool take_slip(nl_reading *reading, const char *section, const nl_yaml_node *node)
{
    nl_yaml_slip slip;
    nl_suggestion meant;
    nl_mark mark = node->mark;
    char path[nl_path_size];

    if (node->kind != NL_YAML_SCALAR || node->quoted ||
        !nl_yaml_find_slip(node->text, strlen(node->text), &slip)) {
        return false;
    }
    mark.column += mark.line > 0 ? slip.column : 0;
    nl_reading_complain(reading, mark, join_path(section, slip.key, path), "%s", slip.advice);
    nl_key_suggest(section, slip.key, false, &meant);
    count_as_given(reading, meant.path);
    return true;
}

/* A key that is not in the table.  What it was probably meant for counts as given, so that one slip
 * gives one complaint; a misspelled section is read as the one that was meant. */
static void take_unknown(nl_reading *reading, const char *section, const nl_yaml_node *name,
                         const nl_yaml_node *value)
{
    nl_suggestion meant;
    char excerpt[64];
    char path[nl_path_size];
    nl_key key = NL_KEY_COUNT;

    if (take_slip(reading, section, name)) {
        return;
    }
    join_path(section, nl_excerpt(name->text, excerpt), path);
    if (name->text[strspn(name->text, "0123456789.")] == '\0') {
        nl_reading_complain(reading, name->mark, path,
                            "a number, where a key was expected: in { } a comma ends a value; "
                            "write a list as [8, 16], a large number without commas");
    } else if (strchr(name->text, '.') != NULL) {
        nl_reading_complain(reading, name->mark, path,
                            "unknown key; dots are for --set, in a file keys stand below their "
                            "section");
        key = nl_key_find(name->text);
    } else {
        nl_key_suggest(section, name->text, false, &meant);
        nl_reading_complain(reading, name->mark, path, "unknown key; %s", meant.text);
        key = nl_key_find(meant.path);
        if (meant.path[0] != '\0' && value->kind == NL_YAML_MAP && nl_key_is_section(meant.path)) {
            read_section(reading, meant.path, name->mark, value);
        }
    }
    if (key < NL_KEY_COUNT) {
        reading->given[key] = true;
    }
}

static void take_pair(nl_reading *reading, const char *section, const nl_yaml_node *name,
                      const nl_yaml_node *value)
{
    char path[nl_path_size];
    nl_key key = NL_KEY_COUNT;
    bool plain = strchr(name->text, '.') == NULL && strlen(name->text) < sizeof path / 2;

    if (plain) {
        key = nl_key_find(join_path(section, name->text, path));
    }
    if (key < NL_KEY_COUNT) {
        reading->given[key] = true;
        reading->place[key] = name->mark;
        nl_reading_take(reading, key, value);
    } else if (plain && nl_key_is_section(path)) {
        read_section(reading, path, name->mark, value);
    } else {
        take_unknown(reading, section, name, value);
    }
}

/* mark: of the section's name. */
static void read_section(nl_reading *reading, const char *section, nl_mark mark,
                         const nl_yaml_node *node)
{
    char found[80];

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        if (nl_path_is_below(nl_key_describe((nl_key)key)->path, section) && !reading->given[key]) {
            reading->place[key] = mark;
        }
    }
    if (node->kind == NL_YAML_BROKEN || (nl_node_is_null(node) && reading->set_path == NULL)) {
        return; /* nothing below its name: as if it were not there */
    }
    if (node->kind != NL_YAML_MAP) {
        if (!take_slip(reading, section, node)) {
            nl_reading_complain(reading, node->mark, section,
                                "a section was expected (lines of 'key: value', indented%s), this "
                                "is %s",
                                node->kind == NL_YAML_LIST ? ", without dashes" : "",
                                nl_node_describe(node, found));
        }
        count_as_given(reading, section);
        return;
    }
    for (int k = 0; k < node->count; k++) {
        take_pair(reading, section, node->keys[k], node->values[k]);
    }
}

/* What a resolved file says of its images is compared with those of today. */
static void take_fact(nl_reading *reading, const char *name, const nl_yaml_node *fact)
{
    const char **place = strcmp(name, NL_FACT_FINGERPRINT) == 0 ? &reading->study->fingerprint
                         : strcmp(name, NL_FACT_REMARKS) == 0   ? &reading->study->remarks
                                                                : NULL;

    if (place != NULL && fact->kind == NL_YAML_SCALAR &&
        (place != &reading->study->fingerprint || nl_images_is_fingerprint(fact->text))) {
        *place = nl_reading_keep(reading, fact->text);
    }
}

/* What produced a resolved file: read by people, and else not by us. */
static void check_provenance(nl_reading *reading, const nl_yaml_node *node)
{
    char found[80];

    if (node->kind != NL_YAML_MAP && node->kind != NL_YAML_BROKEN && !nl_node_is_null(node)) {
        nl_reading_complain(reading, node->mark, "provenance", "a section was expected, this is %s",
                            nl_node_describe(node, found));
        return;
    }
    for (int k = 0; k < node->count; k++) {
        const nl_yaml_node *fact = node->values[k];

        if (fact->kind == NL_YAML_LIST || fact->kind == NL_YAML_MAP) {
            nl_reading_complain(reading, fact->mark, "provenance",
                                "plain values were expected, this is %s",
                                nl_node_describe(fact, found));
        } else {
            take_fact(reading, node->keys[k]->text, fact);
        }
    }
}

static bool read_file(nl_reading *reading, const char *file, const char *text, size_t length)
{
    const nl_mark start = {.source = file, .line = 1, .column = 1};
    const nl_yaml_node *root = NULL;
    nl_yaml *yaml = NULL;
    char found[80];
    bool readable = false;

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        reading->place[key] = start;
    }
    if (nl_yaml_parse(file, text, length, reading->diagnostics, &yaml) != NL_OK) {
        reading->failed = true;
    } else if (yaml != NULL) {
        root = nl_yaml_root(yaml);
        readable = root->kind == NL_YAML_MAP;
    }
    for (int k = 0; readable && k < root->count; k++) {
        if (strcmp(root->keys[k]->text, "provenance") == 0) {
            check_provenance(reading, root->values[k]);
        } else {
            take_pair(reading, "", root->keys[k], root->values[k]);
        }
    }
    if (root != NULL && !readable && root->kind != NL_YAML_BROKEN &&
        !take_slip(reading, "", root)) {
        nl_diagnostics_add(reading->diagnostics, root->mark,
                           "a study file is lines of 'key: value', this is %s",
                           nl_node_describe(root, found));
    }
    nl_yaml_destroy(&yaml);
    return readable;
}

/*---------------------------------------------------------------------------------------------
 * --set key=value
 *-------------------------------------------------------------------------------------------*/

/* Is this one text in quotes, as YAML reads it? */
static bool is_one_quoted(const char *text)
{
    const char quote = text[0];
    const char *at = text + 1;

    if (quote != '"' && quote != '\'') {
        return false;
    }
    while (*at != '\0' && (*at != quote || (quote == '\'' && at[1] == quote))) {
        at += (*at == quote || (quote == '"' && *at == '\\')) && at[1] != '\0' ? 2 : 1;
    }
    return at[0] == quote && at[1] == '\0';
}

/* The value of a text key in a --set is all that stands behind the `=`: the shell has taken it out
 * of its own quotes already, so '#' and ': ' in it are part of the text. */
static bool is_plain_text(nl_key key, const char *text)
{
    return key < NL_KEY_COUNT && nl_key_describe(key)->type == NL_TYPE_TEXT && !is_one_quoted(text);
}

static void take_value(nl_reading *reading, nl_key key, const char *path, const nl_yaml_node *node)
{
    reading->set_path = path;
    if (key < NL_KEY_COUNT) {
        nl_reading_take(reading, key, node);
    } else {
        read_section(reading, path, node->mark, node);
    }
    reading->set_path = NULL;
}

/* A value from the command line, or a default: `path` is a key or a section. */
static void read_value_text(nl_reading *reading, const char *source, const char *path,
                            const char *text)
{
    const nl_mark nowhere = {.source = source};
    nl_key key = nl_key_find(path);
    nl_yaml *yaml = NULL;

    if (key < NL_KEY_COUNT) {
        reading->given[key] = true;
        reading->place[key] = nowhere;
        reading->sound[key] = false;
    }
    if (is_plain_text(key, text)) {
        const nl_yaml_node node = {
            .kind = NL_YAML_SCALAR, .mark = nowhere, .text = text, .quoted = true};

        take_value(reading, key, path, &node);
    } else if (nl_yaml_parse_value(source, text, reading->diagnostics, &yaml) != NL_OK) {
        reading->failed = true;
    } else if (yaml != NULL) {
        take_value(reading, key, path, nl_yaml_root(yaml));
    }
    nl_yaml_destroy(&yaml);
}

static void suggest_for_set(nl_reading *reading, const char *source, const char *path)
{
    const char *last = nl_path_last(path);
    char section[nl_path_size] = "";
    nl_suggestion meant;

    if (last > path) {
        snprintf(section, sizeof section, "%.*s", (int)(last - path) - 1, path);
    }
    nl_key_suggest(section, last, true, &meant);
    nl_diagnostics_add(reading->diagnostics, (nl_mark){.source = source}, "unknown key; %s",
                       meant.text);
    if (nl_key_find(meant.path) < NL_KEY_COUNT) {
        reading->given[nl_key_find(meant.path)] = true;
    }
}

static void read_set(nl_reading *reading, const char *set)
{
    const char *equals = strchr(set, '=');
    const char *source = NULL;
    char path[nl_path_size];
    nl_text name = {0};

    nl_text_append(&name, "--set %s", set);
    source = name.failed ? NULL : nl_reading_keep(reading, name.data); /* marks borrow it */
    nl_text_free(&name);
    if (source == NULL) {
        reading->failed = true;
        return;
    }
    if (equals == NULL || equals == set || (size_t)(equals - set) >= sizeof path) {
        nl_diagnostics_add(reading->diagnostics, (nl_mark){.source = source},
                           "key=value was expected, as in --set training.learning_rate=0.05");
        return;
    }
    snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    for (size_t n = strlen(path); n > 0 && path[n - 1] == ' '; n--) {
        path[n - 1] = '\0'; /* `key = value` in quotes */
    }
    if (nl_key_find(path) < NL_KEY_COUNT || nl_key_is_section(path)) {
        read_value_text(reading, source, path, equals + 1);
    } else {
        suggest_for_set(reading, source, path);
    }
}

/*---------------------------------------------------------------------------------------------
 * Defaults, and the whole
 *-------------------------------------------------------------------------------------------*/

static void fill_defaults(nl_reading *reading)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);

        if (!reading->given[key] && info->fallback != NULL) {
            nl_mark place = reading->place[key];

            read_value_text(reading, "default", info->path, info->fallback);
            reading->given[key] = false;
            reading->place[key] = place;
        }
    }
}

static nl_status read_study(nl_reading *reading, const nl_study_source *source)
{
    const char *file = reading->study->file;
    bool readable = read_file(reading, file, source->text, source->length);

    for (int k = 0; k < source->set_count; k++) {
        read_set(reading, source->sets[k]);
    }
    if (readable) {
        nl_reading_check_missing(reading);
    }
    fill_defaults(reading);
    nl_reading_check(reading);
    return reading->failed ? NL_FAIL(NL_ERR_NOMEM, "%s: out of memory while reading", file) : NL_OK;
}

/* complain: what is to be done with the complaints, if there are any. */
static nl_status parse(const nl_study_source *source, void complain(const nl_diagnostics *),
                       nl_study **out)
{
    nl_status status = NL_OK;
    nl_reading reading = {0};
    nl_study *study = calloc(1, sizeof *study);

    *out = NULL;
    if (study == NULL || (study->file = strdup(source->file)) == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the study", source->file);
        goto done;
    }
    status = nl_diagnostics_create(&reading.diagnostics);
    if (status != NL_OK) {
        goto done;
    }
    reading.study = study;
    status = read_study(&reading, source);
    if (nl_diagnostics_count(reading.diagnostics) > 0) {
        complain(reading.diagnostics);
        status = status == NL_OK ? NL_ERR_STUDY : status;
    }
    if (status == NL_OK) {
        nl_study_make_spec(study);
    }

done:
    nl_diagnostics_destroy(&reading.diagnostics);
    if (status != NL_OK) {
        nl_study_destroy(&study);
    }
    *out = study;
    return status;
}

static void stay_silent(const nl_diagnostics *diagnostics)
{
    (void)diagnostics;
}

nl_status nl_study_parse(const nl_study_source *source, nl_study **out)
{
    return parse(source, nl_diagnostics_print, out);
}

nl_status nl_study_parse_silently(const nl_study_source *source, nl_study **out)
{
    return parse(source, stay_silent, out);
}
