/** @file yaml_slips.c  What people write for `key: value`, and characters that look like others. */
#include "yaml_slips.h"
#include "ntklens/io.h"

#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Characters that look like others, or like nothing
 *-------------------------------------------------------------------------------------------*/

static const nl_lookalike lookalikes[] = {
    {"\xc2\xa0", "a no-break space (U+00A0)", " "},
    {"\xe2\x80\x87", "a figure space (U+2007)", " "},
    {"\xe2\x80\x89", "a thin space (U+2009)", " "},
    {"\xe2\x80\xaf", "a narrow no-break space (U+202F)", " "},
    {"\xe3\x80\x80", "an ideographic space (U+3000)", " "},
    {"\xe2\x80\x8b", "a zero-width space (U+200B)", ""},
    {"\xe2\x81\xa0", "a word joiner (U+2060)", ""},
    {"\xef\xbb\xbf", "a byte order mark (U+FEFF)", ""},
    {"\xc2\xad", "a soft hyphen (U+00AD)", ""},
    {"\xef\xbc\x9a", "a full-width colon (U+FF1A)", ":"},
    {"\xef\xbc\x9d", "a full-width equals sign (U+FF1D)", "="},
    {"\xef\xbc\x8c", "a full-width comma (U+FF0C)", ","},
    {"\xe2\x88\x92", "a minus sign (U+2212)", "-"},
    {"\xe2\x80\x90", "a hyphen (U+2010)", "-"},
    {"\xe2\x80\x91", "a no-break hyphen (U+2011)", "-"},
    {"\xe2\x80\x93", "a dash (U+2013)", "-"},
    {"\xe2\x80\x94", "a dash (U+2014)", "-"},
    {"\xe2\x80\x98", "a typographic quote (U+2018)", "'"},
    {"\xe2\x80\x99", "a typographic quote (U+2019)", "'"},
    {"\xe2\x80\x9c", "a typographic quote (U+201C)", "\""},
    {"\xe2\x80\x9d", "a typographic quote (U+201D)", "\""},
    {"\xe2\x80\x9e", "a typographic quote (U+201E)", "\""},
    {"\xc2\xab", "a typographic quote (U+00AB)", "\""},
    {"\xc2\xbb", "a typographic quote (U+00BB)", "\""},
    {"\xe2\x80\xa6", "an ellipsis (U+2026)", "..."},
};

const nl_lookalike *nl_lookalike_at(const char *text, size_t length)
{
    for (size_t k = 0; k < NL_COUNT(lookalikes); k++) {
        size_t size = strlen(lookalikes[k].bytes);

        if (size <= length && memcmp(text, lookalikes[k].bytes, size) == 0) {
            return &lookalikes[k];
        }
    }
    return NULL;
}

const nl_lookalike *nl_lookalike_find(const char *text)
{
    const nl_lookalike *found = NULL;

    for (size_t left = strlen(text); left > 0 && found == NULL; text++, left--) {
        found = nl_lookalike_at(text, left);
    }
    return found;
}

void nl_lookalike_advise(const nl_lookalike *found, char out[nl_advice_size])
{
    const char *meant = found->meant;

    if (meant[0] == '\0') {
        snprintf(out, nl_advice_size, "there is %s: remove it", found->name);
    } else if (strcmp(meant, " ") == 0) {
        snprintf(out, nl_advice_size, "there is %s: type a plain space", found->name);
    } else {
        snprintf(out, nl_advice_size, "there is %s: type a plain %s", found->name, meant);
    }
}

static bool is_blank_lookalike(const nl_lookalike *found)
{
    return found != NULL && (found->meant[0] == '\0' || found->meant[0] == ' ');
}

/*---------------------------------------------------------------------------------------------
 * One line
 *-------------------------------------------------------------------------------------------*/

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_word(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* A line that is being walked over. */
typedef struct cursor {
    const char *start, *at, *end;
} cursor;

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && is_blank(*c->at)) {
        c->at++;
    }
}

/* Characters, not bytes, before the cursor. */
static int column_of(const cursor *c)
{
    int column = 0;

    for (const char *at = c->start; at < c->at; at++) {
        column += ((unsigned char)*at & 0xc0) != 0x80;
    }
    return column;
}

static bool found_slip(const cursor *c, const nl_lookalike *odd, const char *text,
                       nl_yaml_slip *out)
{
    out->column = column_of(c);
    if (odd != NULL) {
        nl_lookalike_advise(odd, out->advice);
    } else {
        snprintf(out->advice, sizeof out->advice, "%s: write '%s: ...'", text, out->key);
    }
    return true;
}

