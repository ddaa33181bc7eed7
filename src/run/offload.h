/** @file offload.h  Kernels of a cell that ranks without work measure for the one that has it. */
#ifndef NTKLENS_RUN_OFFLOAD_H
#define NTKLENS_RUN_OFFLOAD_H

#include "cell_work.h"

/**
 * Have a kernel measured by a rank (or, a shared one, by a team) that has nothing else to do, where
 * there is one.
 *
 * @param[in,out] result of this cell; keeps what the state's velocity is taken from, too
 * @param[in]     theta  [net->size] parameters of the state
 * @param[in,out] state  keeps them until the result is there
 * @param[out]    given  false: measure it here
 */
NL_MUST_CHECK nl_status nl_offload_start(nl_cell_work *work, nl_record *record, int kernel,
                                         const float *theta, nl_state *state, bool *given);

/** Take in results that have arrived.  result: of this cell. */
NL_MUST_CHECK nl_status nl_offload_collect(nl_cell_work *work, nl_record *record);

/** Wait for all results, or until all are asked to stop (NL_STOPPED) unless `to_the_end`.
 *  arrived: how many came. */
NL_MUST_CHECK nl_status nl_offload_await(nl_cell_work *work, nl_record *record, bool to_the_end,
                                         int *arrived);

/** Write a checkpoint before all stop; then wait for what other ranks still compute for this cell,
 *  and keep that too. */
NL_MUST_CHECK nl_status nl_offload_leave(nl_cell_work *work, nl_record *record,
                                         const nl_continuation *continuation);

/** Wait for replies that nobody wants any more: before nl_cell_work_close(). */
void nl_offload_forget(nl_cell_work *work);

/** Measure a kernel for the rank that has its cell, which sends it now.  Collective over the ranks
 * of the task, where there are several. */
NL_MUST_CHECK nl_status nl_offload_serve(nl_run *run, const nl_task *task);

#endif
