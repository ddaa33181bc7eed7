/** @file resume.c  What an earlier run left of a cell: checkpoints, snapshots, shorter trainings.
 */
#include "resume.h"
#include "messages.h"

#include "ntklens/cell_files.h"
#include "ntklens/io.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static nl_status read_file(const nl_run *run, const char *path, const nl_cell *cell,
                           const nl_net *net, int what, nl_restart *found)
{
    unsigned char *image = NULL;
    size_t length = 0;
    nl_status status = NL_OK;

    if (!nl_path_exists(path)) {
        return NL_OK;
    }
    status = nl_file_read_limited(path, NL_SEALED, nl_cell_file_limit(cell, run->in.plan), &image,
                                  &length);
    if (status == NL_OK) {
        status = nl_cell_file_read(
            image, length, &(nl_cell_expected){run->in.study, cell, net, run->in.plan, what},
            &found->record, &found->continuation);
        found->max_steps = nl_cell_train_spec(cell).max_steps;
    }
    free(image);
    return status;
}

static nl_status tell(nl_run *run, int index, const char *event, const char *reason)
{
    return nl_send_event(run->schedule.service, index, run->in.team->rank, event, reason);
}

/* Images that are not known; BLAS kernels or libraries other than this rank's, which goes on with
 * what they began: the cell depends on both. */
static nl_status note_origin(nl_run *run, int index, nl_record *record)
{
    if (record->fingerprint[0] == '\0') {
        const nl_status sent =
            tell(run, index, "fingerprint_missing", "gone on with: made by an older version");

        if (sent != NL_OK) {
            return sent;
        }
    }
    if (record->differs[0] == '\0') {
        return NL_OK;
    }
    record->mixed = true;
    return tell(run, index, "blas_mix", record->differs);
}

/* Other files may be read as if these were not there; none may follow on one of other images. */
static bool is_grave(nl_status status)
{
    return status == NL_ERR_NOMEM || status == NL_ERR_OTHER_DATA;
}

/*---------------------------------------------------------------------------------------------
 * Checkpoints
 *-------------------------------------------------------------------------------------------*/

static bool all_done(const nl_run *run, const nl_state *state)
{
    bool done = true;

    for (int k = 0; state->finite && k < run->in.plan->kernels; k++) {
        done = done && state->kernels[k].done;
    }
    return done;
}

/* Can every kernel that is left still be measured?  On how many ranks it is, and who shares what,
 * may have changed. */
static bool can_go_on(const nl_run *run, const nl_restart *found)
{
    const nl_continuation *c = &found->continuation;

    for (int s = 0; s < found->record->states; s++) {
        const nl_state *state = &found->record->state[s];
        const bool known =
            state->theta != NULL || state->step == c->step || state->step == c->best_step;

        if (!known && !all_done(run, state)) {
            return false;
        }
    }
    return true;
}

static nl_restart_kind classify(const nl_run *run, int index, const nl_record *record)
{
    const nl_solve_plan *solve = nl_solve_table_of(&run->in.solves, index);
    const nl_state *best = nl_record_find(record, record->best_step);
    bool shared = run->schedule.team_size > 1; /* only kernels that a team shares are left */
    bool left_kept = true;                     /* every state with kernels left has its snapshot */
    bool all_kept = true;                      /* every state has */

    if (record->final_step < 0 || (record->best_step >= 0 && best == NULL) ||
        (best != NULL && best->theta == NULL && nl_record_wants_snapshot(run, record, best))) {
        return NL_RESTART_TRAINING;
    }
    for (int s = 0; s < record->states; s++) {
        const nl_state *state = &record->state[s];
        const bool kept = !state->finite || state->theta != NULL;

        all_kept = all_kept && kept;
        left_kept = left_kept && (kept || all_done(run, state));
        for (int k = 0; k < run->in.plan->kernels; k++) {
            shared = shared && (!state->finite || state->kernels[k].done || solve[k].team > 1);
        }
    }
    if (shared && left_kept) {
        return NL_RESTART_KERNELS_LEFT;
    }
    return all_kept ? NL_RESTART_SNAPSHOTS : NL_RESTART_TRAINING;
}

