/** @file rows.c  From a cell's result to rows of results.csv: tags, flags, columns. */
#include "cell_spec.h"
#include "infinite.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Tags and flags
 *-------------------------------------------------------------------------------------------*/

typedef struct row_list {
    const nl_result *result;
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

static bool has_exploded(const nl_result *result)
{
    const nl_curve *curve = &result->curve;
    const int last = curve->count - 1;

    return last > 0 && curve->step[0] == 0 && curve->step[last] == result->final_step &&
           curve->losses[last].train_loss > exploded_ratio * curve->losses[0].train_loss;
}

static void set_flags(const row_list *list, const nl_state *state, const nl_measurement *measured,
                      nl_row *row)
{
    const nl_result *result = list->result;
    const bool is_best = strcmp(row->tag, "best") == 0;
    const bool diverged = result->diverged || has_exploded(result);

    add_flag(row, is_best && state->step == result->final_step, "censored");
    /* The initial network is what it is, whatever training made of it. */
    add_flag(row, !state->finite || (diverged && state->step > 0), "diverged");
    add_flag(row, is_best && state->step == 0 && result->final_step > 0, "untrained");
    add_flag(row, state->collapsed, "collapsed");
    add_flag(row, measured->observed.negative, "negative");
    add_flag(row, measured->resolved, "resolved");
    add_flag(row, measured->refilled, "refilled");
    add_flag(row, result->mixed, "mixed");
}

/* Images of the first `step` batches: the last one of an epoch is smaller. */
static int64_t samples_seen(const nl_cell *cell, long step)
{
    const long batch = nl_cell_batch(cell);
    const long per_epoch = (cell->n_train + batch - 1) / batch;

    return (int64_t)(step / per_epoch) * cell->n_train + step % per_epoch * batch;
}

/* Of a state's kernels the one of a kind, with or without the layers' rates; NULL: not asked for.
 */
static const nl_measurement *kernel_of(const row_list *list, const nl_state *state,
                                       nl_kernel_kind kind, bool rate_weighted)
{
    for (int k = 0; k < list->plan->kernels; k++) {
        const nl_kernel_spec spec = list->plan->kernel[k];

        if (spec.kind == kind && spec.rate_weighted == rate_weighted) {
            return &state->kernels[k];
        }
    }
    return NULL;
}

/* log rank(full) = log rank(traced) + log class_factor. */
static double class_factor(const row_list *list, const nl_state *state, nl_kernel_spec spec)
{
    const nl_measurement *full = kernel_of(list, state, NL_KERNEL_FULL, spec.rate_weighted);
    const nl_measurement *traced = kernel_of(list, state, NL_KERNEL_TRACED, spec.rate_weighted);

    return spec.kind != NL_KERNEL_FULL || full == NULL || traced == NULL
               ? NAN
               : full->observed.effective_rank / traced->observed.effective_rank;
}

/* Where a study has mup, the kernel that gradient descent sees is that with the layers' rates. */
static double rate_ratio(const row_list *list)
{
    const nl_train_spec training = nl_cell_train_spec(&list->cells[list->cell]);
    const nl_state *init = nl_result_find(list->result, 0);
    const nl_measurement *full = NULL;

    if (init == NULL || training.optimizer != NL_SGD) {
        return NAN;
    }
    full = kernel_of(list, init, NL_KERNEL_FULL, true);
    if (full == NULL) {
        full = kernel_of(list, init, NL_KERNEL_FULL, false);
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
    row->parameters = list->result->parameters;
    row->step = state->step;
    row->samples_seen = samples_seen(&list->cells[list->cell], state->step);
    row->training_flops = 6.0 * (double)list->result->weights * (double)row->samples_seen;
    row->n = measured->n;
    row->losses = state->losses;
    row->regression = state->regression;
    nl_kernel_name(list->plan->kernel[kernel], row->kernel);
    row->observed = measured->observed;
    row->class_factor = class_factor(list, state, list->plan->kernel[kernel]);
    row->rate_ratio = rate_ratio(list);
    snprintf(row->solver, sizeof row->solver, "%s", measured->solver);
    set_flags(list, state, measured, row);
}

static void add_tag(row_list *list, const char *tag, long step)
{
    const nl_state *state = nl_result_find(list->result, step);

    for (int k = 0; state != NULL && k < list->plan->kernels; k++) {
        add_row(list, tag, state, k);
    }
}

static void add_log_tags(row_list *list)
{
    long *steps = NULL;
    int count = 0;

    if (list->plan->per_decade == 0 || list->result->final_step < 1) {
        return;
    }
    if (nl_log_steps(list->plan->per_decade, list->result->final_step, &steps, &count) != NL_OK) {
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
        add_tag(list, tag, nl_curve_first_below(&list->result->curve, list->plan->at_loss[k]));
    }
}

nl_status nl_result_rows(const nl_result *result, const nl_measure_plan *plan, const nl_cell *cells,
                         int cell, nl_row **rows, int *count)
{
    row_list list = {.result = result, .plan = plan, .cells = cells, .cell = cell};

    *rows = NULL;
    *count = 0;
    add_tag(&list, "init", 0);
    add_log_tags(&list);
    add_tag(&list, "best", result->best_step);
    add_tag(&list, "final", result->final_step);
    add_matched_tags(&list);
    if (list.failed) {
        free(list.rows);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a cell's rows");
    }
    *rows = list.rows;
    *count = list.count;
    return NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * Columns
 *-------------------------------------------------------------------------------------------*/

typedef enum column_type { COLUMN_TEXT, COLUMN_INT, COLUMN_REAL } column_type;

/** A column whose values stand in the row itself. */
typedef struct column {
    const char *name;
    column_type type;
    size_t offset;
    const char *help;
} column;

#define ROW(member) offsetof(nl_row, member)

/** Columns after those of the cell (cell, width, depth, n_train, seed), in order. */
static const column row_columns[] = {
    {"parameters", COLUMN_INT, ROW(parameters), "trained parameters of the network"},
    {"tag", COLUMN_TEXT, ROW(tag),
     "why this state was measured: init, log, best, final, step=K, train_loss=X"},
    {"step", COLUMN_INT, ROW(step), "optimiser steps done"},
    {"train_loss", COLUMN_REAL, ROW(losses.train_loss), "loss over the whole training subset"},
    {"test_loss", COLUMN_REAL, ROW(losses.test_loss), "loss over the whole test set"},
    {"train_accuracy", COLUMN_REAL, ROW(losses.train_accuracy), "share of argmax hits, 0 to 1"},
    {"test_accuracy", COLUMN_REAL, ROW(losses.test_accuracy), "share of argmax hits, 0 to 1"},
    {"kernel", COLUMN_TEXT, ROW(kernel),
     "traced: mean over outputs, N x N; full: NC x NC; class<a>: one output; mup also "
     "-rate-weighted"},
    {"n", COLUMN_INT, ROW(n), "order of the kernel"},
    {"trace", COLUMN_REAL, ROW(observed.trace), "(1/n) sum lambda_i"},
    {"entropy", COLUMN_REAL, ROW(observed.entropy),
     "S = -sum p_i ln p_i, p_i = lambda_i / sum lambda; nats (Roy & Vetterli 2007)"},
    {"effective_rank", COLUMN_REAL, ROW(observed.effective_rank), "exp(S) (Roy & Vetterli 2007)"},
    {"participation_ratio", COLUMN_REAL, ROW(observed.participation_ratio),
     "(sum lambda)^2 / sum lambda^2 (as in Gao & Ganguli 2015)"},
    {"lambda_max", COLUMN_REAL, ROW(observed.lambda_max), "largest eigenvalue"},
    {"lambda_min", COLUMN_REAL, ROW(observed.lambda_min), "smallest eigenvalue"},
    {"solver", COLUMN_TEXT, ROW(solver), "eigensolver that gave the spectrum"},
    {"flags", COLUMN_TEXT, ROW(flags),
     "censored (best is the last evaluation), diverged (not finite, or a train loss that ends "
     "above "
     "10 times the initial one), untrained (best is init), collapsed, negative, resolved, refilled "
     "(a kernel failed its check and was made again), mixed (BLAS kernels or library versions), "
     "joined by '+'; empty when clean"},
};

/** Columns behind those of the keys. */
static const column late_columns[] = {
    {"validation_loss", COLUMN_REAL, ROW(losses.validation_loss),
     "loss over the validation set, on which best is chosen where there is one; else nan"},
    {"validation_accuracy", COLUMN_REAL, ROW(losses.validation_accuracy),
     "share of argmax hits on the validation set; else nan"},
    {"samples_seen", COLUMN_INT, ROW(samples_seen), "training images shown, repeats counted"},
    {"training_flops", COLUMN_REAL, ROW(training_flops),
     "6 x weights x samples_seen: 2 operations per weight forward, 4 backward (Kaplan et al. "
     "2020)"},
#define OBSERVED(name, meaning) {#name, COLUMN_REAL, ROW(observed.name), meaning},
    NL_OBSERVED(OBSERVED)
#undef OBSERVED
        {"regression_test_loss", COLUMN_REAL, ROW(regression.test_loss),
         "mse of kernel ridge regression with the state's traced kernel (measure.regression), on "
         "the "
         "test images; else nan"},
    {"regression_test_accuracy", COLUMN_REAL, ROW(regression.test_accuracy),
     "share of argmax hits of that regression; else nan"},
    {"class_factor", COLUMN_REAL, ROW(class_factor),
     "full: effective_rank over that of the traced kernel of the same state, between about 1 and "
     "C: how far the outputs' gradients decouple (this program); nan where one is not measured"},
    {"rate_ratio", COLUMN_REAL, ROW(rate_ratio),
     "learning_rate over stability_rate of the full kernel at init (mup: rate-weighted): above 1 "
     "the first steps of full-batch gradient descent overshoot; plain sgd, else nan (this "
     "program)"},
    {"regression_kare", COLUMN_REAL, ROW(regression.kare),
     "test mse of that regression as estimated from its n training images alone, "
     "n |alpha|^2 / (C tr^2 A^-1), A = K + ridge, alpha = A^-1 y: kernel alignment risk estimator "
     "(Jacot et al. 2020)"},
    {"regression_predicted_loss", COLUMN_REAL, ROW(regression.predicted_loss),
     "its test mse as predicted by eigenlearning (Simon et al. 2021) for n training images drawn "
     "from all M of the regression: kappa of n = sum L_i + ridge / kappa, L_i = lambda_i / "
     "(lambda_i + M kappa); over the images not drawn"},
    {"regression_learnability", COLUMN_REAL, ROW(regression.learnability),
     "sum L_i |u_i^T y|^2 / |y|^2: share of the labels that so many images teach (Simon et al. "
     "2021)"},
};

/* Key columns: those that no column of the cell shows already. */
static const char *key_column(nl_key key)
{
    switch (key) {
    case NL_KEY_WIDTHS:
    case NL_KEY_DEPTHS:
    case NL_KEY_TRAIN_SIZES:
    case NL_KEY_SEEDS:
        return NULL;
    default:
        return nl_key_describe(key)->column;
    }
}

void nl_table_append(nl_text *out, double value)
{
    if (isnan(value)) {
        nl_text_append(out, ",nan"); /* whatever its sign bit */
    } else {
        nl_text_append(out, ",%.17g", value);
    }
}

static void write_value(nl_text *out, const column *c, const nl_row *row)
{
    const char *at = (const char *)row + c->offset;
    double real = 0.0;
    int64_t whole = 0;

    switch (c->type) {
    case COLUMN_TEXT:
        nl_text_append(out, ",%s", at);
        break;
    case COLUMN_INT:
        memcpy(&whole, at, sizeof whole);
        nl_text_append(out, ",%lld", (long long)whole);
        break;
    case COLUMN_REAL:
    default:
        memcpy(&real, at, sizeof real);
        nl_table_append(out, real);
        break;
    }
}

void nl_rows_write_header(nl_text *out)
{
    nl_text_append(out, "cell,width,depth,n_train,seed");
    for (size_t k = 0; k < NL_COUNT(row_columns); k++) {
        nl_text_append(out, ",%s", row_columns[k].name);
    }
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        if (key_column((nl_key)key) != NULL) {
            nl_text_append(out, ",%s", key_column((nl_key)key));
        }
    }
    for (size_t k = 0; k < NL_COUNT(late_columns); k++) {
        nl_text_append(out, ",%s", late_columns[k].name);
    }
    nl_text_append(out, "\n");
}

static void write_row(nl_text *out, const nl_cell *cell, const nl_row *row)
{
    char number[32];

    nl_text_append(out, "%s,%d,%d,%d,%u", cell->id, cell->width, cell->depth, cell->n_train,
                   cell->seed);
    for (size_t k = 0; k < NL_COUNT(row_columns); k++) {
        write_value(out, &row_columns[k], row);
    }
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_scalar *value = &cell->value[key];

        if (key_column((nl_key)key) != NULL) {
            nl_text_append(out, ",%s",
                           value->word != NULL ? value->word
                                               : nl_format_double(value->number, number));
        }
    }
    for (size_t k = 0; k < NL_COUNT(late_columns); k++) {
        write_value(out, &late_columns[k], row);
    }
    nl_text_append(out, "\n");
}

static int compare_rows(const void *a, const void *b)
{
    const nl_row *x = a;
    const nl_row *y = b;
    int order = (x->cell > y->cell) - (x->cell < y->cell);

    if (order == 0) {
        order = (x->step > y->step) - (x->step < y->step);
    }
    if (order == 0) {
        order = strcmp(x->tag, y->tag);
    }
    return order != 0 ? order : strcmp(x->kernel, y->kernel);
}

void nl_rows_write_lines(const nl_cell *cells, nl_row *rows, int count, nl_text *out)
{
    if (count > 0) {
        qsort(rows, (size_t)count, sizeof *rows, compare_rows);
    }
    for (int r = 0; r < count; r++) {
        write_row(out, &cells[rows[r].cell], &rows[r]);
    }
}

void nl_rows_write(const nl_cell *cells, nl_row *rows, int count, nl_text *out)
{
    nl_rows_write_header(out);
    nl_rows_write_lines(cells, rows, count, out);
}

static const char sources[] =
    "\nSources\n\n"
    "  Bahri et al. 2021          Explaining neural scaling laws, arXiv:2102.06701\n"
    "  Canatar et al. 2021        Nature Communications 12, 2914\n"
    "  Cohen et al. 2021          Gradient descent ... at the edge of stability, ICLR\n"
    "  Cortes et al. 2012         Algorithms for learning kernels ..., JMLR 13, 795\n"
    "  Fort et al. 2020           Deep learning versus kernel learning, NeurIPS\n"
    "  Gao & Ganguli 2015         Current Opinion in Neurobiology 32, 148\n"
    "  Jacot et al. 2020          Kernel alignment risk estimator, NeurIPS, arXiv:2006.09796\n"
    "  Kaplan et al. 2020         Scaling laws for neural language models, arXiv:2001.08361\n"
    "  Kornblith et al. 2019      Similarity of neural network representations revisited, ICML\n"
    "  Lee et al. 2019            Wide neural networks of any depth evolve as linear models ..., "
    "NeurIPS\n"
    "  Lewkowycz et al. 2020      The large learning rate phase ..., arXiv:2003.02218\n"
    "  Mohamadi, Bae & Sutherland A fast, well-founded approximation to the empirical NTK, "
    "arXiv:2206.12543\n"
    "  Nikolaou et al. 2026b      Spectral reach: ... progress into the spectral tail, "
    "arXiv:2605.31244\n"
    "  Roy & Vetterli 2007        The effective rank, EUSIPCO\n"
    "  Rudelson & Vershynin 2007  Sampling from large matrices, Journal of the ACM 54 (4)\n"
    "  Simon et al. 2021          The eigenlearning framework, arXiv:2110.03922\n"
    "  Tovey et al. 2023          Machine Learning: Science and Technology 4, 035040\n"
    "  Zhang 2005                 Learning bounds for kernel regression using effective data "
    "dimensionality, Neural Computation 17, 2077\n";

static void print_column(FILE *stream, const char *name, const char *help)
{
    fprintf(stream, "  %-24s %s\n", name, help);
}

void nl_columns_print(FILE *stream)
{
    fprintf(stream, "Columns of results.csv: one row per cell, measured state, tag and kernel.  In "
                    "parentheses:\n"
                    "the source, listed below; plain definitions have none.\n\n");
    print_column(stream, "cell", "name of the cell's file in cells/");
    print_column(stream, "width, depth", "units of a hidden layer; hidden layers");
    print_column(stream, "n_train", "training images");
    print_column(stream, "seed",
                 "of initial weights, batches and (subset: per-seed) training subset");
    for (size_t k = 0; k < NL_COUNT(row_columns); k++) {
        print_column(stream, row_columns[k].name, row_columns[k].help);
    }
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        if (key_column((nl_key)key) != NULL) {
            print_column(stream, key_column((nl_key)key), nl_key_describe((nl_key)key)->help);
        }
    }
    for (size_t k = 0; k < NL_COUNT(late_columns); k++) {
        print_column(stream, late_columns[k].name, late_columns[k].help);
    }
    nl_infinite_columns_print(stream);
    fputs(sources, stream);
}