/* Indentation, and the dashes of list items; false where a look-alike stands there. */
static bool skip_indentation(cursor *c, nl_yaml_slip *out)
{
    const nl_lookalike *odd = NULL;

    skip_blanks(c);
    while (c->end - c->at > 1 && c->at[0] == '-' && is_blank(c->at[1])) {
        c->at++;
        skip_blanks(c);
    }
    odd = nl_lookalike_at(c->at, (size_t)(c->end - c->at));
    if (is_blank_lookalike(odd)) {
        found_slip(c, odd, NULL, out);
        while (is_blank_lookalike(odd)) { /* what follows is the key */
            c->at += strlen(odd->bytes);
            skip_blanks(c);
            odd = nl_lookalike_at(c->at, (size_t)(c->end - c->at));
        }
        return false;
    }
    return true;
}

static void take_word(cursor *c, char key[64])
{
    const char *word = c->at;

    while (c->at < c->end && is_word(*c->at)) {
        c->at++;
    }
    snprintf(key, 64, "%.*s", (int)(c->at - word), word);
}

/* What stands behind a colon: a blank, the end, or a slip. */
static bool check_colon(cursor *c, nl_yaml_slip *out)
{
    size_t left = (size_t)(c->end - ++c->at);
    const nl_lookalike *odd = nl_lookalike_at(c->at, left);

    if (left == 0 || is_blank(*c->at) || (left > 1 && c->at[0] == '/' && c->at[1] == '/')) {
        return false;
    }
    return found_slip(c, is_blank_lookalike(odd) ? odd : NULL,
                      "a space is missing behind the colon", out);
}

bool nl_yaml_find_slip(const char *line, size_t length, nl_yaml_slip *out)
{
    cursor c = {line, line, line + length};
    const nl_lookalike *odd = NULL;
    bool plain = false;

    *out = (nl_yaml_slip){0};
    plain = skip_indentation(&c, out);
    if (c.at == c.end || !is_letter(*c.at)) {
        return false;
    }
    take_word(&c, out->key);
    if (!plain) {
        return true;
    }
    skip_blanks(&c);
    if (c.at == c.end) {
        return false;
    }
    if (*c.at == ':') {
        return check_colon(&c, out);
    }
    if (*c.at == '=') {
        return found_slip(&c, NULL, "'=' does not set a key in YAML", out);
    }
    odd = nl_lookalike_at(c.at, (size_t)(c.end - c.at));
    if (odd != NULL && odd->meant[0] == '=') {
        return found_slip(&c, NULL, "'=' does not set a key in YAML", out);
    }
    return odd != NULL && (odd->meant[0] == ':' || is_blank_lookalike(odd)) &&
           found_slip(&c, odd, NULL, out);
}

/*---------------------------------------------------------------------------------------------
 * All lines
 *-------------------------------------------------------------------------------------------*/

static const char *end_of_line(const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    return at;
}

static const char *next_line(const char *at, const char *end)
{
    at = end_of_line(at, end);
    if (at < end && *at == '\r') {
        at++;
    }
    return at < end && *at == '\n' ? at + 1 : at;
}

static long indentation(const char *at, const char *end)
{
    const char *first = at;

    while (first < end && *first == ' ') {
        first++;
    }
    return first - at;
}

/* A line that is one word, above deeper ones: a section without its colon. */
static bool lacks_colon(const char *at, const char *end, nl_yaml_slip *out)
{
    const char *next = next_line(at, end);
    cursor c = {at, at, end_of_line(at, end)};

    *out = (nl_yaml_slip){0};
    skip_blanks(&c);
    if (c.at == c.end || !is_letter(*c.at)) {
        return false;
    }
    take_word(&c, out->key);
    out->column = column_of(&c);
    skip_blanks(&c);
    if (c.at < c.end || next == end || indentation(next, end) <= indentation(at, end)) {
        return false;
    }
    snprintf(out->advice, sizeof out->advice, "a colon is missing: write '%s:'", out->key);
    return true;
}

int nl_yaml_complain_slips(const char *source, const char *text, size_t length, size_t last,
                           nl_diagnostics *diagnostics)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf"; /* may begin a file */
    const char *end = text + length;
    int found = 0;

    text += length >= 3 && memcmp(text, byte_order_mark, 3) == 0 ? 3 : 0;
    for (size_t line = 0; line <= last && text < end; line++) {
        nl_yaml_slip slip;

        if (nl_yaml_find_slip(text, (size_t)(end_of_line(text, end) - text), &slip) ||
            lacks_colon(text, end, &slip)) {
            const nl_mark mark = {source, (int)line + 1, slip.column + 1};

            nl_diagnostics_add(diagnostics, mark, "not valid YAML: %s", slip.advice);
            found++;
        }
        text = next_line(text, end);
    }
    return found;
}
