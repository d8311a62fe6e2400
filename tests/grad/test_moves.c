/* Upsampling, the stem, and the loss: adjoint and inverse identities, central differences. */
#include "gradient.h"

/* ---- bilinear upsampling by the state addition, and its adjoint */

/* One axis as PyTorch defines it (align_corners = False): target t reads at max((t + ½)/f − ½, 0). */
static void axis(int target, int factor, int size, int *low, int *high, double *part) {
    double at = fmax((target + 0.5) / factor - 0.5, 0);
    *low = (int)at;
    *high = *low + 1 < size ? *low + 1 : *low;
    *part = at - *low;
}

static double upsampled(const float *z, rb_shape s, int factor, int n, int y, int x, int c) {
    int y0, y1, x0, x1;
    double py, px;
    axis(y, factor, s.h, &y0, &y1, &py);
    axis(x, factor, s.w, &x0, &x1, &px);
    const float *map = z + (size_t)(n * s.h * s.w * s.c + c);
    double a = (double)map[(y0 * s.w + x0) * s.c], b = (double)map[(y0 * s.w + x1) * s.c];
    double d = (double)map[(y1 * s.w + x0) * s.c], e = (double)map[(y1 * s.w + x1) * s.c];
    return (1 - py) * ((1 - px) * a + px * b) + py * ((1 - px) * d + px * e);
}

static void upsampling(void **state) {
    (void)state;
    FOR_LEVELS(level)
    for (int factor = 1; factor <= 8; factor *= 2) {
        setup *s = setup_open(level, 20 + factor);
        rb_shape low = {2, 3, 4, 5}, high = {2, 3 * factor, 4 * factor, 5};
        size_t count = rb_elements(high);
        float *z = random_floats(s, rb_elements(low), 1), *y = random_floats(s, count, 1);
        float *up = new_floats(s, count), *d_low = new_floats(s, rb_elements(low)), *one = new_floats(s, 5);
        for (int i = 0; i < 5; i++) one[i] = 1;
        int32_t *fixed = (int32_t *)(void *)new_floats(s, count);
        rb_watch watch = {0};
        rb_state_add a = {.shape = low,
                          .z = z,
                          .affine = {one, new_floats(s, 5)},
                          .factor = factor,
                          .k = 22,
                          .sign = 1,
                          .state = fixed,
                          .ld = 5};
        rb_state_add_run(&s->x, &a, &watch);
        for (size_t i = 0; i < count; i++) {
            up[i] = ldexpf((float)fixed[i], -22);
            int pixel = (int)(i / 5), x = pixel % high.w, row = pixel / high.w % high.h,
                n = pixel / (high.w * high.h);
            double want = upsampled(z, low, factor, n, row, x, (int)(i % 5));
            assert_true(fabs((double)up[i] - want) <=
                        4e-7); /* a few roundings of values up to 1, and half a step */
        }
        rb_upsample_backward(&s->x, low, factor, y, 5, d_low);
        check_adjoint("upsampling", level, up, y, count, z, d_low, rb_elements(low));
        a.sign = -1; /* undone: nothing is left */
        rb_state_add_run(&s->x, &a, NULL);
        for (size_t i = 0; i < count; i++) assert_int_equal(fixed[i], 0);
        setup_close(s);
    }
}

/* ---- the stem: where each value goes, and the way back */

static void stem(void **state) {
    (void)state;
    for (int channels = 1; channels <= 4; channels++) {
        setup *s = setup_open(RB_CPU_REF, 40 + channels);
        rb_shape image = {2, 8, 12, channels};
        int repeated = channels + 2, k = 20;
        size_t count = rb_elements(image), cells = (size_t)(2 * 2 * 3);
        uint8_t *bytes = (uint8_t *)new_floats(s, count);
        for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)rb_rng_below(&s->rng, 256);
        float mean[4] = {0.485f, 0.456f, 0.406f, 0.5f}, std[4] = {0.229f, 0.224f, 0.225f, 0.25f};
        int32_t *fixed = (int32_t *)(void *)new_floats(s, cells * 16 * (size_t)repeated);
        int32_t *again = (int32_t *)(void *)new_floats(s, cells * 16 * (size_t)repeated);
        rb_stem p = {.image = image,
                     .repeated = repeated,
                     .bytes = bytes,
                     .mean = mean,
                     .std = std,
                     .k = k,
                     .state = fixed};
        rb_watch watch = {0};
        rb_stem_forward(&s->x, &p, &watch);
        assert_false(watch.out_of_range || watch.not_finite);
        for (size_t i = 0; i < cells * 16 * (size_t)repeated; i++) {
            int c = (int)(i % (size_t)repeated), cell = (int)(i / (size_t)repeated % 16);
            int at = (int)(i / (size_t)repeated / 16), cx = at % 3, cy = at / 3 % 2, n = at / 6;
            int y = cy * 4 + cell / 4, x = cx * 4 + cell % 4, ci = c % channels;
            double byte = bytes[((n * 8 + y) * 12 + x) * channels + ci];
            double want = (byte / 255 - (double)mean[ci]) / (double)std[ci];
            /* float arithmetic of values up to 3, and half a step of the grid */
            assert_true(fabs(ldexp(fixed[i], -k) - want) <= 2e-6);
        }
        float *floats = new_floats(s, count);
        rb_stem_inverse(&s->x, image, repeated, k, fixed, floats);
        p.bytes = NULL, p.floats = floats, p.state = again;
        rb_stem_forward(&s->x, &p, &watch);
        assert_memory_equal(fixed, again, cells * 16 * (size_t)repeated * sizeof *fixed);
        setup_close(s);
    }
}

