/** @file fingerprint.c  What tells a set of images from any other, and what sets as published are.
 *  No MPI. */
#include "fingerprint.h"
#include "files.h"
#include "names.h"
#include "source.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/** A set as its authors published it.  A checksum of 0 is not known. */
typedef struct published_set {
    nl_source source;
    nl_set_sum set[2]; /* training, test */
} published_set;

/* MNIST: from the files with the published md5 sums.  Fashion-MNIST: the labels from the files with
 * the published md5 sums; CIFAR-10, whose authors give a sum of the whole archive only: labels that
 * others published with work of their own (Wei et al., CIFAR-10N; Northcutt et al., label errors).
 * Tens of thousands of labels in their order leave no doubt about which set it is, but a changed
 * pixel of these two goes unnoticed. */
static const char classes_word[] = " classes=";

static const published_set published[] = {
    {NL_MNIST, {{60000, 0xf3639b56, 0xba07e8ef}, {10000, 0xe4ca5f57, 0xee8604d9}}},
    {NL_FASHION_MNIST, {{60000, 0, 0x2ed6e46a}, {10000, 0, 0x242bc73f}}},
    {NL_CIFAR10, {{50000, 0, 0x4ee6ac62}, {10000, 0, 0xbada58c9}}},
};

/* Of labels as bytes, or as pairs of bytes, the lower one first, where a byte does not hold them.
 */
static uint32_t sum_labels(const nl_dataset_info *info, const nl_images *images)
{
    enum { piece = 4096, byte_values = 256 };
    uint8_t bytes[2 * piece];
    uLong sum = 0;

    for (int first = 0; first < images->count; first += piece) {
        const int count = nl_smaller(piece, images->count - first);
        size_t length = 0;

        for (int k = first; k < first + count; k++) {
            bytes[length++] = (uint8_t)(images->labels[k] % byte_values);
            if (info->classes > byte_values) {
                bytes[length++] = (uint8_t)(images->labels[k] / byte_values);
            }
        }
        sum = crc32_z(sum, bytes, length);
    }
    return (uint32_t)sum;
}

nl_set_sum nl_set_sum_of(const nl_dataset_info *info, const nl_images *images)
{
    const size_t count = (size_t)images->count * (size_t)info->inputs;

    return (nl_set_sum){
        .count = images->count,
        .pixels = (uint32_t)(info->real ? crc32_z(0, (const Bytef *)images->values,
                                                  count * sizeof *images->values)
                                        : crc32_z(0, images->pixels, count)),
        .labels = sum_labels(info, images),
    };
}

void nl_fingerprint_write(const nl_dataset_info *info, const nl_set_sum sums[2],
                          char out[nl_fingerprint_width])
{
    static const char *const names[2] = {"train", "test"};
    char shape[3 * 12];
    char classes[24] = "";
    int length = 0;

    snprintf(shape, sizeof shape, info->vectors ? "%d" : "%dx%dx%d", info->channels, info->height,
             info->width);
    if (info->classes != nl_class_count) { /* where it is ten, it was never told */
        snprintf(classes, sizeof classes, "%s%d", classes_word, info->classes);
    }
    for (int k = 0; k < 2; k++) {
        length +=
            snprintf(out + length, (size_t)(nl_fingerprint_width - length),
                     "%s%s=%dx%s:%08x:%08x%s", k > 0 ? " " : "", names[k], sums[k].count, shape,
                     (unsigned)sums[k].pixels, (unsigned)sums[k].labels, k > 0 ? classes : "");
    }
}

/* Numbers from 1 on with an x between them, up to `most` of them; 0 where there is none. */
static int read_sides(const char *text, int most, int side[])
{
    int count = 0;
    char *end = NULL;

    while (count < most && *text >= '1' && *text <= '9') {
        const long number = strtol(text, &end, 10);

        if (number > INT_MAX) {
            return 0;
        }
        side[count++] = (int)number;
        text = *end == 'x' ? end + 1 : "";
    }
    return count;
}

bool nl_fingerprint_read(const char *text, nl_dataset_info *info)
{
    const char *const begin = "train=";
    const char *const told = text != NULL ? strstr(text, classes_word) : NULL;
    int side[4] = {0};
    int classes = nl_class_count;
    int sides = 0;
    double inputs = 1.0;

    if (text != NULL && strncmp(text, begin, strlen(begin)) == 0) {
        sides = read_sides(text + strlen(begin), 4, side); /* the number of images first */
    }
    if (told != NULL && read_sides(told + strlen(classes_word), 1, &classes) != 1) {
        return false;
    }
    for (int k = 1; k < sides; k++) {
        inputs *= side[k];
    }
    if ((sides != 2 && sides != 4) || inputs > INT_MAX || classes > nl_most_classes) {
        return false;
    }
    info->vectors = sides == 2;
    info->channels = side[1];
    info->height = info->vectors ? 1 : side[2];
    info->width = info->vectors ? 1 : side[3];
    info->inputs = (int)inputs;
    info->classes = classes;
    return true;
}

