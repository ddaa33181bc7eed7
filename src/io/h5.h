/** @file h5.h  Types of the HDF5 library. */
#ifndef NTKLENS_IO_H5_H
#define NTKLENS_IO_H5_H

#include "ntklens/io.h"

#include <hdf5.h>

/** The type of such numbers in memory; the library's own, not to be closed. */
hid_t nl_h5_native_type(nl_h5_type type);

#endif
