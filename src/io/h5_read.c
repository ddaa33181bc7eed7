/** @file h5_read.c  HDF5 images read without the HDF5 library: h5_parts.c tells why and how. */
#include "h5_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    superblock_size = 96,
    root_address_at = 64 /* object header in the root's symbol table entry */
};

/* Copy elements, turned around where they are of the other byte order. */
static void copy_elements(const nl_h5_content *c, void *to)
{
    const bool swap = c->type.is_big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    const size_t size = c->type.size;
    unsigned char *at = to;

    if (c->data.size > 0) {
        memcpy(to, c->data.at, c->data.size);
    }
    if (swap && (c->type.class == NL_H5_WHOLE || c->type.class == NL_H5_REAL)) {
        for (size_t k = 0; k < c->data.size; k += size) {
            for (size_t b = 0; b < size / 2; b++) {
                const unsigned char first = at[k + b];

                at[k + b] = at[k + size - 1 - b];
                at[k + size - 1 - b] = first;
            }
        }
    }
}

static bool is_type(const nl_h5_element *is, nl_h5_type wanted)
{
    switch (wanted) {
    case NL_H5_INT32:
        return is->class == NL_H5_WHOLE && is->size == 4 && is->is_signed;
    case NL_H5_INT64:
        return is->class == NL_H5_WHOLE && is->size == 8 && is->is_signed;
    case NL_H5_UINT8:
        return is->class == NL_H5_WHOLE && is->size == 1 && !is->is_signed;
    case NL_H5_FLOAT:
        return is->class == NL_H5_REAL && is->size == 4;
    case NL_H5_DOUBLE:
    default:
        return is->class == NL_H5_REAL && is->size == 8;
    }
}

nl_status nl_h5_open_image(const void *bytes, size_t length, const char *name, nl_h5_reader *out)
{
    static const unsigned char start[16] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n',
                                            0,    0,   0,   0,   0,    8,    8,    0};
    const nl_h5_reader file = {.bytes = bytes, .length = length, .name = name};
    const unsigned char *at = bytes;

    *out = (nl_h5_reader){0};
    if (length < superblock_size || memcmp(at, start, sizeof start) != 0 ||
        nl_number_at(at + 24, 8) != 0 || nl_number_at(at + 40, 8) > length ||
        nl_number_at(at + 48, 8) != UINT64_MAX) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: is no HDF5 file as ntklens writes them", name);
    }
    *out = file;
    out->root = nl_number_at(at + root_address_at, 8);
    return NL_OK;
}

static nl_status find_dataset(const nl_h5_reader *file, const char *path, nl_h5_content *out)
{
    uint64_t object = 0;
    const nl_h5_finding found = nl_h5_find_object(file, path, &object);
    const char *wrong = NULL;

    if (found != NL_H5_FOUND) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: %s %s", file->name,
                       found == NL_H5_ABSENT ? "has no dataset"
                                             : "expected groups and hard links on the way to",
                       path);
    }
    wrong = nl_h5_read_dataset(file, object, out);
    return wrong == NULL ? NL_OK : NL_FAIL(NL_ERR_DAMAGED, "%s: %s %s", file->name, path, wrong);
}

nl_status nl_h5_shape(const nl_h5_reader *file, const char *path, int rank, size_t dims[])
{
    nl_h5_content c = {0};
    nl_status status = find_dataset(file, path, &c);

    if (status == NL_OK && c.shape.rank != rank) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: %s is of rank %d, expected %d", file->name, path,
                         c.shape.rank, rank);
    }
    for (int k = 0; k < rank; k++) {
        dims[k] = status == NL_OK ? (size_t)c.shape.dims[k] : 0;
    }
    return status;
}

nl_status nl_h5_get(const nl_h5_reader *file, const char *path, nl_h5_type type, size_t count,
                    void *data)
{
    nl_h5_content c = {0};
    nl_status status = find_dataset(file, path, &c);

    if (status == NL_OK && (c.shape.count != count || !is_type(&c.type, type))) {
        status = NL_FAIL(NL_ERR_DAMAGED,
                         "%s: %s has %llu elements of %zu bytes, expected %zu of "
                         "another size or kind",
                         file->name, path, (unsigned long long)c.shape.count, c.type.size, count);
    }
    if (status == NL_OK) {
        copy_elements(&c, data);
    }
    return status;
}

