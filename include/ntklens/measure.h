/** @file measure.h  The measure phase: who shares a kernel and how it is solved; kernels, spectra,
 * observables and regressions of one state, on one process grid. */
#ifndef NTKLENS_MEASURE_H
#define NTKLENS_MEASURE_H

#include "ntklens/eigen.h"
#include "ntklens/par.h"
#include "ntklens/record.h"
#include "ntklens/splits.h"

/** Opaque. */
typedef struct nl_kernel_cache nl_kernel_cache;

/** Bytes that are kept of a kernel; 0: it is too large.  A function of the plan alone, so that what
 *  is kept, and with it the last bits of related spectra, never depends on what came before. */
double nl_kernel_cache_bytes(const nl_measure_plan *plan, int kernel);

/** Who shares a kernel and how it is solved: a pure function of (n, network, precision, ranks,
 *  memory, exact_operations). */
typedef struct nl_solve_plan {
    nl_method method;
    int n;             /* order of the kernel */
    int order;         /* of the matrix that is solved: n; dual: at most; of the operator */
    double operations; /* of one fill and one solve, or of all products */
    double compared;   /* of comparing a dual, or an operator, with those of earlier states, at
                          most; 0: they are not compared */
    double comparing;  /* bytes that this takes before there is a matrix, beside `held` */
    double held; /* bytes on each rank beside a matrix: what a dual is filled from; vectors and
                    factors of a quadrature */
    double relative_error; /* quadrature: wanted */
    bool stored;           /* quadrature: of a matrix in single precision, its lower half; traced */
    int block;
    int team;                /* ranks that share the kernel; 1: private */
    const nl_solver *solver; /* NULL: `none` */
    int columns;             /* of vectors that the kernel is multiplied with, at most */
    double cached;           /* bytes of it that stay in memory between states, on one rank */
    bool vectors;            /* eigenvectors are solved for too */
} nl_solve_plan;

/** Wanted blocks: of a matrix on one rank, only its storage; of a distributed one, see
 *  ARCHITECTURE.md.  Bytes of what a fill is made of. */
enum {
    nl_private_block = 80,
    nl_shared_block = 32,
    nl_stored_block = 128,     /* of one that is only multiplied */
    nl_panel_bytes = 64 << 20, /* of networks of dense layers */
    nl_part_bytes = 256 << 20  /* of others, whose passes are made anew for each part */
};

/** Bytes of gradient factors that a quadrature holds from product to product, at most. */
enum { nl_operator_factors = 1 << 30 };

/** Is a kernel, once it is filled, compared with those of earlier states?  One that is stored for a
 *  quadrature is where that takes no second matrix. */
bool nl_measure_compares(const nl_net *net, nl_method method);

/** Bytes that the fill of a kernel of this network may take beside the matrix. */
double nl_fill_memory(const nl_net *net);

/** Kernels of one cell that other ranks measure at a time, at most: each may hold a copy of the
 * parameters. */
enum { nl_most_offloads = 8 };

/** Bytes a rank of a team needs for a kernel: its part of the matrix, the solver's work space,
 * factors. */
double nl_solve_memory(const nl_solve_plan *plan, nl_precision precision);

/** What a solve is planned in. */
typedef struct nl_solve_room {
    int outputs;       /* of the network */
    int ranks;         /* of the job */
    double memory;     /* budget of a rank, bytes */
    const nl_net *net; /* whose kernel it is; NULL: none is known, the method is primal */
} nl_solve_room;

/**
 * Plan the solve of one kernel.  Pure.  Where the method is not asked for: primal where it fits and
 * takes no more than exact_operations, else dual where that does, else quadrature; traced kernels
 * have no dual.
 *
 * @return NL_ERR_STUDY where it fits on no number of these ranks, or the keys contradict each other
 */
NL_MUST_CHECK nl_status nl_solve_plan_make(const nl_solve_request *request,
                                           const nl_measure_plan *plan, int kernel,
                                           const nl_solve_room *room, nl_solve_plan *out);

/** Does the kernel fit?  As nl_solve_plan_make(), in silence. */
bool nl_solve_plan_fits(const nl_solve_request *request, const nl_measure_plan *plan, int kernel,
                        const nl_solve_room *room, nl_solve_plan *out);

