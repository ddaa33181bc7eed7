/** @file idx.h  MNIST and Fashion-MNIST: pairs of IDX files, one of images and one of labels.
 *  Format: LeCun, Cortes, Burges, "The MNIST database of handwritten digits". */
#ifndef NTKLENS_DATA_IDX_H
#define NTKLENS_DATA_IDX_H

#include "ntklens/data.h"

NL_MUST_CHECK nl_status nl_idx_probe(nl_source source, const char *folder, bool test, int *count);

NL_MUST_CHECK nl_status nl_idx_read(nl_source source, const char *folder, bool test, int count,
                                    uint8_t *pixels, uint8_t *labels);

/** Append a line for every file that lies there twice with different content. */
void nl_idx_compare_copies(nl_source source, const char *folder, nl_text *lines);

#endif
