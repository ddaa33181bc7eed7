/** @file spelling.h  What was probably meant by a text where a number or a word was expected. */
#ifndef NTKLENS_STUDY_SPELLING_H
#define NTKLENS_STUDY_SPELLING_H

#include "ntklens/keys.h"

/**
 * What was probably meant by a text that stands where a number was expected: "write 20000", "write
 * [8, 16]"; NULL where nothing comes to mind.  Only what the key would accept is proposed.
 */
const char *nl_number_advice(const nl_key_info *info, const char *text, char out[160]);

/** The same where true, false or one of some words was expected. */
const char *nl_words_advice(const nl_key_info *info, const char *text, char out[160]);

#endif
