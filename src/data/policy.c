#include "data/policy.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MAGNITUDE = 10, DEFAULT_LAYERS = 2, MAX_MAGNITUDE = 1000 };

/* ---- reading ---- */

/* A section of the text, between dashes: letters, then a number. */
typedef struct section {
    char name[12];
    const char *text; /* the whole section, for errors */
    int length;
    double value;
} section;

static revbifpn_status wrong(const char *text, const section *s, const char *why, rb_error *err) {
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "aa '%.60s': section '%.*s': %s", text,
                   s->length > 30 ? 30 : s->length, s->text, why);
}

/* The section at *at, and *at past it. Numbers are decimal, without sign or exponent. */
static bool read_section(const char **at, section *s) {
    *s = (section){.text = *at, .length = (int)strcspn(*at, "-")};
    size_t letters = strspn(*at, "abcdefghijklmnopqrstuvwxyz");
    *at += s->length;
    if (letters >= sizeof s->name || (int)letters > s->length) return false;
    memcpy(s->name, s->text, letters);
    size_t rest = (size_t)s->length - letters;
    if (!strcmp(s->name, "tweights")) return !rest;
    char digits[24], *end;
    if (!rest || rest >= sizeof digits || strspn(s->text + letters, "0123456789.") < rest) return false;
    memcpy(digits, s->text + letters, rest);
    digits[rest] = 0;
    s->value = strtod(digits, &end);
    return !*end && isfinite(s->value);
}

static bool is_whole(double v, double low, double high) { return v == floor(v) && v >= low && v <= high; }

/* What RandAugment's sections may be; a bit for each that was seen. */
enum { SEEN_M = 1, SEEN_N = 2, SEEN_MSTD = 4, SEEN_MMAX = 8, SEEN_INC = 16, SEEN_P = 32, SEEN_WEIGHTS = 64 };

static int rand_section(const section *s) {
    static const struct {
        const char *name;
        int bit;
    } names[] = {{"m", SEEN_M},     {"n", SEEN_N}, {"mstd", SEEN_MSTD},        {"mmax", SEEN_MMAX},
                 {"inc", SEEN_INC}, {"p", SEEN_P}, {"tweights", SEEN_WEIGHTS}, {"w", SEEN_WEIGHTS}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(s->name, names[i].name)) return names[i].bit;
    return 0;
}

/* Takes the value of a section; what is wrong with it, or NULL. */
static const char *set_rand(rb_policy *p, const section *s, int bit) {
    double v = s->value;
    switch (bit) {
    case SEEN_M:
        p->magnitude = v;
        return is_whole(v, 0, MAX_MAGNITUDE) ? NULL : "a whole magnitude up to 1000";
    case SEEN_N:
        p->layers = is_whole(v, 1, RB_POLICY_LAYERS) ? (int)v : 0;
        return p->layers ? NULL : "1 … 16 operations";
    case SEEN_MSTD: p->deviation = v > 100 ? INFINITY : v; return NULL;
    case SEEN_MMAX:
        p->largest = v;
        return is_whole(v, 1, MAX_MAGNITUDE) ? NULL : "a whole magnitude of 1 … 1000";
    case SEEN_INC:
        return v == 1 ? NULL : "inc1, or leave it out (versions of timm differ about other values)";
    case SEEN_P: p->probability = v; return v <= 1 ? NULL : "a probability of 0 … 1";
    case SEEN_WEIGHTS:
        p->weights = *s->name == 't' ? rb_rand_weights : rb_rand_w0;
        return v == 0 ? NULL : "w0 is the only one";
    default: return "m, n, p, mstd, mmax, inc, tweights or w0";
    }
}