nl_status nl_dataset_shape(nl_source source, const char *fingerprint, const char *where,
                           nl_dataset_info *info)
{
    *info = nl_source_shape(source);
    if (source != NL_HDF5 || nl_fingerprint_read(fingerprint, info)) {
        return NL_OK;
    }
    *info = (nl_dataset_info){0};
    return NL_FAIL(NL_ERR_DATA,
                   "%s: tells no data fingerprint that a run on data of one's own leaves there: "
                   "expected one, which says what its images look like",
                   where);
}

/* Is it this set, as far as is known of it? */
static bool is_set(const nl_set_sum *sum, const nl_set_sum *known)
{
    return sum->count == known->count && sum->labels == known->labels &&
           (known->pixels == 0 || sum->pixels == known->pixels);
}

/* The same pixels with other labels? */
static bool is_relabelled(const nl_set_sum *sum, const nl_set_sum *known)
{
    return known->pixels != 0 && sum->count == known->count && sum->pixels == known->pixels &&
           sum->labels != known->labels;
}

/* What a set is; false where it is that of `source`, or nothing is known of that. */
static bool describe_difference(nl_source source, const nl_set_sum *sum, int test, nl_text *out)
{
    const char *kind = test ? "test" : "training";
    const nl_set_sum *own = NULL;

    for (size_t k = 0; k < NL_COUNT(published); k++) {
        const nl_set_sum *known = &published[k].set[test];
        const bool other_labels = is_relabelled(sum, known);

        own = published[k].source == source ? known : own;
        if (other_labels || (published[k].source != source && is_set(sum, known))) {
            nl_text_append(out, "the %d %s images of %s%s", sum->count, kind,
                           nl_source_name(published[k].source),
                           other_labels ? " with other labels" : "");
            return true;
        }
    }
    if (own == NULL || is_set(sum, own)) {
        nl_text_append(out, "%d %s images", sum->count, kind);
        return false;
    }
    if (sum->count != own->count) {
        nl_text_append(out, "%d %s images (published: %d)", sum->count, kind, own->count);
    } else {
        nl_text_append(out, "%d other %s images", sum->count, kind);
    }
    return true;
}

void nl_fingerprint_remark(nl_source source, const nl_set_sum sums[2], nl_text *lines)
{
    nl_text words = {0};
    bool differs = false;

    for (int test = 0; test < 2 && source != NL_HDF5; test++) { /* that promises nothing */
        nl_text_append(&words, "%s", test ? ", " : "");
        differs = describe_difference(source, &sums[test], test, &words) || differs;
    }
    if (differs) {
        nl_text_append(lines, "%snot %s as published: %s", lines->length > 0 ? "\n" : "",
                       nl_source_name(source), words.failed ? "?" : words.data);
    }
    nl_text_free(&words);
}

/* Read one set for its sums alone. */
static nl_status sum_files(const nl_dataset_info *info, const char *folder, bool test,
                           nl_set_sum *sum)
{
    const size_t count = (size_t)(test ? info->test_count : info->train_count);
    void *pixels = nl_calloc(count, (size_t)info->inputs * nl_pixel_bytes(info));
    uint16_t *labels = nl_calloc(count, sizeof *labels);
    nl_status st = pixels == NULL || labels == NULL
                       ? NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu images", count)
                       : nl_source_read(info, folder, test, pixels, labels);

    if (st == NL_OK) {
        *sum = nl_set_sum_of(info, &(nl_images){(int)count, pixels, labels, pixels});
    }
    free(pixels);
    free(labels);
    return st;
}

nl_status nl_dataset_inspect(nl_source source, const char *folder, nl_dataset_info *info,
                             nl_text *lines)
{
    nl_set_sum sums[2];
    nl_status st = nl_dataset_probe(source, folder, info);

    if (st != NL_OK || source == NL_GLYPHS) {
        return st; /* what is drawn is what it is called */
    }
    for (int test = 0; st == NL_OK && test < 2; test++) {
        st = sum_files(info, folder, test, &sums[test]);
    }
    if (st == NL_OK) {
        nl_fingerprint_remark(source, sums, lines);
        nl_source_compare_copies(source, folder, lines);
    }
    return st;
}
