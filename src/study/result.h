/** @file result.h  What a cell leaves: its curve, its measured states, and the rows made of them.
 */
#ifndef NTKLENS_STUDY_RESULT_H
#define NTKLENS_STUDY_RESULT_H

#include "ntklens/data.h"
#include "ntklens/ntk.h"
#include "ntklens/study.h"

/** Losses and accuracies of one state, over whole sets; NaN where a set is empty. */
typedef struct nl_losses {
    double train_loss, test_loss, validation_loss;
    double train_accuracy, test_accuracy, validation_accuracy;
} nl_losses;

/** One kernel of one state.  nl_measurement_free() frees its arrays. */
typedef struct nl_measurement {
    bool done;
    int n;
    nl_observables observed;
    char solver[16];
    bool resolved;            /* the second solver was used */
    bool refilled;            /* a kernel failed its check, and was made again */
    double *lambda;           /* owned; [n] descending, NULL where not kept */
    double *kernel;           /* owned; [n x n], NULL where not kept */
    nl_directions directions; /* owned; NULL where not kept */
} nl_measurement;

void nl_measurement_free(nl_measurement *measurement);

/** A state in which kernels are measured. */
typedef struct nl_state {
    long step;
    nl_losses losses;
    bool finite;              /* false: diverged, nothing is measured */
    bool collapsed;           /* every unit of a layer dead, or no weight moves the outputs */
    nl_regression regression; /* with the traced kernel; NaN: not asked for */
    float *theta;             /* owned; [net->size], NULL where not kept */
    nl_measurement *kernels;  /* owned; [plan->kernels] */
} nl_state;

typedef struct nl_curve {
    int count, capacity;
    long *step;        /* owned */
    nl_losses *losses; /* owned */
} nl_curve;

enum { nl_differs_width = 160 };

/** Everything known of a cell.  Zero-initialise with nl_result_create(). */
typedef struct nl_result {
    nl_curve curve; /* evaluated states: 0, log-spaced, final */
    int states;
    nl_state *state; /* owned; ascending steps */
    long best_step;  /* earliest lowest selection loss of the curve; -1: none was finite */
    long final_step; /* -1: still in training */
    bool diverged;
    bool mixed; /* computed with several BLAS kernels or library versions: interrupted and continued
                   elsewhere, or by a team of such ranks */
    char
        differs[nl_differs_width]; /* what of these is other here than where it was read from; "" */
    char fingerprint[nl_fingerprint_width]; /* of the images of the file it was read from; "": it
                                               carries none, as those of older versions */
    bool lacking;       /* its file is older than some observables, which are NaN */
    int64_t parameters; /* trained ones */
    int64_t weights;    /* entries of the weight matrices */
} nl_result;

/** Which states are measured, with which kernels; the same for all cells of a study. */
typedef struct nl_measure_plan {
    int kernels;
    nl_kernel_spec *kernel; /* owned */
    int per_decade;         /* log-spaced measurements; 0: none */
    int at_steps, at_losses;
    long *at_step;   /* owned; ascending */
    double *at_loss; /* owned; as given */
    bool validated;  /* `best` is chosen on the validation loss */
    int samples;     /* probe */
    int classes;
    int regression_train, regression_test; /* images of kernel regressions at most; 0: none */
    double ridge;
    nl_precision precision;
    bool auxiliary_full;   /* spectra of related kernels: of full and class kernels */
    bool auxiliary_traced; /* of traced ones */
    bool eigenvectors;
} nl_measure_plan;

NL_MUST_CHECK nl_status nl_measure_plan_create(const nl_study *study, int outputs,
                                               nl_measure_plan **out);
void nl_measure_plan_destroy(nl_measure_plan **plan);

/**
 * What a training needs to go on from a step.  Arrays are borrowed where nl_training_continuation()
 * made it, owned (nl_continuation_free()) where it was read.
 */
typedef struct nl_continuation {
    long step;
    float *theta; /* [net->size]; NULL: there is no continuation */
    float *optimizer;
    size_t optimizer_size;
    long best_step; /* best state of the evaluation grid; -1: none */
    double best_loss;
    float *best_theta;     /* [net->size]; NULL where best_step is -1 */
    long previous_step;    /* last step of the log grid, from which a kernel's velocity is taken */
    float *previous_theta; /* [net->size]; NULL: there is none yet */
} nl_continuation;

void nl_continuation_free(nl_continuation *continuation);

NL_MUST_CHECK nl_status nl_result_create(nl_result **out);
void nl_result_destroy(nl_result **result, int kernels);

/** Append an evaluated state to the curve. */
NL_MUST_CHECK nl_status nl_curve_append(nl_curve *curve, long step, const nl_losses *losses);

/** The state of that step; made, in its place, if it is new.  NULL: out of memory.
 *  Pointers to other states are no longer valid afterwards. */
nl_state *nl_result_state(nl_result *result, const nl_measure_plan *plan, long step);

/** The state of that step, NULL if there is none. */
nl_state *nl_result_find(const nl_result *result, long step);

/** Drop the states that a training of max_steps does not measure, or does not measure yet: all but
 *  the initial one, those of the log and step tags, and those that first reach a train-loss tag. */
void nl_result_keep_states(nl_result *result, const nl_measure_plan *plan, long max_steps);