static revbifpn_status parse_rand(rb_policy *p, const char *text, const char *at, rb_error *err) {
    int seen = 0;
    section s;
    *p = (rb_policy){.layers = DEFAULT_LAYERS,
                     .probability = 0.5,
                     .magnitude = DEFAULT_MAGNITUDE,
                     .largest = DEFAULT_MAGNITUDE};
    while (*at) {
        at++; /* the dash */
        bool good = read_section(&at, &s);
        int bit = rand_section(&s);
        if (!good && bit) return wrong(text, &s, "no number, or not one that can be read", err);
        const char *why = seen & bit ? "given twice" : set_rand(p, &s, bit);
        if (why) return wrong(text, &s, why, err);
        seen |= bit;
    }
    if (p->weights == rb_rand_w0 && seen & SEEN_INC)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "aa '%.60s': w0 has no weights for inc1; tweights has",
                       text);
    bool increasing = seen & SEEN_INC || p->weights == rb_rand_weights;
    p->choices = increasing ? rb_rand_increasing : rb_rand_choices;
    int possible = 0;
    for (int i = 0; p->weights && i < RB_POLICY_CHOICES; i++) possible += p->weights[i] > 0;
    if (p->weights && p->layers > possible)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "aa '%.60s': %d operations, but only %d have a weight",
                       text, p->layers, possible);
    return REVBIFPN_OK;
}

static revbifpn_status parse_auto(rb_policy *p, const rb_auto_policy *named, const char *text, const char *at,
                                  rb_error *err) {
    section s;
    *p = (rb_policy){.pairs = named->pairs, .largest = DEFAULT_MAGNITUDE};
    if (!*at) return REVBIFPN_OK;
    at++;
    if (!read_section(&at, &s) || strcmp(s.name, "mstd"))
        return wrong(text, &s, "AutoAugment has only mstd and its number", err);
    p->deviation = s.value;
    if (!*at) return REVBIFPN_OK;
    at++;
    read_section(&at, &s);
    return wrong(text, &s, "one section too many", err);
}

revbifpn_status rb_policy_parse(rb_policy *p, const char *text, rb_error *err) {
    *p = (rb_policy){0};
    if (!*text) return REVBIFPN_OK;
    size_t length = strcspn(text, "-");
    if (length == 4 && !strncmp(text, "rand", 4)) return parse_rand(p, text, text + length, err);
    for (size_t i = 0; i < sizeof rb_auto_policies / sizeof *rb_auto_policies; i++)
        if (strlen(rb_auto_policies[i].name) == length && !strncmp(text, rb_auto_policies[i].name, length))
            return parse_auto(p, &rb_auto_policies[i], text, text + length, err);
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                   "aa '%.60s': begins with none of rand, v0, v0r, original and originalr", text);
}

/* ---- drawing ---- */

bool rb_interpolation_draw(rb_interpolation interpolation, rb_rng *rng) {
    if (interpolation == RB_INTERPOLATION_RANDOM) return rb_rng_below(rng, 2);
    return interpolation == RB_INTERPOLATION_BICUBIC;
}

static double draw_magnitude(const rb_policy *p, double magnitude, rb_rng *rng) {
    if (isinf(p->deviation))
        magnitude *= rb_rng_uniform(rng);
    else if (p->deviation > 0)
        magnitude += p->deviation * rb_rng_normal(rng);
    return fmax(0, fmin(magnitude, p->largest));
}

/* One operation; false when it does not happen. */
static bool draw_step(const rb_policy *p, const rb_policy_step *step, rb_interpolation interpolation,
                      rb_rng *rng, rb_change *change) {
    if (step->probability < 1 && rb_rng_uniform(rng) > step->probability) return false;
    double magnitude = draw_magnitude(p, step->magnitude, rng);
    bool negative = rb_level_has_sign(step->kind) && rb_rng_below(rng, 2);
    rb_sampling sampling = RB_SAMPLING_BICUBIC;
    if (rb_level_moves(step->kind) && !rb_interpolation_draw(interpolation, rng))
        sampling = RB_SAMPLING_BILINEAR;
    *change = rb_level_change(step->kind, magnitude, negative, sampling);
    return true;
}