/* The last checkpoint, or the one before it. */
static nl_status find_checkpoint(nl_run *run, int index, const nl_net *net, nl_restart *found)
{
    static const char *const folders[] = {"checkpoints", "checkpoints/previous"};
    const int what = NL_READ_MEASUREMENTS | NL_READ_ARRAYS | NL_READ_THETA;
    nl_status sent = NL_OK;
    nl_status status = NL_OK;

    for (size_t k = 0;
         k < NL_COUNT(folders) && found->record == NULL && !is_grave(status) && sent == NL_OK;
         k++) {
        char *path = nl_cell_path(run->in.options->folder, folders[k], &run->in.cells[index]);

        status = path == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path")
                              : read_file(run, path, &run->in.cells[index], net, what, found);
        if (status == NL_OK && found->record != NULL && !can_go_on(run, found)) {
            nl_record_destroy(&found->record, run->in.plan->kernels);
            nl_continuation_free(&found->continuation);
            status = NL_ERR_DAMAGED;
        }
        if (status != NL_OK && !is_grave(status)) {
            sent = tell(run, index, "checkpoint_dropped", nl_status_text(status));
        }
        free(path);
    }
    if (found->record != NULL) {
        found->kind = classify(run, index, found->record);
        sent = note_origin(run, index, found->record);
        return sent != NL_OK ? sent
                             : tell(run, index, "cell_resumed",
                                    found->kind == NL_RESTART_TRAINING    ? "training"
                                    : found->kind == NL_RESTART_SNAPSHOTS ? "kernels"
                                                                          : "shared kernels");
    }
    return is_grave(status) ? status : sent;
}

/*---------------------------------------------------------------------------------------------
 * Another plan of measurements
 *-------------------------------------------------------------------------------------------*/

/** Where the parameters of a step can be had. */
typedef struct snapshots {
    const nl_record *record;
    const nl_continuation *continuation;
    const float *initial;
} snapshots;

static const float *snapshot_at(const snapshots *from, long step)
{
    const nl_state *state = nl_record_find(from->record, step);

    if (step == 0) {
        return from->initial;
    }
    if (state != NULL && state->theta != NULL) {
        return state->theta;
    }
    if (from->continuation->theta != NULL && step == from->continuation->step) {
        return from->continuation->theta;
    }
    return step == from->continuation->best_step ? from->continuation->best_theta : NULL;
}

/* Losses at a step; NULL: they are not known. */
static const nl_losses *losses_at(const nl_record *record, long step)
{
    const nl_state *state = nl_record_find(record, step);

    for (int c = 0; c < record->curve.count; c++) {
        if (record->curve.step[c] == step) {
            return &record->curve.losses[c];
        }
    }
    return state != NULL ? &state->losses : NULL;
}

/* Add a state with its snapshot; *lacking where there is none. */
static nl_status add_state(const nl_run *run, const nl_net *net, const snapshots *from, long step,
                           nl_record *record, bool *lacking)
{
    const float *theta = snapshot_at(from, step);
    const nl_losses *losses = losses_at(from->record, step);
    const bool finite = !(from->record->diverged && step == from->record->final_step);
    nl_state *state = NULL;

    if (step < 0 || nl_record_find(record, step) != NULL) {
        return NL_OK;
    }
    if (losses == NULL || (theta == NULL && finite)) {
        *lacking = true;
        return NL_OK;
    }
    state = nl_record_state(record, run->in.plan, step);
    if (state == NULL) {
        return NL_ERR_NOMEM;
    }
    state->losses = *losses;
    state->finite = finite;
    if (finite) {
        state->theta = nl_calloc(net->size, sizeof *state->theta);
        if (state->theta == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a snapshot");
        }
        memcpy(state->theta, theta, net->size * sizeof *theta);
    }
    return NL_OK;
}

