/** @file json.h  Strings of JSON. */
#ifndef NTKLENS_JSON_H
#define NTKLENS_JSON_H

#include "ntklens/base.h"

/** Append `value` in quotes, escaped. */
void nl_json_string(nl_text *text, const char *value);

#endif
