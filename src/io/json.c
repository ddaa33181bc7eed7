/** @file json.c  Strings of JSON. */
#include "ntklens/json.h"

void nl_json_string(nl_text *text, const char *value)
{
    size_t length = 0;

    nl_text_append(text, "\"");
    for (const char *c = value; *c != '\0'; c += length) {
        if (nl_is_control(c, &length)) {
            nl_text_append(text, "\\u%04x", (unsigned)nl_utf8_decode(c, &length));
        } else if (*c == '"' || *c == '\\') {
            nl_text_append(text, "\\%c", *c);
        } else {
            nl_text_append_bytes(text, c, length);
        }
    }
    nl_text_append(text, "\"");
}
