#include "data/erase.h"

#include <math.h>
#include <string.h>

revbifpn_status rb_erase_mode_parse(rb_erase_mode *mode, const char *text, rb_error *err) {
    static const char *const names[] = {"const", "rand", "pixel"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, names[i])) return *mode = (rb_erase_mode)i, REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "remode '%.40s': const, rand or pixel", text);
}

revbifpn_status rb_erase_check(const rb_erase *e, rb_error *err) {
    if (!(e->probability >= 0 && e->probability <= 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "reprob %g: not a probability", e->probability);
    if (e->count < 1 || e->count > RB_ERASE_BOXES)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "recount %d: from 1 to %d", e->count, RB_ERASE_BOXES);
    return REVBIFPN_OK;
}

bool rb_erase_size(int width, int height, int boxes, double share, double log_aspect, int *w, int *h) {
    double area = share * ((double)width * height) / boxes, aspect = exp(log_aspect);
    double high = nearbyint(sqrt(area * aspect)), wide = nearbyint(sqrt(area / aspect));
    if (!(wide < width && high < height)) return false;
    *w = (int)wide;
    *h = (int)high;
    return true;
}

static double uniform(rb_rng *rng, double low, double high) {
    return low + (high - low) * rb_rng_uniform(rng);
}

static bool draw_box(int width, int height, int boxes, rb_rng *rng, rb_erasure *e) {
    bool fits = false;
    for (int i = 0; i < 10 && !fits; i++) {
        double share = uniform(rng, 0.02, 1.0 / 3), log_aspect = uniform(rng, log(0.3), log(1 / 0.3));
        fits = rb_erase_size(width, height, boxes, share, log_aspect, &e->w, &e->h);
    }
    if (!fits) return false;
    e->y = (int)rb_rng_below(rng, (uint32_t)(height - e->h) + 1);
    e->x = (int)rb_rng_below(rng, (uint32_t)(width - e->w) + 1);
    return e->w > 0 && e->h > 0; /* on a picture of a few pixels a box may round to nothing */
}

int rb_erase_draw(const rb_erase *e, int width, int height, uint64_t seed, uint64_t epoch, uint64_t sample,
                  rb_erasure erasures[RB_ERASE_BOXES]) {
    rb_rng rng = rb_rng_open(seed, RB_PURPOSE_ERASE, epoch, sample);
    if (!(rb_rng_uniform(&rng) < e->probability)) return 0;
    int boxes = e->count > 1 ? 1 + (int)rb_rng_below(&rng, (uint32_t)e->count) : 1, drawn = 0;
    for (int i = 0; i < boxes; i++) {
        if (!draw_box(width, height, boxes, &rng, &erasures[drawn])) continue;
        erasures[drawn].values =
            rb_rng_open(seed, RB_PURPOSE_ERASE_VALUES, epoch | (uint64_t)i << 32, sample);
        drawn++;
    }
    return drawn;
}
