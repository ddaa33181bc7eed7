/** @file study.c  A resolved study: its values, its folder of data, itself as YAML again. */
#include "ntklens/study.h"
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

bool nl_images_is_fingerprint(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789=: ";
    const size_t length = strlen(text);

    return length > 0 && length < nl_fingerprint_width && strspn(text, letters) == length;
}
