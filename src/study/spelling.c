/** @file spelling.c  What was probably meant where a number is spelled otherwise: 20_000, 8 16, 1k.
 */
#include "spelling.h"
#include "keys.h"
#include "numbers.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { advice_size = 160, most_tokens = 16, token_size = 24 };

/* A text cut at its separators. */
typedef struct tokens {
    int count;
    char token[most_tokens][token_size];
    char separator; /* the one between all of them; '\0' where they differ, or are several */
} tokens;

/*---------------------------------------------------------------------------------------------
 * Numbers that a key takes
 *-------------------------------------------------------------------------------------------*/

static bool is_wanted(const nl_key_info *info, double value)
{
    return isfinite(value) && nl_key_accepts(info, value) == NULL;
}

static bool is_wanted_text(const nl_key_info *info, const char *text)
{
    return nl_text_is_decimal(text) && is_wanted(info, strtod(text, NULL));
}

static const char *propose(const nl_key_info *info, double value, char out[advice_size])
{
    if (!is_wanted(info, value)) {
        return NULL;
    }
    snprintf(out, advice_size, "write %.15g", value);
    return out;
}

/*---------------------------------------------------------------------------------------------
 * One number in another spelling
 *-------------------------------------------------------------------------------------------*/

/* 0x10, 0b101, 0o17 */
static const char *other_base(const nl_key_info *info, const char *text, char out[advice_size])
{
    static const char letters[] = "xbo";
    static const int bases[] = {16, 2, 8};
    const char *letter =
        text[0] == '0' && text[1] != '\0' ? strchr(letters, tolower(text[1])) : NULL;
    char *end = NULL;
    double value = 0.0;

    if (letter == NULL || !isxdigit((unsigned char)text[2])) {
        return NULL;
    }
    value = (double)strtoull(text + 2, &end, bases[letter - letters]);
    return *end == '\0' ? propose(info, value, out) : NULL;
}

/* "10^4", "10**-3", "2x10^5", "1/10": a first number, an sign, and what is left of the text. */
static bool calculate(const char *text, double *value)
{
    char left[token_size];
    const size_t length = nl_decimal_length(text);
    const char *sign = text + length;
    double right = 0.0;

    if (length == 0 || length >= sizeof left || *sign == '\0') {
        return false;
    }
    snprintf(left, sizeof left, "%.*s", (int)length, text);
    if (strncmp(sign, "**", 2) == 0 && nl_text_is_decimal(sign + 2)) {
        *value = pow(strtod(left, NULL), strtod(sign + 2, NULL));
    } else if (*sign == '^' && nl_text_is_decimal(sign + 1)) {
        *value = pow(strtod(left, NULL), strtod(sign + 1, NULL));
    } else if (*sign == '/' && nl_text_is_decimal(sign + 1)) {
        *value = strtod(left, NULL) / strtod(sign + 1, NULL);
    } else if ((*sign == '*' || *sign == 'x') && calculate(sign + 1, &right)) {
        *value = strtod(left, NULL) * right;
    } else {
        return false;
    }
    return true;
}

static const char *arithmetic(const nl_key_info *info, const char *text, char out[advice_size])
{
    double value = 0.0;

    return calculate(text, &value) ? propose(info, value, out) : NULL;
}

/* 1 e-3, 1d-3 */
static const char *odd_exponent(const nl_key_info *info, const char *text, char out[advice_size])
{
    char joined[64];
    size_t length = 0;
    bool changed = false;

    for (const char *at = text; *at != '\0' && length < sizeof joined - 1; at++) {
        changed = changed || *at == ' ' || *at == 'd' || *at == 'D';
        if (*at != ' ') {
            joined[length++] = *at == 'd' || *at == 'D' ? 'e' : *at;
        }
    }
    joined[length] = '\0';
    if (!changed || strpbrk(joined, "eE") == NULL || !is_wanted_text(info, joined)) {
        return NULL;
    }
    snprintf(out, advice_size, "write %s", joined);
    return out;
}

