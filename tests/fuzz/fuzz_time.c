/** @file fuzz_time.c  --max-time HH:MM:SS. */
#include "fuzz.h"

#include "../../src/app/stop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const double seconds = nl_parse_duration(text);

    FUZZ_EXPECT(seconds == -1.0 || (seconds >= 0.0 && seconds < 1e12));
    free(text);
    return 0;
}
