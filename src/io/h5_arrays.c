/** @file h5_arrays.c  Arrays in HDF5 files of a stranger's, read by the HDF5 library. */
#include "ntklens/h5_arrays.h"
#include "h5.h"
#include "h5_chunks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct nl_h5_arrays {
    hid_t file;  /* owned */
    char *path;  /* owned */
    double size; /* bytes on disk */
};

static const double most_expansion = 1032.0; /* of a deflate stream (zlib's technical notes) */

/*---------------------------------------------------------------------------------------------
 * Files
 *-------------------------------------------------------------------------------------------*/

/* No other driver than the plain one, whatever the environment says; a file system without locks is
 * no obstacle. */
static hid_t access_properties(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);

    if (access >= 0) {
        H5Pset_fapl_sec2(access);
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
        H5Pset_file_locking(access, true, true);
#endif
    }
    return access;
}

static nl_status open_file(nl_h5_arrays *file)
{
    struct stat status;
    hid_t access = H5I_INVALID_HID;

    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* we tell errors ourselves, in one line */
    H5PLset_loading_state(0);              /* a filter that is not built in is refused by name */
    if (stat(file->path, &status) != 0 || !S_ISREG(status.st_mode)) {
        return NL_FAIL(NL_ERR_DATA, "%s: expected a regular file", file->path);
    }
    file->size = (double)status.st_size;
    if (H5Fis_hdf5(file->path) <= 0) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: is no HDF5 file, or cannot be read: expected one (its first bytes are "
                       "\\x89HDF)",
                       file->path);
    }
    access = access_properties();
    file->file = H5Fopen(file->path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (file->file < 0) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: HDF5 cannot open it: expected a whole file, which no program has open "
                       "for writing: truncated or damaged, write it again",
                       file->path);
    }
    return NL_OK;
}

nl_status nl_h5_arrays_open(const char *path, nl_h5_arrays **out)
{
    nl_h5_arrays *file = calloc(1, sizeof *file);
    nl_status status = NL_OK;

    *out = NULL;
    if (file != NULL) {
        file->file = H5I_INVALID_HID;
        file->path = strdup(path);
    }
    if (file == NULL || file->path == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "%s: out of memory for the path", path);
    } else {
        status = open_file(file);
    }
    if (status != NL_OK) {
        nl_h5_arrays_close(&file);
        return status;
    }
    *out = file;
    return NL_OK;
}

void nl_h5_arrays_close(nl_h5_arrays **file)
{
    if (*file != NULL) {
        if ((*file)->file >= 0) {
            H5Fclose((*file)->file);
        }
        free((*file)->path);
        free(*file);
        *file = NULL;
    }
}

/*---------------------------------------------------------------------------------------------
 * What a dataset says of itself
 *-------------------------------------------------------------------------------------------*/

/* Each step of the way is a hard link: nothing leads to another place, or out of the file. */
static nl_status check_way(const nl_h5_arrays *file, const char *name)
{
    char way[64];

    for (const char *end = name; end[0] != '\0';) {
        H5L_info_t link;
        hid_t object = H5I_INVALID_HID;
        H5I_type_t kind = H5I_BADID;

        end += 1 + strcspn(end + 1, "/");
        snprintf(way, sizeof way, "%.*s", (int)(end - name), name);
        if (H5Lexists(file->file, way, H5P_DEFAULT) <= 0) {
            return NL_FAIL(NL_ERR_DATA, "%s: %s: is not there, expected the dataset %s", file->path,
                           way, name);
        }
        if (H5Lget_info(file->file, way, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) {
            return NL_FAIL(NL_ERR_DATA,
                           "%s: %s: is a link to another place, expected the %s itself", file->path,
                           way, end[0] != '\0' ? "group" : "dataset");
        }
        object = H5Oopen(file->file, way, H5P_DEFAULT);
        if (object >= 0) {
            kind = H5Iget_type(object);
            H5Oclose(object);
        }
        if (kind != (end[0] != '\0' ? H5I_GROUP : H5I_DATASET)) {
            return NL_FAIL(NL_ERR_DATA, "%s: %s: expected a %s there", file->path, way,
                           end[0] != '\0' ? "group" : "dataset");
        }
    }
    return NL_OK;
}

static bool is_ieee(hid_t type)
{
    return H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F64LE) > 0 ||
           H5Tequal(type, H5T_IEEE_F32BE) > 0 || H5Tequal(type, H5T_IEEE_F64BE) > 0;
}

/* Integers whose bits are all used. */
static bool is_integer(hid_t type)
{
    const size_t size = H5Tget_size(type);

    return (size == 1 || size == 2 || size == 4 || size == 8) &&
           H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0;
}

