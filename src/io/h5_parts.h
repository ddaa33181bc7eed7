/** @file h5_parts.h  Parts of an HDF5 file in memory: objects by path, datasets, attributes.  All
 * Local; whatever the bytes are, nothing outside of them is looked at. */
#ifndef NTKLENS_IO_H5_PARTS_H
#define NTKLENS_IO_H5_PARTS_H

#include "ntklens/io.h"

#include <string.h>

enum { nl_h5_most_rank = 4 };

/** Classes of types, as numbered in the file. */
enum { NL_H5_WHOLE = 0, NL_H5_REAL = 1, NL_H5_TEXT = 3, NL_H5_VARIABLE = 9 };

/** Bytes of the image, as far as they are known to be there. */
typedef struct nl_span {
    const unsigned char *at;
    size_t size;
} nl_span;

/** What may be asked for by name: it is there, it is not, or the way to it is damaged. */
typedef enum nl_h5_finding { NL_H5_ABSENT, NL_H5_FOUND, NL_H5_DAMAGED } nl_h5_finding;

typedef struct nl_h5_element {
    unsigned class;
    size_t size; /* bytes of one */
    bool is_signed, is_big_endian;
} nl_h5_element;

typedef struct nl_h5_extent {
    int rank;
    uint64_t dims[nl_h5_most_rank];
    uint64_t count;
} nl_h5_extent;

/** A dataset, or the value of an attribute. */
typedef struct nl_h5_content {
    nl_h5_element type;
    nl_h5_extent shape;
    nl_span data; /* shape.count elements */
} nl_h5_content;

/** A number of `bytes` bytes, little-endian, as everything in the file but values is. */
static inline uint64_t nl_number_at(const unsigned char *at, int bytes)
{
    uint64_t value = 0;

    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
        memcpy(&value, at, (size_t)bytes);
        return value;
    }
    for (int k = bytes - 1; k >= 0; k--) {
        value = value << 8 | at[k];
    }
    return value;
}

/** The object header at the end of an absolute path. */
nl_h5_finding nl_h5_find_object(const nl_h5_reader *file, const char *path, uint64_t *object);

/** What a dataset holds.  NULL, or in words what is wrong with it. */
const char *nl_h5_read_dataset(const nl_h5_reader *file, uint64_t object, nl_h5_content *out);

/** An attribute of the object at a path.  Others may be of any kind. */
nl_h5_finding nl_h5_find_attribute(const nl_h5_reader *file, const char *path, const char *name,
                                   nl_h5_content *out);

/** An object of a global heap, where texts of variable length are; false: it is not there. */
bool nl_h5_take_global(const nl_h5_reader *file, uint64_t address, uint64_t index, nl_span *out);

#endif
