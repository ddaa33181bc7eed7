/** @file run.h  One rank's view of a running study; shared by the files that make up the run. */
#ifndef NTKLENS_STUDY_RUN_H
#define NTKLENS_STUDY_RUN_H

#include "ledger.h"
#include "lock.h"
#include "measure.h"
#include "splits.h"

#include <stdatomic.h>

/** Closed forms that this rank computed last: cells of one shape and probe share them. */
typedef struct nl_closed_forms {
    nl_net_spec spec;
    nl_optimizer optimizer;   /* decides rates */
    uint32_t seed;            /* of the probe, where it has one; else 0 */
    nl_infinite *infinite[2]; /* owned; as in nl_subject */
} nl_closed_forms;

/** Everything is borrowed by the functions below and owned by nl_study_run(). */
typedef struct nl_run {
    const nl_study *study;
    const nl_run_options *options;
    const nl_team *team;
    nl_cell *cells;
    int count;
    double *cost;   /* [count] expected work */
    uint8_t *phase; /* [count] nl_cell_phase */
    nl_measure_plan *plan;
    nl_splits *splits;
    nl_solve_plan *solve;   /* [plan->kernels] */
    int team_size;          /* ranks that share the kernels that are shared; 1: none is */
    nl_measurer *alone;     /* private kernels */
    nl_closed_forms closed; /* borrowed by what is measured */
    double memory;          /* budget of a rank, the least of all, bytes */
    nl_service *service;
    nl_log *log;               /* root only */
    nl_ledger *ledger;         /* root only */
    nl_lock *lock;             /* root only */
    char *data_folder;         /* owned, root only; NULL: the images are drawn */
    nl_text remarks;           /* owned, root only; on the images */
    bool lost;                 /* the lock is; of the root's service thread while that runs */
    nl_holder holder;          /* who has taken the lock: the root, as every rank knows */
    double *solve_seconds;     /* [plan->kernels] that the last solve took on this rank */
    double regression_seconds; /* the same of the last kernel regression */
    double checkpoint_every;   /* seconds */
    double idle_seconds;       /* that this rank waited: for images, for work, for other ranks */
    bool same_blas;            /* all ranks compute with the same BLAS kernels and libraries */
    bool helping;              /* ranks without work measure kernels of cells that others train */
    double next_told;          /* service thread: when to tell progress again */
    atomic_int now_cell;       /* cell in work, -1: none */
    atomic_long now_step;      /* its step */
    atomic_long reserve;       /* milliseconds that this rank needs to leave in good order */
} nl_run;

/** Where a cell stands; values are compared, the highest of all ranks counts. */
enum nl_cell_phase {
    NL_CELL_LEFT = 0,
    NL_CELL_TRAINED = 1, /* shared kernels are still to be measured */
    NL_CELL_FINISHED = 2,
};

/** Why a study stops early: NL_STOP_ERROR + the status of a failure, which is above the values that
 *  stop_wanted() may give. */
enum { NL_STOP_ERROR = 1000 };

bool nl_run_stopping(const nl_run *run);

/** May this rank still write into the results folder?  Not where the run has lost its lock: then
 *  another run may be at work there.  To be asked before each write.  Local. */
bool nl_run_may_write(const nl_run *run);

/** Remove the checkpoints of a cell, where there are any. */
void nl_remove_checkpoints(const nl_run *run, const nl_cell *cell);

/** Train a cell, measure its private kernels, and leave it finished or trained.  Local. */
NL_MUST_CHECK nl_status nl_cell_train(nl_run *run, int index);

/** Measure a kernel for the rank that has its cell, which sends it now.  Collective over the ranks
 * of the task, where there are several. */
NL_MUST_CHECK nl_status nl_cell_help(nl_run *run, const nl_task *task);

/** Measure the shared kernels of a trained cell and finish it.  Collective over the team. */
NL_MUST_CHECK nl_status nl_cell_measure_shared(nl_run *run, const nl_team *team,
                                               nl_measurer *measurer, int index);

/** What an earlier run left of a cell. */
typedef enum nl_found_kind {
    NL_FOUND_NOTHING,
    NL_FOUND_TRAINING,     /* result and continuation to go on from */
    NL_FOUND_KERNELS_LEFT, /* trained; shared kernels are left; every state has its snapshot */
    NL_FOUND_SNAPSHOTS, /* trained; kernels are left, or all of them after a change of plan; every
                           state has its snapshot */
} nl_found_kind;

typedef struct nl_found {
    nl_found_kind kind;
    nl_result *result;            /* owned */
    nl_continuation continuation; /* owned */
    long max_steps;               /* of the training that left these */
} nl_found;

/**
 * Look for earlier work on a cell: a checkpoint, or the one before where that is damaged; the
 * finished file, measured under another plan; a finished cell of a shorter training.  What is
 * damaged is told and passed over.  Local.
 *
 * @param[in] initial  [net->size] initial parameters, for a state at step 0; NULL: checkpoints only
 */
NL_MUST_CHECK nl_status nl_find_earlier(nl_run *run, int index, const nl_net *net,
                                        const float *initial, nl_found *found);

/** Rows of the finished cells of an earlier run, which each rank reads its share of; sets their
 *  phase; then study.yaml, by the root.  Collective; the service runs.
 *  @return NL_STOPPED where all are asked to stop; NL_ERR_OTHER_DATA, told, where a cell was made
 *  from other images: nothing is written then */
NL_MUST_CHECK nl_status nl_run_load_finished(nl_run *run);

/** Remove the file that asks to stop; was there one? */
bool nl_run_remove_stop_file(const nl_run *run);

/**
 * Create or open the results folder, with its lock, log and ledger.  Refuses changes that alter
 * finished cells, and images other than those of cells or checkpoints there, before it writes
 * anything; with --fresh moves everything aside.  Root only.
 *
 * @param[in] data_folder  absolute; NULL: the images are drawn
 */
NL_MUST_CHECK nl_status nl_run_open_results(nl_run *run, const char *data_folder);

#endif
