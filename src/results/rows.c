/** @file rows.c  From a cell's result to rows of results.csv: tags, flags, columns. */
#include "ntklens/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Tags and flags
 *-------------------------------------------------------------------------------------------*/

typedef struct row_list {
    const nl_record *record;
    const nl_measure_plan *plan;
    const nl_cell *cells;
    int cell;
    nl_row *rows; /* owned */
    int count, capacity;
    bool failed;
} row_list;

static void add_flag(nl_row *row, bool set, const char *word)
{
    const size_t length = strlen(row->flags);

    if (set) {
        snprintf(row->flags + length, sizeof row->flags - length, "%s%s", length > 0 ? "+" : "",
                 word);
    }
}

/* A training that ends so many times above its initial train loss has exploded, if not as far as to
 * numbers that are not finite.  The train loss, as test losses also rise by overfitting; at the
 * end, as a spike on the way may be a large rate's way to a flat minimum. */
static const double exploded_ratio = 10.0;

static bool has_exploded(const nl_record *record)
{
    const nl_curve *curve = &record->curve;
    const int last = curve->count - 1;

    return last > 0 && curve->step[0] == 0 && curve->step[last] == record->final_step &&
           curve->losses[last].train_loss > exploded_ratio * curve->losses[0].train_loss;
}

static void set_flags(const row_list *list, const nl_state *state, const nl_measurement *measured,
                      nl_row *row)
{
    const nl_record *record = list->record;
    const bool is_best = strcmp(row->tag, "best") == 0;
    const bool diverged = record->diverged || has_exploded(record);

    add_flag(row, is_best && state->step == record->final_step, "censored");
    /* The initial network is what it is, whatever training made of it. */
    add_flag(row, !state->finite || (diverged && state->step > 0), "diverged");
    add_flag(row, is_best && state->step == 0 && record->final_step > 0, "untrained");
    add_flag(row, state->collapsed, "collapsed");
    add_flag(row, measured->observed.negative, "negative");
    add_flag(row, measured->fallback, "resolved");
    add_flag(row, measured->refilled, "refilled");
    add_flag(row, record->mixed, "mixed");
    /* Tables of MLPs are older than the flag and keep their bytes. */
    add_flag(row,
             nl_cell_kind(&list->cells[list->cell]) != NL_MLP && measured->n > record->parameters,
             "overdetermined");
}

/* Images of the first `step` batches: the last one of an epoch is smaller. */
static int64_t samples_seen(const nl_cell *cell, long step)
{
    const long batch = nl_cell_batch(cell);
    const long per_epoch = (cell->n_train + batch - 1) / batch;

    return (int64_t)(step / per_epoch) * cell->n_train + step % per_epoch * batch;
}

/* Of a state's kernels the one of a kind and so many samples, with or without the layers' rates;
 * NULL: not asked for. */
static const nl_measurement *kernel_of(const row_list *list, const nl_state *state,
                                       nl_kernel_spec wanted, int samples)
{
    for (int k = 0; k < list->plan->kernels; k++) {
        const nl_kernel_spec spec = list->plan->kernel[k];

        if (spec.kind == wanted.kind && spec.rate_weighted == wanted.rate_weighted &&
            nl_measure_samples(list->plan, k) == samples) {
            return &state->kernels[k];
        }
    }
    return NULL;
}

/* log rank(full) = log rank(traced) + log class_factor. */
static double class_factor(const row_list *list, const nl_state *state, int kernel)
{
    const nl_kernel_spec spec = list->plan->kernel[kernel];
    const nl_kernel_spec other = {.kind = NL_KERNEL_TRACED, .rate_weighted = spec.rate_weighted};
    const nl_measurement *full = &state->kernels[kernel];
    const nl_measurement *traced =
        kernel_of(list, state, other, nl_measure_samples(list->plan, kernel));

    return spec.kind != NL_KERNEL_FULL || traced == NULL
               ? NAN
               : full->observed.effective_rank / traced->observed.effective_rank;
}

