#include "data/mix.h"

#include <math.h>
#include <string.h>

rb_mix rb_mix_default(void) { return (rb_mix){.probability = 1, .switch_probability = 0.5}; }

static bool by_range(const rb_mix *m) { return m->cut_min > 0 || m->cut_max > 0; }
static bool can_cut(const rb_mix *m) { return m->cutmix > 0 || by_range(m); }

bool rb_mix_used(const rb_mix *m) { return m->mixup > 0 || can_cut(m); }

revbifpn_status rb_mix_mode_parse(rb_mix_mode *mode, const char *text, rb_error *err) {
    static const char *const names[] = {"batch", "pair", "elem", "half"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(text, names[i])) return *mode = (rb_mix_mode)i, REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "mixup-mode '%.40s': batch, pair, elem or half", text);
}

/* Sides of min/max boxes: low … high − 1 pixels. */
static bool sides(double low, double high, int length, int *from, int *count) {
    *from = (int)(length * low);
    *count = (int)(length * high) - *from;
    return *count > 0;
}

revbifpn_status rb_mix_check(const rb_mix *m, int batch, int width, int height, rb_error *err) {
    const struct {
        const char *name;
        double value, high;
    } numbers[] = {{"mixup", m->mixup, 1e3},
                   {"cutmix", m->cutmix, 1e3},
                   {"mixup-prob", m->probability, 1},
                   {"mixup-switch-prob", m->switch_probability, 1}};
    int from, count;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(numbers[i].value >= 0 && numbers[i].value <= numbers[i].high))
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s %g: from 0 to %g", numbers[i].name,
                           numbers[i].value, numbers[i].high);
    if (by_range(m) && !(m->cut_min >= 0 && m->cut_min < m->cut_max && m->cut_max <= 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "cutmix-minmax %g,%g: not a range within 0 … 1",
                       m->cut_min, m->cut_max);
    if (by_range(m) && !(sides(m->cut_min, m->cut_max, width, &from, &count) &&
                         sides(m->cut_min, m->cut_max, height, &from, &count)))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "cutmix-minmax %g,%g: no box of such sides in %d x %d pixels", m->cut_min, m->cut_max,
                       width, height);
    if (rb_mix_used(m) && batch % 2)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "batch %d: mixup and cutmix mix pairs and need an even batch", batch);
    return REVBIFPN_OK;
}

/* ---- mixtures ---- */

static int within(int v, int end) { return v < 0 ? 0 : v < end ? v : end; }

static rb_mixture mixture_of(double lambda, bool single) {
    float share = (float)lambda;
    return (rb_mixture){.share = share, .rest = single ? 1.0f - share : (float)(1.0 - lambda)};
}

rb_box rb_cut_box(int height, int width, double lambda, bool single, int cy, int cx) {
    int h, w;
    if (single) {
        float side = sqrtf(1.0f - (float)lambda);
        h = (int)((float)height * side);
        w = (int)((float)width * side);
    } else {
        double side = sqrt(1 - lambda);
        h = (int)(height * side);
        w = (int)(width * side);
    }
    return (rb_box){.y0 = within(cy - h / 2, height),
                    .y1 = within(cy + h / 2, height),
                    .x0 = within(cx - w / 2, width),
                    .x1 = within(cx + w / 2, width)};
}

rb_mixture rb_cut_mixture(int height, int width, rb_box box, bool single) {
    double area = (double)(box.y1 - box.y0) * (box.x1 - box.x0);
    rb_mixture m = mixture_of(1.0 - area / ((double)height * width), single);
    m.cut = true;
    m.box = box;
    return m;
}

rb_mixture rb_mixup_mixture(double lambda, bool single) { return mixture_of(lambda, single); }

/* ---- drawing ---- */

/* The logarithm of a Gamma(α, 1): Marsaglia and Tsang's method for α + 1, times a uniform's power 1/α. The
 * logarithm because for small α the value itself is often below the smallest double. */
static double draw_log_gamma(double alpha, rb_rng *rng) {
    double d = alpha + 1 - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rb_rng_normal(rng), v = 1 + c * x, u = 1 - rb_rng_uniform(rng);
        if (v <= 0) continue;
        v = v * v * v;
        if (log(u) >= 0.5 * x * x + d - d * v + d * log(v)) continue;
        return log(d * v) + log(1 - rb_rng_uniform(rng)) / alpha;
    }
}

/* Beta(α, α) from two Gammas. */
static double draw_beta(double alpha, rb_rng *rng) {
    double a = draw_log_gamma(alpha, rng), b = draw_log_gamma(alpha, rng);
    return 1 / (1 + exp(b - a));
}

static rb_mixture draw_cut(const rb_mix *m, int height, int width, double lambda, bool single, rb_rng *rng) {
    rb_box box;
    if (by_range(m)) {
        int low_h, low_w, count_h, count_w;
        sides(m->cut_min, m->cut_max, height, &low_h, &count_h);
        sides(m->cut_min, m->cut_max, width, &low_w, &count_w);
        int h = low_h + (int)rb_rng_below(rng, (uint32_t)count_h);
        int w = low_w + (int)rb_rng_below(rng, (uint32_t)count_w);
        box.y0 = (int)rb_rng_below(rng, (uint32_t)(height - h)); /* h < height: the range's end is left out */
        box.x0 = (int)rb_rng_below(rng, (uint32_t)(width - w));
        box.y1 = box.y0 + h;
        box.x1 = box.x0 + w;
    } else {
        int cy = (int)rb_rng_below(rng, (uint32_t)height), cx = (int)rb_rng_below(rng, (uint32_t)width);
        box = rb_cut_box(height, width, lambda, single, cy, cx);
    }
    return rb_cut_mixture(height, width, box, single);
}

