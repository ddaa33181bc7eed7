/** @file measure.h  The measure phase: kernels, spectra and observables of one state, on one
 * process grid. */
#ifndef NTKLENS_STUDY_MEASURE_H
#define NTKLENS_STUDY_MEASURE_H

#include "kept.h"

#include "ntklens/par.h"

/** Who shares a kernel and how it is solved: a pure function of (n, precision, ranks, memory). */
typedef struct nl_solve_plan {
    int n, block;
    int team;                /* ranks that share the kernel; 1: private */
    const nl_solver *solver; /* NULL: `none` */
    int columns;             /* of vectors that the kernel is multiplied with, at most */
    double kept;             /* bytes of it that stay in memory between states, on one rank */
    bool vectors;            /* eigenvectors are solved for too */
} nl_solve_plan;

/** Wanted blocks: of a matrix on one rank, only its storage; of a distributed one, see
 *  ARCHITECTURE.md.  Bytes of the gradient factors of a fill, at least. */
enum { nl_private_block = 80, nl_shared_block = 32, nl_panel_bytes = 64 << 20 };

/** Kernels of one cell that other ranks measure at a time, at most: each may hold a copy of the
 * parameters. */
enum { nl_most_errands = 8 };

/** Bytes a rank of a team needs for a kernel: its part of the matrix, the solver's work space,
 * factors. */
double nl_solve_memory(const nl_solve_plan *plan, nl_precision precision);

/**
 * Plan the solve of one kernel.  Pure.
 *
 * @param[in] ranks   of the job
 * @param[in] memory  budget of a rank, bytes
 * @return NL_ERR_STUDY where it fits on no number of these ranks, or the keys contradict each other
 */
NL_MUST_CHECK nl_status nl_solve_plan_make(const nl_study *study, const nl_measure_plan *plan,
                                           int kernel, int outputs, int ranks, double memory,
                                           nl_solve_plan *out);

/** Does the kernel fit?  As nl_solve_plan_make(), in silence. */
bool nl_solve_plan_fits(const nl_study *study, const nl_measure_plan *plan, int kernel, int outputs,
                        int ranks, double memory, nl_solve_plan *out);

/** Expected bytes of a rank while it measures a kernel of this network: nl_solve_memory() is the
 *  bound for any. */
double nl_measure_memory(const nl_solve_plan *plan, int samples, nl_precision precision,
                         const nl_net *net);

/** What cgroups of either version leave this process: bytes, and cores' worth of time.  Infinite
 *  where they do not limit it.  root: "" for this machine, a folder with /proc and /sys for tests.
 *  Local. */
double nl_cgroup_memory(const char *root);
double nl_cgroup_cores(const char *root);

/** What of so much memory kernels may use: the rest is for MPI, libraries and the system's caches.
 */
double nl_usable_memory(double bytes);

/** What cgroup, SLURM and the machine leave each of the ranks of a node, bytes.  Local. */
double nl_memory_share(int ranks_of_node);

/** Memory budget of a rank: measure.memory_per_rank, or what cgroup, SLURM and the machine leave
 * it. Local; the job takes the least of all ranks. */
double nl_memory_budget(const nl_study *study, int ranks_of_node);

/** A state to be measured, and those it is compared with.  All borrowed. */
typedef struct nl_subject {
    int cell; /* whose step: index in the grid */
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
} nl_subject;

/** Where and how kernels are measured.  Borrows all but the grid and the probe's state. */
typedef struct nl_measurer {
    nl_grid *grid; /* owned */
    const nl_measure_plan *plan;
    bool keep_spectra, keep_kernels;
    nl_subject subject;
    int kept_cell;                      /* whose kernels are kept; -1: none yet */
    nl_kernel_input input;              /* of the subject */
    nl_factors *factors;                /* owned; of the subject's probe, where one rank has room */
    nl_dmat *spare;                     /* owned; a small matrix that no kernel is in; NULL: none */
    nl_probe_state *probe;              /* owned; of the subject; NULL: there is none */
    nl_trust *trust;                    /* owned; of the subject; NULL: made when it is needed */
    nl_kept *kept;                      /* owned; NULL on grids of several ranks */
    double gram_seconds, solve_seconds; /* spent so far */
    double observe_seconds;             /* on what is neither the kernel nor its spectrum */
} nl_measurer;

/** Collective over comm, of which the first ranks of a near-square grid take part.
 *  out: NULL on ranks that are not part of the grid. */
NL_MUST_CHECK nl_status nl_measurer_create(MPI_Comm comm, const nl_study *study,
                                           const nl_measure_plan *plan, nl_measurer **out);
void nl_measurer_destroy(nl_measurer **measurer);

/**
 * Take a state to be measured, until nl_measure_end().  Collective over the measurer's grid.
 *
 * @param[in]  subject    (global) the same on every rank
 * @param[out] collapsed  every unit of a layer is dead on the probe, or the weights do not move the
 *                        outputs; may be NULL
 */
NL_MUST_CHECK nl_status nl_measure_begin(nl_measurer *measurer, const nl_subject *subject,
                                         bool *collapsed);
void nl_measure_end(nl_measurer *measurer);

/**
 * Measure one kernel of the subject.  Collective over the measurer's grid.
 *
 * @param[out] out  (local) observables on every rank; the kernel itself on the grid's first
 * @return NL_ERR_NUMERIC: the kernel failed its check twice, or no solver gave a spectrum that
 * passes verification; out is then not done
 */
NL_MUST_CHECK nl_status nl_measure_kernel(nl_measurer *measurer, const nl_solve_plan *solve,
                                          int kernel, nl_measurement *out);

/** No spectrum to be had: NaN observables. */
void nl_measurement_clear(nl_measurement *measurement, int n);

#endif
