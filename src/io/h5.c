/** @file h5.c  HDF5 files in memory. */
#include "ntklens/io.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

enum { core_increment = 1 << 20, max_rank = 3, deflate_level = 4 };

struct nl_h5 {
    hid_t file; /* owned */
};

static hid_t native_type(nl_h5_type type)
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

/* Open or create a file in memory; an image where bytes != NULL. */
static nl_status open_core(const void *bytes, size_t length, nl_h5 **out)
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
    if (bytes == NULL) {
        file->file = H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    } else {
        /* HDF5 copies the image: it never writes to ours, whatever the signature says. */
        void *image = (void *)(uintptr_t)bytes;

        file->file = H5Pset_file_image(access, image, length) < 0
                         ? H5I_INVALID_HID
                         : H5Fopen("memory", H5F_ACC_RDONLY, access);
    }
    if (file->file < 0) {
        status = bytes == NULL ? NL_FAIL(NL_ERR_INTERNAL, "HDF5 cannot create a file in memory")
                               : NL_FAIL(NL_ERR_DAMAGED, "HDF5 does not recognise this file");
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
    return open_core(NULL, 0, out);
}

nl_status nl_h5_open_image(const void *bytes, size_t length, nl_h5 **out)
{
    return open_core(bytes, length, out);
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

/* No time stamps: the same content is the same bytes. */
static hid_t dataset_properties(int rank, const hsize_t *dims, bool deflate)
{
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);

    H5Pset_obj_track_times(properties, false);
    for (int k = 0; k < rank; k++) {
        deflate = deflate && dims[k] > 0; /* a chunk has no empty side */
    }
    if (deflate) {
        H5Pset_chunk(properties, rank, dims);
        H5Pset_shuffle(properties);
        H5Pset_deflate(properties, deflate_level);
    }
    return properties;
}

static nl_status put(nl_h5 *file, const char *path, hid_t type, int rank, const size_t dims[],
                     const void *data, bool deflate)
{
    hsize_t shape[max_rank] = {0};
    hid_t link = H5Pcreate(H5P_LINK_CREATE);
    hid_t space = H5I_INVALID_HID;
    hid_t properties = H5I_INVALID_HID;
    hid_t set = H5I_INVALID_HID;
    herr_t error = -1;

    for (int k = 0; k < rank; k++) {
        shape[k] = dims[k];
    }
    H5Pset_create_intermediate_group(link, 1);
    space = H5Screate_simple(rank, shape, NULL);
    properties = dataset_properties(rank, shape, deflate);
    set = H5Dcreate2(file->file, path, type, space, link, properties, H5P_DEFAULT);
    if (set >= 0) {
        error = H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
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
    return put(file, path, native_type(type), rank, dims, data, false);
}

nl_status nl_h5_put_deflated(nl_h5 *file, const char *path, nl_h5_type type, int rank,
                             const size_t dims[], const void *data)
{
    return put(file, path, native_type(type), rank, dims, data, true);
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
    nl_status status = put(file, path, type, 1, &count, texts, false);

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

nl_status nl_h5_shape(nl_h5 *file, const char *path, int rank, size_t dims[])
{
    hid_t set =
        nl_h5_exists(file, path) ? H5Dopen2(file->file, path, H5P_DEFAULT) : H5I_INVALID_HID;
    hid_t space = set >= 0 ? H5Dget_space(set) : H5I_INVALID_HID;
    hsize_t shape[H5S_MAX_RANK] = {0};
    bool good = space >= 0 && H5Sget_simple_extent_dims(space, shape, NULL) == rank;

    for (int k = 0; k < rank; k++) {
        dims[k] = good ? (size_t)shape[k] : 0;
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    if (set >= 0) {
        H5Dclose(set);
    }
    return good ? NL_OK : NL_FAIL(NL_ERR_DAMAGED, "no dataset %s of rank %d", path, rank);
}

static nl_status get(nl_h5 *file, const char *path, hid_t type, size_t count, void *data)
{
    hid_t set =
        nl_h5_exists(file, path) ? H5Dopen2(file->file, path, H5P_DEFAULT) : H5I_INVALID_HID;
    hid_t space = set >= 0 ? H5Dget_space(set) : H5I_INVALID_HID;
    herr_t error = -1;

    if (space >= 0 && H5Sget_simple_extent_npoints(space) == (hssize_t)count) {
        error = H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    if (set >= 0) {
        H5Dclose(set);
    }
    return error < 0 ? NL_FAIL(NL_ERR_DAMAGED, "no dataset %s of %zu elements", path, count)
                     : NL_OK;
}

nl_status nl_h5_get(nl_h5 *file, const char *path, nl_h5_type type, size_t count, void *data)
{
    return get(file, path, native_type(type), count, data);
}

nl_status nl_h5_get_texts(nl_h5 *file, const char *path, size_t count, size_t width, char *texts)
{
    hid_t type = fixed_text_type(width);
    nl_status status = get(file, path, type, count, texts);

    H5Tclose(type);
    return status;
}

static nl_status get_attribute(nl_h5 *file, const char *path, const char *name, hid_t type,
                               void *value)
{
    hid_t attribute = H5I_INVALID_HID;
    herr_t error = -1;

    if (H5Aexists_by_name(file->file, path, name, H5P_DEFAULT) > 0) {
        attribute = H5Aopen_by_name(file->file, path, name, H5P_DEFAULT, H5P_DEFAULT);
    }
    if (attribute >= 0) {
        error = H5Aread(attribute, type, value);
        H5Aclose(attribute);
    }
    return error < 0 ? NL_FAIL(NL_ERR_DAMAGED, "no attribute %s of %s", name, path) : NL_OK;
}

nl_status nl_h5_get_int(nl_h5 *file, const char *path, const char *name, int64_t *value)
{
    return get_attribute(file, path, name, H5T_NATIVE_INT64, value);
}

nl_status nl_h5_get_double(nl_h5 *file, const char *path, const char *name, double *value)
{
    return get_attribute(file, path, name, H5T_NATIVE_DOUBLE, value);
}

nl_status nl_h5_get_text(nl_h5 *file, const char *path, const char *name, char **value)
{
    hid_t type = text_type();
    char *theirs = NULL;
    nl_status status = get_attribute(file, path, name, type, &theirs);

    *value = NULL;
    if (status == NL_OK) {
        *value = strdup(theirs != NULL ? theirs : "");
        if (*value == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for attribute %s", name);
        }
        H5free_memory(theirs);
    }
    H5Tclose(type);
    return status;
}

bool nl_h5_has_attribute(nl_h5 *file, const char *path, const char *name)
{
    return H5Aexists_by_name(file->file, path, name, H5P_DEFAULT) > 0;
}

bool nl_h5_exists(nl_h5 *file, const char *path)
{
    const size_t length = strlen(path);
    char part[512];

    if (length >= sizeof part) {
        return false;
    }
    /* H5Lexists wants every group on the way to exist: look at each prefix in turn. */
    memcpy(part, path, length + 1);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (H5Lexists(file->file, part, H5P_DEFAULT) <= 0) {
            return false;
        }
        *slash = '/';
    }
    return H5Lexists(file->file, part, H5P_DEFAULT) > 0;
}