/* By weight, among those that have not been drawn. */
static int draw_weighted(const double *weights, unsigned drawn, rb_rng *rng) {
    double sum = 0, at;
    int last = 0;
    for (int i = 0; i < RB_POLICY_CHOICES; i++) sum += drawn >> i & 1 ? 0 : weights[i];
    at = rb_rng_uniform(rng) * sum;
    for (int i = 0; i < RB_POLICY_CHOICES; i++) {
        if (drawn >> i & 1 || weights[i] <= 0) continue;
        last = i;
        if (at < weights[i]) return i;
        at -= weights[i];
    }
    return last; /* rounding */
}

/* RandAugment draws all its operations before the first one's magnitude. */
static int draw_rand(const rb_policy *p, rb_interpolation interpolation, rb_rng *rng, rb_change *changes) {
    int which[RB_POLICY_LAYERS], count = 0;
    unsigned drawn = 0;
    for (int i = 0; i < p->layers; i++) {
        which[i] =
            p->weights ? draw_weighted(p->weights, drawn, rng) : (int)rb_rng_below(rng, RB_POLICY_CHOICES);
        drawn |= 1u << which[i];
    }
    for (int i = 0; i < p->layers; i++) {
        rb_policy_step step = {p->choices[which[i]], p->probability, p->magnitude};
        count += draw_step(p, &step, interpolation, rng, &changes[count]);
    }
    return count;
}

int rb_policy_draw(const rb_policy *p, rb_interpolation interpolation, rb_rng *rng,
                   rb_change changes[RB_POLICY_LAYERS]) {
    if (p->layers) return draw_rand(p, interpolation, rng, changes);
    if (!p->pairs) return 0;
    const rb_policy_step *pair = p->pairs[rb_rng_below(rng, RB_POLICY_PAIRS)];
    int count = draw_step(p, &pair[0], interpolation, rng, &changes[0]);
    return count + draw_step(p, &pair[1], interpolation, rng, &changes[count]);
}

/* ---- colour jitter ---- */

revbifpn_status rb_jitter_parse(rb_jitter *j, const char *text, rb_error *err) {
    *j = (rb_jitter){0};
    int count = 0;
    const char *at = text;
    char *end;
    for (bool more = *text; more && count < RB_JITTERS; at = end + 1) {
        double v = strtod(at, &end);
        bool good = end != at && (*end == ',' || !*end) && v >= 0 && v <= (count == 3 ? 0.5 : 100);
        if (!good)
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "color-jitter '%.60s': number %d is not %s", text,
                           count + 1, count == 3 ? "a hue of 0 … 0.5" : "0 … 100");
        j->amount[count++] = v;
        more = *end;
        if (more && count == RB_JITTERS) count++;
    }
    if (count == 1) j->amount[1] = j->amount[2] = j->amount[0];
    if (count == 2 || count > RB_JITTERS)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "color-jitter '%.60s': one, three or four numbers", text);
    return REVBIFPN_OK;
}

int rb_jitter_draw(const rb_jitter *j, rb_rng *rng, rb_change changes[RB_JITTERS]) {
    static const rb_change_kind kinds[RB_JITTERS] = {RB_CHANGE_BRIGHTNESS, RB_CHANGE_CONTRAST,
                                                     RB_CHANGE_COLOR, RB_CHANGE_HUE};
    int order[RB_JITTERS] = {0, 1, 2, 3}, count = 0;
    double drawn[RB_JITTERS] = {0};
    for (int i = RB_JITTERS - 1; i > 0; i--) {
        int k = (int)rb_rng_below(rng, (uint32_t)i + 1), keep = order[i];
        order[i] = order[k];
        order[k] = keep;
    }
    for (int i = 0; i < RB_JITTERS; i++) {
        double a = j->amount[i], centre = i == 3 ? 0 : 1, low = i == 3 ? -a : fmax(0, 1 - a);
        if (a > 0) drawn[i] = low + (centre + a - low) * rb_rng_uniform(rng);
    }
    for (int i = 0; i < RB_JITTERS; i++)
        if (j->amount[order[i]] > 0)
            changes[count++] = (rb_change){.kind = kinds[order[i]], .argument = drawn[order[i]]};
    return count;
}
