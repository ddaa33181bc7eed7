/** @file run_state.h  One rank's view of a running study. */
#ifndef NTKLENS_RUN_RUN_STATE_H
#define NTKLENS_RUN_RUN_STATE_H

#include "collector.h"

#include "ntklens/folder.h"
#include "ntklens/measure.h"
#include "ntklens/run.h"

#include <stdatomic.h>

/** Closed forms that this rank computed last: cells of one shape and probe share them. */
typedef struct nl_closed_forms {
    nl_net_spec spec;
    nl_optimizer optimizer;   /* decides rates */
    uint32_t seed;            /* of the probe, where it has one; else 0 */
    nl_infinite *infinite[2]; /* owned; as in nl_measure_state */
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
    nl_collector *collector;   /* root only */
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
    bool offloading;           /* ranks without work measure kernels of cells that others train */
    double next_progress;      /* service thread: when to tell progress again */
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

#endif
