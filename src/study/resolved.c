/** @file resolved.c  A resolved study: its values, its folder of data, itself as YAML again. */
#include "keys.h"
#include "ntklens/io.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double nl_study_number(const nl_study *study, nl_key key)
{
    return study->value[key].item[0].number;
}

const char *nl_study_word(const nl_study *study, nl_key key)
{
    return study->value[key].item[0].word;
}

bool nl_study_is(const nl_study *study, nl_key key, const char *word)
{
    const nl_values *values = &study->value[key];

    for (int k = 0; k < values->count; k++) {
        if (values->item[k].word != NULL && strcmp(values->item[k].word, word) == 0) {
            return true;
        }
    }
    return false;
}

/*---------------------------------------------------------------------------------------------
 * Folder of the data
 *-------------------------------------------------------------------------------------------*/

/* `path`, as seen from the folder that `file` lies in, absolute; NULL when out of memory. */
static char *resolve_beside(const char *file, const char *path)
{
    char *here = getcwd(NULL, 0);
    char *folder = strdup(file);
    char *beside = NULL;
    char *whole = NULL;

    if (here != NULL && folder != NULL) {
        char *slash = strrchr(folder, '/');

        if (slash != NULL) {
            *slash = '\0'; /* "" for a file in /, to which the join adds its slash */
        }
        beside = slash != NULL && path[0] != '/' ? nl_path_join(folder, path) : strdup(path);
        whole = beside != NULL ? nl_path_join(here, beside) : NULL;
    }
    free(beside);
    free(folder);
    free(here);
    return whole;
}

/* "~/mnist" is expanded, as shells do, which never see what stands in a file; "~user" is not.
 * *out: owned by the caller */
static nl_status expand_home(const char *file, const char *path, char **out)
{
    const char *home = getenv("HOME");
    const bool own = path[0] == '~' && (path[1] == '/' || path[1] == '\0');

    *out = NULL;
    if (path[0] == '~' && (!own || home == NULL || home[0] != '/')) {
        return NL_FAIL(NL_ERR_DATA, "%s: data folder %s: %s", file, path,
                       own ? "HOME, for which the ~ stands, is not set to a folder"
                           : "expected ~/, which is expanded, or a path without ~ (./~name for a "
                             "folder of such a name)");
    }
    *out = own ? nl_path_join(home, path[1] == '/' ? path + 2 : "") : strdup(path);
    return *out != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for a path", file);
}

/* The folder `path`, as seen from the folder that `file` lies in. */
static nl_status resolve_folder(const nl_study *study, const char *file, const char *path,
                                char **out)
{
    char *expanded = NULL;
    nl_status status = expand_home(study->file, path, &expanded);

    if (status == NL_OK) {
        *out = resolve_beside(file, expanded);
        status = *out != NULL ? NL_OK
                              : NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for a path", study->file);
    }
    free(expanded);
    return status;
}

nl_status nl_study_data_folder(const nl_study *study, char **out)
{
    const char *source = nl_study_word(study, NL_KEY_SOURCE);
    const char *path = nl_study_word(study, NL_KEY_PATH);
    const char *home = getenv("NTKLENS_DATA");
    char *folder = NULL;
    nl_status status = NL_OK;

    *out = NULL;
    if (strcmp(source, "glyphs") == 0) {
        return NL_OK;
    }
    if (path[0] != '\0') {
        return resolve_folder(study, study->file, path, out);
    }
    if (home == NULL || home[0] == '\0') {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: no folder of the %s files is known: download them with "
                       "tools/fetch-data %s and set data.path to their folder, or NTKLENS_DATA to "
                       "the folder that holds %s/",
                       study->file, source, source, source);
    }
    folder = nl_path_join(home, source);
    status = folder != NULL ? resolve_folder(study, "", folder, out)
                            : NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for a path", study->file);
    free(folder);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * YAML
 *-------------------------------------------------------------------------------------------*/

/* Code points that YAML takes as they are inside double quotes. */
static bool is_printable(uint32_t code)
{
    return (code >= 0x20 && code < 0x7f) || (code >= 0xa0 && code < 0x2028) ||
           (code > 0x2029 && code < 0xd800) || (code >= 0xe000 && code < 0xfeff) ||
           (code > 0xfeff && code < 0xfffd) || code >= 0x10000;
}

