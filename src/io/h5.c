/** @file h5.c  HDF5 files built in memory; h5_read.c reads them back. */
#include "h5.h"

#include <stdlib.h>
#include <string.h>

enum { core_increment = 1 << 20, max_rank = 4, deflate_level = 4, most_chunk = 16 << 20 };

struct nl_h5 {
    hid_t file; /* owned */
};

hid_t nl_h5_native_type(nl_h5_type type)
{
    switch (type) {
    case NL_H5_INT32:
        return H5T_NATIVE_INT32;
    case NL_H5_INT64:
        return H5T_NATIVE_INT64;
    case NL_H5_FLOAT:
        return H5T_NATIVE_FLOAT;
    case NL_H5_UINT8:
        return H5T_NATIVE_UINT8;
    case NL_H5_DOUBLE:
    default:
        return H5T_NATIVE_DOUBLE;
    }
}

const char *nl_h5_version(char out[32])
{
    unsigned major = 0;
    unsigned minor = 0;
    unsigned release = 0;

    H5get_libversion(&major, &minor, &release);
    snprintf(out, 32, "%u.%u.%u", major, minor, release);
    return out;
}

nl_status nl_h5_create(nl_h5 **out)
{
    nl_h5 *file = calloc(1, sizeof *file);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    nl_status status = NL_OK;

    *out = NULL;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* we tell errors ourselves, in one line */
    if (file == NULL || access < 0 || H5Pset_fapl_core(access, core_increment, false) < 0) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for an HDF5 file");
        goto done;
    }
    file->file = H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (file->file < 0) {
        status = NL_FAIL(NL_ERR_INTERNAL, "HDF5 cannot create a file in memory");
    }

done:
    if (access >= 0) {
        H5Pclose(access);
    }
    if (status != NL_OK) {
        free(file);
        return status;
    }
    *out = file;
    return NL_OK;
}

void nl_h5_close(nl_h5 **file)
{
    if (*file != NULL) {
        H5Fclose((*file)->file);
        free(*file);
        *file = NULL;
    }
}

nl_status nl_h5_image(nl_h5 *file, unsigned char **bytes, size_t *length)
{
    ssize_t size = 0;

    *bytes = NULL;
    *length = 0;
    if (H5Fflush(file->file, H5F_SCOPE_LOCAL) < 0) {
        return NL_FAIL(NL_ERR_INTERNAL, "HDF5 cannot flush a file in memory");
    }
    size = H5Fget_file_image(file->file, NULL, 0);
    if (size <= 0) {
        return NL_FAIL(NL_ERR_INTERNAL, "HDF5 gives no image of a file in memory");
    }
    *bytes = malloc((size_t)size);
    if (*bytes == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for an HDF5 image of %zd bytes", size);
    }
    if (H5Fget_file_image(file->file, *bytes, (size_t)size) != size) {
        free(*bytes);
        *bytes = NULL;
        return NL_FAIL(NL_ERR_INTERNAL, "HDF5 gives no image of a file in memory");
    }
    *length = (size_t)size;
    return NL_OK;
}

/* Whole rows, as many as most_chunk holds; no side is empty. */
static void choose_chunk(int rank, const hsize_t *dims, size_t element, hsize_t *chunk)
{
    size_t row = element;

    for (int k = 0; k < rank; k++) {
        chunk[k] = dims[k];
        row *= k > 0 ? dims[k] : 1;
    }
    if (dims[0] * row > most_chunk) {
        chunk[0] = row < most_chunk ? most_chunk / row : 1;
    }
}

/* No time stamps: the same content is the same bytes.  Bytes of integers are sorted by their place
 * before they are deflated; of images, which have few values, that makes twice as much in twice the
 * time. */