/**
 * From which step a state's kernel velocity is taken: the last of 0 and the log-spaced steps before
 * it; -1 where it has none, at 0 and where the state is on no schedule and was only found to be
 * best.  A function of the curve and the plan, however the training came about.
 */
NL_MUST_CHECK nl_status nl_result_velocity_step(const nl_result *result,
                                                const nl_measure_plan *plan, long step,
                                                long *previous);

/** First evaluated step with a train loss at or below; -1: none yet. */
long nl_curve_first_below(const nl_curve *curve, double train_loss);

/** True when every finite state has every kernel. */
bool nl_result_complete(const nl_result *result, const nl_measure_plan *plan);

/*---------------------------------------------------------------------------------------------
 * Rows of results.csv
 *-------------------------------------------------------------------------------------------*/

/** One row without what its cell tells.  Flat: it travels between ranks as bytes. */
typedef struct nl_row {
    int cell; /* index in the grid */
    char tag[40];
    int64_t parameters, step, n, samples_seen;
    double training_flops;
    nl_losses losses;
    nl_regression regression;
    char kernel[32];
    nl_observables observed;
    double class_factor; /* of the effective ranks of full and traced kernel */
    double rate_ratio;   /* learning rate over stability_rate at init */
    char solver[16];
    char flags[96]; /* words joined by '+' */
} nl_row;

/** All rows of a finished cell, cells[cell].  rows: free(). */
NL_MUST_CHECK nl_status nl_result_rows(const nl_result *result, const nl_measure_plan *plan,
                                       const nl_cell *cells, int cell, nl_row **rows, int *count);

/** A number of a table, behind a comma: 17 digits, a NaN without its sign. */
void nl_table_append(nl_text *out, double value);

/** results.csv: its first line; rows sorted by cell, step, tag, kernel (in place), a line each;
 * both. Appended to `out`. */
void nl_rows_write_header(nl_text *out);
void nl_rows_write_lines(const nl_cell *cells, nl_row *rows, int count, nl_text *out);
void nl_rows_write(const nl_cell *cells, nl_row *rows, int count, nl_text *out);

/*---------------------------------------------------------------------------------------------
 * cells/<id>.h5
 *-------------------------------------------------------------------------------------------*/

/** What is stored beside the result. */
typedef struct nl_cell_context {
    const nl_study *study;
    const nl_cell *cell;
    const nl_net *net;
    const nl_measure_plan *plan;
    const nl_continuation *continuation; /* NULL: the cell cannot go on */
    bool unfinished;    /* a checkpoint: every snapshot there is, and the continuation */
    const float *probe; /* [plan->samples x inputs] */
    const int *probe_labels;
    int train, test, validation; /* sizes */
    const int *train_index, *test_index, *validation_index,
        *probe_index;        /* in the original files */
    const int *train_labels; /* with label noise */
    double mean[3], std[3];
    int channels;
} nl_cell_context;

/** The file as an image, free(). */
NL_MUST_CHECK nl_status nl_result_image(const nl_result *result, const nl_cell_context *context,
                                        unsigned char **image, size_t *length);

/** What to read of a cell's file. */
enum {
    NL_READ_MEASUREMENTS =
        1,              /* kernels' observables; the file must have been made under this plan */
    NL_READ_ARRAYS = 2, /* their spectra and matrices */
    NL_READ_THETA = 4,  /* snapshots */
};

/**
 * Read a cell's file back.
 *
 * @param[in]  net           may be NULL where neither snapshots nor the continuation are read
 * @param[in]  what          sum of the above
 * @param[out] continuation  NULL where it is not read
 * @return NL_ERR_DAMAGED where something is missing or belongs to another cell; NL_ERR_OUTDATED
 *         where another version of the format wrote it; NL_ERR_STUDY,
 *         silently, where the file was measured under another plan; NL_ERR_OTHER_DATA where it was
 *         made from images other than the cell's
 */
NL_MUST_CHECK nl_status nl_result_read(const unsigned char *image, size_t length,
                                       const nl_study *study, const nl_cell *cell,
                                       const nl_net *net, const nl_measure_plan *plan, int what,
                                       nl_result **out, nl_continuation *continuation);

/** The images that a cell's file, of `limit` bytes at most, was made from: "" where it carries no
 *  fingerprint. */
NL_MUST_CHECK nl_status nl_file_fingerprint(const char *path, size_t limit,
                                            char out[nl_fingerprint_width]);

/** File of a cell in a results folder; below: "cells", "checkpoints", "checkpoints/previous".
 *  NULL: out of memory.  free(). */
char *nl_cell_path(const char *results, const char *below, const nl_cell *cell);

/**
 * Read the measurements of a finished cell, if its file serves the present study as it is.
 *
 * @param[out] out  NULL where it does not
 * @param[out] why  in words why it does not; NULL where it does
 * @return NL_ERR_NUMERIC where a spectrum is missing, NL_ERR_STUDY where other measurements were
 *         asked for, NL_ERR_OTHER_DATA, told, where it was made from other images, others where it
 *         cannot be read or belongs to another cell
 */
NL_MUST_CHECK nl_status nl_finished_read(const char *path, const nl_study *study,
                                         const nl_cell *cell, const nl_measure_plan *plan,
                                         nl_result **out, const char **why);

#endif