/** Plans of all kernels of the networks of a study.  Owns its arrays. */
typedef struct nl_solve_table {
    const nl_study_spec *spec;      /* borrowed */
    const nl_measure_plan *measure; /* borrowed */
    int cells, networks;
    int *network;        /* [cells] */
    nl_net **net;        /* [networks] */
    nl_solve_plan *plan; /* [networks x kernels] */
    int team_size;       /* ranks that share the kernels that are shared; 1: none is */
} nl_solve_table;

/** The networks of these cells; nothing is planned yet.  Local. */
NL_MUST_CHECK nl_status nl_solve_table_create(const nl_study_spec *spec,
                                              const nl_measure_plan *measure, const nl_cell *cells,
                                              int count, const nl_dataset_info *info,
                                              nl_solve_table *out);
void nl_solve_table_free(nl_solve_table *table);

/** nl_solve_plan_make() for all.  Local. */
NL_MUST_CHECK nl_status nl_solve_table_make(nl_solve_table *table, int ranks, double memory);

/** Does everything fit?  As nl_solve_table_make(), in silence. */
bool nl_solve_table_fits(nl_solve_table *table, int ranks, double memory);

/** Plans of a cell's kernels, [kernels]. */
const nl_solve_plan *nl_solve_table_of(const nl_solve_table *table, int cell);

/** Expected bytes of a rank while it measures a kernel of this network: nl_solve_memory() is the
 *  bound for any. */
double nl_measure_memory(const nl_solve_plan *plan, int samples, nl_precision precision,
                         const nl_net *net);

/** Where in a results folder what is known of kernels in work is kept. */
#define NL_KEPT_FOLDER "checkpoints/kernels"

/** In which, how often, and whom it is told.  Zeros: nowhere. */
typedef struct nl_keeping {
    const char *folder; /* borrowed; NULL: nothing is kept */
    double every;       /* seconds */
    bool (*may_write)(const void *context);
    nl_status (*tell)(const void *context, int cell, const char *event, const char *reason);
    const void *context; /* borrowed */
} nl_keeping;

/** Bytes that products of a quadrature take before they go to a file, at most, but for one. */
enum { nl_kept_bytes = 64 << 20 };

/** A state to be measured, and those it is compared with.  All borrowed. */
typedef struct nl_measure_state {
    int cell;       /* whose step: index in the grid */
    const char *id; /* of the cell, unique in a study; NULL: nothing is kept */
    const nl_net *net;
    const float *theta; /* [net->size] */
    long step;
    const float *initial;  /* parameters at step 0; NULL: no change is told */
    const float *previous; /* parameters at previous_step; NULL: no velocity is told */
    long previous_step;
    const float *probe; /* [plan->samples x inputs] */
    const int *labels;  /* [plan->samples] */
    nl_loss loss;
    nl_infinite *infinite[2]; /* closed form of its kernel, and of the rate-weighted one; NULL:
                                 there is none, no distance is told */
} nl_measure_state;

/** Where and how kernels are measured.  Borrows all but the grid and the probe's state. */
typedef struct nl_measurer {
    nl_grid *grid; /* owned */
    const nl_measure_plan *plan;
    bool keep_spectra, keep_kernels;
    nl_keeping keeping;     /* set by its owner */
    nl_interrupt interrupt; /* set by its owner */
    nl_measure_state state;
    int cached_cell;                    /* whose kernels are cached; -1: none yet */
    nl_kernel_input input;              /* of the state: its probe, or a prefix of that */
    nl_factors *factors;                /* owned; of the state's probe, where one rank has room */
    nl_chunk_gradients *gradients;      /* owned; the same of networks that have no factors */
    nl_kept_memory kept;                /* owned; of fills that make gradients of their own */
    nl_dmat *spare;                     /* owned; a small matrix that no kernel is in; NULL: none */
    nl_probe_state *probe;              /* owned; of the state, on the input's samples; NULL:
                                           there is none */
    nl_trust *trust;                    /* owned; of the state; NULL: made when it is needed */
    nl_kernel_cache *cache;             /* owned */
    double gram_seconds, solve_seconds; /* spent so far */
    double observe_seconds;             /* on what is neither the kernel nor its spectrum */
} nl_measurer;

