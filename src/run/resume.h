/** @file resume.h  What an earlier run left of a cell. */
#ifndef NTKLENS_RUN_RESUME_H
#define NTKLENS_RUN_RESUME_H

#include "run_state.h"

#include "ntklens/record.h"

/** What an earlier run left of a cell. */
typedef enum nl_restart_kind {
    NL_RESTART_NOTHING,
    NL_RESTART_TRAINING,     /* result and continuation to go on from */
    NL_RESTART_KERNELS_LEFT, /* trained; shared kernels are left; every state has its snapshot */
    NL_RESTART_SNAPSHOTS, /* trained; kernels are left, or all of them after a change of plan; every
                           state has its snapshot */
} nl_restart_kind;

typedef struct nl_restart {
    nl_restart_kind kind;
    nl_record *record;            /* owned */
    nl_continuation continuation; /* owned */
    long max_steps;               /* of the training that left these */
} nl_restart;

/**
 * Look for earlier work on a cell: a checkpoint, or the one before where that is damaged; the
 * finished file, measured under another plan; a finished cell of a shorter training.  What is
 * damaged is told and passed over.  Local.
 *
 * @param[in] initial  [net->size] initial parameters, for a state at step 0; NULL: checkpoints only
 */
NL_MUST_CHECK nl_status nl_restart_find(nl_run *run, int index, const nl_net *net,
                                        const float *initial, nl_restart *found);

/** Is the snapshot of this state part of the results? */
bool nl_record_wants_snapshot(const nl_run *run, const nl_record *record, const nl_state *state);

#endif
