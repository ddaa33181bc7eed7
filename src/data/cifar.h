/** @file cifar.h  CIFAR-10, binary version: records of a label byte and 3 x 32 x 32 pixel bytes.
 *  Format: Krizhevsky, "The CIFAR-10 dataset".  Any number of training files, any whole number of
 *  records a file. */
#ifndef NTKLENS_DATA_CIFAR_H
#define NTKLENS_DATA_CIFAR_H

#include "ntklens/base.h"

NL_MUST_CHECK nl_status nl_cifar_probe(const char *folder, bool test, int *count);

NL_MUST_CHECK nl_status nl_cifar_read(const char *folder, bool test, int count, uint8_t *pixels,
                                      uint8_t *labels);

void nl_cifar_compare_copies(const char *folder, nl_text *lines);

#endif
