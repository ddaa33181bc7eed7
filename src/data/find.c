/** @file find.c  Where the original files are, and what is said where they are not. */
#include "find.h"
#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*---------------------------------------------------------------------------------------------
 * What is there
 *-------------------------------------------------------------------------------------------*/

nl_status nl_data_folder_check(nl_source source, const char *folder)
{
    const char *name = nl_source_name(source);
    char why[nl_excuse_width];
    struct stat status;

    if (folder == NULL || folder[0] == '\0') {
        return NL_FAIL(NL_ERR_DATA,
                       "no folder is named for the original files of %s: set data.path or "
                       "NTKLENS_DATA (`tools/fetch-data %s DIR` downloads them)",
                       name, name);
    }
    if (stat(folder, &status) != 0) {
        const bool missing = errno == ENOENT;

        nl_path_excuse(folder, errno, why);
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %s, expected the folder with the original files of %s: "
                       "`tools/fetch-data %s %s` downloads them; or set data.path or NTKLENS_DATA",
                       folder,
                       missing && strcmp(why, strerror(ENOENT)) == 0 ? "no such folder" : why, name,
                       name, folder);
    }
    if (!S_ISDIR(status.st_mode)) {
        return NL_FAIL(NL_ERR_DATA, "%s: is a file, expected the folder with the files of %s",
                       folder, name);
    }
    if (access(folder, R_OK | X_OK) != 0) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: cannot be looked into: %s, expected a readable folder with the files "
                       "of %s",
                       folder, strerror(errno), name);
    }
    return NL_OK;
}

nl_status nl_data_file_missing(nl_source source, const char *folder, const char *name)
{
    return NL_FAIL(NL_ERR_DATA,
                   "%s/%s: no such file, plain or with .gz: `tools/fetch-data %s %s` downloads it; "
                   "or set data.path or NTKLENS_DATA",
                   folder, name, nl_source_name(source), folder);
}

/*---------------------------------------------------------------------------------------------
 * Files of several names
 *-------------------------------------------------------------------------------------------*/

/* The number-th place where a file of these names may lie: each name plain, then with .gz.
 * *path: owned by the caller; NULL where there are no more. */
static nl_status candidate(const char *folder, const char *const *names, size_t number, char **path)
{
    static const char *const suffixes[] = {"", ".gz"};
    size_t count = 0;

    *path = NULL;
    while (names[count] != NULL) {
        count++;
    }
    if (number < count * NL_COUNT(suffixes) &&
        asprintf(path, "%s/%s%s", folder, names[number / NL_COUNT(suffixes)],
                 suffixes[number % NL_COUNT(suffixes)]) < 0) {
        *path = NULL;
        return NL_FAIL(NL_ERR_NOMEM, "%s/%s: out of memory for the path", folder, names[0]);
    }
    return NL_OK;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Whatever keeps it from being there is no simple absence. */
static bool is_hindered(const char *path)
{
    struct stat entry;

    return lstat(path, &entry) == 0 || errno != ENOENT;
}

/* First candidate, from *number on, for which `wanted` holds; NULL where there is none. */
static nl_status find_candidate(const char *folder, const char *const *names,
                                bool (*wanted)(const char *path), size_t *number, char **path)
{
    nl_status st = candidate(folder, names, *number, path);

    while (st == NL_OK && *path != NULL && !wanted(*path)) {
        free(*path);
        st = candidate(folder, names, ++*number, path);
    }
    return st;
}

nl_status nl_data_file_find(nl_source source, const char *folder, const char *const *names,
                            char **path)
{
    size_t number = 0;
    nl_status st = find_candidate(folder, names, is_there, &number, path);

    if (st == NL_OK && *path == NULL) {
        number = 0;
        st = find_candidate(folder, names, is_hindered, &number, path);
    }
    if (st == NL_OK && *path == NULL) {
        st = nl_data_file_missing(source, folder, names[0]);
    }
    return st;
}

nl_status nl_data_folder_find(const char *folder, const char *const *below,
                              const char *const *names, char **found)
{
    char *path = NULL;
    size_t number = 0;
    nl_status st = find_candidate(folder, names, is_there, &number, &path);

    *found = NULL;
    for (size_t k = 0; st == NL_OK && path == NULL && below[k] != NULL; k++) {
        free(*found);
        if (asprintf(found, "%s/%s", folder, below[k]) < 0) {
            *found = NULL;
            return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the path", folder);
        }
        number = 0;
        st = find_candidate(*found, names, is_there, &number, &path);
    }
    if (st == NL_OK && (path == NULL || *found == NULL)) {
        free(*found);
        *found = strdup(folder);
        st = *found != NULL ? NL_OK
                            : NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the path", folder);
    }
    if (st != NL_OK) {
        free(*found);
        *found = NULL;
    }
    free(path);
    return st;
}

/*---------------------------------------------------------------------------------------------
 * Files that lie there twice
 *-------------------------------------------------------------------------------------------*/

/* zlib's reader takes plain files as they are, and says nothing of its own on stderr. */
static bool same_content(gzFile one, gzFile other)
{
    enum { chunk = 1 << 16 };
    unsigned char *bytes = nl_calloc(2, chunk);
    int got[2] = {1, 1};
    bool same = bytes != NULL;

    while (same && got[0] > 0) {
        got[0] = gzread(one, bytes, chunk);
        got[1] = gzread(other, bytes + chunk, chunk);
        same = got[0] == got[1] && got[0] >= 0 && memcmp(bytes, bytes + chunk, (size_t)got[0]) == 0;
    }
    free(bytes);
    return same && gzerror(one, &got[0]) != NULL && gzerror(other, &got[1]) != NULL &&
           got[0] == Z_OK && got[1] == Z_OK;
}

void nl_data_files_compare(const char *taken, const char *other, nl_text *lines)
{
    const char *name = strrchr(other, '/') != NULL ? strrchr(other, '/') + 1 : other;
    gzFile one = gzopen(taken, "rbe");
    gzFile two = gzopen(other, "rbe");

    if (one == NULL || two == NULL || !same_content(one, two)) {
        nl_text_append(lines,
                       "%s%s is taken, and not %s, which lies beside it and holds other bytes or "
                       "cannot be read",
                       lines->length > 0 ? "\n" : "", taken, name);
    }
    if (one != NULL) {
        gzclose(one);
    }
    if (two != NULL) {
        gzclose(two);
    }
}

void nl_data_file_compare_copies(const char *folder, const char *const *names, nl_text *lines)
{
    char *taken = NULL;
    char *other = NULL;
    size_t number = 0;
    nl_status st = find_candidate(folder, names, is_there, &number, &taken);

    while (st == NL_OK && taken != NULL) {
        number++;
        st = find_candidate(folder, names, is_there, &number, &other);
        if (st != NL_OK || other == NULL) {
            break;
        }
        nl_data_files_compare(taken, other, lines);
        free(other);
        other = NULL;
    }
    free(taken);
}
