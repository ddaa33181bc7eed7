/** @file suggest.h  What was probably meant by a key or a word that nobody knows. */
#ifndef NTKLENS_STUDY_SUGGEST_H
#define NTKLENS_STUDY_SUGGEST_H

#include "keys.h"

/** A key that nobody knows, and what was probably meant. */
typedef struct nl_suggestion {
    char text[nl_suggestion_size]; /* "did you mean model.widths?" */
    char path[64];                 /* the best match, "" where nothing is near or several are */
} nl_suggestion;

/**
 * @param[in] section  where it was written, "" at the top level
 * @param[in] key      as written
 * @param[in] dotted   was it written as a dotted path (--set)?
 */
void nl_key_suggest(const char *section, const char *key, bool dotted, nl_suggestion *out);

/** The choice that is nearest to a word; false where none is near. */
bool nl_choice_suggest(const char *choices, const char *word, char out[64]);

/** Text of an input, shortened to fit in a message, never in the middle of a character. */
const char *nl_excerpt(const char *text, char out[64]);

#endif
