/** @file h5_chunks.c  Chunks of a stranger's dataset, looked at before the HDF5 library unpacks
 * them.
 */
#include "h5_chunks.h"

#include <hdf5.h>
#include <stdlib.h>
#include <zlib.h>

enum { checksum_bytes = 4 }; /* of fletcher32 */

/** How chunks are packed, and room for one. */
typedef struct packing {
    const nl_h5_array *array;
    int rank;
    hsize_t side[H5S_MAX_RANK];
    size_t bytes; /* of a chunk as it is unpacked */
    bool deflated;
    size_t checksums;
    size_t room;                      /* most bytes of a packed one */
    unsigned char *packed, *unpacked; /* owned; [room], [bytes + 1] */
} packing;

static nl_status damaged(const packing *p, const char *what)
{
    return NL_FAIL(NL_ERR_DATA, "%s: %s: %s: damaged or not written to its end, write it again",
                   p->array->file, p->array->name, what);
}

static nl_status describe(const nl_h5_array *array, packing *p)
{
    const hid_t properties = H5Dget_create_plist((hid_t)array->id);
    const hid_t type = H5Dget_type((hid_t)array->id);

    *p = (packing){.array = array, .bytes = H5Tget_size(type)};
    if (H5Pget_layout(properties) == H5D_CHUNKED) {
        p->rank = H5Pget_chunk(properties, H5S_MAX_RANK, p->side);
        for (int k = 0; k < H5Pget_nfilters(properties); k++) {
            const H5Z_filter_t id =
                H5Pget_filter2(properties, (unsigned)k, NULL, NULL, NULL, 0, NULL, NULL);

            p->deflated = p->deflated || id == H5Z_FILTER_DEFLATE;
            p->checksums += id == H5Z_FILTER_FLETCHER32;
        }
    }
    for (int k = 0; k < p->rank; k++) {
        p->bytes *= p->side[k];
    }
    H5Tclose(type);
    H5Pclose(properties);
    if (p->rank == 0) {
        return NL_OK; /* in one piece */
    }
    p->room = (p->deflated ? compressBound(p->bytes) : p->bytes) + p->checksums * checksum_bytes;
    p->packed = nl_calloc(p->room, 1);
    p->unpacked = p->deflated ? nl_calloc(p->bytes + 1, 1) : NULL;
    return p->packed == NULL || (p->deflated && p->unpacked == NULL)
               ? NL_FAIL(NL_ERR_NOMEM, "%s: %s: out of memory for a chunk of %zu bytes",
                         array->file, array->name, p->bytes)
               : NL_OK;
}

/* Do `size` packed bytes inflate to a chunk? */
static bool inflates(const packing *p, size_t size)
{
    uLongf got = p->bytes + 1;

    return uncompress(p->unpacked, &got, p->packed, size) == Z_OK && got == p->bytes;
}

static nl_status check_chunk(const packing *p, const hsize_t *offset)
{
    const hid_t set = (hid_t)p->array->id;
    const size_t sums = p->checksums * checksum_bytes;
    uint32_t skipped = 0;
    unsigned mask = 0;
    haddr_t place = HADDR_UNDEF;
    hsize_t size = 0;

    if (H5Dget_chunk_info_by_coord(set, offset, &mask, &place, &size) < 0 || place == HADDR_UNDEF ||
        size == 0) {
        return damaged(p, "a chunk is not there");
    }
    if (mask != 0 || size > p->room || size <= sums || (!p->deflated && size != p->room)) {
        return damaged(p, "a chunk is not of its size");
    }
    if (p->deflated) {
        if (H5Dread_chunk(set, H5P_DEFAULT, offset, &skipped, p->packed) < 0 || skipped != 0) {
            return damaged(p, "a chunk cannot be read");
        }
        if (!inflates(p, size - sums)) {
            return damaged(p, "a chunk does not unpack to its size");
        }
    }
    return NL_OK;
}

/* To the next chunk below the row of chunks; false behind the last one. */
static bool advance(const packing *p, hsize_t *offset)
{
    for (int k = p->rank - 1; k > 0; k--) {
        offset[k] += p->side[k];
        if (offset[k] < p->array->dims[k]) {
            return true;
        }
        offset[k] = 0;
    }
    return false;
}

nl_status nl_h5_chunks_check(const nl_h5_array *array, size_t first, size_t count)
{
    packing p;
    nl_status status = describe(array, &p);

    for (size_t row = p.rank > 0 ? first / p.side[0] * p.side[0] : first + count;
         status == NL_OK && row < first + count; row += p.side[0]) {
        hsize_t offset[H5S_MAX_RANK] = {row};

        do {
            status = check_chunk(&p, offset);
        } while (status == NL_OK && advance(&p, offset));
    }
    free(p.packed);
    free(p.unpacked);
    return status;
}
