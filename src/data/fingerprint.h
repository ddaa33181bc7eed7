/** @file fingerprint.h  What tells a set of images from any other. */
#ifndef NTKLENS_DATA_FINGERPRINT_H
#define NTKLENS_DATA_FINGERPRINT_H

#include "ntklens/data.h"

/** Training or test images as decoded.  Flat: it travels between ranks as bytes. */
typedef struct nl_set_sum {
    int count;
    uint32_t pixels, labels; /* CRC-32 of all of them, in the order of nl_images */
} nl_set_sum;

nl_set_sum nl_set_sum_of(const nl_dataset_info *info, const nl_images *images);

/** The text that nl_dataset_fingerprint() gives.  sums: training, test. */
void nl_fingerprint_write(const nl_dataset_info *info, const nl_set_sum sums[2],
                          char out[nl_fingerprint_width]);

/**
 * Shape and classes that such a text tells: channels, height, width, inputs, vectors, classes.
 *
 * @param[in] text  a stranger's perhaps; NULL: none
 * @return false, and *info as it was, where it tells none
 */
bool nl_fingerprint_read(const char *text, nl_dataset_info *info);

/** Append a line where these are not the images that `source` names. */
void nl_fingerprint_remark(nl_source source, const nl_set_sum sums[2], nl_text *lines);

#endif
