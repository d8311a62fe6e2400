#include "model/config.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FAIL(...) rb_fail(err, REVBIFPN_BAD_ARGUMENT, __VA_ARGS__)

enum {
    NAMED = 7,
    MAX_CHANNELS = 65536,
    MAX_KERNEL = 63, /* a silo of six streams has 2·2^5 − 1 */
    MAX_COUNT = 1 << 20,
    MAX_SIDE = 65536
};

/* ---- the published networks (DESIGN 3) ---- */

static const struct {
    double width;
    int image, extension_levels;
    double drop, drop_path;
} published[NAMED] = {{1, 224, 2, 0.25, 0},         {4.0 / 3, 256, 2, 0.25, 0}, {2, 256, 2, 0.3, 0},
                      {8.0 / 3, 288, 3, 0.3, 0.05}, {4, 320, 4, 0.4, 0.1},      {16.0 / 3, 352, 4, 0.4, 0.1},
                      {20.0 / 3, 352, 5, 0.6, 0.3}};

static int scaled(double width, int channels) { return 16 * ((int)(width * channels) / 16); }

static void fill(int variant, revbifpn_model_config *c) {
    static const revbifpn_model_config base = {.struct_size = sizeof(revbifpn_model_config),
                                               .streams = 4,
                                               .input_channels = 3,
                                               .widths = {48, 64, 80, 160},
                                               .kernels = {3, 5, 5, 3},
                                               .kernel_pads = {0, 0, 0, 2},
                                               .expansions = {1, 1, 2, 2},
                                               .squeeze_ratios = {0.25, 0.25, 0.125, 0},
                                               .blocks_per_level = 2,
                                               .neck = 1,
                                               .head_widths = {48, 64, 128, 320},
                                               .head_kernels = {5, 5, 5, 5},
                                               .head_expansions = {1, 2, 2, 2},
                                               .head_squeeze_ratios = {0.25, 0.25, 0.125, 0.125},
                                               .fc_features = 1280,
                                               .classes = 1000};
    *c = base;
    snprintf(c->name, sizeof c->name, "s%d", variant);
    for (int i = 0; i < c->streams; i++) {
        c->widths[i] = scaled(published[variant].width, base.widths[i]);
        c->head_widths[i] = scaled(published[variant].width, base.head_widths[i]);
    }
    c->fc_features = scaled(published[variant].width, base.fc_features);
    c->extension_levels = published[variant].extension_levels;
    c->drop = published[variant].drop;
    c->drop_path = published[variant].drop_path;
    c->image_width = c->image_height = published[variant].image;
}

enum { MAX_NAME = 32 };

/* Levenshtein distance of two short texts. */
static int edit_distance(const char *a, const char *b) {
    int row[MAX_NAME + 1], n = (int)strlen(b);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            if (change < row[j]) row[j] = change;
        }
    }
    return row[n];
}

/* The nearest by spelling; among equals by number, so that "s9" is told of "s6". */
static int nearest(const char *given) {
    int best = 0, least = INT_MAX, number = 0;
    const char *digits = given + strcspn(given, "0123456789");
    if (*digits) number = atoi(digits);
    for (int i = 0; i < NAMED; i++) {
        char plain[MAX_NAME], prefixed[MAX_NAME];
        snprintf(plain, sizeof plain, "s%d", i);
        snprintf(prefixed, sizeof prefixed, "revbifpn_s%d", i);
        int d = edit_distance(given, plain), e = edit_distance(given, prefixed);
        int apart = abs(number - i) < 100 ? abs(number - i) : 99;
        int cost = (d < e ? d : e) * 100 + apart;
        if (cost < least) {
            least = cost;
            best = i;
        }
    }
    return best;
}

revbifpn_status rb_config_named(const char *name, revbifpn_model_config *out, rb_error *err) {
    static const char prefix[] = "revbifpn_";
    const char *plain = strncasecmp(name, prefix, sizeof prefix - 1) ? name : name + sizeof prefix - 1;
    if ((plain[0] == 's' || plain[0] == 'S') && plain[1] >= '0' && plain[1] < '0' + NAMED && !plain[2]) {
        fill(plain[1] - '0', out);
        return REVBIFPN_OK;
    }
    return FAIL("unknown model '%.40s'; the nearest is 's%d' (there are s0 … s%d)", name, nearest(name),
                NAMED - 1);
}

/* ---- rules ---- */

static revbifpn_status check_count(const char *key, int value, int least, int most, rb_error *err) {
    if (value >= least && value <= most) return REVBIFPN_OK;
    return FAIL("%s is %d, must be %d … %d", key, value, least, most);
}

