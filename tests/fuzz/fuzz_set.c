/** @file fuzz_set.c  --set KEY=VALUE, with all it complains about. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const char *const sets[] = {text};
    nl_study *study = NULL;

    (void)!nl_study_parse(&(nl_study_source){"f", FUZZ_MINIMAL, strlen(FUZZ_MINIMAL), 1, sets},
                          &study);
    nl_study_destroy(&study);
    free(text);
    return 0;
}