/* Where a study has mup, the kernel that gradient descent sees is that with the layers' rates. */
static double rate_ratio(const row_list *list, int samples)
{
    nl_kernel_spec spec = {.kind = NL_KERNEL_FULL, .rate_weighted = true};
    const nl_train_spec training = nl_cell_train_spec(&list->cells[list->cell]);
    const nl_state *init = nl_record_find(list->record, 0);
    const nl_measurement *full = NULL;

    if (init == NULL || training.optimizer != NL_SGD) {
        return NAN;
    }
    full = kernel_of(list, init, spec, samples);
    if (full == NULL) {
        spec.rate_weighted = false;
        full = kernel_of(list, init, spec, samples);
    }
    return full == NULL ? NAN : training.learning_rate / full->observed.stability_rate;
}

static void add_row(row_list *list, const char *tag, const nl_state *state, int kernel)
{
    const nl_measurement *measured = &state->kernels[kernel];
    nl_row *row = NULL;

    if (list->count == list->capacity) {
        int capacity = list->capacity > 0 ? 2 * list->capacity : 64;
        nl_row *rows = realloc(list->rows, (size_t)capacity * sizeof *rows);

        if (rows == NULL) {
            list->failed = true;
            return;
        }
        list->rows = rows;
        list->capacity = capacity;
    }
    row = &list->rows[list->count++];
    memset(row, 0, sizeof *row); /* padding too: rows travel as bytes */
    row->cell = list->cell;
    snprintf(row->tag, sizeof row->tag, "%s", tag);
    row->parameters = list->record->parameters;
    row->step = state->step;
    row->samples_seen = samples_seen(&list->cells[list->cell], state->step);
    row->training_flops = 6.0 * (double)list->record->weights * (double)row->samples_seen;
    row->n = measured->n;
    row->losses = state->losses;
    row->regression = state->regression;
    nl_kernel_name(list->plan->kernel[kernel], row->kernel);
    row->observed = measured->observed;
    row->class_factor = class_factor(list, state, kernel);
    row->rate_ratio = rate_ratio(list, nl_measure_samples(list->plan, kernel));
    row->entropy_error = measured->entropy_error;
    snprintf(row->method, sizeof row->method, "%s", nl_method_name(measured->method));
    snprintf(row->solver, sizeof row->solver, "%s", measured->solver);
    set_flags(list, state, measured, row);
}

static void add_tag(row_list *list, const char *tag, long step)
{
    const nl_state *state = nl_record_find(list->record, step);

    for (int k = 0; state != NULL && k < list->plan->kernels; k++) {
        add_row(list, tag, state, k);
    }
}

static void add_log_tags(row_list *list)
{
    long *steps = NULL;
    int count = 0;

    if (list->plan->per_decade == 0 || list->record->final_step < 1) {
        return;
    }
    if (nl_log_steps(list->plan->per_decade, list->record->final_step, &steps, &count) != NL_OK) {
        list->failed = true;
        return;
    }
    for (int k = 0; k < count; k++) {
        add_tag(list, "log", steps[k]);
    }
    free(steps);
}

static void add_matched_tags(row_list *list)
{
    char number[32];
    char tag[40];

    for (int k = 0; k < list->plan->at_steps; k++) {
        snprintf(tag, sizeof tag, "step=%ld", list->plan->at_step[k]);
        add_tag(list, tag, list->plan->at_step[k]);
    }
    for (int k = 0; k < list->plan->at_losses; k++) {
        snprintf(tag, sizeof tag, "train_loss=%s",
                 nl_format_double(list->plan->at_loss[k], number));
        add_tag(list, tag, nl_curve_first_below(&list->record->curve, list->plan->at_loss[k]));
    }
}

nl_status nl_record_rows(const nl_record *record, const nl_measure_plan *plan, const nl_cell *cells,
                         int cell, nl_row **rows, int *count)
{
    row_list list = {.record = record, .plan = plan, .cells = cells, .cell = cell};

    *rows = NULL;
    *count = 0;
    add_tag(&list, "init", 0);
    add_log_tags(&list);
    add_tag(&list, "best", record->best_step);
    add_tag(&list, "final", record->final_step);
    add_matched_tags(&list);
    if (list.failed) {
        free(list.rows);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a cell's rows");
    }
    *rows = list.rows;
    *count = list.count;
    return NL_OK;
}
