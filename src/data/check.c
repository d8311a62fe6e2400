#include "data/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "base/memory.h"
#include "data/sample.h"

enum {
    CHUNK = 256 /* pictures between two calls of progress */,
    CHANNELS = 3,
    CHANNELS_MAX = REVBIFPN_CHECK_CHANNELS,
    UNBALANCED = 10
};

/* What is known of a picture. */
typedef struct record {
    XXH128_hash_t bytes, pixels;
    char *reason; /* why it is unreadable; owned */
    const char *format;
    int width, height;
    int equal; /* the earlier picture that it equals, + 1 */
    unsigned char equal_kind;
    bool has_bytes, has_pixels, damaged, grey;
} record;

typedef struct sums {
    uint64_t pixels, sum[CHANNELS_MAX];                             /* exact up to 2^48 pixels */
    uint64_t squares_low[CHANNELS_MAX], squares_high[CHANNELS_MAX]; /* Σ squares = high · 2^32 + low */
    rb_error failure;
} sums;

typedef struct checker {
    const rb_dataset *data;
    const revbifpn_check_options *options;
    revbifpn_check_report *report;
    record *records; /* of train, then of val */
    uint32_t *order; /* indexes, to sort */
    sums *sums;      /* of each thread */
    int count, first;
    int raster; /* channels of 16-bit rasters; 0: 8-bit RGB */
} checker;

static const rb_sample *sample_of(const checker *c, int i) {
    int train = c->data->train.count;
    return i < train ? &c->data->train.samples[i] : &c->data->val.samples[i - train];
}

static bool in_val(const checker *c, int i) { return i >= c->data->train.count; }

/* ---- one picture ---- */

/* Of one picture; its own squares fit into 64 bits. */
static void add_sums(sums *s, int channel, uint64_t sum, uint64_t squares) {
    s->sum[channel] += sum;
    s->squares_low[channel] += squares & UINT32_MAX;
    s->squares_high[channel] += squares >> 32;
}

static void add_pixels(const rb_image *image, record *r, sums *s) {
    size_t count = (size_t)image->width * (size_t)image->height;
    uint64_t sum[CHANNELS] = {0}, squares[CHANNELS] = {0};
    unsigned colour = 0;
    for (const uint8_t *p = image->pixels, *end = p + 3 * count; p < end; p += 3) {
        colour |= (unsigned)(p[0] ^ p[1]) | (unsigned)(p[1] ^ p[2]);
        for (int ch = 0; ch < CHANNELS; ch++) {
            sum[ch] += p[ch];
            squares[ch] += (unsigned)p[ch] * p[ch];
        }
    }
    r->grey = !colour;
    if (!s) return;
    s->pixels += count;
    for (int ch = 0; ch < CHANNELS; ch++) add_sums(s, ch, sum[ch], squares[ch]);
}

static void add_samples(const rb_raster *raster, record *r, sums *s) {
    size_t count = (size_t)raster->width * (size_t)raster->height, step = (size_t)raster->channels;
    const uint16_t *p = raster->samples;
    r->grey = step == 3;
    for (size_t i = 0; r->grey && i < count; i++)
        r->grey = p[3 * i] == p[3 * i + 1] && p[3 * i] == p[3 * i + 2];
    if (!s) return;
    s->pixels += count;
    for (size_t ch = 0; ch < step; ch++) {
        uint64_t sum = 0, squares = 0;
        for (size_t i = 0; i < count; i++) {
            uint64_t v = p[i * step + ch];
            sum += v;
            squares += v * v;
        }
        add_sums(s, (int)ch, sum, squares);
    }
}

/* Keeps the reason of an unreadable picture. */
static revbifpn_status keep_reason(record *r, const rb_error *why, rb_error *err) {
    size_t size = strlen(why->text) + 1;
    if (why->status == REVBIFPN_OUT_OF_MEMORY) return rb_fail(err, why->status, "%s", why->text);
    r->reason = rb_alloc(size);
    if (!r->reason) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for what is found");
    memcpy(r->reason, why->text, size);
    return REVBIFPN_OK;
}

/* Decodes one picture and adds it up; `s` may be NULL. The status is the picture's. */
static revbifpn_status take_image(const checker *c, const rb_sample *sample, const unsigned char *bytes,
                                  size_t size, record *r, sums *s, rb_decode_info *info, rb_error *why) {
    rb_decode_options options = {.max_pixels = c->options->max_pixels};
    rb_image image;
    revbifpn_status status = rb_sample_decode(sample, bytes, size, &options, &image, info, why);
    if (status) return status;
    r->width = image.width;
    r->height = image.height;
    r->pixels = XXH3_128bits_withSeed(image.pixels, (size_t)image.width * (size_t)image.height * 3,
                                      (uint64_t)image.width);
    add_pixels(&image, r, s);
    rb_image_free(&image);
    return REVBIFPN_OK;
}