nl_status nl_h5_get_texts(const nl_h5_reader *file, const char *path, size_t count, size_t width,
                          char *texts)
{
    nl_h5_content c = {0};
    nl_status status = find_dataset(file, path, &c);

    if (status == NL_OK &&
        (c.type.class != NL_H5_TEXT || c.type.size != width || c.shape.count != count)) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: %s is not %zu texts of %zu bytes", file->name, path,
                         count, width);
    }
    if (status == NL_OK) {
        copy_elements(&c, texts);
    }
    return status;
}

/* An attribute that must be there. */
static nl_status require_attribute(const nl_h5_reader *file, const char *path, const char *name,
                                   nl_h5_content *out)
{
    switch (nl_h5_find_attribute(file, path, name, out)) {
    case NL_H5_FOUND:
        return NL_OK;
    case NL_H5_ABSENT:
        return NL_FAIL(NL_ERR_DAMAGED, "%s: has no attribute %s of %s", file->name, name, path);
    case NL_H5_DAMAGED:
    default:
        return NL_FAIL(NL_ERR_DAMAGED, "%s: the attributes of %s are not as ntklens writes them",
                       file->name, path);
    }
}

static nl_status get_number(const nl_h5_reader *file, const char *path, const char *name,
                            nl_h5_type type, void *value)
{
    nl_h5_content c = {0};
    nl_status status = require_attribute(file, path, name, &c);

    if (status == NL_OK && !is_type(&c.type, type)) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: attribute %s of %s is no %s", file->name, name, path,
                         type == NL_H5_INT64 ? "whole number" : "number");
    }
    if (status == NL_OK) {
        copy_elements(&c, value);
    }
    return status;
}

nl_status nl_h5_get_int(const nl_h5_reader *file, const char *path, const char *name,
                        int64_t *value)
{
    return get_number(file, path, name, NL_H5_INT64, value);
}

nl_status nl_h5_get_double(const nl_h5_reader *file, const char *path, const char *name,
                           double *value)
{
    return get_number(file, path, name, NL_H5_DOUBLE, value);
}

nl_status nl_h5_get_text(const nl_h5_reader *file, const char *path, const char *name, char **value)
{
    nl_h5_content c = {0};
    nl_status status = require_attribute(file, path, name, &c);
    nl_span text = c.data;

    *value = NULL;
    if (status == NL_OK && c.type.class == NL_H5_VARIABLE) {
        const uint64_t length = nl_number_at(c.data.at, 4);

        text.size = 0;
        if (length > 0 && (!nl_h5_take_global(file, nl_number_at(c.data.at + 4, 8),
                                              nl_number_at(c.data.at + 12, 4), &text) ||
                           text.size < length)) {
            status = NL_FAIL(NL_ERR_DAMAGED, "%s: the text of attribute %s of %s is not there",
                             file->name, name, path);
        }
        text.size = length < text.size ? (size_t)length : text.size;
    } else if (status == NL_OK && c.type.class != NL_H5_TEXT) {
        status =
            NL_FAIL(NL_ERR_DAMAGED, "%s: attribute %s of %s is no text", file->name, name, path);
    }
    if (status == NL_OK) {
        *value = strndup((const char *)text.at, text.size);
        status =
            *value != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for attribute %s", name);
    }
    return status;
}

bool nl_h5_has_attribute(const nl_h5_reader *file, const char *path, const char *name)
{
    nl_h5_content c = {0};

    return nl_h5_find_attribute(file, path, name, &c) != NL_H5_ABSENT;
}

bool nl_h5_exists(const nl_h5_reader *file, const char *path)
{
    uint64_t object = 0;

    return nl_h5_find_object(file, path, &object) != NL_H5_ABSENT;
}
