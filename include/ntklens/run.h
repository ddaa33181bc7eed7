/** @file run.h  The run that trains and measures the cells of a study. */
#ifndef NTKLENS_RUN_H
#define NTKLENS_RUN_H

#include "ntklens/study.h"

typedef struct nl_run_options {
    const char *folder; /* results go here */
    bool fresh;         /* move earlier results aside */
    bool quiet;         /* no progress */
    /** Polled on every rank's service thread, about every 50 ms.  Non-zero: all ranks stop early.
     */
    int (*stop_wanted)(void *context, double reserve);
    /** Seconds left before the job is ended from outside, once all were asked to stop for `reason`.
     */
    double (*time_left)(void *context, int reason);
    void *stop_context; /* borrowed */
    const char
        *stop_file; /* borrowed; removed when the run begins and when it ends: one that an earlier
                       run left is not meant for this one, one that was obeyed has done its work */
} nl_run_options;

/**
 * Train and measure every cell that is not finished yet, and leave the results folder as
 * the README's section "Results" says.  Nothing is written before the study and the headers of its
 * data are known to be good.  Collective over the team.
 *
 * @return NL_STOPPED where work is left; NL_ERR_NUMERIC where a spectrum could not be had, all else
 *         being saved; the same on every rank
 */
NL_MUST_CHECK nl_status nl_study_run(const nl_study *study, const nl_run_options *options,
                                     const nl_team *team);

/** Print its columns with their meaning (`ntklens keys --columns`). */
void nl_infinite_columns_print(FILE *stream);

#endif
