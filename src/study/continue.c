/** @file continue.c  A folder that holds an earlier run: what may go on, what is refused, what is
 * kept. */
#include "folder.h"
#include "keys.h"
#include "run.h"

#include "ntklens/io.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Is this the same study?
 *-------------------------------------------------------------------------------------------*/

/* Every old value is still asked for: the grid was widened at most. */
static bool keeps_values(const nl_values *before, const nl_values *now)
{
    for (int k = 0; k < before->count; k++) {
        if (!nl_values_hold(now, &before->item[k])) {
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
           !nl_study_is(before, NL_KEY_SCHEDULE, "cosine");
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
        nl_values_append(names, info, &before->value[key]);
        nl_text_append(names, ", now ");
        nl_values_append(names, info, &now->value[key]);
        nl_text_append(names, ")");
    }
}

static bool has_finished_cells(const char *folder)
{
    char *path = nl_path_join(folder, "cells");
    DIR *listing = path != NULL ? opendir(path) : NULL;
    bool found = path == NULL; /* out of memory: refuse rather than lose anything */

    if (listing != NULL) {
        for (struct dirent *entry = readdir(listing); entry != NULL && !found;
             entry = readdir(listing)) {
            const size_t length = strlen(entry->d_name);

            found = length > 3 && strcmp(entry->d_name + length - 3, ".h5") == 0;
        }
        closedir(listing);
    }
    free(path);
    return found;
}

/* changed: keys that no finished cell depends on. */
static nl_status compare_with_earlier(const nl_study *study, const nl_run_options *options,
                                      nl_text *changed)
{
    nl_study *before = NULL;
    nl_status status = nl_study_in(options->folder, 0, NULL, &before);

    if (status == NL_OK && before != NULL) {
        name_differences(before, study, changed);
        if (changed->length > 0 && has_finished_cells(options->folder)) {
            status = NL_FAIL(
                NL_ERR_STUDY,
                "%s: finished work there was trained with other keys: %s; give another -o DIR, or "
                "--fresh to start anew (earlier results are kept aside)",
                options->folder, changed->data);
        }
    }
    nl_study_destroy(&before);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * --fresh
 *-------------------------------------------------------------------------------------------*/

static const char *const kept_aside[] = {"study.yaml",   "results.csv", "timings.csv", "log.txt",
                                         "infinite.csv", "cells",       "checkpoints", "report"};

/* Folders of files that are written. */
static const char *const written_to[] = {".", "cells", "checkpoints", "checkpoints/previous"};

static nl_status move_one(const char *folder, const char *aside, const char *name)
{
    char *from = nl_path_join(folder, name);
    char *to = nl_path_join(aside, name);
    nl_status status = NL_OK;

    if (from == NULL || to == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    } else if (nl_path_exists(from) && NL_REPEAT(rename(from, to)) != 0) {
        const int error = errno;
        char reason[192];

        status = NL_FAIL(nl_write_status(error), "%s: cannot be moved to %s: %s", from, to,
                         nl_write_reason(error, reason));
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

static nl_status remove_temporaries_below(const char *folder, const char *name)
{
    char *path = nl_path_join(folder, name);

    if (path == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    nl_folder_remove_temporaries(path, 0.0); /* the lock is ours: nobody writes */
    free(path);
    return NL_OK;
}

nl_status nl_run_open_folder(const nl_study *study, const nl_run_options *options, nl_lock **lock,
                             nl_text *changed)
{
    nl_status status = nl_folder_create(options->folder);

    if (status == NL_OK) {
        status = nl_lock_take(options->folder, lock);
    }
    if (status == NL_OK && has_earlier_run(options->folder)) {
        status = options->fresh ? move_aside(options->folder)
                                : compare_with_earlier(study, options, changed);
    }
    for (size_t k = 0; status == NL_OK && k < NL_COUNT(written_to); k++) {
        status = create_below(options->folder, written_to[k]);
    }
    for (size_t k = 0; status == NL_OK && k < NL_COUNT(written_to); k++) {
        status = remove_temporaries_below(options->folder, written_to[k]);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Finished cells
 *-------------------------------------------------------------------------------------------*/

/** Finished cells that were computed with other BLAS kernels or libraries than those here. */
typedef struct foreign_cells {
    int count, first;
    char differs[nl_differs_width]; /* of the first */
} foreign_cells;

static nl_status load_one(nl_run *run, int index, const char *path, foreign_cells *foreign)
{
    const nl_cell *cell = &run->cells[index];
    const char *why = NULL;
    nl_result *result = NULL;
    nl_row *rows = NULL;
    int count = 0;
    nl_status status = nl_finished_read(path, run->study, cell, run->plan, &result, &why);

    if (status == NL_OK) {
        status = nl_result_rows(result, run->plan, run->cells, index, &rows, &count);
        if (status == NL_OK) {
            status = nl_ledger_add(run->ledger, index, rows, count);
        }
        run->phase[index] = status == NL_OK ? NL_CELL_FINISHED : NL_CELL_LEFT;
        if (result->differs[0] != '\0' && foreign->count++ == 0) {
            foreign->first = index;
            memcpy(foreign->differs, result->differs, sizeof foreign->differs);
        }
        nl_remove_checkpoints(run, cell); /* killed before it could do so itself */
    }
    if (run->phase[index] != NL_CELL_FINISHED) {
        nl_log_event(run->log, "cell_redone", "cell=%s reason=\"%s\"", cell->id,
                     why != NULL ? why : nl_status_text(status));
    }
    free(rows);
    nl_result_destroy(&result, run->plan->kernels);
    return status == NL_ERR_NOMEM ? status : NL_OK;
}

nl_status nl_run_load_finished(nl_run *run)
{
    foreign_cells foreign = {0};
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && k < run->count; k++) {
        char *path = nl_cell_path(run->options->folder, "cells", &run->cells[k]);

        if (path == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
        }
        if (nl_path_exists(path)) {
            status = load_one(run, k, path, &foreign);
        }
        free(path);
    }
    if (foreign.count > 0) { /* each is of one kind, the table is not */
        nl_log_event(run->log, "blas_mix", "cell=%s finished_cells=%d reason=\"%s\"",
                     run->cells[foreign.first].id, foreign.count, foreign.differs);
    }
    return status;
}
