/** @file fuzz_file.c  A sealed file: one that was read is sealed right. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[128];
    unsigned char *bytes = NULL;
    size_t length = 0;

    fuzz_write("file", data, size);
    if (nl_file_read_limited(fuzz_path("file", path), NL_SEALED, 4096, &bytes, &length) == NL_OK) {
        FUZZ_EXPECT(length + 24 == size && size <= 4096 && memcmp(bytes, data, length) == 0);
    }
    free(bytes);
    return 0;
}
