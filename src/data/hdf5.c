/** @file hdf5.c  Images of one's own: arrays in an HDF5 file. */
#include "hdf5.h"
#include "files.h"

#include "ntklens/h5_arrays.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { block_bytes = 1 << 24, label_block = 1 << 13 };

static const char expected_shapes[] =
    "[N x height x width x channels], [N x height x width] or [N x d]";
static const char *const image_names[2] = {"/train/images", "/test/images"};
static const char *const label_names[2] = {"/train/labels", "/test/labels"};

/** The two arrays of a set. */
typedef struct h5_pair {
    nl_h5_array images, labels;
} h5_pair;

static nl_status open_file(const char *path, nl_h5_arrays **file)
{
    char why[nl_excuse_width];
    struct stat status;

    *file = NULL;
    if (path == NULL || path[0] == '\0') {
        return NL_FAIL(NL_ERR_DATA, "no file of images is named: set data.path to an HDF5 file");
    }
    if (stat(path, &status) != 0) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: cannot be opened: %s; expected an HDF5 file with /train/images and the "
                       "like (data.path)",
                       path, nl_path_excuse(path, errno, why));
    }
    if (S_ISDIR(status.st_mode)) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: is a folder, expected an HDF5 file: data.path names the file itself",
                       path);
    }
    return nl_h5_arrays_open(path, file);
}

static void close_pair(h5_pair *pair)
{
    nl_h5_array_close(&pair->images);
    nl_h5_array_close(&pair->labels);
}

/* "[60 x 28 x 28]" */
static const char *describe_shape(const nl_h5_array *array, char out[96])
{
    int length = snprintf(out, 96, "[");

    for (int k = 0; k < array->rank && k < nl_h5_most_sides; k++) {
        length += snprintf(out + length, (size_t)(96 - length), "%s%zu", k > 0 ? " x " : "",
                           array->dims[k]);
    }
    snprintf(out + length, (size_t)(96 - length), "%s]",
             array->rank > nl_h5_most_sides ? " x ..." : "");
    return out;
}

static nl_status check_images(const nl_h5_array *images)
{
    char shape[96];
    double inputs = 1.0;
    bool empty = images->rank > 0 && images->dims[0] < 1;

    for (int k = 1; k < images->rank && k < nl_h5_most_sides; k++) {
        inputs *= (double)images->dims[k];
        empty = empty || images->dims[k] < 1;
    }
    if (images->rank < 2 || images->rank > nl_h5_most_sides) {
        return NL_FAIL(NL_ERR_DATA, "%s: %s: is of shape %s, expected %s", images->file,
                       images->name, describe_shape(images, shape), expected_shapes);
    }
    if (empty || (double)images->dims[0] > INT_MAX || inputs > INT_MAX) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %s: is of shape %s, expected 1 to %d images of 1 to %d numbers",
                       images->file, images->name, describe_shape(images, shape), INT_MAX, INT_MAX);
    }
    if (images->element != NL_H5_ELEMENT_BYTE && images->element != NL_H5_ELEMENT_REAL) {
        return NL_FAIL(NL_ERR_DATA, "%s: %s: holds %s, expected uint8, float32 or float64",
                       images->file, images->name, images->type);
    }
    return NL_OK;
}

static nl_status check_labels(const nl_h5_array *labels, const nl_h5_array *images)
{
    char shape[96];

    if (labels->rank != 1 || labels->dims[0] != images->dims[0]) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %s: is of shape %s, expected [%zu], one whole number for each image of "
                       "%s",
                       labels->file, labels->name, describe_shape(labels, shape), images->dims[0],
                       images->name);
    }
    if (labels->element == NL_H5_ELEMENT_OTHER) {
        return NL_FAIL(NL_ERR_DATA, "%s: %s: holds %s, expected whole numbers (int64, uint8, ...)",
                       labels->file, labels->name, labels->type);
    }
    return NL_OK;
}

/* Both arrays of a set, by what they say of themselves. */
static nl_status open_pair(const nl_h5_arrays *file, bool test, h5_pair *pair)
{
    nl_status st = nl_h5_array_open(file, image_names[test], &pair->images);

    pair->labels = (nl_h5_array){0};
    if (st == NL_OK) {
        st = check_images(&pair->images);
    }
    if (st == NL_OK) {
        st = nl_h5_array_open(file, label_names[test], &pair->labels);
    }
    if (st == NL_OK) {
        st = check_labels(&pair->labels, &pair->images);
    }
    if (st != NL_OK) {
        close_pair(pair);
    }
    return st;
}