static rb_mixture draw_mixture(const rb_mix *m, int height, int width, bool single, rb_rng *rng) {
    if (!(rb_rng_uniform(rng) < m->probability)) return mixture_of(1, single);
    bool cut = can_cut(m);
    if (cut && m->mixup > 0) cut = rb_rng_uniform(rng) < m->switch_probability;
    double alpha = !cut ? m->mixup : by_range(m) ? 1 : m->cutmix, lambda = draw_beta(alpha, rng);
    if (single) lambda = (double)(float)lambda;
    if (cut && lambda != 1) return draw_cut(m, height, width, lambda, single, rng);
    return mixture_of(lambda, single);
}

void rb_mix_draw(const rb_mix *m, int batch, int height, int width, uint64_t seed, uint64_t epoch,
                 uint64_t index, rb_mixture *mixtures) {
    rb_rng rng = rb_rng_open(seed, RB_PURPOSE_MIX, epoch, index);
    bool single = m->mode != RB_MIX_BATCH;
    int drawn = m->mode == RB_MIX_BATCH ? 1 : m->mode == RB_MIX_ELEM ? batch : batch / 2;
    for (int i = 0; i < drawn; i++) mixtures[i] = draw_mixture(m, height, width, single, &rng);
    for (int i = drawn; i < batch; i++)
        mixtures[i] = m->mode == RB_MIX_HALF ? mixture_of(1, single)
                                             : mixtures[m->mode == RB_MIX_BATCH ? 0 : batch - 1 - i];
}

/* ---- mixing ---- */

/* a·share + b·rest in float32, rounded half to even: adding 3·2^22 leaves no room for a fraction. */
static uint8_t blend(uint8_t a, uint8_t b, const rb_mixture *m) {
    const float whole = 12582912.0f;
    float v = (float)a * m->share + (float)b * m->rest;
    return (uint8_t)(int)((v + whole) - whole);
}

/* A run of values that both pictures treat alike: cut (take the partner's), kept or blended. */
typedef enum treatment { KEPT, TAKEN, BLENDED } treatment;

static treatment treatment_of(const rb_mixture *m, int y, int x) {
    if (!m->cut) return m->share == 1 ? KEPT : BLENDED;
    return y >= m->box.y0 && y < m->box.y1 && x >= m->box.x0 && x < m->box.x1 ? TAKEN : KEPT;
}

static void mix_run(uint8_t *a, uint8_t *b, size_t count, treatment ta, treatment tb, const rb_mixture *ma,
                    const rb_mixture *mb) {
    if (ta == KEPT && tb == KEPT) return;
    if (ta == BLENDED && tb == BLENDED) {
        for (size_t i = 0; i < count; i++) {
            uint8_t mixed = blend(a[i], b[i], ma);
            b[i] = blend(b[i], a[i], mb);
            a[i] = mixed;
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t was = a[i];
        a[i] = ta == KEPT ? was : ta == TAKEN ? b[i] : blend(was, b[i], ma);
        b[i] = tb == KEPT ? b[i] : tb == TAKEN ? was : blend(b[i], was, mb);
    }
}

/* The next column after `x` where a box begins or ends, or the width. */
static int next_edge(const rb_mixture *a, const rb_mixture *b, int x, int width) {
    int edges[4] = {a->box.x0, a->box.x1, b->box.x0, b->box.x1}, next = width;
    for (int i = 0; i < 4; i++)
        if (edges[i] > x && edges[i] < next) next = edges[i];
    return next;
}

static void mix_pair(const rb_mixture *ma, const rb_mixture *mb, int height, int width, uint8_t *a,
                     uint8_t *b) {
    for (int y = 0; y < height; y++)
        for (int x = 0, next; x < width; x = next) {
            next = next_edge(ma, mb, x, width);
            size_t at = ((size_t)y * (size_t)width + (size_t)x) * 3;
            mix_run(a + at, b + at, (size_t)(next - x) * 3, treatment_of(ma, y, x), treatment_of(mb, y, x),
                    ma, mb);
        }
}

void rb_mix_images(const rb_mixture *mixtures, int batch, int height, int width, uint8_t *images) {
    size_t size = (size_t)height * (size_t)width * 3;
    for (int i = 0; i < batch / 2; i++) {
        int j = batch - 1 - i;
        mix_pair(&mixtures[i], &mixtures[j], height, width, images + (size_t)i * size,
                 images + (size_t)j * size);
    }
}

void rb_mix_targets(const rb_mixture *mixtures, int batch, int classes, double smoothing,
                    const int32_t *labels, float *targets) {
    float off = (float)(smoothing / classes), on = (float)(1.0 - smoothing + smoothing / classes);
    for (int i = 0; i < batch; i++, targets += classes) {
        const rb_mixture *m = &mixtures[i];
        int mine = labels[i], other = labels[batch - 1 - i];
        float both_off = off * m->share + off * m->rest;
        for (int c = 0; c < classes; c++) targets[c] = both_off;
        targets[mine] = on * m->share + off * m->rest;
        targets[other] = (mine == other ? on : off) * m->share + on * m->rest;
    }
}