static void read_type(hid_t type, nl_h5_array *out)
{
    const H5T_class_t kind = H5Tget_class(type);
    const int bits = (int)(8 * H5Tget_size(type));

    if (kind == H5T_INTEGER) {
        const bool whole = H5Tget_sign(type) == H5T_SGN_NONE;

        snprintf(out->type, sizeof out->type, "%sint%d", whole ? "u" : "", bits);
        if (is_integer(type)) {
            out->element = whole && bits == 8 ? NL_H5_ELEMENT_BYTE : NL_H5_ELEMENT_WHOLE;
        }
    } else if (kind == H5T_FLOAT) {
        snprintf(out->type, sizeof out->type, "float%d", bits);
        out->element = is_ieee(type) ? NL_H5_ELEMENT_REAL : NL_H5_ELEMENT_OTHER;
    } else {
        snprintf(out->type, sizeof out->type, "%s",
                 kind == H5T_STRING     ? "text"
                 : kind == H5T_ENUM     ? "bool or enum"
                 : kind == H5T_COMPOUND ? "compound"
                                        : "no numbers");
    }
}

static nl_status read_shape(hid_t space, nl_h5_array *out)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    const int rank = H5Sis_simple(space) > 0 ? H5Sget_simple_extent_ndims(space) : -1;

    if (rank < 0 || H5Sget_simple_extent_dims(space, dims, NULL) != rank) {
        return NL_FAIL(NL_ERR_DATA, "%s: %s: has no shape, expected an array", out->file,
                       out->name);
    }
    out->rank = rank;
    for (int k = 0; k < rank && k < nl_h5_most_sides; k++) {
        out->dims[k] = (size_t)dims[k];
    }
    return NL_OK;
}

static nl_status check_filters(hid_t properties, const nl_h5_array *array)
{
    const int count = H5Pget_nfilters(properties);
    int deflated = 0;

    for (int k = 0; k < count; k++) {
        char name[64] = "";
        char escaped[256];
        unsigned flags = 0;
        unsigned setup = 0;
        size_t values = 0;
        const H5Z_filter_t id = H5Pget_filter2(properties, (unsigned)k, &flags, &values, NULL,
                                               sizeof name, name, &setup);

        name[sizeof name - 1] = '\0';
        if (id != H5Z_FILTER_DEFLATE && id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32) {
            return NL_FAIL(
                NL_ERR_DATA,
                "%s: %s: is packed by filter %d (%s), expected gzip, shuffle, "
                "fletcher32 or none: write it again, with compression=\"gzip\" or without",
                array->file, array->name, (int)id, nl_escaped(name, escaped, sizeof escaped));
        }
        deflated += id == H5Z_FILTER_DEFLATE;
        if (H5Zfilter_avail(id) <= 0 || deflated > 1) {
            return NL_FAIL(NL_ERR_DATA,
                           "%s: %s: is packed by filter %d, twice, or this HDF5 library "
                           "lacks it: write it again without",
                           array->file, array->name, (int)id);
        }
    }
    return NL_OK;
}

/* Are all chunks there?  What was never written would be read as zeros. */
static nl_status check_chunks(const nl_h5_arrays *file, hid_t properties, hid_t space,
                              nl_h5_array *array)
{
    hsize_t chunk[H5S_MAX_RANK] = {0};
    hsize_t dims[H5S_MAX_RANK] = {0};
    hsize_t there = 0;
    double expected = 1.0;
    double bytes = (double)H5Tget_size(H5T_NATIVE_DOUBLE); /* at most, of a chunk */

    if (H5Pget_chunk(properties, H5S_MAX_RANK, chunk) != array->rank ||
        H5Sget_simple_extent_dims(space, dims, NULL) != array->rank) {
        return NL_FAIL(NL_ERR_DATA, "%s: %s: is in chunks of no shape: damaged, write it again",
                       array->file, array->name);
    }
    for (int k = 0; k < array->rank; k++) {
        if (chunk[k] < 1) {
            return NL_FAIL(NL_ERR_DATA, "%s: %s: is in empty chunks: damaged, write it again",
                           array->file, array->name);
        }
        expected *= ceil((double)dims[k] / (double)chunk[k]);
        bytes *= (double)chunk[k];
    }
    if (bytes > 8.0 * most_expansion * file->size) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %s: is in chunks of %.3g bytes, more than a file of %.0f can hold: "
                       "damaged, write it again",
                       array->file, array->name, bytes, file->size);
    }
    array->rows = (size_t)chunk[0];
    if (H5Dget_num_chunks((hid_t)array->id, space, &there) < 0 || (double)there != expected) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %s: %.0f of its %.0f chunks were written, expected all: write it again",
                       array->file, array->name, (double)there, expected);
    }
    return NL_OK;
}

