/** @file sample_files.h  Small data files for tests, written into a temporary folder. */
#ifndef NTKLENS_TESTS_SAMPLE_FILES_H
#define NTKLENS_TESTS_SAMPLE_FILES_H

#include "ntklens/base.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { idx_image = 28 * 28, cifar_image = 3 * 32 * 32, cifar_record = 1 + cifar_image };

/* Byte p of image k of a made-up set: no two images are alike. */
static inline uint8_t sample_pixel(int k, int p)
{
    return (uint8_t)(k * 37 + p * 11 + p / 7);
}

static inline uint8_t sample_label(int k)
{
    return (uint8_t)(k * 7 % 10);
}

static inline bool sample_folder_create(char path[64])
{
    strcpy(path, "/tmp/ntklens_data_XXXXXX");
    return mkdtemp(path) != NULL;
}

static inline int remove_entry(const char *path, const struct stat *status, int kind,
                               struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static inline void sample_folder_remove(const char *path)
{
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Write bytes as folder/name, gzipped where the name ends in .gz; frees the bytes. */
static inline bool sample_write(const char *folder, const char *name, nl_text *bytes)
{
    const char *end = strrchr(name, '.');
    char path[256];
    gzFile file = NULL;
    bool good = false;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = gzopen(path, end != NULL && strcmp(end, ".gz") == 0 ? "wb" : "wbT");
    if (file != NULL) {
        good = bytes->length == 0 ||
               gzwrite(file, bytes->data, (unsigned)bytes->length) == (int)bytes->length;
        good = gzclose(file) == Z_OK && good;
    }
    nl_text_free(bytes);
    return good;
}

static inline void append_u32(nl_text *bytes, uint32_t value)
{
    const uint8_t big_endian[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                                   (uint8_t)(value >> 8), (uint8_t)value};

    nl_text_append_bytes(bytes, big_endian, 4);
}

/* An IDX file of `count` made-up images, numbered from `first`. */
static inline nl_text idx_images(int first, int count)
{
    nl_text bytes = {0};

    append_u32(&bytes, 0x803);
    append_u32(&bytes, (uint32_t)count);
    append_u32(&bytes, 28);
    append_u32(&bytes, 28);
    for (int k = 0; k < count; k++) {
        for (int p = 0; p < idx_image; p++) {
            uint8_t byte = sample_pixel(first + k, p);

            nl_text_append_bytes(&bytes, &byte, 1);
        }
    }
    return bytes;
}

static inline nl_text idx_labels(int first, int count)
{
    nl_text bytes = {0};

    append_u32(&bytes, 0x801);
    append_u32(&bytes, (uint32_t)count);
    for (int k = 0; k < count; k++) {
        uint8_t byte = sample_label(first + k);

        nl_text_append_bytes(&bytes, &byte, 1);
    }
    return bytes;
}

/* CIFAR-10 records of `count` made-up images, numbered from `first`. */
static inline nl_text cifar_records(int first, int count)
{
    nl_text bytes = {0};

    for (int k = first; k < first + count; k++) {
        uint8_t label = sample_label(k);

        nl_text_append_bytes(&bytes, &label, 1);
        for (int p = 0; p < cifar_image; p++) {
            uint8_t byte = sample_pixel(k, p);

            nl_text_append_bytes(&bytes, &byte, 1);
        }
    }
    return bytes;
}

/* A whole, good set of IDX files, the training ones numbered from 0, the test ones from `train`. */
static inline bool write_idx_set(const char *folder, int train, int test, const char *suffix)
{
    nl_text bytes[4] = {idx_images(0, train), idx_labels(0, train), idx_images(train, test),
                        idx_labels(train, test)};
    static const char *const stems[4] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                         "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
    bool good = true;

    for (int k = 0; k < 4; k++) {
        char name[64];

        snprintf(name, sizeof name, "%s%s", stems[k], suffix);
        good = sample_write(folder, name, &bytes[k]) && good;
    }
    return good;
}

#endif