/* What a set says of images; counts are left alone. */
static void describe_images(const nl_h5_array *images, nl_dataset_info *info)
{
    const bool vectors = images->rank == 2;

    info->vectors = vectors;
    info->real = images->element == NL_H5_ELEMENT_REAL;
    info->height = vectors ? 1 : (int)images->dims[1];
    info->width = vectors ? 1 : (int)images->dims[2];
    info->channels = vectors ? (int)images->dims[1] : images->rank == 4 ? (int)images->dims[3] : 1;
    info->inputs = info->channels * info->height * info->width;
}

static bool same_shape(const nl_dataset_info *a, const nl_dataset_info *b)
{
    return a->vectors == b->vectors && a->real == b->real && a->channels == b->channels &&
           a->height == b->height && a->width == b->width;
}

/* The label at place k of a block, which came as whole or as real numbers. */
static nl_status take_label(const nl_h5_array *labels, double value, size_t place, int *label)
{
    if (!(value >= 0.0 && value < nl_most_classes && value == floor(value))) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: %s: label %.6g of image %zu (from 0), expected a whole number from 0 "
                       "to %d",
                       labels->file, labels->name, value, place, nl_most_classes - 1);
    }
    *label = (int)value;
    return NL_OK;
}

/* Read all labels; *largest: raised to that of them.  out: [count], or NULL. */
static nl_status read_labels(const nl_h5_array *labels, int *largest, uint16_t *out)
{
    const bool real = labels->element == NL_H5_ELEMENT_REAL;
    const size_t rows = (labels->rows + label_block - 1) / labels->rows * labels->rows;
    const size_t count = labels->dims[0];
    const size_t most = rows < count ? rows : count;
    int64_t *whole = nl_calloc(most, sizeof *whole); /* or double, of the same size */
    double *value = (double *)(void *)whole;
    nl_status st = whole != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for labels");

    for (size_t first = 0; st == NL_OK && first < count; first += most) {
        const size_t size = count - first < most ? count - first : most;

        st = nl_h5_array_read(labels, first, size, real ? NL_H5_DOUBLE : NL_H5_INT64, whole);
        for (size_t k = 0; st == NL_OK && k < size; k++) {
            int label = 0;

            st = take_label(labels, real ? value[k] : (double)whole[k], first + k, &label);
            *largest = label > *largest ? label : *largest;
            if (out != NULL) {
                out[first + k] = (uint16_t)label;
            }
        }
    }
    free(whole);
    return st;
}

static nl_status compare_sets(const h5_pair sets[2])
{
    char train[96];
    char test[96];
    nl_dataset_info shape[2] = {{0}, {0}};

    for (int k = 0; k < 2; k++) {
        describe_images(&sets[k].images, &shape[k]);
    }
    if (same_shape(&shape[0], &shape[1])) {
        return NL_OK;
    }
    return NL_FAIL(NL_ERR_DATA,
                   "%s: %s: is %s of shape %s, expected images like those of %s: %s of shape %s",
                   sets[1].images.file, sets[1].images.name, sets[1].images.type,
                   describe_shape(&sets[1].images, test), sets[0].images.name, sets[0].images.type,
                   describe_shape(&sets[0].images, train));
}

nl_status nl_hdf5_probe(const char *path, nl_dataset_info *info)
{
    nl_h5_arrays *file = NULL;
    h5_pair sets[2] = {{{0}, {0}}, {{0}, {0}}};
    int largest = 0;
    nl_status st = open_file(path, &file);

    for (int test = 0; st == NL_OK && test < 2; test++) {
        st = open_pair(file, test, &sets[test]);
    }
    if (st == NL_OK) {
        st = compare_sets(sets);
    }
    for (int test = 0; st == NL_OK && test < 2; test++) {
        st = read_labels(&sets[test].labels, &largest, NULL);
    }
    if (st == NL_OK && largest < 1) {
        st = NL_FAIL(NL_ERR_DATA, "%s: %s: all labels are 0, expected at least two classes",
                     sets[0].labels.file, sets[0].labels.name);
    }
    if (st == NL_OK) {
        describe_images(&sets[0].images, info);
        info->train_count = (int)sets[0].images.dims[0];
        info->test_count = (int)sets[1].images.dims[0];
        info->classes = largest + 1;
    }
    close_pair(&sets[0]);
    close_pair(&sets[1]);
    nl_h5_arrays_close(&file);
    return st;
}