static hid_t dataset_properties(hid_t type, int rank, const hsize_t *dims, bool deflate)
{
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[max_rank] = {0};

    H5Pset_obj_track_times(properties, false);
    for (int k = 0; k < rank; k++) {
        deflate = deflate && dims[k] > 0;
    }
    if (deflate) {
        choose_chunk(rank, dims, H5Tget_size(type), chunk);
        H5Pset_chunk(properties, rank, chunk);
        if (H5Tget_class(type) == H5T_INTEGER) {
            H5Pset_shuffle(properties);
        }
        H5Pset_deflate(properties, deflate_level);
    }
    return properties;
}

/** What a dataset is to be. */
typedef struct layout {
    hid_t type;
    int rank;
    const size_t *dims; /* [rank] */
    bool deflate;
} layout;

static nl_status put(nl_h5 *file, const char *path, const layout *as, const void *data)
{
    hsize_t shape[max_rank] = {0};
    hid_t link = H5Pcreate(H5P_LINK_CREATE);
    hid_t space = H5I_INVALID_HID;
    hid_t properties = H5I_INVALID_HID;
    hid_t set = H5I_INVALID_HID;
    herr_t error = -1;

    for (int k = 0; k < as->rank; k++) {
        shape[k] = as->dims[k];
    }
    H5Pset_create_intermediate_group(link, 1);
    space = H5Screate_simple(as->rank, shape, NULL);
    properties = dataset_properties(as->type, as->rank, shape, as->deflate);
    set = H5Dcreate2(file->file, path, as->type, space, link, properties, H5P_DEFAULT);
    if (set >= 0) {
        error = H5Dwrite(set, as->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
        H5Dclose(set);
    }
    H5Pclose(properties);
    H5Sclose(space);
    H5Pclose(link);
    return error < 0 ? NL_FAIL(NL_ERR_INTERNAL, "HDF5 cannot write %s", path) : NL_OK;
}

nl_status nl_h5_put(nl_h5 *file, const char *path, nl_h5_type type, int rank, const size_t dims[],
                    const void *data)
{
    return put(file, path, &(layout){nl_h5_native_type(type), rank, dims, false}, data);
}

nl_status nl_h5_put_deflated(nl_h5 *file, const char *path, nl_h5_type type, int rank,
                             const size_t dims[], const void *data)
{
    return put(file, path, &(layout){nl_h5_native_type(type), rank, dims, true}, data);
}

static hid_t fixed_text_type(size_t width)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, width);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    return type;
}

nl_status nl_h5_put_texts(nl_h5 *file, const char *path, size_t count, size_t width,
                          const char *texts)
{
    hid_t type = fixed_text_type(width);
    nl_status status = put(file, path, &(layout){type, 1, &count, false}, texts);

    H5Tclose(type);
    return status;
}

static nl_status put_attribute(nl_h5 *file, const char *path, const char *name, hid_t type,
                               const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5I_INVALID_HID;
    herr_t error = -1;

    if (H5Aexists_by_name(file->file, path, name, H5P_DEFAULT) > 0) {
        H5Adelete_by_name(file->file, path, name, H5P_DEFAULT);
    }
    attribute = H5Acreate_by_name(file->file, path, name, type, space, H5P_DEFAULT, H5P_DEFAULT,
                                  H5P_DEFAULT);
    if (attribute >= 0) {
        error = H5Awrite(attribute, type, value);
        H5Aclose(attribute);
    }
    H5Sclose(space);
    return error < 0 ? NL_FAIL(NL_ERR_INTERNAL, "HDF5 cannot write attribute %s of %s", name, path)
                     : NL_OK;
}

nl_status nl_h5_put_int(nl_h5 *file, const char *path, const char *name, int64_t value)
{
    return put_attribute(file, path, name, H5T_NATIVE_INT64, &value);
}

nl_status nl_h5_put_double(nl_h5 *file, const char *path, const char *name, double value)
{
    return put_attribute(file, path, name, H5T_NATIVE_DOUBLE, &value);
}

/* Variable length, UTF-8: h5py gives it back as str. */
static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

nl_status nl_h5_put_text(nl_h5 *file, const char *path, const char *name, const char *value)
{
    hid_t type = text_type();
    nl_status status = put_attribute(file, path, name, type, &value);

    H5Tclose(type);
    return status;
}
