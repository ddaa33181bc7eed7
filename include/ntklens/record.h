/** @file record.h  What a cell leaves: its curve and its measured states. */
#ifndef NTKLENS_RECORD_H
#define NTKLENS_RECORD_H

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
    nl_method method;
    double entropy_error; /* 95 % half width of the entropy; 0: it is exact */
    char solver[16];
    bool fallback;            /* the second solver was used */
    bool refilled;            /* a kernel failed its check, and was made again */
    int values;               /* of lambda: n; of quadrature those that are right to 1e-3 */
    double *lambda;           /* owned; [values] descending, NULL where not kept */
    int points;               /* of quadrature: */
    double *rank_curve;       /* owned; [points][2] places, from 1, and eigenvalues, descending;
                                 NULL where not kept */
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

/** Everything known of a cell.  Zero-initialise with nl_record_create(). */
typedef struct nl_record {
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
    int64_t weights;    /* that a sample meets: of a convolution at each position */
} nl_record;

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

NL_MUST_CHECK nl_status nl_record_create(nl_record **out);
void nl_record_destroy(nl_record **record, int kernels);

/** Append an evaluated state to the curve. */
NL_MUST_CHECK nl_status nl_curve_append(nl_curve *curve, long step, const nl_losses *losses);

/** The state of that step; made, in its place, if it is new.  NULL: out of memory.
 *  Pointers to other states are no longer valid afterwards. */
nl_state *nl_record_state(nl_record *record, const nl_measure_plan *plan, long step);

/** The state of that step, NULL if there is none. */
nl_state *nl_record_find(const nl_record *record, long step);

/** Drop the states that a training of max_steps does not measure, or does not measure yet: all but
 *  the initial one, those of the log and step tags, and those that first reach a train-loss tag. */
void nl_record_keep_states(nl_record *record, const nl_measure_plan *plan, long max_steps);

/**
 * From which step a state's kernel velocity is taken: the last of 0 and the log-spaced steps before
 * it; -1 where it has none, at 0 and where the state is on no schedule and was only found to be
 * best.  A function of the curve and the plan, however the training came about.
 */
NL_MUST_CHECK nl_status nl_record_velocity_step(const nl_record *record,
                                                const nl_measure_plan *plan, long step,
                                                long *previous);

/** First evaluated step with a train loss at or below; -1: none yet. */
long nl_curve_first_below(const nl_curve *curve, double train_loss);

/** True when every finite state has every kernel. */
bool nl_record_complete(const nl_record *record, const nl_measure_plan *plan);

#endif
