/** @file keys.h  What the files of the key table share: look-ups, wordings, suggestions. */
#ifndef NTKLENS_STUDY_KEYS_H
#define NTKLENS_STUDY_KEYS_H

#include "ntklens/study.h"

enum {
    nl_path_size = 256,      /* bytes of a key path in a message */
    nl_expected_size = 160,  /* bytes of nl_key_expected() */
    nl_suggestion_size = 512 /* bytes of a suggestion */
};

/** Key of a path, NL_KEY_COUNT where there is none. */
nl_key nl_key_find(const char *path);

/** Does any key lie below this path ("measure", "measure.at")? */
bool nl_key_is_section(const char *path);

/** Does `path` start with `section` and a dot? */
bool nl_path_is_below(const char *path, const char *section);

/** What comes after the last dot. */
const char *nl_path_last(const char *path);

/** Index of a word in "a|b|c", -1 where it is none. */
int nl_choice_find(const char *choices, const char *word);

/** Word of an index of "a|b|c", a copy in out; false past the end. */
bool nl_choice_at(const char *choices, int index, char out[64]);

/** "a whole number from 1 to 1000, or full": for messages and `ntklens keys`. */
const char *nl_key_expected(const nl_key_info *info, char out[nl_expected_size]);

/** A value in its one spelling (results table, hashes, resolved file; texts there in quotes): a
 *  word, or digits in `buffer`. */
const char *nl_scalar_text(const nl_key_info *info, const nl_scalar *value, char buffer[32]);

/** Order of an axis: numbers upward, then words. */
int nl_scalar_compare(const nl_scalar *a, const nl_scalar *b);

/** Is one of the values this one? */
bool nl_values_hold(const nl_values *values, const nl_scalar *value);

/** All of them, in their one spelling, with commas between. */
void nl_values_append(nl_text *text, const nl_key_info *info, const nl_values *values);

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

/**
 * What was probably meant by a text that stands where a number was expected: "write 20000", "write
 * [8, 16]"; NULL where nothing comes to mind.  Only what the key would accept is proposed.
 */
const char *nl_number_advice(const nl_key_info *info, const char *text, char out[160]);

/** The same where true, false or one of some words was expected. */
const char *nl_words_advice(const nl_key_info *info, const char *text, char out[160]);

/** Why a key does not take a number ("out of range"), NULL where it does. */
const char *nl_key_accepts(const nl_key_info *info, double value);

/** Length of the decimal number a text starts with; 0: none.  Stricter than strtod: no hexadecimal,
 *  infinity or spaces. */
size_t nl_decimal_length(const char *text);
bool nl_text_is_decimal(const char *text);

/** 010 is 8 to YAML 1.1 and 10 to people. */
bool nl_has_leading_zero(const char *text);

/** Text of an input, shortened to fit in a message, never in the middle of a character. */
const char *nl_excerpt(const char *text, char out[64]);

#endif
