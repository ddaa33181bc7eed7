/** @file run_state.h  One rank's view of a running study. */
#ifndef NTKLENS_RUN_RUN_STATE_H
#define NTKLENS_RUN_RUN_STATE_H

#include "collector.h"

#include "ntklens/board.h"
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

/** What is asked of whom with which images.  Main thread, while the run is prepared; constant then.
 */
typedef struct nl_run_inputs {
    const nl_study *study;
    const nl_run_options *options;
    const nl_team *team;
    nl_cell *cells;
    int count;
    nl_measure_plan *plan;
    nl_splits *splits;
    nl_solve_table solves;
    double memory;    /* budget of a rank, the least of all, bytes */
    bool same_blas;   /* all ranks compute with the same BLAS kernels and libraries */
    nl_holder holder; /* who has taken the lock: the root, as every rank knows */
} nl_run_inputs;

/** Who does what.  Main thread: costs, team size and offloading while the run is prepared, phases
 * as cells get on.  The service has its own thread and locks. */
typedef struct nl_run_schedule {
    nl_service *service;
    double *cost;    /* [count] expected work */
    uint8_t *phase;  /* [count] nl_cell_phase, as far as this rank knows */
    int team_size;   /* ranks that share the kernels that are shared; 1: none is */
    bool offloading; /* ranks without work measure kernels of cells that others train */
} nl_run_schedule;

/** What the root writes; NULL or empty elsewhere.  Of its service thread while that runs, of its
 * main thread before and after. */
typedef struct nl_run_output {
    nl_log *log;
    nl_collector *collector;
    nl_lock *lock;
    bool lost;         /* the lock is */
    char *data_folder; /* owned; NULL: the images are drawn */
    nl_text remarks;   /* owned; on the images */
} nl_run_output;

/** Seconds that a kernel's last measurement took, and those of it that it could not be left in. */
typedef struct nl_kernel_clock {
    double seconds, unbroken;
} nl_kernel_clock;

/** Seconds of this rank.  Main thread, but for what says otherwise. */
typedef struct nl_run_clock {
    nl_kernel_clock *kernel;   /* [plan->kernels] */
    double regression_seconds; /* the same of the last kernel regression */
    double checkpoint_every;
    double idle_seconds;  /* waited: for images, for work, for other ranks */
    double next_progress; /* service thread: when to send progress again */
    /* Written by the main thread, read by the service thread. */
    atomic_int now_cell;  /* cell in work, -1: none */
    atomic_long now_step; /* its step */
    atomic_int now_cores; /* that share its steps */
    atomic_long reserve;  /* milliseconds that this rank needs to leave in good order */
} nl_run_clock;

/** Cores that this rank lends and borrows (lending.c).  Main thread. */
typedef struct nl_lending {
    nl_board *board; /* owned; NULL: nothing is lent */
    nl_crew *crew;   /* owned; threads on cores that this rank has borrowed */
    int most;        /* cores that the present training makes use of; 1: it stays alone */
    double step_operations;
    double step_began; /* the present one; 0: there was none before */
    double step_alone; /* seconds of one without other cores, of late */
    int steps_alone;   /* so far */
    int steps;         /* with other cores, since they were last judged */
    double seconds;    /* of these */
    double not_before; /* no core is borrowed: others were of no use */
    double patience;   /* seconds of that */
    double borrowed;   /* seconds, when that training began */
    int told;          /* cores that the log last heard of */
    double told_at;
} nl_lending;

/** Everything is borrowed by the functions of the run and owned by nl_study_run(). */
typedef struct nl_run {
    nl_run_inputs in;
    nl_run_schedule schedule;
    nl_run_output out;
    nl_run_clock clock;
    nl_lending lending;
    nl_measurer *alone;     /* private kernels; main thread */
    nl_closed_forms closed; /* borrowed by what is measured; main thread */
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

/** All cells are finished: remove what is left of kernels in work, as of other ranks or keys. */
void nl_remove_kept(const nl_run *run);

#endif