static revbifpn_status check_counts(const char *key, const int *values, int streams, int least, int most,
                                    rb_error *err) {
    for (int i = 0; i < streams; i++)
        if (values[i] < least || values[i] > most)
            return FAIL("%s[%d] is %d, must be %d … %d", key, i, values[i], least, most);
    return REVBIFPN_OK;
}

static revbifpn_status check_ratios(const char *key, const double *values, int streams, rb_error *err) {
    for (int i = 0; i < streams; i++)
        if (!(values[i] >= 0 && values[i] <= 1))
            return FAIL("%s[%d] is %g, must be 0 … 1 (0 for none)", key, i, values[i]);
    return REVBIFPN_OK;
}

static revbifpn_status check_rate(const char *key, double value, rb_error *err) {
    if (value >= 0 && value < 1) return REVBIFPN_OK;
    return FAIL("%s is %g, must be at least 0 and below 1", key, value);
}

/* Odd kernels keep the map's size, also after an even pad. */
static revbifpn_status check_kernels(const char *key, const char *pad_key, const int *kernels,
                                     const int *pads, int streams, rb_error *err) {
    revbifpn_status status;
    TRY(check_counts(key, kernels, streams, 1, MAX_KERNEL, err));
    TRY(check_counts(pad_key, pads, streams, 0, MAX_KERNEL, err));
    for (int i = 0; i < streams; i++) {
        if (pads[i] % 2)
            return FAIL("%s[%d] is %d, must be even: %d or %d", pad_key, i, pads[i], pads[i] - 1,
                        pads[i] + 1);
        if (kernels[i] % 2 == 0)
            return FAIL("%s[%d] is %d, must be odd: %d or %d", key, i, kernels[i], kernels[i] - 1,
                        kernels[i] + 1);
        if (kernels[i] + pads[i] > MAX_KERNEL)
            return FAIL("%s[%d] with its pad is %d, must be at most %d", key, i, kernels[i] + pads[i],
                        MAX_KERNEL);
    }
fail:
    return status;
}

static revbifpn_status check_widths(const revbifpn_model_config *c, rb_error *err) {
    revbifpn_status status;
    TRY(check_counts("widths", c->widths, c->streams, 2, MAX_CHANNELS, err));
    int first = c->widths[0];
    if (first % 16)
        return FAIL("widths[0] is %d, must be a multiple of 16 (4×4 space to depth): %d or %d", first,
                    first < 16 ? 16 : first / 16 * 16, first / 16 * 16 + 16);
    for (int i = 1; i < c->streams; i++)
        if (c->widths[i] % 2)
            return FAIL("widths[%d] is %d, must be even (it is split in halves): %d or %d", i, c->widths[i],
                        c->widths[i] - 1, c->widths[i] + 1);
    TRY(check_count("input_channels", c->input_channels, 1, MAX_CHANNELS / 16, err));
    if (16 * c->input_channels > first)
        return FAIL(
            "widths[0] is %d and holds %d input channels; input_channels %d needs widths[0] of %d or more",
            first, first / 16, c->input_channels, 16 * c->input_channels);
fail:
    return status;
}

static revbifpn_status check_head(const revbifpn_model_config *c, rb_error *err) {
    revbifpn_status status;
    TRY(check_count("neck", c->neck, 0, 1, err));
    TRY(check_count("classes", c->classes, 0, MAX_COUNT, err));
    if (c->classes == 1) return FAIL("classes is 1, must be at least 2, or 0 for no classification head");
    TRY(check_count("fc_features", c->fc_features, c->classes ? 1 : 0, MAX_COUNT, err));
    if (!c->neck && !c->classes) return REVBIFPN_OK;
    if (c->neck) TRY(check_counts("head_widths", c->head_widths, c->streams, 1, MAX_CHANNELS, err));
    TRY(check_kernels("head_kernels", "head_kernel_pads", c->head_kernels, c->head_kernel_pads, c->streams,
                      err));
    TRY(check_counts("head_expansions", c->head_expansions, c->streams, 1, 8, err));
    TRY(check_ratios("head_squeeze_ratios", c->head_squeeze_ratios, c->streams, err));
fail:
    return status;
}

static revbifpn_status check_side(const char *key, int side, int streams, rb_error *err) {
    int cell = 4 << (streams - 1);
    revbifpn_status status = check_count(key, side, 1, MAX_SIDE, err);
    if (status != REVBIFPN_OK || side % cell == 0) return status;
    int below = side / cell * cell;
    if (!below) return FAIL("%s is %d, must be a multiple of %d: %d", key, side, cell, cell);
    return FAIL("%s is %d, must be a multiple of %d: %d or %d", key, side, cell, below, below + cell);
}

