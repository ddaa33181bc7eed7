/** @file fuzz_folder.c  The rest of a results folder, as `status` reads it: the first byte says
 * which file the input is, lock, log.txt or study.yaml. */
#include "fuzz.h"

#include "ntklens/plan.h"

static bool is_shown_plainly(const char *text)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text < 0x20 && *text != '\n') || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int which = size > 0 ? data[0] % 3 : 0;
    char *shown = NULL;
    size_t length = 0;
    FILE *stream = NULL;

    if (size < 1) {
        return 0;
    }
    data++;
    size--;
    fuzz_write("study.yaml", which == 2 ? (const void *)data : FUZZ_MINIMAL,
               which == 2 ? size : strlen(FUZZ_MINIMAL));
    fuzz_write("lock", data, which == 0 ? size : 0);
    fuzz_write("log.txt", data, which == 1 ? size : 0);
    for (int json = 0; json < 2; json++) {
        stream = open_memstream(&shown, &length);
        FUZZ_EXPECT(stream != NULL);
        (void)!nl_study_status_show(fuzz_folder(), json == 1, stream);
        fclose(stream);
        FUZZ_EXPECT(is_shown_plainly(shown));
        free(shown);
    }
    return 0;
}
