/** @file cell_work.h  One cell in work on one rank: what every phase does with it. */
#ifndef NTKLENS_RUN_CELL_WORK_H
#define NTKLENS_RUN_CELL_WORK_H

#include "run_state.h"

#include "ntklens/measure.h"
#include "ntklens/train.h"

/** One cell in work on one rank. */
typedef struct nl_cell_work {
    nl_run *run;
    int index;
    const nl_cell *cell;
    nl_net *net;                  /* owned */
    const nl_solve_plan *solve;   /* borrowed; [kernels] */
    nl_cell_data *data;           /* owned */
    nl_training *training;        /* owned; NULL where nothing is trained */
    struct nl_offload *offload;   /* owned, by offload.c; NULL: none was sent out */
    nl_regression_set regression; /* owned; empty: none is asked for */
    float *initial;               /* owned; parameters at step 0, drawn once they are asked for */
    double last_checkpoint;       /* nl_now() */
    double last_write;            /* seconds that it took */
    double write_seconds;         /* in all */
    bool unverified;              /* a spectrum could not be had */
} nl_cell_work;

/** Network and images of a cell.  nl_cell_work_close() also after a failure. */
NL_MUST_CHECK nl_status nl_cell_work_open(nl_run *run, int index, nl_cell_work *work);
void nl_cell_work_close(nl_cell_work *work);

/** nl_measurer_create() for this run: it keeps what it has in work, and stops where the run does.
 */
NL_MUST_CHECK nl_status nl_cell_work_measurer(nl_run *run, MPI_Comm comm, nl_measurer **out);

/** Copy parameters into a state that has none yet. */
NL_MUST_CHECK nl_status nl_state_keep_theta(const nl_net *net, const float *theta, nl_state *state);

/** A finished cell goes to cells/, an unfinished one to checkpoints/, where the one before is kept.
 */
NL_MUST_CHECK nl_status nl_cell_work_write(nl_cell_work *work, const nl_record *record,
                                           const nl_continuation *continuation, bool unfinished);

/** Say how long this rank needs to leave in good order: the longest solve or evaluation may end,
 * and a checkpoint is written. */
void nl_cell_work_set_reserve(const nl_cell_work *work);

/** Is it time for a checkpoint, before something that takes `ahead` seconds?  Where writing is slow
 * it is done less often: it may cost 2 % of the time. */
bool nl_cell_work_checkpoint_due(const nl_cell_work *work, double ahead);

/** The cell is done: into cells/, and its rows to the root. */
NL_MUST_CHECK nl_status nl_cell_work_finish(nl_cell_work *work, nl_record *record,
                                            const nl_continuation *continuation);

/** Parameters at step 0, NULL: out of memory. */
const float *nl_cell_work_initial(nl_cell_work *work);

/**
 * Parameters of the state that a state's kernel velocity is taken from.
 *
 * @param[out] step   its step; -1: the state has no velocity
 * @param[out] theta  borrowed; NULL where step is -1
 */
NL_MUST_CHECK nl_status nl_cell_work_previous(nl_cell_work *work, const nl_record *record,
                                              const nl_state *state, long *step,
                                              const float **theta);

/** Parameters that kernels are measured at, and those that a velocity is taken from. */
typedef struct nl_moment {
    const float *theta;
    long step;
    const float *previous; /* NULL: no velocity is told */
    long previous_step;    /* -1 then */
} nl_moment;

/** Take a state to be measured.  Collective over the measurer's grid; arguments are global.
 *  @param[out] collapsed  nl_measure_begin() */
NL_MUST_CHECK nl_status nl_cell_work_begin(nl_cell_work *work, nl_measurer *measurer,
                                           const nl_moment *moment, bool *collapsed);

/** Measure one kernel of the state that was taken.  One without a verified spectrum is left undone
 * and sets job->unverified: the study goes on and ends with that status.  Collective over the
 * measurer's grid. */
NL_MUST_CHECK nl_status nl_cell_work_measure(nl_cell_work *work, nl_measurer *measurer, int kernel,
                                             nl_measurement *out);

/** Kernel regression with a state's parameters, where it is asked for.  Local. */
NL_MUST_CHECK nl_status nl_cell_work_regress(nl_cell_work *work, const float *theta,
                                             nl_state *state);

/** Timings of this cell to the root; zero seconds are not told. */
NL_MUST_CHECK nl_status nl_cell_work_send_seconds(const nl_cell_work *work, const char *phase,
                                                  double seconds);
NL_MUST_CHECK nl_status nl_cell_work_send_measuring(const nl_cell_work *work,
                                                    nl_measurer *measurer);

#endif
