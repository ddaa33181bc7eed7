/** @file columns.c  Columns of results.csv: their names, their help, how a row is written. */
#include "ntklens/csv.h"
#include "ntklens/rows.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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
    {"n", COLUMN_INT, ROW(n),
     "order of the kernel: rows of the same state and kernel that differ in n are of the first "
     "images "
     "of the probe each (measure.probe_prefixes), but the largest, of all"},
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
     "overdetermined (cnn, resnet: n > parameters, which bound the rank), "
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
     "2020); weights of a convolution count at each position"},
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

/** Columns behind all others. */
static const column last_columns[] = {
    {"method", COLUMN_TEXT, ROW(method),
     "how eigenvalues were found: primal, of the kernel J J^T; dual, of J^T J; quadrature: they "
     "were not, their entropy is an estimate.  Nan of dual: magnitude_entropy, infinite_distance, "
     "identity_distance, effective_rank_outputs, with cross-entropy stability_rate, what other "
     "kernels say, target_power_tenth where n/10 lies among eigenvalues of zero, and "
     "kernel_change, kernel_distance and kernel_velocity where comparing takes "
     "more than exact_operations, and where kernels lie so near that rounding is left; of "
     "quadrature these three (but at init) and the others, and all "
     "that small eigenvalues or all eigenvectors make: lambda_min, condition_number, "
     "numerical_rank, effective_dimension and its kin, spectral_index, target_power_tenth, "
     "used_rank.  By quadrature label_alignment and target_power are right to 0.01, else nan, "
     "participation_ratio to some tenths of a percent, spectral_exponent, of the rank curve, to "
     "about 0.04 where n is some thousands; of a traced kernel, whose matrix is filled in single "
     "precision, what is told of the matrix is told, but infinite_distance, and of cnn and resnet "
     "kernel_change, kernel_distance and kernel_velocity"},
    {"entropy_error", COLUMN_REAL, ROW(entropy_error),
     "95 % half width of entropy: effective_rank lies in exp(entropy -+ entropy_error); 0: exact"},
};

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
        nl_csv_append(out, real);
        break;
    }
}

/* Columns of keys; the late ones stand behind all others. */
static void write_key_names(nl_text *out, bool late)
{
    for (int k = 0; k < nl_cell_value_count(); k++) {
        const nl_cell_value value = nl_cell_value_at(NULL, k);

        if (!value.member && value.late == late) {
            nl_text_append(out, ",%s", value.column);
        }
    }
}

void nl_rows_write_header(nl_text *out)
{
    nl_text_append(out, "cell,width,depth,n_train,seed");
    for (size_t k = 0; k < NL_COUNT(row_columns); k++) {
        nl_text_append(out, ",%s", row_columns[k].name);
    }
    write_key_names(out, false);
    for (size_t k = 0; k < NL_COUNT(late_columns); k++) {
        nl_text_append(out, ",%s", late_columns[k].name);
    }
    write_key_names(out, true);
    for (size_t k = 0; k < NL_COUNT(last_columns); k++) {
        nl_text_append(out, ",%s", last_columns[k].name);
    }
    nl_text_append(out, "\n");
}

static void write_keys(nl_text *out, const nl_cell *cell, bool late)
{
    const int count = nl_cell_value_count();
    char number[32];

    for (int k = 0; k < count; k++) {
        const nl_cell_value value = nl_cell_value_at(cell, k);

        if (!value.member && value.late == late) {
            nl_text_append(out, ",%s",
                           value.word != NULL ? value.word
                                              : nl_format_double(value.number, number));
        }
    }
}

/** What keys say of a cell, the same in all its rows. */
typedef struct key_texts {
    const nl_cell *cell; /* NULL: of none yet */
    nl_text early, late; /* owned */
} key_texts;

static void take_keys(key_texts *keys, const nl_cell *cell)
{
    keys->cell = cell;
    keys->early.length = keys->late.length = 0;
    write_keys(&keys->early, cell, false);
    write_keys(&keys->late, cell, true);
}

static void append_keys(nl_text *out, const nl_text *keys)
{
    out->failed = out->failed || keys->failed;
    if (keys->length > 0) {
        nl_text_append_bytes(out, keys->data, keys->length);
    }
}

static void write_row(nl_text *out, const key_texts *keys, const nl_row *row)
{
    const nl_cell *cell = keys->cell;

    nl_text_append(out, "%s,%d,%d,%d,%u", cell->id, cell->width, cell->depth, cell->n_train,
                   cell->seed);
    for (size_t k = 0; k < NL_COUNT(row_columns); k++) {
        write_value(out, &row_columns[k], row);
    }
    append_keys(out, &keys->early);
    for (size_t k = 0; k < NL_COUNT(late_columns); k++) {
        write_value(out, &late_columns[k], row);
    }
    append_keys(out, &keys->late);
    for (size_t k = 0; k < NL_COUNT(last_columns); k++) {
        write_value(out, &last_columns[k], row);
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
    if (order == 0) {
        order = strcmp(x->kernel, y->kernel);
    }
    return order != 0 ? order : (x->n > y->n) - (x->n < y->n); /* prefixes of the probe first */
}

void nl_rows_write_lines(const nl_cell *cells, nl_row *rows, int count, nl_text *out)
{
    key_texts keys = {0};

    if (count > 0) {
        qsort(rows, (size_t)count, sizeof *rows, compare_rows);
    }
    for (int r = 0; r < count; r++) {
        if (keys.cell != &cells[rows[r].cell]) {
            take_keys(&keys, &cells[rows[r].cell]);
        }
        write_row(out, &keys, &rows[r]);
    }
    nl_text_free(&keys.early);
    nl_text_free(&keys.late);
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

static void print_keys(FILE *stream, bool late)
{
    for (int k = 0; k < nl_cell_value_count(); k++) {
        const nl_cell_value value = nl_cell_value_at(NULL, k);

        if (!value.member && value.late == late) {
            print_column(stream, value.column, value.help);
        }
    }
}

void nl_columns_print(FILE *stream)
{
    fprintf(stream, "Columns of results.csv: one row per cell, measured state, tag and kernel.  In "
                    "parentheses:\n"
                    "the source, listed below; plain definitions have none.\n\n");
    print_column(stream, "cell", "name of the cell's file in cells/");
    print_column(
        stream, "width, depth",
        "model.widths and model.depths: units and hidden layers; of cnn and resnet channels of the "
        "first stage, and convolutions or blocks a stage");
    print_column(stream, "n_train", "training images");
    print_column(stream, "seed",
                 "of initial weights, batches and (subset: per-seed) training subset");
    for (size_t k = 0; k < NL_COUNT(row_columns); k++) {
        print_column(stream, row_columns[k].name, row_columns[k].help);
    }
    print_keys(stream, false);
    for (size_t k = 0; k < NL_COUNT(late_columns); k++) {
        print_column(stream, late_columns[k].name, late_columns[k].help);
    }
    print_keys(stream, true);
    for (size_t k = 0; k < NL_COUNT(last_columns); k++) {
        print_column(stream, last_columns[k].name, last_columns[k].help);
    }
    fputs(sources, stream);
}