/* All states that the present plan measures. */
static nl_status add_states(const nl_run *run, const nl_net *net, const snapshots *from,
                            nl_record *record, bool *lacking)
{
    const nl_measure_plan *plan = run->in.plan;
    const nl_record *old = from->record;
    long *steps = NULL;
    int count = 0;
    nl_status status = add_state(run, net, from, 0, record, lacking);

    if (status == NL_OK && plan->per_decade > 0 && old->final_step > 0) {
        status = nl_log_steps(plan->per_decade, old->final_step, &steps, &count);
    }
    for (int k = 0; status == NL_OK && k < count; k++) {
        status = add_state(run, net, from, steps[k], record, lacking);
    }
    for (int k = 0; status == NL_OK && k < plan->at_steps; k++) {
        if (plan->at_step[k] <= old->final_step) {
            status = add_state(run, net, from, plan->at_step[k], record, lacking);
        }
    }
    for (int k = 0; status == NL_OK && k < plan->at_losses; k++) {
        status = add_state(run, net, from, nl_curve_first_below(&old->curve, plan->at_loss[k]),
                           record, lacking);
    }
    if (status == NL_OK) {
        status = add_state(run, net, from, old->best_step, record, lacking);
    }
    if (status == NL_OK) {
        status = add_state(run, net, from, old->final_step, record, lacking);
    }
    free(steps);
    return status;
}

/* The same training as a result without kernels; NULL where a snapshot is lacking. */
static nl_status replan(const nl_run *run, const nl_net *net, const snapshots *from,
                        nl_record **out)
{
    const nl_record *old = from->record;
    nl_record *record = NULL;
    bool lacking = false;
    nl_status status = nl_record_create(&record);

    *out = NULL;
    for (int c = 0; status == NL_OK && c < old->curve.count; c++) {
        status = nl_curve_append(&record->curve, old->curve.step[c], &old->curve.losses[c]);
    }
    if (status == NL_OK) {
        record->best_step = old->best_step;
        record->final_step = old->final_step;
        record->diverged = old->diverged;
        record->mixed = old->mixed;
        memcpy(record->differs, old->differs, sizeof record->differs);
        memcpy(record->fingerprint, old->fingerprint, sizeof record->fingerprint);
        record->parameters = old->parameters;
        record->weights = old->weights;
        status = add_states(run, net, from, record, &lacking);
    }
    if (status != NL_OK || lacking) {
        nl_record_destroy(&record, run->in.plan->kernels);
        return status;
    }
    *out = record;
    return NL_OK;
}

static nl_status find_snapshots(nl_run *run, int index, const nl_net *net, const float *initial,
                                nl_restart *found)
{
    char *path = nl_cell_path(run->in.options->folder, "cells", &run->in.cells[index]);
    nl_restart old = {0};
    nl_status status = path == NULL
                           ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path")
                           : read_file(run, path, &run->in.cells[index], net, NL_READ_THETA, &old);

    free(path);
    if (status == NL_OK && old.record != NULL && old.record->final_step < 0) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: is not finished, and lies in cells/",
                         run->in.cells[index].id);
    }
    if (status == NL_OK && old.record != NULL) {
        const snapshots from = {old.record, &old.continuation, initial};

        status = replan(run, net, &from, &found->record);
        if (status == NL_OK && found->record != NULL) {
            status = note_origin(run, index, found->record);
        }
        if (status == NL_OK && found->record != NULL) {
            found->kind = NL_RESTART_SNAPSHOTS;
            found->continuation = old.continuation;
            old.continuation = (nl_continuation){0};
            status = tell(run, index, "cell_remeasured", "from kept snapshots");
        } else if (status == NL_OK) {
            status = tell(run, index, "cell_retrained", "snapshots of some states were not kept");
        }
    }
    nl_record_destroy(&old.record, run->in.plan->kernels);
    nl_continuation_free(&old.continuation);
    return is_grave(status) || status == NL_ERR_MPI ? status : NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * Shorter trainings
 *-------------------------------------------------------------------------------------------*/

/* "w64-d2-n512-s0-": cells of other axes share it, the hash behind it tells them apart. */
static size_t prefix_length(const char *id)
{
    const char *dash = strrchr(id, '-');

    return dash != NULL ? (size_t)(dash - id) + 1 : strlen(id);
}

