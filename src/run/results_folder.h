/** @file results_folder.h  The results folder of a run: opened, taken over, moved aside. */
#ifndef NTKLENS_RUN_RESULTS_FOLDER_H
#define NTKLENS_RUN_RESULTS_FOLDER_H

#include "run_state.h"

#include "ntklens/base.h"

/** Rows of the finished cells of an earlier run, which each rank reads its share of; sets their
 *  phase; then study.yaml, by the root.  Collective; the service runs.
 *  @return NL_STOPPED where all are asked to stop; NL_ERR_OTHER_DATA, told, where a cell was made
 *  from other images: nothing is written then */
NL_MUST_CHECK nl_status nl_run_load_finished(nl_run *run);

/** Remove the file that asks to stop; was there one? */
bool nl_run_remove_stop_file(const nl_run *run);

/**
 * Create or open the results folder, with its lock, log and collector.  Refuses changes that alter
 * finished cells, and images other than those of cells or checkpoints there, before it writes
 * anything; with --fresh moves everything aside.  Root only.
 *
 * @param[in] data_folder  absolute; NULL: the images are drawn
 */
NL_MUST_CHECK nl_status nl_run_open_results(nl_run *run, const char *data_folder);

#endif