/* 10%, 20k, 60s, "0.1,", "20 // steps" */
static const char *tail(const nl_key_info *info, const char *text, char out[advice_size])
{
    const size_t length = nl_decimal_length(text);
    const char *rest = text + length + strspn(text + length, " ");
    const double value = length > 0 ? strtod(text, NULL) : NAN;
    double factor = 0.0;

    if (length == 0 || !(ispunct((unsigned char)*rest) || isalpha((unsigned char)*rest))) {
        return NULL;
    }
    if (strcmp(rest, "%") == 0) {
        return propose(info, value / 100.0, out);
    }
    factor = strcasecmp(rest, "k") == 0 ? 1e3 : strcmp(rest, "M") == 0 ? 1e6 : 0.0;
    if (factor > 0.0) {
        return propose(info, value * factor, out);
    }
    if (*rest == '#' || strncmp(rest, "//", 2) == 0 || strncmp(rest, "/*", 2) == 0) {
        snprintf(out, advice_size, "a comment starts with ' #', a space before it");
        return out;
    }
    if (nl_decimal_length(rest + strcspn(rest, "0123456789")) > 0 || !is_wanted(info, value)) {
        return NULL;
    }
    snprintf(out, advice_size, "write the number alone: %.*s", (int)length, text);
    return out;
}

/*---------------------------------------------------------------------------------------------
 * Several numbers, or one in groups of digits
 *-------------------------------------------------------------------------------------------*/

/* Cut at blanks and punctuation; false where a token is too long, or there are too many. */
static bool cut(const char *text, const char *separators, tokens *out)
{
    bool first = true;

    *out = (tokens){0};
    for (const char *at = text; *at != '\0';) {
        const size_t skipped = strspn(at, separators);
        const size_t length = strcspn(at + skipped, separators);

        if (length == 0) {
            break;
        }
        if (out->count == most_tokens || length >= token_size) {
            return false;
        }
        if (out->count > 0) {
            const char separator = skipped == 1 ? *at : '\0';

            out->separator = first || out->separator == separator ? separator : '\0';
            first = false;
        }
        snprintf(out->token[out->count++], token_size, "%.*s", (int)length, at + skipped);
        at += skipped + length;
    }
    return true;
}

