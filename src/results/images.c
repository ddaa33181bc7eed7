/** @file images.c  Are the images those that earlier work was made from, and those that their name
 *  promises? */
#include "ntklens/folder.h"

#include <stdlib.h>
#include <string.h>

bool nl_images_may_be_same(const char *there, const char *here)
{
    return there == NULL || here == NULL || there[0] == '\0' || here[0] == '\0' ||
           strcmp(there, here) == 0;
}

nl_status nl_images_agree(const char *what, const char *there, const char *here, const char *advice)
{
    if (nl_images_may_be_same(there, here)) {
        return NL_OK;
    }
    return NL_FAIL(NL_ERR_OTHER_DATA,
                   "%s: was made from other images: data fingerprint %s, expected %s%s", what,
                   there, here, advice);
}

void nl_images_compare_resolved(const nl_study *study, const char *fingerprint)
{
    if (!nl_images_may_be_same(study->fingerprint, fingerprint)) {
        nl_warn("%s: was resolved with other images: data fingerprint %s, here %s", study->file,
                study->fingerprint, fingerprint);
    }
}

void nl_images_warn(const nl_dataset *dataset, const char *folder, nl_text *remarks)
{
    nl_text lines = {0};
    char *rest = NULL;

    nl_dataset_remarks(dataset, folder, &lines);
    for (char *line = lines.length > 0 ? strtok_r(lines.data, "\n", &rest) : NULL; line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        nl_warn("%s: %s", folder, line);
        nl_text_append(remarks, "%s%s", remarks->length > 0 ? "; " : "", line);
    }
    nl_text_free(&lines);
}
