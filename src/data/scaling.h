/** @file scaling.h  From pixels to network inputs. */
#ifndef NTKLENS_DATA_SCALING_H
#define NTKLENS_DATA_SCALING_H

#include "ntklens/data.h"

/** nl_scaling_compute() of these training images. */
NL_MUST_CHECK nl_status nl_scaling_of_images(const nl_dataset_info *info, const nl_images *train,
                                             bool standardize, nl_scaling *out);

#endif
