/** @file json.c  Strings of JSON. */
#include "json.h"

void nl_json_string(nl_text *text, const char *value)
{
    nl_text_append(text, "\"");
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            nl_text_append(text, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            nl_text_append(text, "\\u%04x", (unsigned)*c);
        } else {
            nl_text_append_bytes(text, c, 1);
        }
    }
    nl_text_append(text, "\"");
}
