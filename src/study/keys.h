/** @file keys.h  Look-ups in the key table. */
#ifndef NTKLENS_STUDY_KEYS_H
#define NTKLENS_STUDY_KEYS_H

#include "ntklens/keys.h"
#include "ntklens/nn.h"

enum {
    nl_path_size = 256,      /* bytes of a key path in a message */
    nl_expected_size = 160,  /* bytes of nl_key_expected() */
    nl_suggestion_size = 512 /* bytes of a suggestion */
};

/** Key of a path, NL_KEY_COUNT where there is none. */
nl_key nl_key_find(const char *path);

/** Has a network of this kind such a key? */
bool nl_key_applies(nl_key key, nl_net_kind kind);

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

#endif