static void write_quoted(const char *text, nl_text *out)
{
    size_t length = 0;

    nl_text_append(out, "\"");
    for (const char *at = text; *at != '\0'; at += length) {
        uint32_t code = nl_utf8_decode(at, &length);

        if (code == '"' || code == '\\') {
            nl_text_append(out, "\\%c", (int)code);
        } else if (is_printable(code)) {
            nl_text_append_bytes(out, at, length);
        } else {
            nl_text_append(out, "\\u%04X", (unsigned)code);
        }
    }
    nl_text_append(out, "\"");
}

const char *nl_scalar_text(const nl_key_info *info, const nl_scalar *value, char buffer[32])
{
    if (value->word != NULL) {
        return value->word;
    }
    if (info->type == NL_TYPE_BOOL) {
        return value->number > 0.0 ? "true" : "false";
    }
    if (info->type == NL_TYPE_REAL) {
        return nl_format_double(value->number, buffer);
    }
    snprintf(buffer, 32, "%.0f", value->number);
    return buffer;
}

void nl_values_append(nl_text *text, const nl_key_info *info, const nl_values *values)
{
    char number[32];

    for (int k = 0; k < values->count; k++) {
        nl_text_append(text, "%s%s", k > 0 ? ", " : "",
                       nl_scalar_text(info, &values->item[k], number));
    }
}

/* Plural keys (widths, seeds) stay lists also with one value; learning_rate does not. */
static bool is_written_as_list(const nl_key_info *info, const nl_values *values)
{
    return info->shape == NL_SHAPE_LIST || values->count != 1 ||
           (info->shape == NL_SHAPE_AXIS && (info->fallback == NULL || info->fallback[0] == '['));
}

static void write_values(const nl_key_info *info, const nl_values *values, nl_text *out)
{
    bool list = is_written_as_list(info, values);
    char digits[32];

    nl_text_append(out, list ? " [" : " ");
    for (int k = 0; k < values->count; k++) {
        nl_text_append(out, k > 0 ? ", " : "");
        if (info->type == NL_TYPE_TEXT) {
            write_quoted(values->item[k].word, out);
        } else {
            nl_text_append(out, "%s", nl_scalar_text(info, &values->item[k], digits));
        }
    }
    nl_text_append(out, list ? "]\n" : "\n");
}

/* Open the sections of `path` that the key before it did not stand in; the depth they lead to. */
static int write_sections(const char *path, const char *previous, nl_text *out)
{
    int depth = 0;

    for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        size_t length = (size_t)(dot - path);

        if (strncmp(path, previous, length + 1) != 0) {
            const char *name = dot;

            while (name > path && name[-1] != '.') {
                name--;
            }
            nl_text_append(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - name), name);
        }
        depth++;
    }
    return depth;
}

void nl_study_write(const nl_study *study, const char *data_folder, int facts,
                    const char *const fact_names[], const char *const fact_values[], nl_text *out)
{
    const char *previous = "";

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);
        int depth = write_sections(info->path, previous, out);

        nl_text_append(out, "%*s%s:", 2 * depth, "", nl_path_last(info->path));
        if (key == NL_KEY_PATH && data_folder != NULL) {
            nl_text_append(out, " ");
            write_quoted(data_folder, out);
            nl_text_append(out, "\n");
        } else {
            write_values(info, &study->value[key], out);
        }
        previous = info->path;
    }
    nl_text_append(out, facts > 0 ? "provenance:\n" : "");
    for (int k = 0; k < facts; k++) {
        nl_text_append(out, "  ");
        write_quoted(fact_names[k], out);
        nl_text_append(out, ": ");
        write_quoted(fact_values[k], out);
        nl_text_append(out, "\n");
    }
}

nl_status nl_study_in(const char *folder, int set_count, const char *const sets[], nl_study **study)
{
    char *path = nl_path_join(folder, "study.yaml");
    unsigned char *bytes = NULL;
    size_t length = 0;
    nl_status status = path == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path") : NL_OK;

    *study = NULL;
    if (status == NL_OK && nl_path_exists(path)) {
        status = nl_file_read_limited(path, NL_PLAIN, nl_study_file_limit, &bytes, &length);
        if (status == NL_OK) {
            status =
                nl_study_parse(path, (const char *)bytes, length, set_count, sets, false, study);
        }
    }
    free(bytes);
    free(path);
    return status;
}
