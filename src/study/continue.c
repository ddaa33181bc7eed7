/** @file continue.c  A folder that holds an earlier run: what may go on, what is refused, what is
 * kept. */
#include "run.h"

#include "ntklens/io.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*---------------------------------------------------------------------------------------------
 * Is this the same study?
 *-------------------------------------------------------------------------------------------*/

static bool same_scalar(const nl_scalar *a, const nl_scalar *b)
{
    if (a->word != NULL || b->word != NULL) {
        return a->word != NULL && b->word != NULL && strcmp(a->word, b->word) == 0;
    }
    return a->number == b->number;
}

/* Every old value is still asked for: the grid was widened at most. */
static bool keeps_values(const nl_values *before, const nl_values *now)
{
    for (int k = 0; k < before->count; k++) {
        bool found = false;

        for (int j = 0; j < now->count && !found; j++) {
            found = same_scalar(&before->item[k], &now->item[j]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* Leaving out a size, a width, a depth or a seed alters no cell. */
static bool may_shrink(nl_key key)
{
    return key == NL_KEY_TRAIN_SIZES || key == NL_KEY_WIDTHS || key == NL_KEY_DEPTHS ||
           key == NL_KEY_SEEDS;
}

/* A longer training begins with the shorter one where the schedule does not know its end. */
static bool is_longer_training(const nl_study *before, const nl_study *now)
{
    const nl_values *old = &before->value[NL_KEY_MAX_STEPS];
    const nl_values *new = &now->value[NL_KEY_MAX_STEPS];

    for (int k = 0; k < old->count; k++) {
        for (int j = 0; j < new->count; j++) {
            if (new->item[j].number < old->item[k].number) {
                return false;
            }
        }
    }
    return !nl_study_is(now, NL_KEY_SCHEDULE, "cosine") &&
           !nl_study_is(before, NL_KEY_SCHEDULE, "cosine") &&
           !(nl_study_number(now, NL_KEY_STOP_AFTER_BEST) > 0.0);
}

static void append_values(nl_text *text, const nl_values *values)
{
    char number[32];

    for (int k = 0; k < values->count; k++) {
        const nl_scalar *v = &values->item[k];

        nl_text_append(text, "%s%s", k > 0 ? "," : "",
                       v->word != NULL ? v->word : nl_format_double(v->number, number));
    }
}

static void name_differences(const nl_study *before, const nl_study *now, nl_text *names)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);

        if (info->affects != NL_AFFECTS_TRAINING || may_shrink((nl_key)key) ||
            keeps_values(&before->value[key], &now->value[key]) ||
            (key == NL_KEY_MAX_STEPS && is_longer_training(before, now))) {
            continue;
        }
        nl_text_append(names, "%s%s (was ", names->length > 0 ? "; " : "", info->path);
        append_values(names, &before->value[key]);
        nl_text_append(names, ", now ");
        append_values(names, &now->value[key]);
        nl_text_append(names, ")");
    }
}

static nl_status compare_with_earlier(const nl_study *study, const nl_run_options *options)
{
    char *path = nl_path_join(options->folder, "study.yaml");
    unsigned char *bytes = NULL;
    size_t length = 0;
    nl_study *before = NULL;
    nl_text names = {0};
    nl_status status = path == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path") : NL_OK;

    if (status != NL_OK || !nl_path_exists(path)) {
        free(path);
        return status;
    }
    status = nl_file_read(path, NL_PLAIN, &bytes, &length);
    if (status == NL_OK) {
        status = nl_study_parse(path, (const char *)bytes, length, 0, NULL, false, &before);
    }
    if (status == NL_OK) {
        name_differences(before, study, &names);
        if (names.length > 0) {
            status = NL_FAIL(
                NL_ERR_STUDY,
                "%s: finished work there was trained with other keys: %s; give another -o DIR, or "
                "--fresh to start anew (earlier results are kept aside)",
                options->folder, names.data);
        }
    }
    nl_text_free(&names);
    nl_study_destroy(&before);
    free(bytes);
    free(path);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * --fresh
 *-------------------------------------------------------------------------------------------*/

static const char *const kept_aside[] = {"study.yaml",   "results.csv", "timings.csv", "log.txt",
                                         "infinite.csv", "cells",       "checkpoints", "report"};

/* Folders of files that are written under a temporary name. */
static const char *const written_to[] = {".", "cells", "checkpoints", "checkpoints/previous"};

static nl_status move_one(const char *folder, const char *aside, const char *name)
{
    char *from = nl_path_join(folder, name);
    char *to = nl_path_join(aside, name);
    nl_status status = NL_OK;

    if (from == NULL || to == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    } else if (nl_path_exists(from) && rename(from, to) != 0) {
        const int error = errno;

        status = NL_FAIL(nl_write_status(error), "%s: cannot be moved to %s: %s", from, to,
                         strerror(error));
    }
    free(from);
    free(to);
    return status;
}

/* Into DIR/previous-<n>, the first that is free. */
static nl_status move_aside(const char *folder)
{
    nl_text aside = {0};
    nl_status status = NL_OK;

    for (int n = 1; aside.length == 0 || nl_path_exists(aside.data); n++) {
        aside.length = 0;
        nl_text_append(&aside, "%s/previous-%d", folder, n);
        if (aside.failed) {
            nl_text_free(&aside);
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
        }
    }
    status = nl_folder_create(aside.data);
    for (size_t k = 0; status == NL_OK && k < NL_COUNT(kept_aside); k++) {
        status = move_one(folder, aside.data, kept_aside[k]);
    }
    nl_text_free(&aside);
    return status;
}

static nl_status create_below(const char *folder, const char *name)
{
    char *path = nl_path_join(folder, name);
    nl_status status =
        path == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path") : nl_folder_create(path);

    free(path);
    return status;
}

/* Anything of an earlier run: its study.yaml may be the part that is lost. */
static bool has_earlier_run(const char *folder)
{
    bool exists = false;

    for (size_t k = 0; !exists && k < NL_COUNT(kept_aside); k++) {
        char *path = nl_path_join(folder, kept_aside[k]);

        exists = path != NULL && nl_path_exists(path);
        free(path);
    }
    return exists;
}

/* Temporary files of a run that was killed while it wrote. */
static void remove_half_written(const char *folder, const char *below)
{
    char *path = nl_path_join(folder, below);
    DIR *listing = path != NULL ? opendir(path) : NULL;

    if (listing != NULL) {
        for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
            const size_t length = strlen(entry->d_name);

            if (length > 4 && strcmp(entry->d_name + length - 4, ".tmp") == 0) {
                unlinkat(dirfd(listing), entry->d_name, 0);
            }
        }
        closedir(listing);
    }
    free(path);
}

nl_status nl_run_open_folder(const nl_study *study, const nl_run_options *options, nl_lock **lock)
{
    nl_status status = nl_folder_create(options->folder);

    if (status == NL_OK) {
        status = nl_lock_take(options->folder, lock);
    }
    if (status == NL_OK && has_earlier_run(options->folder)) {
        status =
            options->fresh ? move_aside(options->folder) : compare_with_earlier(study, options);
    }
    if (status == NL_OK) {
        status = create_below(options->folder, "cells");
    }
    if (status == NL_OK) {
        status = create_below(options->folder, "checkpoints/previous");
    }
    for (size_t k = 0; status == NL_OK && k < NL_COUNT(written_to); k++) {
        remove_half_written(options->folder, written_to[k]);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Finished cells
 *-------------------------------------------------------------------------------------------*/

static nl_status load_one(nl_run *run, int index, const char *path)
{
    const nl_cell *cell = &run->cells[index];
    unsigned char *image = NULL;
    size_t length = 0;
    nl_result *result = NULL;
    nl_row *rows = NULL;
    int count = 0;
    nl_status status = nl_file_read(path, NL_SEALED, &image, &length);

    if (status == NL_OK) {
        status = nl_result_read(image, length, run->study, cell, NULL, run->plan,
                                NL_READ_MEASUREMENTS, &result, NULL);
    }
    if (status == NL_OK && nl_result_complete(result, run->plan)) {
        status = nl_result_rows(result, run->plan, run->cells, index, &rows, &count);
        if (status == NL_OK) {
            status = nl_ledger_add(run->ledger, index, rows, count);
        }
        run->phase[index] = status == NL_OK ? NL_CELL_FINISHED : NL_CELL_LEFT;
        nl_remove_checkpoints(run, cell); /* killed before it could do so itself */
    }
    if (run->phase[index] != NL_CELL_FINISHED) {
        nl_log_event(run->log, "cell_redone", "cell=%s reason=\"%s\"", cell->id,
                     status == NL_OK          ? "a spectrum is missing"
                     : status == NL_ERR_STUDY ? "other probe, kernels or observables are asked for"
                                              : nl_status_text(status));
    }
    free(rows);
    free(image);
    nl_result_destroy(&result, run->plan->kernels);
    return status == NL_ERR_NOMEM ? status : NL_OK;
}

nl_status nl_run_load_finished(nl_run *run)
{
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && k < run->count; k++) {
        char *path = nl_cell_path(run, "cells", &run->cells[k]);

        if (path == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
        }
        if (nl_path_exists(path)) {
            status = load_one(run, k, path);
        }
        free(path);
    }
    return status;
}