static revbifpn_status take_raster(const checker *c, const rb_sample *sample, const unsigned char *bytes,
                                   size_t size, record *r, sums *s, rb_decode_info *info, rb_error *why) {
    rb_decode_options options = {.max_pixels = c->options->max_pixels, .channels = c->raster};
    rb_raster raster;
    revbifpn_status status = rb_sample_decode_raster(sample, bytes, size, &options, &raster, info, why);
    if (status) return status;
    size_t count = (size_t)raster.width * (size_t)raster.height * (size_t)raster.channels;
    r->width = raster.width;
    r->height = raster.height;
    r->pixels = XXH3_128bits_withSeed(raster.samples, count * sizeof *raster.samples, (uint64_t)raster.width);
    add_samples(&raster, r, s);
    rb_raster_free(&raster);
    return REVBIFPN_OK;
}

static revbifpn_status look_at(const checker *c, int i, sums *s, rb_error *err) {
    record *r = &c->records[i];
    const rb_sample *sample = sample_of(c, i);
    rb_decode_info info;
    rb_error why;
    unsigned char *bytes = NULL;
    size_t size = 0;
    if (rb_sample_bytes(sample, &bytes, &size, &why)) return keep_reason(r, &why, err);
    r->has_bytes = true;
    r->bytes = XXH3_128bits(bytes, size);
    revbifpn_status status = (c->raster ? take_raster : take_image)(c, sample, bytes, size, r,
                                                                    in_val(c, i) ? NULL : s, &info, &why);
    rb_free(bytes);
    if (status) return keep_reason(r, &why, err);
    r->has_pixels = true;
    r->damaged = info.damaged;
    r->format = info.format;
    return REVBIFPN_OK;
}

static void look_task(void *arg, int task, int thread) {
    checker *c = arg;
    sums *s = &c->sums[thread];
    rb_error err;
    if (!s->failure.status && look_at(c, c->first + task, s, &err)) s->failure = err;
}

static revbifpn_status look_at_all(checker *c, rb_pool *pool, rb_error *err) {
    for (c->first = 0; c->first < c->count; c->first += CHUNK) {
        int left = c->count - c->first, tasks = left < CHUNK ? left : CHUNK;
        rb_pool_run(pool, tasks, look_task, c);
        for (int t = 0; t < rb_pool_threads(pool); t++)
            if (c->sums[t].failure.status)
                return rb_fail(err, c->sums[t].failure.status, "%s", c->sums[t].failure.text);
        if (c->options->progress) c->options->progress(c->options->user, c->first + tasks, c->count);
    }
    return REVBIFPN_OK;
}

/* ---- equal pictures ---- */

static _Thread_local const record *sorted; /* qsort has no place for it */

static int by_hash(XXH128_hash_t a, XXH128_hash_t b, uint32_t i, uint32_t j) {
    if (a.high64 != b.high64) return a.high64 < b.high64 ? -1 : 1;
    if (a.low64 != b.low64) return a.low64 < b.low64 ? -1 : 1;
    return (i > j) - (i < j);
}

static int by_bytes(const void *a, const void *b) {
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return by_hash(sorted[i].bytes, sorted[j].bytes, i, j);
}

static int by_pixels(const void *a, const void *b) {
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return by_hash(sorted[i].pixels, sorted[j].pixels, i, j);
}

/* Of equal pictures order[0 … count − 1] all but the first are told: by one in the other split, else by one
 * of another class, else by the first. */
static void mark_group(const checker *c, const uint32_t *order, size_t count, revbifpn_finding_kind same) {
    int split[2] = {-1, -1}, label = sample_of(c, (int)order[0])->label, other = -1;
    for (size_t k = 0; k < count; k++) {
        int i = (int)order[k], first = (int)order[0], mine = sample_of(c, i)->label;
        int across = split[!in_val(c, i)], elsewhere = mine != label ? first : other;
        revbifpn_finding_kind kind = same;
        if (across >= 0) kind = REVBIFPN_IN_BOTH_SPLITS, first = across;
        if (across < 0 && elsewhere >= 0) kind = REVBIFPN_TWO_CLASSES, first = elsewhere;
        if (k) {
            c->records[i].equal = first + 1;
            c->records[i].equal_kind = (unsigned char)kind;
        }
        if (split[in_val(c, i)] < 0) split[in_val(c, i)] = i;
        if (other < 0 && mine != label) other = i;
    }
}

