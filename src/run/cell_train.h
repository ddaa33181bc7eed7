/** @file cell_train.h  The train phase of one cell, private kernels included. */
#ifndef NTKLENS_RUN_CELL_TRAIN_H
#define NTKLENS_RUN_CELL_TRAIN_H

#include "run_state.h"

#include "ntklens/base.h"

/** Train a cell, measure its private kernels, and leave it finished or trained.  Local. */
NL_MUST_CHECK nl_status nl_cell_train(nl_run *run, int index);

#endif