/** Collective over comm, of which the first ranks of a near-square grid take part.
 *  out: NULL on ranks that are not part of the grid. */
NL_MUST_CHECK nl_status nl_measurer_create(MPI_Comm comm, const nl_study_spec *spec,
                                           const nl_measure_plan *plan, nl_measurer **out);
void nl_measurer_destroy(nl_measurer **measurer);

/**
 * Take a state to be measured, until nl_measure_end().  Collective over the measurer's grid.
 *
 * @param[in]  state    (global) the same on every rank
 * @param[out] collapsed  every unit of a layer is dead on the probe, or the weights do not move the
 *                        outputs; NULL: not wanted, then nothing is computed before a kernel is
 */
NL_MUST_CHECK nl_status nl_measure_begin(nl_measurer *measurer, const nl_measure_state *state,
                                         bool *collapsed);
void nl_measure_end(nl_measurer *measurer);

/**
 * Measure one kernel of the state.  Collective over the measurer's grid.
 *
 * @param[out] out  (local) observables on every rank; the kernel itself on the grid's first
 * @return NL_ERR_NUMERIC: the kernel failed its check twice, or no solver gave a spectrum that
 * passes verification; out is then not done
 */
NL_MUST_CHECK nl_status nl_measure_kernel(nl_measurer *measurer, const nl_solve_plan *solve,
                                          int kernel, nl_measurement *out);

/** No spectrum to be had: NaN observables. */
void nl_measurement_clear(nl_measurement *measurement, int n);

/** Images of one regression: the first ones of the training subset, then those of the test set.
 *  Owns its arrays. */
typedef struct nl_regression_set {
    int train, test;
    float *x;    /* [train + test x inputs], as the network sees them */
    int *labels; /* [train + test] */
} nl_regression_set;

/** Training images that a regression of a cell uses; 0: none is asked for.  Pure. */
int nl_regression_train(const nl_measure_plan *plan, int n_train);

/** Bytes of a regression: its kernel, what fills that, and its images; 0 where none is asked for.
 *  Of this network, or a bound for any of small ones where it is NULL, as nl_solve_memory(). */
double nl_regression_bytes(const nl_measure_plan *plan, int n_train, int inputs, const nl_net *net);

/** Does the largest regression fit into a rank's memory?  Complaints name the key.  Pure. */
NL_MUST_CHECK nl_status nl_regression_check(const nl_split_spec *split, const nl_measure_plan *plan,
                                            const nl_dataset_info *info, double memory);
NL_MUST_CHECK nl_status nl_regression_set_create(const nl_measure_plan *plan,
                                                 const nl_splits *splits, const nl_cell_data *data,
                                                 nl_regression_set *out);
void nl_regression_set_free(nl_regression_set *set);

/** Regression with the traced kernel of a network, in double.  Collective over the grid, which has
 *  one rank. */
NL_MUST_CHECK nl_status nl_regress_network(const nl_grid *grid, const nl_measure_plan *plan,
                                           const nl_regression_set *set, const nl_net *net,
                                           const float *theta, nl_regression *out);

/** Regression with the kernel of infinitely wide networks.  Local. */
NL_MUST_CHECK nl_status nl_regress_infinite(const nl_measure_plan *plan,
                                            const nl_regression_set *set, const nl_net *net,
                                            nl_infinite_kind kind, nl_regression *out);

/**
 * Plan the solve of its spectra, in double whatever measure.precision says.  Pure; nothing to plan
 * where measure.infinite is off.
 *
 * @return NL_ERR_STUDY as nl_solve_plan_make()
 */
NL_MUST_CHECK nl_status nl_infinite_plan(const nl_study_spec *spec, const nl_measure_plan *plan,
                                         const nl_solve_room *room, nl_solve_plan *out);

/** Samples of the probe that closed forms are compared on with kernels of these plans, [kernels]:
 * of the largest that is solved by itself; 0: there is none.  Pure. */
int nl_infinite_samples(const nl_measure_plan *plan, const nl_solve_plan *solve);

/** What is measured of an infinitely wide network: its traced kernel, in double whatever
 *  measure.precision says.  Pure.  @param[out] kernel  what the plan's kernels point at */
nl_measure_plan nl_infinite_measure_plan(int samples, nl_kernel_spec kernel[1]);

#endif