/*---------------------------------------------------------------------------------------------
 * Content
 *-------------------------------------------------------------------------------------------*/

static nl_status check_finite(const nl_h5_array *images, size_t first, size_t count,
                              const float *values)
{
    size_t inputs = 1;

    for (int k = 1; k < images->rank; k++) {
        inputs *= images->dims[k];
    }
    for (size_t k = 0; k < count * inputs; k++) {
        if (!isfinite(values[k])) {
            return NL_FAIL(NL_ERR_DATA,
                           "%s: %s: number %zu of image %zu (from 0) is %g as a 32-bit number, "
                           "expected finite ones",
                           images->file, images->name, k % inputs, first + k / inputs,
                           (double)values[k]);
        }
    }
    return NL_OK;
}

/* out[channels x area] = pixels[area x channels], each of so many bytes. */
static void part_channels(const nl_dataset_info *info, const void *pixels, void *out)
{
    const size_t channels = (size_t)info->channels;
    const size_t area = (size_t)info->height * (size_t)info->width;

    for (size_t c = 0; c < channels; c++) {
        for (size_t p = 0; p < area; p++) {
            if (info->real) {
                ((float *)out)[c * area + p] = ((const float *)pixels)[p * channels + c];
            } else {
                ((uint8_t *)out)[c * area + p] = ((const uint8_t *)pixels)[p * channels + c];
            }
        }
    }
}

/* In blocks of whole chunks, each of which is then unpacked once. */
static nl_status read_images(const nl_h5_array *images, const nl_dataset_info *info, void *pixels)
{
    const size_t image = (size_t)info->inputs * nl_pixel_bytes(info);
    const size_t count = images->dims[0];
    const size_t wanted = block_bytes / image + 1;
    const size_t rows = (images->rows + wanted - 1) / images->rows * images->rows;
    const size_t most = rows < count ? rows : count;
    const bool parted = info->channels > 1 && info->height * info->width > 1;
    unsigned char *block = parted ? nl_calloc(most, image) : NULL;
    nl_status st = parted && block == NULL
                       ? NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu images", most)
                       : NL_OK;

    for (size_t first = 0; st == NL_OK && first < count; first += most) {
        const size_t size = count - first < most ? count - first : most;
        unsigned char *place = (unsigned char *)pixels + first * image;
        void *read = parted ? block : place;

        st = nl_h5_array_read(images, first, size, info->real ? NL_H5_FLOAT : NL_H5_UINT8, read);
        if (st == NL_OK && info->real) {
            st = check_finite(images, first, size, read);
        }
        for (size_t k = 0; st == NL_OK && parted && k < size; k++) {
            part_channels(info, block + k * image, place + k * image);
        }
    }
    free(block);
    return st;
}

nl_status nl_hdf5_read(const nl_dataset_info *info, const char *path, bool test, void *pixels,
                       uint16_t *labels)
{
    const size_t count = (size_t)(test ? info->test_count : info->train_count);
    nl_h5_arrays *file = NULL;
    h5_pair set = {{0}, {0}};
    nl_dataset_info now = {0};
    int largest = 0;
    nl_status st = open_file(path, &file);

    if (st == NL_OK) {
        st = open_pair(file, test, &set);
    }
    if (st == NL_OK) {
        describe_images(&set.images, &now);
        if (!same_shape(&now, info) || set.images.dims[0] != count) {
            st = NL_FAIL(NL_ERR_DATA, "%s: %s: is not of the shape it had a moment ago", path,
                         set.images.name);
        }
    }
    if (st == NL_OK) {
        st = read_images(&set.images, info, pixels);
    }
    if (st == NL_OK) {
        st = read_labels(&set.labels, &largest, labels);
    }
    if (st == NL_OK && largest >= info->classes) {
        st = NL_FAIL(NL_ERR_DATA, "%s: %s: has other labels than a moment ago", path,
                     set.labels.name);
    }
    close_pair(&set);
    nl_h5_arrays_close(&file);
    return st;
}
