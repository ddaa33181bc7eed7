/** @file job.h  One cell in work on one rank; shared by the files that work on cells. */
#ifndef NTKLENS_STUDY_JOB_H
#define NTKLENS_STUDY_JOB_H

#include "regression.h"
#include "run.h"
#include "train.h"

/** A kernel of a cell that another rank measures (job_help.c). */
typedef struct nl_errand nl_errand;

/** One cell in work on one rank. */
typedef struct nl_job {
    nl_run *run;
    int index;
    const nl_cell *cell;
    nl_net *net;                  /* owned */
    nl_cell_data *data;           /* owned */
    nl_training *training;        /* owned; NULL where nothing is trained */
    nl_errand *errand;            /* owned; NULL: none was sent out */
    nl_regression_set regression; /* owned; empty: none is asked for */
    float *initial;               /* owned; parameters at step 0, drawn once they are asked for */
    double last_checkpoint;       /* nl_now() */
    double last_write;            /* seconds that it took */
    double write_seconds;         /* in all */
    bool unverified;              /* a spectrum could not be had */
} nl_job;

/** Network and images of a cell.  nl_job_close() also after a failure. */
NL_MUST_CHECK nl_status nl_job_open(nl_run *run, int index, nl_job *job);
void nl_job_close(nl_job *job);

/** Is the snapshot of this state part of the results? */
bool nl_job_wants_snapshot(const nl_run *run, const nl_result *result, const nl_state *state);

/** Copy parameters into a state that has none yet. */
NL_MUST_CHECK nl_status nl_job_keep_theta(const nl_net *net, const float *theta, nl_state *state);

/** A finished cell goes to cells/, an unfinished one to checkpoints/, where the one before is kept.
 */
NL_MUST_CHECK nl_status nl_job_write(nl_job *job, const nl_result *result,
                                     const nl_continuation *continuation, bool unfinished);

/** Say how long this rank needs to leave in good order: the longest solve or evaluation may end,
 * and a checkpoint is written. */
void nl_job_set_reserve(const nl_job *job);

/** Is it time for a checkpoint, before something that takes `ahead` seconds?  Where writing is slow
 * it is done less often: it may cost 2 % of the time. */
bool nl_job_checkpoint_due(const nl_job *job, double ahead);

/** The cell is done: into cells/, and its rows to the root. */
NL_MUST_CHECK nl_status nl_job_finish(nl_job *job, nl_result *result,
                                      const nl_continuation *continuation);

/** Parameters at step 0, NULL: out of memory. */
const float *nl_job_initial(nl_job *job);

/**
 * Parameters of the state that a state's kernel velocity is taken from.
 *
 * @param[out] step   its step; -1: the state has no velocity
 * @param[out] theta  borrowed; NULL where step is -1
 */
NL_MUST_CHECK nl_status nl_job_previous(nl_job *job, const nl_result *result, const nl_state *state,
                                        long *step, const float **theta);

/** Take a state to be measured.  Collective over the measurer's grid; arguments are global.
 *  @param[out] collapsed  nl_measure_begin() */
NL_MUST_CHECK nl_status nl_job_begin(nl_job *job, nl_measurer *measurer, const float *theta,
                                     long step, const float *previous, long previous_step,
                                     bool *collapsed);

/** Measure one kernel of the state that was taken.  One without a verified spectrum is left undone
 * and sets job->unverified: the study goes on and ends with that status.  Collective over the
 * measurer's grid. */
NL_MUST_CHECK nl_status nl_job_measure(nl_job *job, nl_measurer *measurer, int kernel,
                                       nl_measurement *out);

/** What the ranks of a team know of a state in work; the leader tells them. */
typedef struct nl_shared_state {
    long step, previous_step; /* step -1: there is nothing to do */
    int kernel;
    float *theta, *previous; /* owned; [net->size] */
} nl_shared_state;

/** Room for parameters, and the initial ones for everybody.  Collective over the team. */
NL_MUST_CHECK nl_status nl_shared_state_create(nl_job *job, const nl_team *team,
                                               nl_shared_state *shared);
void nl_shared_state_free(nl_shared_state *shared);

/** From the leader to all.  Collective over the team. */
void nl_shared_state_tell(const nl_job *job, const nl_team *team, nl_shared_state *shared);

/** Measure its kernel.  Collective over the team.  measurer: NULL on ranks off the grid. */
NL_MUST_CHECK nl_status nl_job_measure_shared(nl_job *job, const nl_team *team,
                                              nl_measurer *measurer, const nl_shared_state *shared,
                                              nl_measurement *out);

/** Kernel regression with a state's parameters, where it is asked for.  Local. */
NL_MUST_CHECK nl_status nl_job_regress(nl_job *job, const float *theta, nl_state *state);

/**
 * Have a kernel measured by a rank (or, a shared one, by a team) that has nothing else to do, where
 * there is one.
 *
 * @param[in,out] result of this cell; keeps what the state's velocity is taken from, too
 * @param[in]     theta  [net->size] parameters of the state
 * @param[in,out] state  keeps them until the result is there
 * @param[out]    given  false: measure it here
 */
NL_MUST_CHECK nl_status nl_job_give_away(nl_job *job, nl_result *result, int kernel,
                                         const float *theta, nl_state *state, bool *given);

/** Take in results that have arrived.  result: of this cell. */
NL_MUST_CHECK nl_status nl_job_collect(nl_job *job, nl_result *result);

/** Wait for all results, or until all are asked to stop (NL_STOPPED) unless `to_the_end`.
 *  arrived: how many came. */
NL_MUST_CHECK nl_status nl_job_await(nl_job *job, nl_result *result, bool to_the_end, int *arrived);

/** Write a checkpoint before all stop; then wait for what other ranks still compute for this cell,
 *  and keep that too. */
NL_MUST_CHECK nl_status nl_job_leave(nl_job *job, nl_result *result,
                                     const nl_continuation *continuation);

/** Wait for replies that nobody wants any more; nl_job_close() does it. */
void nl_job_forget_errands(nl_job *job);

/** Timings of this cell to the root; zero seconds are not told. */
NL_MUST_CHECK nl_status nl_job_tell_seconds(const nl_job *job, const char *phase, double seconds);
NL_MUST_CHECK nl_status nl_job_tell_measuring(const nl_job *job, nl_measurer *measurer);

#endif
