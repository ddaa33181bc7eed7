/** @file data.h  Image sets: original files, arrays of one's own or the built-in generator, one
 * copy per node; subsets of them. */
#ifndef NTKLENS_DATA_H
#define NTKLENS_DATA_H

#include "ntklens/base.h"
#include "ntklens/par.h"

typedef enum nl_source {
    NL_MNIST,
    NL_FASHION_MNIST,
    NL_CIFAR10,
    NL_GLYPHS,
    NL_HDF5, /* arrays of one's own */
    NL_SOURCE_COUNT
} nl_source;

/** Name as in the study file: "mnist", "fashion-mnist", "cifar10", "glyphs", "hdf5". */
const char *nl_source_name(nl_source source);

enum { nl_most_classes = 1000 };

/** Images of one file (training or test); shared by the node, borrowed. */
typedef struct nl_images {
    int count;
    const uint8_t *pixels;  /* [count x channels x height x width]; NULL where they are real */
    const uint16_t *labels; /* [count], 0 .. classes - 1 */
    const float *values;    /* real pixels, of the same shape; else NULL */
} nl_images;

/** A data set.  Owns one copy of its images per node (MPI shared memory), which all ranks read. */
typedef struct nl_dataset nl_dataset;

/** What is known from the files' names, sizes and headers (of data of one's own: and labels) alone.
 */
typedef struct nl_dataset_info {
    nl_source source;
    int channels, height, width;
    int inputs;   /* channels * height * width */
    bool vectors; /* inputs without positions [d]: channels = d, height = width = 1 */
    bool real;    /* pixels are float, as they are; else bytes, over 255 */
    int classes;
    int train_count, test_count;
} nl_dataset_info;

/** Bytes of a pixel in memory. */
static inline size_t nl_pixel_bytes(const nl_dataset_info *info)
{
    return info->real ? sizeof(float) : sizeof(uint8_t);
}

/**
 * What images look like, without looking for their files: all that a network's shape asks for; the
 * counts are 0.  A source says it itself, but data of one's own: of those, a fingerprint does.
 *
 * @param[in] fingerprint  of the images, a stranger's text perhaps; NULL or "": not known
 * @param[in] where        what says so, for the message
 * @return NL_ERR_DATA where it says no such thing
 */
NL_MUST_CHECK nl_status nl_dataset_shape(nl_source source, const char *fingerprint,
                                         const char *where, nl_dataset_info *info);

/**
 * Look at the files' headers and sizes, without reading their content.  Local.
 * For a gzipped file the size inside is only known after reading; its header is checked.  Gzipped
 * CIFAR-10, which has no header, is decompressed to count its images (about a second for all).
 * Of data of one's own the labels are read, for they tell the number of classes.
 *
 * @param[in] folder  where the original files lie, gzipped or not; the file itself for hdf5;
 * ignored for glyphs
 * @return NL_ERR_DATA with one line that says which file and what was expected
 */
NL_MUST_CHECK nl_status nl_dataset_probe(nl_source source, const char *folder,
                                         nl_dataset_info *info);

/**
 * nl_dataset_probe(), then read the files whole and append what nl_dataset_remarks() would.  Local.
 */
NL_MUST_CHECK nl_status nl_dataset_inspect(nl_source source, const char *folder,
                                           nl_dataset_info *info, nl_text *lines);

/**
 * Load training and test images.  Collective over the team: one rank per node reads (or generates),
 * the node's others look on.  Files are checked whole: magic, counts, length, label range.
 */
NL_MUST_CHECK nl_status nl_dataset_load(nl_source source, const char *folder, const nl_team *team,
                                        nl_dataset **out);

/** Collective over the team it was loaded with; NULL-safe. */
void nl_dataset_destroy(nl_dataset **dataset);

const nl_dataset_info *nl_dataset_describe(const nl_dataset *dataset);
const nl_images *nl_dataset_train(const nl_dataset *dataset);
const nl_images *nl_dataset_test(const nl_dataset *dataset);

enum { nl_fingerprint_width = 128 };

/**
 * "train=60000x1x28x28:f3639b56:ba07e8ef test=10000x1x28x28:e4ca5f57:ee8604d9": of each set images
 * x channels x height x width (of vectors: x d) and the CRC-32 of pixels (bytes, or float) and of
 * labels (a byte each, two beyond 256 classes), as decoded; " classes=100" behind where there are
 * not ten.  So it is the same on every rank, and for the same images wherever they lie, gzipped or
 * not.  Shorter than nl_fingerprint_width; borrowed.
 */
const char *nl_dataset_fingerprint(const nl_dataset *dataset);

/**
 * Append what a user should know of the images, a line each without its end, lines separated by
 * newlines: that they are not (or not all of) those that their authors published under the name of
 * the source; that a file lies there twice with different content.  Reads files again where one
 * lies there twice.  Local.
 */
void nl_dataset_remarks(const nl_dataset *dataset, const char *folder, nl_text *lines);

/** What a network sees of a pixel u of channel c: scale[c] * u + shift[c].  Vectors have one pair
 *  for all their components. */
typedef struct nl_scaling {
    int channels;
    double *mean, *std; /* [channels] of pixels/255, or real ones, over the full training set; 0 and
                           1 without standardisation; owned */
    float *scale, *shift; /* [channels]; owned */
} nl_scaling;

/** Population mean and standard deviation a channel over the full training set (of bytes: exact
 * integer sums), or plain pixels.  A constant channel has std 0 and is an NL_ERR_DATA.  Local.
 * Free with nl_scaling_free(). */
NL_MUST_CHECK nl_status nl_scaling_compute(const nl_dataset *dataset, bool standardize,
                                           nl_scaling *out);

/** Room for so many channels, all zero. */
NL_MUST_CHECK nl_status nl_scaling_allocate(int channels, nl_scaling *out);

/** Safe for a zeroed one. */
void nl_scaling_free(nl_scaling *scaling);

/** Gather rows: x[k x inputs] = scaled images indices[0..k).  The training loop's gather: fast, no
 *  allocation, the same bits for the same image wherever it stands in a batch.  Local. */
void nl_images_gather(const nl_dataset_info *info, const nl_images *images,
                      const nl_scaling *scaling, int k, const int *indices, float *x);

/**
 * Class-stratified permutation of all images: classes take turns in one order, drawn once, each
 * class in an order of its own, also drawn; a class that runs out is skipped.  So every prefix, and
 * every contiguous slice before the first class runs out, has class counts that differ by at most
 * one, and prefixes are nested.
 *
 * @param[out] order  [images->count], caller's
 */
NL_MUST_CHECK nl_status nl_images_permute(const nl_images *images, int classes, uint32_t seed,
                                          nl_purpose purpose, int *order);

/** Label of one training image with label noise: with probability `noise` it is redrawn uniformly
 *  from all classes.  Depends on (seed, index) only, so nested subsets share their noise. */
int nl_noisy_label(int label, int index, int classes, double noise, uint32_t seed);

/** The built-in generator: image `index` of the training (or test) stream, label index % 10.
 *  pixels: [28 x 28].  Ten classes of stroke figures, shifted, rotated, sheared, thickened, noised.
 */
int nl_glyph_draw(bool test, int index, uint8_t pixels[784]);

#endif
