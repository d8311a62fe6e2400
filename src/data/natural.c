/* Natural order, as timm's natural_key sorts: text and digit runs alternate; a name that ends first comes
 * first. */
#include <stddef.h>
#include <string.h>

#include "data/dataset.h"

static int lower(char c) {
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? u + 32 : u;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* Compares the text up to the next digit or the end and moves both on; a shorter text comes first. */
static int compare_text(const char **a, const char **b) {
    for (;; (*a)++, (*b)++) {
        int end_a = !**a || is_digit(**a), end_b = !**b || is_digit(**b);
        if (end_a || end_b) return end_b - end_a;
        int order = lower(**a) - lower(**b);
        if (order) return order;
    }
}

/* Compares runs of digits of any length as numbers and moves both behind them. */
static int compare_number(const char **a, const char **b) {
    while (**a == '0') (*a)++;
    while (**b == '0') (*b)++;
    size_t length_a = strspn(*a, "0123456789"), length_b = strspn(*b, "0123456789");
    if (length_a != length_b) return length_a < length_b ? -1 : 1;
    int order = memcmp(*a, *b, length_a);
    *a += length_a;
    *b += length_b;
    return order;
}

int rb_natural_compare(const char *a, const char *b) {
    const char *whole_a = a, *whole_b = b;
    for (;;) {
        int order = compare_text(&a, &b);
        if (order) return order;
        if (!*a || !*b) {
            if (*a || *b) return *a ? 1 : -1;
            return strcmp(whole_a, whole_b);
        }
        order = compare_number(&a, &b);
        if (order) return order;
    }
}
