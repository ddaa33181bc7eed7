/** @file reading.c  A study while it is read: the memory of its words, complaints. */
#include "reading.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Memory of the words of a study. */
struct nl_study_store {
    struct nl_study_store *next;
    char text[];
};

const char *nl_reading_keep(nl_reading *reading, const char *word)
{
    size_t size = strlen(word) + 1;
    struct nl_study_store *kept = malloc(sizeof *kept + size);

    if (kept == NULL) {
        reading->failed = true;
        return NULL;
    }
    memcpy(kept->text, word, size);
    kept->next = reading->study->store;
    reading->study->store = kept;
    return kept->text;
}

void nl_study_destroy(nl_study **study)
{
    if (*study == NULL) {
        return;
    }
    for (struct nl_study_store *kept = (*study)->store; kept != NULL;) {
        struct nl_study_store *next = kept->next;

        free(kept);
        kept = next;
    }
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        free((*study)->value[key].item);
    }
    free((*study)->file);
    free(*study);
    *study = NULL;
}

void nl_reading_complain(nl_reading *reading, nl_mark mark, const char *path, const char *format,
                         ...)
{
    bool named = reading->set_path != NULL && strcmp(reading->set_path, path) == 0;
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    nl_diagnostics_add(reading->diagnostics, mark, "%s%s%s", named ? "" : path, named ? "" : ": ",
                       text);
}
