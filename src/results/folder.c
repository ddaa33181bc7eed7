/** @file folder.c  What stands in a results folder, and whose it is. */
#include "ntklens/folder.h"
#include "ntklens/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*---------------------------------------------------------------------------------------------
 * Who wrote a file?
 *-------------------------------------------------------------------------------------------*/

/** A file that is replaced or appended to, and how it has begun since the first version. */
typedef struct own_file {
    const char *name;
    const char *start[2];
} own_file;

static const own_file run_files[] = {
    {"log.txt", {"start time=", "merge folder="}},       {"lock", {"host="}},
    {"results.csv", {"cell,width,depth,n_train,seed,"}}, {"timings.csv", {nl_timings_header}},
    {"infinite.csv", {"limit,depth,activation,"}},
};

static const own_file report_files[] = {
    {"summary.md", {"# Report on "}},
    {"fits.csv", {"direction,held,quantity,model,"}},
    {"robustness.csv", {"direction,held,rank,kernel,"}},
    {"transition.csv", {"held,kernel,c,width,"}},
    {"prefixes.csv", {"direction,held,scale,kernel,images,"}},
    {"prefix_slopes.csv", {"against,direction,held,quantity,at,"}},
    {"report.html", {"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name="}},
};

/** What a file begins with, enough to tell whose it is. */
typedef struct beginning {
    char text[512];
    size_t length; /* 0: no file, or an empty one */
    bool strange;  /* a link, a folder, a pipe, no permission */
} beginning;

static beginning read_beginning(const char *folder, const char *name)
{
    beginning b = {0};
    char *path = nl_path_join(folder, name);
    const int file = path != NULL ? nl_open_plain(path, O_RDONLY) : -1;

    if (file >= 0) {
        const ssize_t got = NL_REPEAT(pread(file, b.text, sizeof b.text - 1, 0));

        b.length = got > 0 ? (size_t)got : 0;
        close(file);
    } else {
        b.strange = path == NULL || errno != ENOENT;
    }
    free(path);
    return b;
}

/* Up to a quarter of damaged bytes. */
static bool begins_like(const beginning *b, const char *start)
{
    const size_t whole = strlen(start);
    const size_t length = b->length < whole ? b->length : whole;
    size_t same = 0;

    for (size_t k = 0; k < length; k++) {
        same += b->text[k] == start[k];
    }
    return 4 * same >= 3 * length;
}

static bool is_text(const beginning *b)
{
    for (size_t k = 0; k < b->length; k++) {
        const unsigned char c = (unsigned char)b->text[k];

        if ((c < ' ' && strchr("\t\n\r", c) == NULL) || c == '\0' || c == 127) {
            return false;
        }
    }
    return true;
}

/* True also where there is none, or an empty one, which is nobody's loss. */
static bool is_own(const own_file *file, const beginning *b)
{
    for (size_t k = 0; k < NL_COUNT(file->start) && file->start[k] != NULL; k++) {
        if (begins_like(b, file->start[k])) {
            return true;
        }
    }
    return false;
}

static nl_status refuse(const char *folder, const char *name)
{
    return NL_FAIL(NL_ERR_USAGE,
                   "%s/%s: was not written by ntklens, which would replace it; move it away or "
                   "give another folder with -o",
                   folder, name);
}

