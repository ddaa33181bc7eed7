/** @file escape.c  Texts of strangers, made fit for terminals, logs and pages. */
#include "ntklens/base.h"

#include <string.h>

uint32_t nl_utf8_decode(const char *text, size_t *length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text;
    const size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc0 ? 2 : 1;
    uint32_t code = size == 1 ? at[0] : at[0] & (0xffu >> (size + 1));

    *length = 1;
    for (size_t k = 1; k < size; k++) {
        if ((at[k] & 0xc0) != 0x80) { /* also at the final NUL */
            return 0xfffd;
        }
        code = code << 6 | (at[k] & 0x3fu);
    }
    if ((size == 1 && code >= 0x80) || code < least[size] || code > 0x10ffff || at[0] >= 0xf8 ||
        (code >= 0xd800 && code < 0xe000)) {
        return 0xfffd;
    }
    *length = size;
    return code;
}

bool nl_is_control(const char *text, size_t *length)
{
    const uint32_t code = nl_utf8_decode(text, length);

    return code < 0x20 || (code >= 0x7f && code < 0xa0) || /* C0, DEL, C1 */
           (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || /* ends of lines, directions of writing */
           (code == 0xfffd && *length == 1);     /* no UTF-8: terminals differ in what they do */
}

/* One character as visible ones; their number. */
static size_t escape(const char *text, size_t length, char out[16])
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;

    if (*text == '\n' || *text == '\r' || *text == '\t') {
        out[0] = '\\';
        out[1] = *text == '\n' ? 'n' : *text == '\r' ? 'r' : 't';
        return 2;
    }
    for (size_t k = 0; k < length; k++) {
        const unsigned char byte = (unsigned char)text[k];

        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = digits[byte >> 4];
        out[used++] = digits[byte & 15];
    }
    return used;
}

const char *nl_escaped(const char *text, char *out, size_t size)
{
    size_t used = 0;
    size_t length = 0;

    for (; *text != '\0'; text += length) {
        char visible[16];
        const char *piece = text;
        size_t bytes = 0;

        if (nl_is_control(text, &length)) {
            bytes = escape(text, length, visible);
            piece = visible;
        } else {
            bytes = length;
        }
        if (used + bytes + 1 > size) {
            break;
        }
        memcpy(out + used, piece, bytes);
        used += bytes;
    }
    out[used] = '\0';
    return out;
}

void nl_mask_controls(char *text)
{
    size_t length = 0;

    for (; *text != '\0'; text += length) {
        length = 1;
        if (*text >= 0x20 && *text < 0x7f) {
            continue; /* most are: tables are long */
        }
        if (nl_is_control(text, &length)) {
            memset(text, '?', length);
        }
    }
}