static bool all_digits(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* 20_000, 1,000, 1 000, 1'000, 1.000.000: digits in groups; for 0,1 a decimal comma. */
static bool join_groups(const nl_key_info *info, const char *text, char out[64])
{
    tokens t;
    bool comma = false;
    size_t length = 0;

    if (!cut(text, ", '_.", &t) || t.count < 2 || t.separator == '\0') {
        return false;
    }
    comma = t.separator == ',' && t.count == 2 && info->type == NL_TYPE_REAL;
    for (int k = 0; k < t.count; k++) {
        const size_t digits = strlen(t.token[k]);
        const bool grouped = k > 0 ? digits == 3 : digits <= 3;

        if (!all_digits(t.token[k]) || !(grouped || comma || t.separator == '_')) {
            return false;
        }
        length += (size_t)snprintf(out + length, 64 - length, "%s%s", comma && k > 0 ? "." : "",
                                   t.token[k]);
        if (length >= 64) {
            return false;
        }
    }
    return !(out[0] == '0' && out[1] != '.') && is_wanted_text(info, out);
}

/* 8, 16 or 8 16 or (8; 16): "[8, 16]", where each is a value of the key. */
static bool join_list(const nl_key_info *info, const char *text, char out[128])
{
    tokens t;
    size_t length = 1;

    if (info->shape == NL_SHAPE_SCALAR || strpbrk(text, ",; |") == NULL ||
        !cut(text, ",; |()[]", &t) || t.count < 2) {
        return false;
    }
    snprintf(out, 128, "[");
    for (int k = 0; k < t.count && length < 128; k++) {
        const char *token = t.token[k];
        const bool word = info->choices != NULL && nl_choice_find(info->choices, token) >= 0;

        if (!word && (info->type == NL_TYPE_CHOICE || nl_has_leading_zero(token) ||
                      !is_wanted_text(info, token))) {
            return false;
        }
        length += (size_t)snprintf(out + length, 128 - length, "%s%s%s", k > 0 ? ", " : "", token,
                                   k + 1 == t.count ? "]" : "");
    }
    return length < 128;
}

static const char *several(const nl_key_info *info, const char *text, char out[advice_size])
{
    char number[64];
    char list[128];
    const bool one = (info->type == NL_TYPE_INT || info->type == NL_TYPE_REAL) &&
                     join_groups(info, text, number);
    const bool many = join_list(info, text, list);

    if (one && many) {
        snprintf(out, advice_size, "write %.40s, or %.90s for a list", number, list);
    } else if (one || many) {
        snprintf(out, advice_size, "write %s", one ? number : list);
    }
    return one || many ? out : NULL;
}

/* 8-16, 8..16, 8:16 */
static const char *range(const nl_key_info *info, const char *text, char out[advice_size])
{
    const size_t length = nl_decimal_length(text);
    const char *between = text + length + strspn(text + length, " ");
    const size_t size = strncmp(between, "to ", 3) == 0 ? 2 : strspn(between, "-.:");
    const char *last = between + size + strspn(between + size, " ");
    char first[token_size];

    if (info->shape == NL_SHAPE_SCALAR || length == 0 || length >= sizeof first || size == 0 ||
        strlen(last) >= sizeof first || !is_wanted_text(info, last)) {
        return NULL;
    }
    snprintf(first, sizeof first, "%.*s", (int)length - (text[length - 1] == '.'), text);
    if (!is_wanted_text(info, first)) {
        return NULL;
    }
    snprintf(out, advice_size, "write [%s, %s] for a list, or as a range {from: %s, to: %s, %s}",
             first, last, first, last, info->type == NL_TYPE_INT ? "step: 1" : "factor: 2");
    return out;
}

/* -8 -16 below a key: list items whose dashes touch their numbers. */
static const char *touching_dashes(const nl_key_info *info, const char *text, char out[advice_size])
{
    tokens t;

    if (info->shape == NL_SHAPE_SCALAR || !cut(text, " ", &t) || t.count < 2) {
        return NULL;
    }
    for (int k = 0; k < t.count; k++) {
        if (t.token[k][0] != '-' || !is_wanted_text(info, t.token[k] + 1)) {
            return NULL;
        }
    }
    snprintf(out, advice_size, "an item of a list is '- %.20s', with a space", t.token[0] + 1);
    return out;
}

/*---------------------------------------------------------------------------------------------
 * All together
 *-------------------------------------------------------------------------------------------*/

/* None, auto: no number at all. */
static const char *nothing(const nl_key_info *info, const char *text, char out[advice_size])
{
    static const char *const words[] = {"none", "nil", "na", "n/a", "default", "auto"};

    for (size_t k = 0; k < NL_COUNT(words); k++) {
        if (strcasecmp(text, words[k]) == 0 && info->fallback != NULL) {
            snprintf(out, advice_size, "without this line it is %s", info->fallback);
            return out;
        }
    }
    if (strcmp(text, "...") == 0 && info->shape != NL_SHAPE_SCALAR) {
        snprintf(out, advice_size,
                 "write all values, or a range such as {from: 8, to: 64, factor: 2}");
        return out;
    }
    return NULL;
}

const char *nl_number_advice(const nl_key_info *info, const char *text, char out[advice_size])
{
    typedef const char *adviser(const nl_key_info *info, const char *text, char out[advice_size]);
    static adviser *const advisers[] = {nothing, other_base,      arithmetic, odd_exponent,
                                        several, touching_dashes, range,      tail};

    for (size_t k = 0; k < NL_COUNT(advisers); k++) {
        const char *advice = advisers[k](info, text, out);

        if (advice != NULL) {
            return advice;
        }
    }
    return NULL;
}

const char *nl_words_advice(const nl_key_info *info, const char *text, char out[advice_size])
{
    static const char *const yes[] = {"1", "y", "t", "enabled", "enable"};
    static const char *const no[] = {"0", "n", "f", "disabled", "disable", "none"};

    for (size_t k = 0; info->type == NL_TYPE_BOOL && k < NL_COUNT(yes); k++) {
        if (strcasecmp(text, yes[k]) == 0) {
            return "write true";
        }
    }
    for (size_t k = 0; info->type == NL_TYPE_BOOL && k < NL_COUNT(no); k++) {
        if (strcasecmp(text, no[k]) == 0) {
            return "write false";
        }
    }
    return info->type == NL_TYPE_CHOICE ? several(info, text, out) : NULL;
}
