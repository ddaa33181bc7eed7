/** @file source.c  What each source is called, what it looks like and who reads it.  No MPI. */
#include "source.h"
#include "cifar.h"
#include "find.h"
#include "hdf5.h"
#include "idx.h"
#include "names.h"

enum { glyph_train_count = 20000, glyph_test_count = 5000, glyph_size = 28 * 28 };

static nl_status probe_count(nl_source source, const char *folder, bool test, int *count)
{
    switch (source) {
    case NL_MNIST:
    case NL_FASHION_MNIST:
        return nl_idx_probe(source, folder, test, count);
    case NL_CIFAR10:
        return nl_cifar_probe(folder, test, count);
    default:
        *count = test ? glyph_test_count : glyph_train_count;
        return NL_OK;
    }
}

nl_status nl_dataset_probe(nl_source source, const char *folder, nl_dataset_info *info)
{
    nl_status st = NL_OK;

    *info = (nl_dataset_info){0};
    if ((unsigned)source >= NL_SOURCE_COUNT) {
        return NL_FAIL(NL_ERR_ARG, "data source %d: expected 0 to %d", (int)source,
                       NL_SOURCE_COUNT - 1);
    }
    *info = nl_source_shape(source);
    if (source == NL_HDF5) {
        return nl_hdf5_probe(folder, info);
    }
    if (source != NL_GLYPHS) {
        st = nl_data_folder_check(source, folder);
    }
    if (st == NL_OK) {
        st = probe_count(source, folder, false, &info->train_count);
    }
    if (st == NL_OK) {
        st = probe_count(source, folder, true, &info->test_count);
    }
    if (st != NL_OK) {
        *info = (nl_dataset_info){0};
        return st;
    }
    return NL_OK;
}

void nl_glyphs_draw(const nl_dataset_info *info, bool test, int share, int shares, uint8_t *pixels,
                    uint16_t *labels)
{
    const int count = test ? info->test_count : info->train_count;

    for (int k = share; k < count; k += shares) {
        labels[k] = (uint16_t)nl_glyph_draw(test, k, pixels + (size_t)k * glyph_size);
    }
}

void nl_source_compare_copies(nl_source source, const char *folder, nl_text *lines)
{
    if (source == NL_CIFAR10) {
        nl_cifar_compare_copies(folder, lines);
    } else if (source == NL_MNIST || source == NL_FASHION_MNIST) {
        nl_idx_compare_copies(source, folder, lines);
    }
}

/* Bytes at the beginning of `labels` become its elements. */
static void widen(int count, uint16_t *labels)
{
    const uint8_t *bytes = (const uint8_t *)labels;

    for (int k = count - 1; k >= 0; k--) { /* none is overwritten before it is taken */
        labels[k] = bytes[k];
    }
}

nl_status nl_source_read(const nl_dataset_info *info, const char *folder, bool test, void *pixels,
                         uint16_t *labels)
{
    const int count = test ? info->test_count : info->train_count;
    nl_status status = NL_OK;

    switch (info->source) {
    case NL_MNIST:
    case NL_FASHION_MNIST:
        status = nl_idx_read(info->source, folder, test, count, pixels, (uint8_t *)labels);
        break;
    case NL_CIFAR10:
        status = nl_cifar_read(folder, test, count, pixels, (uint8_t *)labels);
        break;
    case NL_HDF5:
        return nl_hdf5_read(info, folder, test, pixels, labels);
    default:
        nl_glyphs_draw(info, test, 0, 1, pixels, labels);
        return NL_OK;
    }
    widen(count, labels);
    return status;
}
