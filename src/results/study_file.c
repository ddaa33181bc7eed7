/** @file study_file.c  DIR/study.yaml, read back. */
#include "ntklens/folder.h"
#include "ntklens/io.h"

#include <stdlib.h>

nl_status nl_study_in(const char *folder, int set_count, const char *const sets[], nl_study **study)
{
    char *path = nl_path_join(folder, "study.yaml");
    unsigned char *bytes = NULL;
    size_t length = 0;
    nl_status status = path == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path") : NL_OK;

    *study = NULL;
    if (status == NL_OK && nl_path_exists(path)) {
        status = nl_file_read_limited(path, NL_PLAIN, nl_study_file_limit, &bytes, &length);
        if (status == NL_OK) {
            status = nl_study_parse(
                &(nl_study_source){path, (const char *)bytes, length, set_count, sets}, study);
        }
    }
    free(bytes);
    free(path);
    return status;
}