static revbifpn_status check_name(const char *name, size_t size, rb_error *err) {
    if (!*name || !memchr(name, 0, size)) return FAIL("name is empty or longer than %zu bytes", size - 1);
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127)
            return FAIL("name holds a control code at byte %zu", (size_t)(p - name));
    return REVBIFPN_OK;
}

revbifpn_status rb_config_check(const revbifpn_model_config *c, rb_error *err) {
    revbifpn_status status;
    TRY(check_name(c->name, sizeof c->name, err));
    TRY(check_count("streams", c->streams, 2, REVBIFPN_MAX_STREAMS, err));
    TRY(check_widths(c, err));
    TRY(check_kernels("kernels", "kernel_pads", c->kernels, c->kernel_pads, c->streams, err));
    TRY(check_counts("expansions", c->expansions, c->streams, 1, 8, err));
    TRY(check_ratios("squeeze_ratios", c->squeeze_ratios, c->streams, err));
    TRY(check_count("blocks_per_level", c->blocks_per_level, 0, 64, err));
    TRY(check_count("extension_levels", c->extension_levels, 0, 1024, err));
    TRY(check_head(c, err));
    TRY(check_rate("drop", c->drop, err));
    TRY(check_rate("drop_path", c->drop_path, err));
    TRY(check_side("image_width", c->image_width, c->streams, err));
    TRY(check_side("image_height", c->image_height, c->streams, err));
fail:
    return status;
}

/* ---- comparison ---- */

typedef struct difference {
    char *text;
    size_t size;
    bool found; /* only the first one is told */
} difference;

static void compare_value(difference *d, const char *key, int index, double a, double b) {
    if (a == b || d->found) return;
    d->found = true;
    if (!d->text || !d->size) return;
    if (index < 0)
        snprintf(d->text, d->size, "%s: %.10g and %.10g", key, a, b);
    else
        snprintf(d->text, d->size, "%s[%d]: %.10g and %.10g", key, index, a, b);
}

static void compare_ints(difference *d, const char *key, const int *a, const int *b, int n) {
    for (int i = 0; i < n; i++) compare_value(d, key, i, a[i], b[i]);
}

static void compare_reals(difference *d, const char *key, const double *a, const double *b, int n) {
    for (int i = 0; i < n; i++) compare_value(d, key, i, a[i], b[i]);
}

bool rb_config_equal_architecture(const revbifpn_model_config *a, const revbifpn_model_config *b, char *text,
                                  size_t size) {
    difference d = {text, size, false};
    compare_value(&d, "streams", -1, a->streams, b->streams);
    int n = a->streams < b->streams ? a->streams : b->streams;
    compare_value(&d, "classes", -1, a->classes, b->classes);
    compare_value(&d, "input_channels", -1, a->input_channels, b->input_channels);
    compare_ints(&d, "widths", a->widths, b->widths, n);
    compare_ints(&d, "kernels", a->kernels, b->kernels, n);
    compare_ints(&d, "kernel_pads", a->kernel_pads, b->kernel_pads, n);
    compare_ints(&d, "expansions", a->expansions, b->expansions, n);
    compare_reals(&d, "squeeze_ratios", a->squeeze_ratios, b->squeeze_ratios, n);
    compare_value(&d, "blocks_per_level", -1, a->blocks_per_level, b->blocks_per_level);
    compare_value(&d, "extension_levels", -1, a->extension_levels, b->extension_levels);
    compare_value(&d, "neck", -1, a->neck, b->neck);
    if (a->neck) compare_ints(&d, "head_widths", a->head_widths, b->head_widths, n);
    if (a->neck || a->classes) {
        compare_ints(&d, "head_kernels", a->head_kernels, b->head_kernels, n);
        compare_ints(&d, "head_kernel_pads", a->head_kernel_pads, b->head_kernel_pads, n);
        compare_ints(&d, "head_expansions", a->head_expansions, b->head_expansions, n);
        compare_reals(&d, "head_squeeze_ratios", a->head_squeeze_ratios, b->head_squeeze_ratios, n);
    }
    if (a->classes) compare_value(&d, "fc_features", -1, a->fc_features, b->fc_features);
    return !d.found;
}

revbifpn_detector_config rb_config_detector(const revbifpn_model_config *backbone, int classes, bool masks) {
    revbifpn_detector_config c = {.struct_size = sizeof c, .backbone = *backbone, .classes = classes};
    c.masks = masks;
    c.backbone.classes = 0;
    c.backbone.neck = true;
    c.channels = 256;
    c.features = 1024;
    c.train_per_level = 2000;
    c.test_per_level = c.train_proposals = c.test_proposals = 1000;
    c.anchors_drawn = 256;
    c.boxes_drawn = 512;
    c.most_objects = 100;
    c.long_side = 1333;
    c.short_side = 800;
    return c;
}
