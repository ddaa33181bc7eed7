/** @file idx.c  MNIST and Fashion-MNIST: pairs of IDX files, one of images and one of labels.
 *  Format: LeCun, Cortes, Burges, "The MNIST database of handwritten digits". */
#include "idx.h"
#include "files.h"
#include "find.h"

#include <limits.h>
#include <stdlib.h>

enum { side = 28, image_size = side * side };

/* Two headers, both big-endian: magic, count; images add rows and columns. */
enum {
    images_magic = 0x00000803, /* unsigned bytes, 3 dimensions */
    labels_magic = 0x00000801, /* unsigned bytes, 1 dimension */
    images_header = 16,
    labels_header = 8,
};

/* Names of the original files, [test]. */
static const char *const image_names[2][3] = {
    {"train-images-idx3-ubyte", "train-images.idx3-ubyte", NULL},
    {"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", NULL},
};
static const char *const label_names[2][3] = {
    {"train-labels-idx1-ubyte", "train-labels.idx1-ubyte", NULL},
    {"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", NULL},
};

typedef struct idx_pair {
    nl_data_file images, labels;
    int count;
} idx_pair;

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/** One file of a pair. */
typedef struct idx_kind {
    const char *name;
    uint32_t magic;
    size_t header_size;
} idx_kind;

/* Open one file of a pair and check magic and count; header [kind->header_size] is the caller's. */
static nl_status open_one(const idx_kind *kind, nl_source source, const char *folder,
                          const char *const *names, nl_data_file *file, uint8_t *header)
{
    char *path = NULL;
    nl_status st = nl_data_file_find(source, folder, names, &path);

    if (st == NL_OK) {
        st = nl_data_file_open(path, file);
    }
    free(path);
    if (st == NL_OK) {
        st = nl_data_file_read_exact(file, header, kind->header_size, kind->header_size);
    }
    if (st != NL_OK) {
        return st;
    }
    if (big_endian(header) != kind->magic) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s: begins with 0x%08x, expected 0x%08x: not an IDX file of %s", file->path,
                       big_endian(header), kind->magic, kind->name);
    }
    if (big_endian(header + 4) < 1 || big_endian(header + 4) > INT_MAX) {
        return NL_FAIL(NL_ERR_DATA, "%s: its header promises %u %s, expected 1 to %d", file->path,
                       big_endian(header + 4), kind->name, INT_MAX);
    }
    return NL_OK;
}

static nl_status open_images(nl_source source, const char *folder, bool test, nl_data_file *file,
                             int *count)
{
    uint8_t header[images_header];
    uint32_t rows = 0;
    uint32_t columns = 0;
    const idx_kind kind = {"images", images_magic, sizeof header};
    nl_status st = open_one(&kind, source, folder, image_names[test], file, header);

    if (st != NL_OK) {
        return st;
    }
    *count = (int)big_endian(header + 4);
    rows = big_endian(header + 8);
    columns = big_endian(header + 12);
    if (rows != side || columns != side) {
        return NL_FAIL(NL_ERR_DATA, "%s: images of %u x %u pixels, expected %d x %d", file->path,
                       rows, columns, side, side);
    }
    return nl_data_file_check_size(file, images_header + (uint64_t)*count * image_size);
}

static nl_status open_labels(nl_source source, const char *folder, bool test, nl_data_file *file,
                             int *count)
{
    uint8_t header[labels_header];
    const idx_kind kind = {"labels", labels_magic, sizeof header};
    nl_status st = open_one(&kind, source, folder, label_names[test], file, header);

    if (st != NL_OK) {
        return st;
    }
    *count = (int)big_endian(header + 4);
    return nl_data_file_check_size(file, labels_header + (uint64_t)*count);
}

static void close_pair(idx_pair *pair)
{
    nl_data_file_close(&pair->images);
    nl_data_file_close(&pair->labels);
}

/* The files lie in the folder, or where torchvision puts them below its root. */
static nl_status find_folder(nl_source source, const char *folder, char **found)
{
    static const char *const mnist[] = {"raw", "MNIST/raw", NULL};
    static const char *const fashion[] = {"raw", "FashionMNIST/raw", NULL};

    return nl_data_folder_find(folder, source == NL_MNIST ? mnist : fashion, image_names[0], found);
}

/* Both files, their headers read and checked against each other. */
static nl_status open_pair(nl_source source, const char *folder, bool test, idx_pair *pair)
{
    int labels = 0;
    char *found = NULL;
    nl_status st = find_folder(source, folder, &found);

    *pair = (idx_pair){0};
    if (st == NL_OK) {
        st = open_images(source, found, test, &pair->images, &pair->count);
    }
    if (st == NL_OK) {
        st = open_labels(source, found, test, &pair->labels, &labels);
    }
    free(found);
    if (st == NL_OK && labels != pair->count) {
        st = NL_FAIL(NL_ERR_DATA, "%s: holds %d labels, expected %d, one for each image of %s",
                     pair->labels.path, labels, pair->count, pair->images.path);
    }
    if (st != NL_OK) {
        close_pair(pair);
    }
    return st;
}

nl_status nl_idx_probe(nl_source source, const char *folder, bool test, int *count)
{
    idx_pair pair;
    nl_status st = open_pair(source, folder, test, &pair);

    *count = 0;
    if (st == NL_OK) {
        *count = pair.count;
        close_pair(&pair);
    }
    return st;
}

/* The content after the header: count items of item_size bytes, and nothing after them. */
static nl_status read_content(nl_data_file *file, int count, size_t item_size, uint8_t *out)
{
    size_t size = (size_t)count * item_size;
    nl_status st = nl_data_file_read_exact(file, out, size, file->position + size);

    return st == NL_OK ? nl_data_file_expect_end(file) : st;
}

nl_status nl_idx_read(nl_source source, const char *folder, bool test, int count, uint8_t *pixels,
                      uint8_t *labels)
{
    idx_pair pair;
    nl_status st = open_pair(source, folder, test, &pair);

    if (st != NL_OK) {
        return st;
    }
    if (pair.count != count) {
        st = NL_FAIL(NL_ERR_DATA, "%s: now holds %d images, expected %d as a moment ago",
                     pair.images.path, pair.count, count);
        goto done;
    }
    st = read_content(&pair.images, count, image_size, pixels);
    if (st == NL_OK) {
        st = read_content(&pair.labels, count, 1, labels);
    }
    if (st == NL_OK) {
        st = nl_labels_check(pair.labels.path, labels, count, 0);
    }

done:
    close_pair(&pair);
    return st;
}

void nl_idx_compare_copies(nl_source source, const char *folder, nl_text *lines)
{
    char *found = NULL;

    if (find_folder(source, folder, &found) != NL_OK) {
        return; /* told */
    }
    for (int test = 0; test < 2; test++) {
        nl_data_file_compare_copies(found, image_names[test], lines);
        nl_data_file_compare_copies(found, label_names[test], lines);
    }
    free(found);
}
