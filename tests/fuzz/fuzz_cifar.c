/** @file fuzz_cifar.c  A batch of CIFAR-10. */
#include "fuzz.h"

#include "../../src/data/cifar.h"
#include "../../src/data/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int count = 0;

    fuzz_write("test_batch.bin", data, size);
    if (nl_cifar_probe(fuzz_folder(), true, &count) == NL_OK) {
        uint8_t *pixels = NULL;
        uint8_t *classes = NULL;

        FUZZ_EXPECT(count >= 0 && (size_t)count <= size * 1032 / 3073 + 1);
        pixels = nl_calloc((size_t)count, 3072);
        classes = nl_calloc((size_t)count, 1);
        FUZZ_EXPECT(pixels != NULL && classes != NULL);
        (void)!nl_cifar_read(fuzz_folder(), true, count, pixels, classes);
        free(pixels);
        free(classes);
    }
    return 0;
}
