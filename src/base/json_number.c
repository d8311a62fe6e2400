#define _GNU_SOURCE
#include "base/json_number.h"

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* strtod whose decimal point is a point; the C locale is the system's own, nothing is read or made for it. */
static double parse_slowly(const char *text) {
    locale_t locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!locale) return strtod(text, NULL);
    double value = strtod_l(text, NULL, locale);
    freelocale(locale);
    return value;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Digits and power of ten of a number; `few`: the digits fit into 64 bits. */
typedef struct decimal {
    uint64_t digits;
    int count, power;
    bool negative, few;
} decimal;

static const char *take_digits(const char *at, decimal *d) {
    for (; digit(*at); at++) {
        d->count += d->digits || *at != '0';
        if (d->count <= 19) d->digits = d->digits * 10 + (uint64_t)(*at - '0');
    }
    return at;
}

/* The end of the number by JSON's grammar, or NULL. */
static const char *scan(const char *at, decimal *d) {
    d->negative = *at == '-';
    at += d->negative;
    if (!digit(*at)) return NULL;
    if (*at == '0' && digit(at[1])) return NULL;
    at = take_digits(at, d);
    if (*at == '.') {
        const char *begin = ++at;
        at = take_digits(at, d);
        if (at == begin) return NULL;
        d->power = -(int)(at - begin > 100000 ? 100000 : at - begin);
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        bool minus = *at == '-';
        if (*at == '-' || *at == '+') at++;
        if (!digit(*at)) return NULL;
        int e = 0;
        for (; digit(*at); at++)
            if (e < 100000) e = e * 10 + (*at - '0');
        d->power += minus ? -e : e;
    }
    d->few = d->count <= 19;
    return at;
}

size_t rb_json_number_parse(const char *text, double *value) {
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    decimal d = {0};
    const char *end = scan(text, &d);
    *value = 0;
    if (!end) return 0;
    if (d.few && d.digits <= (uint64_t)1 << 53 && d.power >= -22 && d.power <= 22) {
        /* both factors are exact, so one operation rounds once */
        double v = (double)d.digits;
        v = d.power < 0 ? v / tens[-d.power] : v * tens[d.power];
        *value = d.negative ? -v : v;
    } else {
        *value = parse_slowly(text);
    }
    return (size_t)(end - text);
}
