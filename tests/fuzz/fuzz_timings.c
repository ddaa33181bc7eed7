/** @file fuzz_timings.c  timings.csv. */
#include "fuzz.h"

#include "ntklens/folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[128];
    nl_timing *timings = NULL;
    int count = 0;

    fuzz_write("timings.csv", data, size);
    if (nl_timings_read(fuzz_path("timings.csv", path), &timings, &count) == NL_OK && count > 0) {
        FUZZ_EXPECT(nl_timing_find(timings, count, timings[0].id) == timings);
    }
    free(timings);
    return 0;
}
