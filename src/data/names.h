/** @file names.h  What each source is called and what its images look like.  No MPI. */
#ifndef NTKLENS_DATA_NAMES_H
#define NTKLENS_DATA_NAMES_H

#include "ntklens/data.h"

/** Shape of a source's images; of hdf5, whose file says it, nothing but ten classes. */
nl_dataset_info nl_source_shape(nl_source source);

#endif
