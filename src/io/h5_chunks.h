/** @file h5_chunks.h  Chunks of a stranger's dataset, looked at before the HDF5 library unpacks
 * them.
 */
#ifndef NTKLENS_IO_H5_CHUNKS_H
#define NTKLENS_IO_H5_CHUNKS_H

#include "ntklens/h5_arrays.h"

/**
 * Are all chunks of these rows there, and does each unpack to just the size of a chunk?  The
 * library (1.10) takes that for granted, and reads beyond the memory of one that is shorter.
 * Filters are known to be shuffle, deflate (once at most) and fletcher32.
 */
NL_MUST_CHECK nl_status nl_h5_chunks_check(const nl_h5_array *array, size_t first, size_t count);

#endif
