/** @file source.h  What each source is called, what it looks like and who reads it.  No MPI. */
#ifndef NTKLENS_DATA_SOURCE_H
#define NTKLENS_DATA_SOURCE_H

#include "ntklens/data.h"

/** nl_idx_compare_copies() or nl_cifar_compare_copies(). */
void nl_source_compare_copies(nl_source source, const char *folder, nl_text *lines);

/** Read (or generate) the training or test images of a source whose `info` a probe has given.
 *  pixels: [count x inputs], float where info->real, else uint8_t. */
NL_MUST_CHECK nl_status nl_source_read(const nl_dataset_info *info, const char *folder, bool test,
                                       void *pixels, uint16_t *labels);

/** Every `shares`-th glyph of a set, from number `share` on; arrays are those of the whole set. */
void nl_glyphs_draw(const nl_dataset_info *info, bool test, int share, int shares, uint8_t *pixels,
                    uint16_t *labels);

#endif