/* The cell that a file of cells/ was written for, if it is this one with fewer steps. */
static bool read_shorter(const nl_run *run, const nl_cell *cell, const char *path, const char *name,
                         nl_cell *shorter)
{
    unsigned char *image = NULL;
    size_t length = 0;
    nl_h5_reader file;
    int64_t steps = 0;
    bool same = nl_file_read_limited(path, NL_SEALED, nl_cell_file_limit(cell, run->in.plan),
                                     &image, &length) == NL_OK &&
                nl_h5_open_image(image, length, path, &file) == NL_OK &&
                nl_h5_get_int(&file, "/", "max_steps", &steps) == NL_OK && steps >= 1 &&
                steps < nl_cell_train_spec(cell).max_steps;

    *shorter = *cell;
    nl_cell_set_max_steps(run->in.study, shorter, (long)steps);
    free(image);
    return same && strncmp(name, shorter->id, strlen(shorter->id)) == 0;
}

/* Take a file of cells/ if it is the longest training so far that this cell begins with. */
static nl_status consider_shorter(nl_run *run, int index, const nl_net *net, const char *path,
                                  const char *name, nl_restart *found)
{
    const int what = NL_READ_MEASUREMENTS | NL_READ_ARRAYS | NL_READ_THETA;
    nl_cell shorter;
    nl_restart candidate = {0};
    nl_status status = NL_OK;

    if (read_shorter(run, &run->in.cells[index], path, name, &shorter)) {
        status = read_file(run, path, &shorter, net, what, &candidate);
    }
    if (status == NL_OK && candidate.record != NULL && candidate.continuation.theta != NULL &&
        (found->record == NULL || candidate.continuation.step > found->continuation.step)) {
        nl_restart replaced = *found;

        *found = candidate;
        found->kind = NL_RESTART_TRAINING;
        candidate = replaced;
    }
    nl_record_destroy(&candidate.record, run->in.plan->kernels);
    nl_continuation_free(&candidate.continuation);
    return is_grave(status) ? status : NL_OK;
}

/* The longest finished training of this cell with fewer steps.  Only a constant schedule makes a
 * short training the beginning of a long one, or all of it where it ended before its last step. */
static nl_status find_shorter(nl_run *run, int index, const nl_net *net, nl_restart *found)
{
    const nl_cell *cell = &run->in.cells[index];
    char *folder = nl_path_join(run->in.options->folder, "cells");
    DIR *listing = folder != NULL ? opendir(folder) : NULL;
    nl_status status = NL_OK;

    if (listing == NULL || nl_cell_train_spec(cell).schedule != NL_CONSTANT) {
        goto done;
    }
    for (struct dirent *entry = readdir(listing); status == NL_OK && entry != NULL;
         entry = readdir(listing)) {
        if (strncmp(entry->d_name, cell->id, prefix_length(cell->id)) == 0 &&
            !nl_is_temporary(entry->d_name)) { /* other ranks write meanwhile */
            char *path = nl_path_join(folder, entry->d_name);

            status = path == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path")
                                  : consider_shorter(run, index, net, path, entry->d_name, found);
            free(path);
        }
    }
    if (status == NL_OK && found->record != NULL) {
        status = note_origin(run, index, found->record);
    }
    if (status == NL_OK && found->record != NULL) {
        status = tell(run, index, "cell_extended", "from a shorter training");
    }

done:
    if (listing != NULL) {
        closedir(listing);
    }
    free(folder);
    return status;
}

nl_status nl_restart_find(nl_run *run, int index, const nl_net *net, const float *initial,
                          nl_restart *found)
{
    nl_status status = NL_OK;

    *found = (nl_restart){0};
    status = find_checkpoint(run, index, net, found);
    if (status == NL_OK && found->kind == NL_RESTART_NOTHING && initial != NULL) {
        status = find_snapshots(run, index, net, initial, found);
    }
    if (status == NL_OK && found->kind == NL_RESTART_NOTHING && initial != NULL) {
        status = find_shorter(run, index, net, found);
    }
    return status;
}

/* Is the snapshot of this state part of the results? */
bool nl_record_wants_snapshot(const nl_run *run, const nl_record *record, const nl_state *state)
{
    const nl_snapshots kept = run->in.study->spec.snapshots;

    return kept == NL_SNAPSHOTS_MEASURED ||
           (kept == NL_SNAPSHOTS_BEST && state->step == record->best_step);
}
