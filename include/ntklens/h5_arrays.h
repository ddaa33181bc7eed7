/** @file h5_arrays.h  Arrays in HDF5 files of a stranger's, read by the HDF5 library.
 *
 * The library trusts what it reads, so types, shapes and storage are looked at before any element
 * is: plain datasets only, whole in this very file, of integers or IEEE numbers, under hard links,
 * packed by nothing but gzip, shuffle and fletcher32, no larger than such a file can hold.  No
 * plugin is loaded.  HDF5 is not thread-safe: main thread only.  Local; errors are NL_ERR_DATA,
 * told in one line with file and array.
 */
#ifndef NTKLENS_H5_ARRAYS_H
#define NTKLENS_H5_ARRAYS_H

#include "ntklens/io.h"

/** Opaque.  An open file. */
typedef struct nl_h5_arrays nl_h5_arrays;

/** A regular file is expected at the path, which is copied. */
NL_MUST_CHECK nl_status nl_h5_arrays_open(const char *path, nl_h5_arrays **out);

/** NULL-safe. */
void nl_h5_arrays_close(nl_h5_arrays **file);

typedef enum nl_h5_element {
    NL_H5_ELEMENT_OTHER,
    NL_H5_ELEMENT_BYTE,  /* uint8 */
    NL_H5_ELEMENT_WHOLE, /* any other integer of 1, 2, 4 or 8 bytes */
    NL_H5_ELEMENT_REAL   /* IEEE of 4 or 8 bytes */
} nl_h5_element;

enum { nl_h5_most_sides = 4 };

/** One array.  Close with nl_h5_array_close(). */
typedef struct nl_h5_array {
    int64_t id;       /* of the library; owned */
    const char *file; /* borrowed from the open file */
    const char *name; /* "/train/images"; borrowed */
    nl_h5_element element;
    char type[24]; /* "float32", as numpy calls it, for messages */
    int rank;
    size_t dims[nl_h5_most_sides]; /* of a rank beyond that: the first ones */
    size_t rows; /* along the first side, that are stored together: what is read in multiples of
                    them is unpacked once */
} nl_h5_array;

/** The array at an absolute path in the file. */
NL_MUST_CHECK nl_status nl_h5_array_open(const nl_h5_arrays *file, const char *name,
                                         nl_h5_array *out);

/** Safe for a zeroed one. */
void nl_h5_array_close(nl_h5_array *array);

/** Read `count` rows from row `first` on, converted to `as`: an integer that it cannot hold becomes
 *  the nearest one that it can, a real number beyond it infinite. */
NL_MUST_CHECK nl_status nl_h5_array_read(const nl_h5_array *array, size_t first, size_t count,
                                         nl_h5_type as, void *out);

#endif
