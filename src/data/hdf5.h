/** @file hdf5.h  Images of one's own: arrays in an HDF5 file.
 *
 *      /train/images, /test/images  [N x height x width x channels], [N x height x width] or [N x
 * d]; uint8, float32 or float64 /train/labels, /test/labels  [N] whole numbers from 0, at most 999
 *
 *  Main thread only, for HDF5 is.  No MPI. */
#ifndef NTKLENS_DATA_HDF5_H
#define NTKLENS_DATA_HDF5_H

#include "ntklens/data.h"

/** Shapes and counts by the datasets, classes (largest label + 1) by all labels, which are read. */
NL_MUST_CHECK nl_status nl_hdf5_probe(const char *path, nl_dataset_info *info);

/** Images and labels of a file that a probe has given `info` of; arrays as of nl_source_read(). */
NL_MUST_CHECK nl_status nl_hdf5_read(const nl_dataset_info *info, const char *path, bool test,
                                     void *pixels, uint16_t *labels);

#endif
