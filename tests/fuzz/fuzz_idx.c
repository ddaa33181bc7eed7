/** @file fuzz_idx.c  MNIST's two files: the first byte, times 8, is the length of the labels' file.
 */
#include "fuzz.h"

#include "../../src/data/files.h"
#include "../../src/data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t labels = size > 0 ? (size_t)data[0] * 8 : 0;
    int count = 0;

    if (size < 1 + labels) {
        return 0;
    }
    fuzz_write("train-labels-idx1-ubyte", data + 1, labels);
    fuzz_write("train-images-idx3-ubyte", data + 1 + labels, size - 1 - labels);
    if (nl_idx_probe(NL_MNIST, fuzz_folder(), false, &count) == NL_OK) {
        uint8_t *pixels = NULL;
        uint8_t *classes = NULL;

        FUZZ_EXPECT(count >= 0 && (size_t)count <= size * 1032);
        pixels = nl_calloc((size_t)count, 784);
        classes = nl_calloc((size_t)count, 1);
        FUZZ_EXPECT(pixels != NULL && classes != NULL);
        (void)!nl_idx_read(NL_MNIST, fuzz_folder(), false, count, pixels, classes);
        free(pixels);
        free(classes);
    }
    return 0;
}
