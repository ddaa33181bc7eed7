/** @file numbers.c  Texts that are numbers, and numbers that a key accepts. */
#include "numbers.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const char *skip_digits(const char *at)
{
    return at + strspn(at, "0123456789");
}

size_t nl_decimal_length(const char *text)
{
    const char *at = text + (*text == '+' || *text == '-');
    const char *whole = at;
    size_t digits = 0;

    at = skip_digits(at);
    digits = (size_t)(at - whole);
    if (*at == '.') {
        const char *fraction = at + 1;

        at = skip_digits(fraction);
        digits += (size_t)(at - fraction);
    }
    if (digits == 0) {
        return 0;
    }
    if (*at == 'e' || *at == 'E') {
        const char *exponent = at + 1;

        exponent += *exponent == '+' || *exponent == '-';
        if (skip_digits(exponent) > exponent) {
            at = skip_digits(exponent);
        }
    }
    return (size_t)(at - text);
}

bool nl_text_is_decimal(const char *text)
{
    size_t length = nl_decimal_length(text);

    return length > 0 && text[length] == '\0';
}

bool nl_has_leading_zero(const char *text)
{
    const char *digits = text + (*text == '+' || *text == '-');

    return digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
}

bool nl_key_in_range(const nl_key_info *info, double value)
{
    bool low = info->min_open ? value > info->min : value >= info->min;
    bool high = info->max_open ? value < info->max : value <= info->max;

    return low && high;
}

/* Training is in single precision, some factors of widths aside: below this a learning rate or a
 * variance is lost there.  Elsewhere numbers only must not be subnormal, which print and read back
 * with fewer digits. */
static double least_of(const nl_key_info *info)
{
    return info->affects == NL_AFFECTS_TRAINING ? 1e-30 : DBL_MIN;
}

const char *nl_key_accepts(const nl_key_info *info, double value)
{
    if (info->type == NL_TYPE_INT && value != floor(value)) {
        return "not a whole number";
    }
    if (!nl_key_in_range(info, value)) {
        return "out of range";
    }
    if (info->type == NL_TYPE_REAL && value != 0.0 && fabs(value) < least_of(info)) {
        return info->affects == NL_AFFECTS_TRAINING
                   ? "too near 0 for training, which is in single precision: at least 1e-30"
                   : "too near 0 for double precision";
    }
    if (info->type == NL_TYPE_REAL && info->affects == NL_AFFECTS_TRAINING &&
        !nl_key_in_range(info, (double)(float)value)) {
        return "training is in single precision, where this is rounded out of the range";
    }
    return NULL;
}
