/** @file cell_spec.h  A cell's values as networks and training want them. */
#ifndef NTKLENS_STUDY_CELL_SPEC_H
#define NTKLENS_STUDY_CELL_SPEC_H

#include "ntklens/data.h"
#include "ntklens/nn.h"
#include "ntklens/study.h"

/** Network of a cell. */
nl_net_spec nl_cell_net_spec(const nl_cell *cell, const nl_dataset_info *info);

/** Make it.  Local.  Free with nl_net_destroy(). */
NL_MUST_CHECK nl_status nl_cell_net_create(const nl_cell *cell, const nl_dataset_info *info,
                                           nl_net **out);

/** Training of a cell. */
nl_train_spec nl_cell_train_spec(const nl_cell *cell);

/** Samples of a step: batch_size, or the whole subset where that is smaller or asked for. */
int nl_cell_batch(const nl_cell *cell);

#endif