/* vouched: the folder is ntklens's by other signs, so a file of no sense is a damaged one. */
static nl_status check_files(const char *folder, const own_file *files, size_t count, bool vouched)
{
    for (size_t k = 0; k < count; k++) {
        const beginning b = read_beginning(folder, files[k].name);

        if (b.strange || (!is_own(&files[k], &b) && (is_text(&b) || !vouched))) {
            return refuse(folder, files[k].name);
        }
    }
    return NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * study.yaml
 *-------------------------------------------------------------------------------------------*/

/* A resolved study ends with what computed it, and has neither comments nor maps in braces: these
 * are a person's, also in a copy of a resolved study. */
static bool is_resolved_study(const char *text)
{
    bool quoted = false;

    if (strstr(text, "\nprovenance:\n  \"") == NULL) {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (quoted && at[0] == '\\' && at[1] != '\0') {
            at++;
        } else if (*at == '"') {
            quoted = !quoted;
        } else if (!quoted && (*at == '#' || *at == '{')) {
            return false;
        }
    }
    return true;
}

static nl_status check_study(const char *folder)
{
    const beginning b = read_beginning(folder, "study.yaml");
    char *path = NULL;
    unsigned char *text = NULL;
    size_t length = 0;
    nl_status status = NL_OK;

    if (b.strange) {
        return refuse(folder, "study.yaml");
    }
    if (b.length == 0) {
        return NL_OK;
    }
    path = nl_path_join(folder, "study.yaml");
    status = path != NULL ? nl_file_read(path, NL_PLAIN, &text, &length)
                          : NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    if (status == NL_OK && !is_resolved_study((const char *)text)) {
        status = refuse(folder, "study.yaml");
    }
    free(text);
    free(path);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * The whole
 *-------------------------------------------------------------------------------------------*/

static bool has_cells(const char *folder)
{
    char *path = nl_path_join(folder, "cells");
    DIR *listing = path != NULL ? opendir(path) : NULL;
    bool found = false;

    for (struct dirent *entry = listing != NULL ? readdir(listing) : NULL; entry != NULL && !found;
         entry = readdir(listing)) {
        const char *end = strrchr(entry->d_name, '.');

        found = end != NULL && strcmp(end, ".h5") == 0;
    }
    if (listing != NULL) {
        closedir(listing);
    }
    free(path);
    return found;
}

nl_status nl_folder_check_results(const char *folder)
{
    const beginning log = read_beginning(folder, "log.txt");
    const beginning table = read_beginning(folder, "results.csv");
    const bool vouched =
        has_cells(folder) || (log.length > 0 && is_own(&run_files[0], &log) && is_text(&log));
    nl_status status = NL_OK;

    if (nl_path_exists(folder) && !nl_path_is_folder(folder)) {
        return NL_FAIL(NL_ERR_USAGE, "%s: is no folder, expected one or a name that is free",
                       folder);
    }
    status = check_study(folder);
    if (status == NL_OK) {
        status = check_files(folder, run_files, NL_COUNT(run_files), vouched);
    }
    /* Of the right form, but nothing that it could be made from: joined by hand, for a report. */
    if (status == NL_OK && table.length > 0 && !vouched) {
        status = refuse(folder, "results.csv");
    }
    return status;
}

nl_status nl_folder_check_report(const char *folder)
{
    return check_files(folder, report_files, NL_COUNT(report_files), false);
}

/*---------------------------------------------------------------------------------------------
 * Temporary files
 *-------------------------------------------------------------------------------------------*/

/* Versions before 0.2 put ".tmp" behind the name, and nothing else. */
static bool was_temporary(const char *name)
{
    const char *end = strstr(name, ".h5.tmp");

    for (size_t k = 0; k < NL_COUNT(run_files); k++) {
        const size_t length = strlen(run_files[k].name);

        if (strncmp(name, run_files[k].name, length) == 0 && strcmp(name + length, ".tmp") == 0) {
            return true;
        }
    }
    return (end != NULL && strcmp(end, ".h5.tmp") == 0) || strcmp(name, "study.yaml.tmp") == 0;
}

static bool is_left_behind(int folder, const char *name, double age)
{
    struct stat entry;
    struct timespec now;

    if (!nl_is_temporary(name) && !was_temporary(name)) {
        return false;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    return fstatat(folder, name, &entry, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(entry.st_mode) &&
           entry.st_uid == geteuid() && (double)(now.tv_sec - entry.st_mtim.tv_sec) >= age;
}

void nl_folder_remove_temporaries(const char *folder, double age)
{
    const int file = nl_folder_open(folder);
    DIR *listing = file >= 0 ? fdopendir(file) : NULL;

    for (struct dirent *entry = listing != NULL ? readdir(listing) : NULL; entry != NULL;
         entry = readdir(listing)) {
        if (is_left_behind(file, entry->d_name, age)) {
            unlinkat(file, entry->d_name, 0);
        }
    }
    if (listing != NULL) {
        closedir(listing);
    } else if (file >= 0) {
        close(file);
    }
}