static nl_status check_storage(const nl_h5_arrays *file, hid_t properties, hid_t space, hid_t type,
                               nl_h5_array *array)
{
    const H5D_layout_t layout = H5Pget_layout(properties);
    const double held = (double)H5Dget_storage_size((hid_t)array->id);
    const double bytes = (double)H5Sget_simple_extent_npoints(space) * (double)H5Tget_size(type);

    array->rows = 1;
    if (layout == H5D_VIRTUAL || H5Pget_external_count(properties) != 0) {
        return NL_FAIL(NL_ERR_DATA, "%s: %s: is kept in other files, expected all in this one",
                       array->file, array->name);
    }
    if (layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) {
        return NL_FAIL(NL_ERR_DATA, "%s: %s: is stored in a way that is not known here",
                       array->file, array->name);
    }
    if (bytes > (layout == H5D_CHUNKED ? most_expansion : 1.0) * file->size ||
        (layout != H5D_CHUNKED && held < bytes)) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %s: has %.0f bytes by its shape, but holds %.0f in a file of %.0f: "
                       "never written, or damaged; write it again",
                       array->file, array->name, bytes, held, file->size);
    }
    return layout == H5D_CHUNKED ? check_chunks(file, properties, space, array) : NL_OK;
}

nl_status nl_h5_array_open(const nl_h5_arrays *file, const char *name, nl_h5_array *out)
{
    hid_t type = H5I_INVALID_HID;
    hid_t space = H5I_INVALID_HID;
    hid_t properties = H5I_INVALID_HID;
    nl_status status = check_way(file, name);

    *out = (nl_h5_array){.id = H5I_INVALID_HID, .file = file->path, .name = name};
    if (status != NL_OK) {
        return status;
    }
    out->id = H5Dopen2(file->file, name, H5P_DEFAULT);
    if (out->id >= 0) {
        type = H5Dget_type((hid_t)out->id);
        space = H5Dget_space((hid_t)out->id);
        properties = H5Dget_create_plist((hid_t)out->id);
    }
    if (type < 0 || space < 0 || properties < 0) {
        status = NL_FAIL(NL_ERR_DATA, "%s: %s: HDF5 cannot open it: damaged, write it again",
                         file->path, name);
        goto done;
    }
    read_type(type, out);
    status = read_shape(space, out);
    if (status == NL_OK) {
        status = check_filters(properties, out);
    }
    if (status == NL_OK && out->rank > 0) {
        status = check_storage(file, properties, space, type, out);
    }

done:
    if (type >= 0) {
        H5Tclose(type);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    if (properties >= 0) {
        H5Pclose(properties);
    }
    if (status != NL_OK) {
        nl_h5_array_close(out);
    }
    return status;
}

void nl_h5_array_close(nl_h5_array *array)
{
    if (array->name != NULL && array->id >= 0) {
        H5Dclose((hid_t)array->id);
    }
    *array = (nl_h5_array){0};
}

/*---------------------------------------------------------------------------------------------
 * Elements
 *-------------------------------------------------------------------------------------------*/

nl_status nl_h5_array_read(const nl_h5_array *array, size_t first, size_t count, nl_h5_type as,
                           void *out)
{
    hsize_t start[nl_h5_most_sides] = {first};
    hsize_t sides[nl_h5_most_sides] = {count};
    hid_t there = H5Dget_space((hid_t)array->id);
    hid_t here = H5I_INVALID_HID;
    herr_t error = -1;
    const nl_status sound = nl_h5_chunks_check(array, first, count);

    for (int k = 1; k < array->rank && k < nl_h5_most_sides; k++) {
        sides[k] = array->dims[k];
    }
    here = H5Screate_simple(array->rank, sides, NULL);
    if (sound == NL_OK && there >= 0 && here >= 0 && array->rank <= nl_h5_most_sides &&
        H5Sselect_hyperslab(there, H5S_SELECT_SET, start, NULL, sides, NULL) >= 0) {
        error = H5Dread((hid_t)array->id, nl_h5_native_type(as), here, there, H5P_DEFAULT, out);
    }
    if (here >= 0) {
        H5Sclose(here);
    }
    if (there >= 0) {
        H5Sclose(there);
    }
    if (sound != NL_OK) {
        return sound;
    }
    return error < 0
               ? NL_FAIL(NL_ERR_DATA,
                         "%s: %s: HDF5 cannot read rows %zu to %zu: truncated or damaged, write "
                         "it again",
                         array->file, array->name, first, first + count - 1)
               : NL_OK;
}
