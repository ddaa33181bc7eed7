/** @file results_folder.c  A folder that holds an earlier run: what may go on, what is refused,
 * what is kept. */
#include "results_folder.h"
#include "messages.h"

#include "ntklens/cell_files.h"
#include "ntklens/io.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** What is to be told of the run before this one in its folder. */
typedef struct earlier_run {
    nl_text changed; /* owned; training keys that are others now, where no cell is finished */
    int unmarked;    /* files of cells that do not tell their images: of older versions */
} earlier_run;

/*---------------------------------------------------------------------------------------------
 * Is this the same study?
 *-------------------------------------------------------------------------------------------*/

/* Folders of files of cells; the first of finished ones. */
static const char *const cell_folders[] = {"cells", "checkpoints", "checkpoints/previous"};

/* What to do with a file of a cell; anything but NL_OK ends the walk. */
typedef nl_status file_visitor(const char *path, void *context);

static nl_status visit_files(const char *folder, const char *below, file_visitor *visit,
                             void *context)
{
    char *path = nl_path_join(folder, below);
    DIR *listing = path != NULL ? opendir(path) : NULL;
    nl_status status = path != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");

    for (struct dirent *entry = listing != NULL ? readdir(listing) : NULL;
         status == NL_OK && entry != NULL; entry = readdir(listing)) {
        const size_t length = strlen(entry->d_name);

        if (length > 3 && strcmp(entry->d_name + length - 3, ".h5") == 0) {
            char *file = nl_path_join(path, entry->d_name);

            status = file != NULL ? visit(file, context)
                                  : NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
            free(file);
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    free(path);
    return status;
}

static nl_status count_file(const char *path, void *context)
{
    (void)path;
    ++*(int *)context;
    return NL_OK;
}

/* How many; one where it cannot be told: refuse rather than lose anything. */
static int count_files(const char *folder, const char *below)
{
    int count = 0;

    return visit_files(folder, below, count_file, &count) == NL_OK ? count : 1;
}

/** Files of a folder whose study.yaml does not tell its images. */
typedef struct unmarked_files {
    const char *fingerprint; /* of the images here */
    size_t limit;            /* bytes of a file */
    int count;               /* of those that do not tell either */
} unmarked_files;

static nl_status check_file(const char *path, void *context)
{
    unmarked_files *unmarked = context;
    char fingerprint[nl_fingerprint_width];
    nl_status status = nl_cell_file_fingerprint(path, unmarked->limit, fingerprint);

    if (status != NL_OK) {
        return status == NL_ERR_NOMEM ? status : NL_OK; /* damaged: so finds who wants it */
    }
    unmarked->count += fingerprint[0] == '\0';
    return nl_images_agree(path, fingerprint, unmarked->fingerprint, "");
}

/* Checkpoints of other keys are passed over; those of other images have the names of these.
 * before: what study.yaml tells, NULL: nothing */
static nl_status compare_images(const nl_run *run, const char *before, earlier_run *earlier)
{
    const char *folder = run->in.options->folder;
    const char *now = nl_dataset_fingerprint(run->in.splits->dataset);
    unmarked_files unmarked = {
        .fingerprint = now,
        .limit = nl_cell_file_limit(&run->in.cells[run->in.count - 1], run->in.plan)};
    int files = 0;
    nl_status status = NL_OK;

    for (size_t k = 0; k < NL_COUNT(cell_folders); k++) {
        files += count_files(folder, cell_folders[k]);
    }
    if (files > 0 && before != NULL) {
        return nl_images_agree(folder, before, now,
                               "; give another -o DIR, or --fresh to start anew (earlier results "
                               "are kept aside)");
    }
    for (size_t k = 0; status == NL_OK && files > 0 && k < NL_COUNT(cell_folders); k++) {
        status = visit_files(folder, cell_folders[k], check_file, &unmarked);
    }
    earlier->unmarked = unmarked.count;
    if (files == 0 && !nl_images_may_be_same(before, now)) {
        nl_text_append(&earlier->changed, "%s" NL_FACT_FINGERPRINT " (was %s, now %s)",
                       earlier->changed.length > 0 ? "; " : "", before, now);
    }
    return status;
}

static nl_status compare_with_earlier(const nl_run *run, earlier_run *earlier)
{
    const nl_run_options *options = run->in.options;
    nl_text *changed = &earlier->changed;
    nl_study *before = NULL;
    nl_status status = nl_study_in(options->folder, 0, NULL, &before);

    if (status == NL_OK && before != NULL) {
        nl_study_append_changes(before, run->in.study, changed);
        if (changed->length > 0 && count_files(options->folder, cell_folders[0]) > 0) {
            status = NL_FAIL(
                NL_ERR_STUDY,
                "%s: finished work there was trained with other keys: %s; give another -o DIR, or "
                "--fresh to start anew (earlier results are kept aside)",
                options->folder, changed->data);
        }
    }
    if (status == NL_OK) {
        status = compare_images(run, before != NULL ? before->fingerprint : NULL, earlier);
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

/* Create the results folder and take its lock.  What does an earlier run there mean for this one?
 * earlier: zeroed */
static nl_status open_folder(nl_run *run, earlier_run *earlier)
{
    const nl_run_options *options = run->in.options;
    nl_status status = nl_folder_create(options->folder);

    if (status == NL_OK) {
        status = nl_lock_take(options->folder, &run->out.lock);
    }
    if (status == NL_OK && has_earlier_run(options->folder)) {
        status = options->fresh ? move_aside(options->folder) : compare_with_earlier(run, earlier);
    }
    for (size_t k = 0; status == NL_OK && k < NL_COUNT(written_to); k++) {
        status = create_below(options->folder, written_to[k]);
    }
    for (size_t k = 0; status == NL_OK && k < NL_COUNT(written_to); k++) {
        status = remove_temporaries_below(options->folder, written_to[k]);
    }
    if (status == NL_OK) {
        status = remove_temporaries_below(options->folder, NL_KEPT_FOLDER);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Finished cells
 *-------------------------------------------------------------------------------------------*/

/** Finished cells that were computed with other BLAS kernels or libraries than those here, or by a
 * version that did not know all columns. */
typedef struct foreign_cells {
    int lacking;                    /* of such a version */
    int count, first;               /* first: of the grid */
    char differs[nl_differs_width]; /* of the first */
} foreign_cells;

static nl_status load_one(nl_run *run, int index, const char *path, foreign_cells *foreign,
                          nl_text *batch)
{
    const nl_cell *cell = &run->in.cells[index];
    const char *why = NULL;
    nl_record *record = NULL;
    nl_row *rows = NULL;
    int count = 0;
    nl_status status =
        nl_cell_file_read_finished(path, run->in.study, cell, run->in.plan, &record, &why);

    if (status == NL_OK) {
        status = nl_record_rows(record, run->in.plan, run->in.cells, index, &rows, &count);
        if (status == NL_OK) {
            status = nl_send_loaded_rows(run->schedule.service, run->in.cells, index, rows, count,
                                         batch);
        }
        run->schedule.phase[index] = status == NL_OK ? NL_CELL_FINISHED : NL_CELL_LEFT;
        foreign->lacking += record->lacking ? 1 : 0;
        if (record->differs[0] != '\0' && foreign->count++ == 0) {
            foreign->first = index;
            memcpy(foreign->differs, record->differs, sizeof foreign->differs);
        }
        nl_remove_checkpoints(run, cell); /* killed before it could do so itself */
    } else if (status != NL_ERR_NOMEM && status != NL_ERR_OTHER_DATA) { /* told: of other images */
        status = nl_send_event(run->schedule.service, index, run->in.team->rank, "cell_redone",
                               why != NULL ? why : nl_status_text(status));
    }
    free(rows);
    nl_record_destroy(&record, run->in.plan->kernels);
    return status;
}

/* Each of them is of one kind, the table is not.  Collective. */
static nl_status warn_of_foreign(const nl_run *run, const foreign_cells *mine)
{
    const bool root = run->in.team->rank == 0;
    const int size = run->in.team->size;
    foreign_cells *all = root ? nl_calloc((size_t)size, sizeof *all) : NULL;
    const foreign_cells *first = NULL;
    int count = 0;
    int lacking = 0;
    nl_status status = root && all == NULL
                           ? NL_FAIL(NL_ERR_NOMEM, "out of memory for cells of %d ranks", size)
                           : NL_OK;

    status = nl_agree(run->in.team->comm, status);
    if (status == NL_OK) {
        MPI_Gather(mine, sizeof *mine, MPI_BYTE, all, sizeof *mine, MPI_BYTE, 0,
                   run->in.team->comm);
    }
    for (int k = 0; status == NL_OK && root && k < size; k++) {
        count += all[k].count;
        lacking += all[k].lacking;
        if (all[k].count > 0 && (first == NULL || all[k].first < first->first)) {
            first = &all[k];
        }
    }
    if (first != NULL) {
        nl_log_event(run->out.log, "blas_mix", "cell=%s finished_cells=%d reason=\"%s\"",
                     run->in.cells[first->first].id, count, first->differs);
    }
    if (lacking > 0) {
        nl_log_event(run->out.log, "columns_missing",
                     "finished_cells=%d reason=\"an older version did not measure them: nan\"",
                     lacking);
    }
    free(all);
    return status;
}

/* This rank's share: every size-th cell. */
static nl_status load_share(nl_run *run, foreign_cells *foreign)
{
    nl_text batch = {0};
    nl_status status = NL_OK;

    for (int k = run->in.team->rank; status == NL_OK && k < run->in.count;
         k += run->in.team->size) {
        char *path = nl_cell_path(run->in.options->folder, "cells", &run->in.cells[k]);

        if (path == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
        } else if (nl_run_stopping(run)) {
            status = NL_STOPPED;
        } else if (nl_path_exists(path)) {
            status = load_one(run, k, path, foreign, &batch);
        }
        free(path);
    }
    if (status == NL_OK) {
        status = nl_send_loaded_rows(run->schedule.service, run->in.cells, 0, NULL, 0, &batch);
    }
    nl_text_free(&batch);
    return status;
}

/* Root: study.yaml, which replaces that of earlier runs, once their cells are known to be of these
 * images. */
static nl_status write_study(const nl_run *run)
{
    const nl_data_facts data = {run->out.data_folder,
                                nl_dataset_fingerprint(run->in.splits->dataset),
                                run->out.remarks.data};

    return nl_provenance_write(run->in.study, run->in.options->folder, &data);
}

nl_status nl_run_load_finished(nl_run *run)
{
    foreign_cells foreign = {0};
    int finished = 0;
    nl_status status = nl_agree(run->in.team->comm, load_share(run, &foreign));

    if (status != NL_OK) {
        return status;
    }
    MPI_Allreduce(MPI_IN_PLACE, run->schedule.phase, run->in.count, MPI_UINT8_T, MPI_MAX,
                  run->in.team->comm);
    for (int k = 0; k < run->in.count; k++) {
        finished += run->schedule.phase[k] == NL_CELL_FINISHED;
    }
    if (run->out.collector != NULL) {
        nl_collector_await(run->out.collector, finished);
        status = write_study(run);
    }
    status = nl_agree(run->in.team->comm, status);
    return status == NL_OK ? warn_of_foreign(run, &foreign) : status;
}

/*---------------------------------------------------------------------------------------------
 * The whole
 *-------------------------------------------------------------------------------------------*/

bool nl_run_remove_stop_file(const nl_run *run)
{
    return run->in.options->stop_file != NULL && unlink(run->in.options->stop_file) == 0;
}

static void log_start(const nl_run *run, const char *remarks)
{
    char blas[64];
    const char *job = getenv("SLURM_JOB_ID"); /* jobs/study.sbatch knows its starts by it */
    const nl_dataset_info *info = run->in.splits->info;

    nl_log_event(
        run->out.log, "start",
        "version=%s study=%s ranks=%d nodes_ranks=%d cells=%d blas=\"%s\" blas_kernel=%s job=%s",
        NTKLENS_VERSION, run->in.study->file, run->in.team->size, run->in.team->node_size,
        run->in.count, nl_blas_version(blas), nl_blas_kernel(),
        job != NULL && job[0] != '\0' ? job : "-");
    nl_log_event(run->out.log, "images",
                 "source=%s train=%d test=%d fingerprint=\"%s\" remarks=\"%s\"",
                 nl_source_name(info->source), info->train_count, info->test_count,
                 nl_dataset_fingerprint(run->in.splits->dataset), remarks);
}

/* Older versions kept no fingerprints: their work is taken for work on these images. */
static void warn_of_unmarked(const nl_run *run, int files)
{
    if (files > 0) {
        nl_warn("%s: files of an older version there (%d) carry no data fingerprint: whether they "
                "were made from these images cannot be checked",
                run->in.options->folder, files);
        nl_log_event(run->out.log, "fingerprint_missing",
                     "files=%d reason=\"made by an older version\"", files);
    }
}

nl_status nl_run_open_results(nl_run *run, const char *data_folder)
{
    const char *fingerprint = nl_dataset_fingerprint(run->in.splits->dataset);
    nl_text remarks = {0};
    earlier_run earlier = {0};
    nl_status status = open_folder(run, &earlier);
    char *path = nl_path_join(run->in.options->folder, "log.txt");

    if (path == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    if (status == NL_OK) {
        run->in.holder = *nl_lock_holder(run->out.lock);
        nl_run_remove_stop_file(run);
        nl_images_compare_resolved(run->in.study, fingerprint);
        nl_images_warn(run->in.splits->dataset, data_folder, &remarks);
        status = nl_log_open(path, &run->out.log);
    }
    if (status == NL_OK && earlier.changed.length > 0) {
        nl_log_event(run->out.log, "keys_changed",
                     "keys=\"%s\" reason=\"no cell is finished; checkpoints of other trainings are "
                     "left aside\"",
                     earlier.changed.data);
    }
    if (status == NL_OK) {
        log_start(run, remarks.length > 0 ? remarks.data : "");
        warn_of_unmarked(run, earlier.unmarked);
        status = nl_collector_create(run->in.options->folder, run->in.cells, run->schedule.cost,
                                     run->in.count, run->out.log, &run->out.collector);
    }
    if (status == NL_OK && !run->in.options->quiet) {
        status = nl_collector_show_progress(run->out.collector);
    }
    if (status == NL_OK && data_folder != NULL) {
        run->out.data_folder = strdup(data_folder);
        status = run->out.data_folder != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory");
    }
    run->out.remarks = remarks;
    nl_text_free(&earlier.changed);
    free(path);
    return status;
}