/* Bytes of which some leave the range of the grid are treated as floats are, whether the picture has such a
 * byte or not: the same state, and the watch sees the same. */
static void stem_at_the_edge_of_the_range(void **state) {
    (void)state;
    for (int wild = 0; wild < 2; wild++) {
        setup *s = setup_open(RB_CPU_REF, 50 + wild);
        rb_shape image = {1, 8, 8, 3};
        size_t count = rb_elements(image);
        float mean[3] = {0.485f, 0.456f, 0.5f}, std[3] = {0.229f, 0.224f, 1e-3f}; /* ±500, the range ±256 */
        uint8_t *bytes = (uint8_t *)new_floats(s, count);
        float *floats = new_floats(s, count);
        for (size_t i = 0; i < count; i++) {
            bytes[i] = (uint8_t)(wild && i == 77 ? 255 : 100 + rb_rng_below(&s->rng, 50));
            floats[i] = ((float)bytes[i] - 255.0f * mean[i % 3]) / (255.0f * std[i % 3]);
        }
        int32_t *from_bytes = (int32_t *)(void *)new_floats(s, count);
        int32_t *from_floats = (int32_t *)(void *)new_floats(s, count);
        rb_stem p = {.image = image, .repeated = 3, .bytes = bytes, .k = 22, .state = from_bytes};
        p.mean = mean, p.std = std;
        rb_watch a = {0}, b = {0};
        rb_stem_forward(&s->x, &p, &a);
        p.bytes = NULL, p.floats = floats, p.state = from_floats;
        rb_stem_forward(&s->x, &p, &b);
        assert_memory_equal(from_bytes, from_floats, count * sizeof *from_bytes);
        assert_true(a.out_of_range == (wild == 1) && b.out_of_range == a.out_of_range);
        assert_true(a.largest == b.largest && a.value == b.value && !a.not_finite && !b.not_finite);
        setup_close(s);
    }
}

/* ---- softmax loss */

typedef struct classes {
    int n, k;
    const int32_t *labels;
    double smoothing;
} classes;

static double softmax_loss(const function *f) {
    const classes *c = f->context;
    double loss = 0;
    for (int i = 0; i < c->n; i++) {
        const double *row = f->field[0].moved + i * c->k;
        double sum = 0;
        for (int k = 0; k < c->k; k++) sum += exp(row[k]);
        for (int k = 0; k < c->k; k++) {
            double target = c->smoothing / c->k + (k == c->labels[i] ? 1 - c->smoothing : 0);
            loss -= target * (row[k] - log(sum)) / c->n;
        }
    }
    return loss;
}

static void softmax_gradients(void **state) {
    (void)state;
    for (int smooth = 0; smooth < 2; smooth++) {
        setup *s = setup_open(RB_CPU_REF, 50);
        int32_t labels[4] = {0, 6, 3, 3};
        classes c = {4, 7, labels, (double)(smooth ? 0.1f : 0)};
        function f = {.loss = softmax_loss, .context = &c};
        field *logits = add_field(s, &f, "logits", 28, 4);
        double loss;
        rb_softmax_loss(&s->x, 4, 7, logits->value, labels, (float)c.smoothing, &loss, logits->gradient);
        assert_true(fabs(loss - softmax_loss(&f)) <= 1e-12 * loss); /* both in double */
        check_gradients(&f, "softmax loss", RB_CPU_REF);
        setup_close(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(upsampling), cmocka_unit_test(stem),
                                       cmocka_unit_test(stem_at_the_edge_of_the_range),
                                       cmocka_unit_test(softmax_gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
