/** @file reading.h  A study while it is read: what is known of each key, complaints. */
#ifndef NTKLENS_STUDY_READING_H
#define NTKLENS_STUDY_READING_H

#include "ntklens/io.h"
#include "ntklens/study.h"

typedef struct nl_reading {
    nl_diagnostics *diagnostics; /* borrowed */
    nl_study *study;             /* borrowed, being filled */
    const char *set_path;        /* the key that a --set names while it is read, else NULL */
    bool given[NL_KEY_COUNT];    /* written somewhere, rightly or not */
    bool sound[NL_KEY_COUNT];    /* study->value holds values that passed every check */
    nl_mark place[NL_KEY_COUNT]; /* of the key; of its section or the file's start before that */
    bool failed;                 /* out of memory */
} nl_reading;

/** Complain about a key: `place: path: text`; --set names the path already. */
void nl_reading_complain(nl_reading *reading, nl_mark mark, const char *path, const char *format,
                         ...) NL_PRINTF(4, 5);

/** Copy a word into the study's store; NULL (and reading->failed) when out of memory. */
const char *nl_reading_keep(nl_reading *reading, const char *word);

#endif