static void mark_equal(const checker *c, bool pixels) {
    size_t count = 0;
    for (int i = 0; i < c->count; i++) {
        const record *r = &c->records[i];
        if (pixels ? r->has_pixels && !r->equal : r->has_bytes) c->order[count++] = (uint32_t)i;
    }
    sorted = c->records;
    if (count) qsort(c->order, count, sizeof *c->order, pixels ? by_pixels : by_bytes);
    for (size_t i = 0, end; i < count; i = end) {
        XXH128_hash_t a = pixels ? sorted[c->order[i]].pixels : sorted[c->order[i]].bytes;
        for (end = i + 1; end < count; end++) {
            const record *r = &sorted[c->order[end]];
            if (!XXH128_isEqual(a, pixels ? r->pixels : r->bytes)) break;
        }
        if (end > i + 1)
            mark_group(c, c->order + i, end - i, pixels ? REVBIFPN_SAME_PIXELS : REVBIFPN_SAME_BYTES);
    }
}

/* ---- telling ---- */

static void __attribute__((format(printf, 4, 5)))
tell(const checker *c, revbifpn_finding_kind kind, const char *path, const char *format, ...) {
    static const char *const names[REVBIFPN_FINDINGS] = {
        "unreadable",      "damaged",     "in_both_splits", "two_classes", "same_bytes", "same_pixels",
        "wrong_extension", "empty_class", "tiny",           "huge",        "grey",       "unbalanced"};
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->report->found[kind]++;
    if (kind <= REVBIFPN_EMPTY_CLASS) c->report->faults++;
    revbifpn_finding finding = {.kind = kind, .name = names[kind], .path = path, .text = text};
    if (c->options->found) c->options->found(c->options->user, &finding);
}

static bool extension_fits(const char *path, const char *format) {
    static const char *const known[][2] = {{"jpg", "JPEG"},  {"jpeg", "JPEG"}, {"png", "PNG"},
                                           {"webp", "WebP"}, {"gif", "GIF"},   {"bmp", "BMP"},
                                           {"tif", "TIFF"},  {"tiff", "TIFF"}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(dot + 1, known[i][0])) return !strcmp(format, known[i][1]);
    return true; /* a list may name pictures as it likes */
}

static void tell_equal(const checker *c, int i) {
    static const char *const texts[REVBIFPN_FINDINGS] = {
        [REVBIFPN_IN_BOTH_SPLITS] = "the same picture is in the other split",
        [REVBIFPN_TWO_CLASSES] = "the same picture is in another class",
        [REVBIFPN_SAME_BYTES] = "the same file",
        [REVBIFPN_SAME_PIXELS] = "the same pixels"};
    const record *r = &c->records[i];
    if (r->equal)
        tell(c, r->equal_kind, sample_of(c, i)->path, "%s: %.900s", texts[r->equal_kind],
             sample_of(c, r->equal - 1)->path);
}

static void tell_picture(const checker *c, int i, bool mostly_colour) {
    const record *r = &c->records[i];
    const rb_sample *s = sample_of(c, i);
    if (r->reason) {
        size_t path = strlen(s->path); /* its reason usually begins with the path */
        bool named = !strncmp(r->reason, s->path, path) && !strncmp(r->reason + path, ": ", 2);
        tell(c, REVBIFPN_UNREADABLE, s->path, "%s", r->reason + (named ? path + 2 : 0));
    }
    if (r->damaged) tell(c, REVBIFPN_DAMAGED, s->path, "%s data is missing or wrong", r->format);
    tell_equal(c, i);
    if (!r->has_pixels) return;
    if (s->form != RB_SAMPLE_PLANES && !extension_fits(s->path, r->format))
        tell(c, REVBIFPN_WRONG_EXTENSION, s->path, "is %s", r->format);
    if (r->width < c->options->min_side || r->height < c->options->min_side)
        tell(c, REVBIFPN_TINY, s->path, "%d x %d pixels", r->width, r->height);
    if ((uint64_t)r->width * (uint64_t)r->height > c->options->huge_pixels)
        tell(c, REVBIFPN_HUGE, s->path, "%d x %d pixels", r->width, r->height);
    if (r->grey && !r->damaged && mostly_colour)
        tell(c, REVBIFPN_GREY, s->path, "grey, and most others are coloured");
}

static void tell_classes(const checker *c) {
    const rb_dataset *d = c->data;
    revbifpn_check_report *report = c->report;
    int smallest = 0, largest = 0; /* classes */
    const int *of = d->train.count ? d->train.per_class : d->val.per_class;
    for (int i = 0; i < d->classes; i++) {
        if (!of[i] && d->train.count)
            tell(c, REVBIFPN_EMPTY_CLASS, d->class_names[i], "a class without pictures");
        if (of[i] && (of[i] < of[smallest] || !of[smallest])) smallest = i;
        if (of[i] > of[largest]) largest = i;
        if (c->options->class_count)
            c->options->class_count(c->options->user, d->class_names[i], d->train.per_class[i],
                                    d->val.per_class[i]);
    }
    report->smallest_class = of[smallest];
    report->largest_class = of[largest];
    if (of[largest] >= UNBALANCED * of[smallest])
        tell(c, REVBIFPN_UNBALANCED, d->class_names[smallest], "%d pictures; '%.200s' has %d", of[smallest],
             d->class_names[largest], of[largest]);
}

