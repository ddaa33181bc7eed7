/** @file infinite_table.h  infinite.csv: the infinitely wide networks of the grid. */
#ifndef NTKLENS_RUN_INFINITE_TABLE_H
#define NTKLENS_RUN_INFINITE_TABLE_H

#include "run_state.h"

#include "ntklens/base.h"

/**
 * Write infinite.csv where measure.infinite asks for it: spectra of NNGP and NTK on the probe, and
 * their kernel regressions where those are asked for.  Whatever of the grid has no closed form is
 * left out.  Collective over the run's team; spectra are shared as those of cells are.
 *
 * @return NL_STOPPED where asked to stop before it was written; NL_ERR_NUMERIC where a spectrum
 *         could not be had: its row has NaN
 */
NL_MUST_CHECK nl_status nl_infinite_write(nl_run *run);

#endif
