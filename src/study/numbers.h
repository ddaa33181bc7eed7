/** @file numbers.h  Texts that are numbers, and numbers that a key accepts. */
#ifndef NTKLENS_STUDY_NUMBERS_H
#define NTKLENS_STUDY_NUMBERS_H

#include "ntklens/keys.h"

/** Why a key does not take a number ("out of range"), NULL where it does. */
const char *nl_key_accepts(const nl_key_info *info, double value);

/** Length of the decimal number a text starts with; 0: none.  Stricter than strtod: no hexadecimal,
 *  infinity or spaces. */
size_t nl_decimal_length(const char *text);
bool nl_text_is_decimal(const char *text);

/** 010 is 8 to YAML 1.1 and 10 to people. */
bool nl_has_leading_zero(const char *text);

/** Does a number lie between the key's limits? */
bool nl_key_in_range(const nl_key_info *info, double value);

#endif
