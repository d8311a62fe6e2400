/* Pointwise, depthwise and linear: gradients against central differences, and the adjoint identity. */
#include "gradient.h"

typedef struct conv {
    rb_shape in;
    int oc, kernel, stride;
    const float *cotangent;
} conv;

/* ---- pointwise: loss = Σ cotangent·(w·x) */

static double pointwise_loss(const function *f) {
    const conv *k = f->context;
    const double *x = f->field[0].moved, *w = f->field[1].moved;
    double loss = 0;
    for (size_t p = 0; p < rb_pixels(k->in); p++)
        for (int o = 0; o < k->oc; o++) {
            double sum = 0;
            for (int i = 0; i < k->in.c; i++) sum += w[o * k->in.c + i] * x[p * (size_t)k->in.c + (size_t)i];
            loss += sum * (double)k->cotangent[p * (size_t)k->oc + (size_t)o];
        }
    return loss;
}

static void pointwise_gradients(void **state) {
    (void)state;
    FOR_LEVELS(level) {
        setup *s = setup_open(level, 1);
        conv k = {.in = {2, 3, 4, 5}, .oc = 7};
        size_t outputs = rb_pixels(k.in) * (size_t)k.oc;
        k.cotangent = random_floats(s, outputs, 1);
        function f = {.loss = pointwise_loss, .context = &k};
        field *x = add_field(s, &f, "src", rb_elements(k.in), 1), *w = add_field(s, &f, "wgt", 35, 1);
        rb_pointwise p = {.src = {.shape = k.in, .ld = 5, .load = RB_LOAD_MAP, .data = x->value},
                          .oc = k.oc,
                          .wgt = w->value};
        rb_gradient g = {.shape = {2, 3, 4, 7}, .d = k.cotangent, .ld = 7};
        rb_sink sink = {.d = x->gradient, .ld = 5};
        rb_pointwise_backward(&s->x, &p, &g, w->gradient, &sink);
        check_gradients(&f, "pointwise", level);
        float *y = new_floats(s, outputs);
        rb_pointwise_forward(&s->x, &p, y, (rb_moments){0});
        check_adjoint("pointwise", level, y, k.cotangent, outputs, x->value, x->gradient, rb_elements(k.in));
        setup_close(s);
    }
}

/* ---- depthwise */

static double depthwise_loss(const function *f) {
    const conv *k = f->context;
    const double *x = f->field[0].moved, *w = f->field[1].moved;
    int h = k->in.h, width = k->in.w, c = k->in.c, oh = h / k->stride, ow = width / k->stride;
    double loss = 0;
    for (int n = 0; n < k->in.n; n++)
        for (int oy = 0; oy < oh; oy++)
            for (int ox = 0; ox < ow; ox++)
                for (int i = 0; i < c; i++)
                    for (int t = 0; t < k->kernel * k->kernel; t++) {
                        int y = oy * k->stride + t / k->kernel - (k->kernel - 1) / 2;
                        int at = ox * k->stride + t % k->kernel - (k->kernel - 1) / 2;
                        if (y < 0 || at < 0 || y >= h || at >= width) continue;
                        loss += w[i * k->kernel * k->kernel + t] * x[((n * h + y) * width + at) * c + i] *
                                (double)k->cotangent[((n * oh + oy) * ow + ox) * c + i];
                    }
    return loss;
}

static void depthwise_gradients(void **state) {
    (void)state;
    static const int shapes[][4] = {{3, 1, 5, 4}, {5, 1, 4, 5},   {3, 2, 6, 8}, {5, 2, 4, 6},
                                    {7, 4, 8, 8}, {15, 8, 8, 16}, {7, 1, 1, 2}, {3, 4, 8, 4}};
    FOR_LEVELS(level)
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        setup *s = setup_open(level, 2);
        conv k = {.in = {2, shapes[i][2], shapes[i][3], 3}, .kernel = shapes[i][0], .stride = shapes[i][1]};
        rb_depthwise p = {
            .src = {.shape = k.in, .ld = 3, .load = RB_LOAD_MAP}, .kernel = k.kernel, .stride = k.stride};
        rb_shape out = rb_depthwise_shape(&p);
        k.cotangent = random_floats(s, rb_elements(out), 1);
        function f = {.loss = depthwise_loss, .context = &k};
        field *x = add_field(s, &f, "src", rb_elements(k.in), 1);
        field *w = add_field(s, &f, "wgt", (size_t)(3 * k.kernel * k.kernel), 1);
        p.src.data = x->value, p.wgt = w->value;
        rb_gradient g = {.shape = out, .d = k.cotangent, .ld = 3};
        rb_sink sink = {.d = x->gradient, .ld = 3};
        rb_depthwise_backward(&s->x, &p, &g, w->gradient, &sink);
        char what[64];
        snprintf(what, sizeof what, "depthwise kernel %d stride %d", k.kernel, k.stride);
        check_gradients(&f, what, level);
        float *y = new_floats(s, rb_elements(out));
        rb_depthwise_forward(&s->x, &p, y, (rb_moments){0});
        check_adjoint(what, level, y, k.cotangent, rb_elements(out), x->value, x->gradient,
                      rb_elements(k.in));
        setup_close(s);
    }
}

/* ---- linear */

static double linear_loss(const function *f) {
    const conv *k = f->context;
    const double *x = f->field[0].moved, *w = f->field[1].moved, *b = f->field[2].moved;
    double loss = 0;
    for (int n = 0; n < k->in.n; n++)
        for (int o = 0; o < k->oc; o++) {
            double sum = b[o];
            for (int i = 0; i < k->in.c; i++) sum += w[o * k->in.c + i] * x[n * k->in.c + i];
            loss += sum * (double)k->cotangent[n * k->oc + o];
        }
    return loss;
}

static void linear_gradients(void **state) {
    (void)state;
    FOR_LEVELS(level) {
        setup *s = setup_open(level, 3);
        conv k = {.in = {4, 1, 1, 11}, .oc = 6, .cotangent = NULL};
        k.cotangent = random_floats(s, 24, 1);
        function f = {.loss = linear_loss, .context = &k};
        field *x = add_field(s, &f, "src", 44, 1), *w = add_field(s, &f, "wgt", 66, 1);
        field *b = add_field(s, &f, "bias", 6, 1);
        rb_linear l = {
            .n = 4, .features = 11, .classes = 6, .src = x->value, .wgt = w->value, .bias = b->value};
        rb_linear_backward(&s->x, &l, k.cotangent, x->gradient, w->gradient, b->gradient);
        check_gradients(&f, "linear", level);
        float *y = new_floats(s, 24);
        rb_linear_forward(&s->x, &l, y);
        double forward = dot(y, k.cotangent, 24), want = linear_loss(&f);
        assert_true(fabs(forward - want) <= 1e-5 * (1 + fabs(want))); /* float outputs, some twenty of them */
        setup_close(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pointwise_gradients),
                                       cmocka_unit_test(depthwise_gradients),
                                       cmocka_unit_test(linear_gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
