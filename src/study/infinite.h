/** @file infinite.h  infinite.csv: the infinitely wide networks of the grid. */
#ifndef NTKLENS_STUDY_INFINITE_H
#define NTKLENS_STUDY_INFINITE_H

#include "run.h"

/**
 * Plan the solve of its spectra, in double whatever measure.precision says.  Pure; nothing to plan
 * where measure.infinite is off.
 *
 * @return NL_ERR_STUDY as nl_solve_plan_make()
 */
NL_MUST_CHECK nl_status nl_infinite_plan(const nl_study *study, const nl_measure_plan *plan,
                                         int outputs, int ranks, double memory, nl_solve_plan *out);

/**
 * Write infinite.csv where measure.infinite asks for it: spectra of NNGP and NTK on the probe, and
 * their kernel regressions where those are asked for.  Whatever of the grid has no closed form is
 * left out.  Collective over the run's team; spectra are shared as those of cells are.
 *
 * @return NL_STOPPED where asked to stop before it was written; NL_ERR_NUMERIC where a spectrum
 *         could not be had: its row has NaN
 */
NL_MUST_CHECK nl_status nl_infinite_write(nl_run *run);

/** Print its columns with their meaning (`ntklens keys --columns`). */
void nl_infinite_columns_print(FILE *stream);

#endif
