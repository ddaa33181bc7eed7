/** @file train.h  The train phase of one cell: from initial draw to final state, one event at a
 * time. */
#ifndef NTKLENS_TRAIN_H
#define NTKLENS_TRAIN_H

#include "ntklens/record.h"
#include "splits.h"

/** Images of one forward pass when a whole set is evaluated. */
enum { nl_evaluation_rows = 64 };

/** Opaque.  A cell in training.  What it holds is a function of the study and the step alone. */
typedef struct nl_training nl_training;

typedef enum nl_event {
    NL_EVENT_STATE,  /* a state is reached in which kernels are measured */
    NL_EVENT_OVER,   /* nothing is left to train */
    NL_EVENT_PAUSED, /* asked to pause in between; run again to go on */
} nl_event;

/** Seconds spent. */
typedef struct nl_train_clock {
    double training, evaluation;
    double longest_evaluation;
} nl_train_clock;

/** @param[in] data, net, splits, plan  borrowed, outlive the training */
NL_MUST_CHECK nl_status nl_training_create(const nl_cell *cell, const nl_net *net,
                                           const nl_splits *splits, const nl_cell_data *data,
                                           const nl_measure_plan *plan, nl_training **out);
void nl_training_destroy(nl_training **training);

/** Let others share steps and evaluations; crew: borrowed, outlives the training. */
NL_MUST_CHECK nl_status nl_training_set_crew(nl_training *training, nl_crew *crew);

/** Asked before every step; true: pause. */
typedef bool nl_pause_fn(const void *context);

/** What the training goes on from if it ends here; arrays borrowed, valid until the next run. */
nl_continuation nl_training_continuation(nl_training *training);

/**
 * Go on from a checkpoint, or (a finished result and a longer max_steps) from the end of a shorter
 * training, which stays the end where it came of divergence or of lost patience.  Takes over the
 * result, which is NULL afterwards.
 *
 * @param[in] max_steps  of the training that left these; the cell's own where it is a checkpoint
 * @return NL_ERR_DAMAGED where the pieces do not fit this cell; the training is then as created
 */
NL_MUST_CHECK nl_status nl_training_restore(nl_training *training, nl_record **record,
                                            const nl_continuation *from, long max_steps);

/**
 * Train until something happens.  Every state to be measured comes once: those on the schedule as
 * they are reached, the best one, where it is not among them, at the end.
 *
 * @param[out] state  NL_EVENT_STATE: the state, its losses filled in; owned by the result
 */
NL_MUST_CHECK nl_status nl_training_run(nl_training *training, nl_pause_fn *pause,
                                        const void *context, nl_event *event, nl_state **state);

/** Parameters of the state that the last event was about. */
const float *nl_training_theta(const nl_training *training);

/** Parameters of the best state so far; NULL if no state was finite. */
const float *nl_training_best_theta(const nl_training *training);

/** Parameters at a step: of the present state or of the best one; NULL: they are not kept. */
const float *nl_training_theta_at(const nl_training *training, long step);

/** Parameters of the state of the log grid that was last left, if that is its step; else NULL. */
const float *nl_training_previous_theta(const nl_training *training, long step);

/** Parameters of a training that has not begun: the initial draw. */
const float *nl_training_start(nl_training *training);

nl_record *nl_training_record(nl_training *training);
long nl_training_step(const nl_training *training);
nl_train_clock nl_training_clock(const nl_training *training);

#endif