/* ---- numbers ---- */

static void measure_sizes(const checker *c) {
    revbifpn_check_report *p = c->report;
    int64_t width = 0, height = 0, read = 0;
    for (int i = 0; i < c->count; i++) {
        const record *r = &c->records[i];
        if (!r->has_pixels) continue;
        int longer = r->width > r->height ? r->width : r->height, bin = 0;
        while (bin < REVBIFPN_SIZE_BINS - 1 && longer >> (bin + 1)) bin++;
        p->sizes[bin]++;
        if (!read || r->width < p->min_width) p->min_width = r->width;
        if (!read || r->height < p->min_height) p->min_height = r->height;
        if (r->width > p->max_width) p->max_width = r->width;
        if (r->height > p->max_height) p->max_height = r->height;
        width += r->width;
        height += r->height;
        read++;
    }
    p->mean_width = read ? (double)width / (double)read : 0;
    p->mean_height = read ? (double)height / (double)read : 0;
}

static void measure_channels(const checker *c, int threads) {
    revbifpn_check_report *p = c->report;
    int channels = c->raster ? c->raster : CHANNELS;
    double largest = c->raster ? 65535 : 255;
    sums all = {.pixels = 0};
    for (int t = 0; t < threads; t++) {
        all.pixels += c->sums[t].pixels;
        for (int ch = 0; ch < channels; ch++) {
            all.sum[ch] += c->sums[t].sum[ch];
            all.squares_low[ch] += c->sums[t].squares_low[ch];
            all.squares_high[ch] += c->sums[t].squares_high[ch];
        }
    }
    p->channels = all.pixels ? channels : 0;
    for (int ch = 0; ch < p->channels; ch++) {
        double mean = (double)all.sum[ch] / (double)all.pixels;
        double squares = (double)all.squares_high[ch] * 4294967296.0 + (double)all.squares_low[ch];
        double square = squares / (double)all.pixels - mean * mean;
        p->mean[ch] = mean / largest;
        p->std[ch] = square > 0 ? sqrt(square) / largest : 0;
    }
}

static bool is_mostly_colour(const checker *c) {
    int grey = 0, read = 0;
    for (int i = 0; i < c->count; i++) {
        read += c->records[i].has_pixels;
        grey += c->records[i].has_pixels && c->records[i].grey;
    }
    return 2 * grey < read;
}

static void sum_up(checker *c, int threads) {
    mark_equal(c, false);
    mark_equal(c, true);
    bool mostly_colour = is_mostly_colour(c);
    for (int i = 0; i < c->count; i++) tell_picture(c, i, mostly_colour);
    tell_classes(c);
    measure_sizes(c);
    measure_channels(c, threads);
}

revbifpn_status rb_check(const rb_dataset *data, const revbifpn_check_options *options, rb_pool *pool,
                         revbifpn_check_report *report, rb_error *err) {
    checker c = {.data = data, .options = options, .report = report};
    revbifpn_status status = REVBIFPN_OK;
    if (options->channels < 1 || options->channels > CHANNELS_MAX ||
        (options->bits != 0 && options->bits != 8 && options->bits != 16))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "channels %d, bits %d: 1 … %d channels of 8 or 16 bits can be", options->channels,
                       options->bits, CHANNELS_MAX);
    if (options->bits == 8 && options->channels != CHANNELS)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "bits 8: only for 3 channels; others have 16");
    if (options->bits == 16 || options->channels != CHANNELS) c.raster = options->channels;
    *report =
        (revbifpn_check_report){.train = data->train.count, .val = data->val.count, .classes = data->classes};
    if ((int64_t)data->train.count + data->val.count > INT32_MAX - CHUNK)
        return rb_fail(err, REVBIFPN_BAD_DATA, "more than %d pictures", INT32_MAX - CHUNK);
    c.count = data->train.count + data->val.count;
    c.records = rb_alloc(rb_size_mul((size_t)c.count, sizeof *c.records));
    c.order = rb_alloc(rb_size_mul((size_t)c.count, sizeof *c.order));
    c.sums = rb_alloc(rb_size_mul((size_t)rb_pool_threads(pool), sizeof *c.sums));
    if (c.records && c.order && c.sums)
        status = look_at_all(&c, pool, err);
    else
        status =
            rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for what is found in %d pictures", c.count);
    if (!status) sum_up(&c, rb_pool_threads(pool));
    for (int i = 0; c.records && i < c.count; i++) rb_free(c.records[i].reason);
    rb_free(c.records);
    rb_free(c.order);
    rb_free(c.sums);
    return status;
}
