/* rev/ alone, with toy transforms and no convolution: couplings and silos are undone to the bit, whatever F
 * is, and their gradients are those of the composition. */
#include "check.h"

#include <math.h>

#include "base/rng.h"
#include "rev/coupling.h"

/* F(src)[n,y,x,c'] at the target's size = weight · sin(mean over the source cell's channels + c'), a
 * deterministic nonlinear map between streams of any two sizes; its Jacobian is easy to write. */
typedef struct toy {
    double weight, d_weight;
} toy;

static double cell_mean(const rb_map *src, const rb_map *dst, int n, int y, int x, double step) {
    int sy = y * src->shape.h / dst->shape.h, sx = x * src->shape.w / dst->shape.w;
    size_t at = ((size_t)n * (size_t)src->shape.h + (size_t)sy) * (size_t)src->shape.w + (size_t)sx;
    double sum = 0;
    for (int c = 0; c < src->shape.c; c++) sum += src->x[at * (size_t)src->x_ld + (size_t)c] * step;
    return sum / src->shape.c;
}

static revbifpn_status toy_forward(void *self, rb_pass *pass, const rb_map *src, const rb_map *dst,
                                   int sign) {
    const toy *t = self;
    double step = ldexp(1, -pass->k);
    for (int n = 0; n < dst->shape.n; n++)
        for (int y = 0; y < dst->shape.h; y++)
            for (int x = 0; x < dst->shape.w; x++) {
                double mean = cell_mean(src, dst, n, y, x, step);
                size_t at = ((size_t)n * (size_t)dst->shape.h + (size_t)y) * (size_t)dst->shape.w + (size_t)x;
                for (int c = 0; c < dst->shape.c; c++) {
                    int32_t *state = &dst->x[at * (size_t)dst->x_ld + (size_t)c];
                    int32_t add = (int32_t)lrint(t->weight * sin(mean + c) / step);
                    *state = (int32_t)((uint32_t)*state + (uint32_t)(sign * add));
                }
            }
    return REVBIFPN_OK;
}

static revbifpn_status toy_backward(void *self, rb_pass *pass, const rb_map *src, const rb_map *dst,
                                    bool undo) {
    toy *t = self;
    double step = ldexp(1, -pass->k);
    for (int n = 0; n < dst->shape.n; n++)
        for (int y = 0; y < dst->shape.h; y++)
            for (int x = 0; x < dst->shape.w; x++) {
                double mean = cell_mean(src, dst, n, y, x, step), d_mean = 0;
                size_t at = ((size_t)n * (size_t)dst->shape.h + (size_t)y) * (size_t)dst->shape.w + (size_t)x;
                for (int c = 0; c < dst->shape.c; c++) {
                    double d = (double)dst->d[at * (size_t)dst->d_ld + (size_t)c];
                    d_mean += d * t->weight * cos(mean + c);
                    t->d_weight += d * sin(mean + c);
                }
                int sy = y * src->shape.h / dst->shape.h, sx = x * src->shape.w / dst->shape.w;
                size_t from =
                    ((size_t)n * (size_t)src->shape.h + (size_t)sy) * (size_t)src->shape.w + (size_t)sx;
                for (int c = 0; c < src->shape.c; c++)
                    src->d[from * (size_t)src->d_ld + (size_t)c] += (float)(d_mean / src->shape.c);
            }
    return undo ? toy_forward(self, pass, src, dst, -1) : REVBIFPN_OK;
}

enum { STREAMS = 4, TOYS = 200 };

typedef struct net {
    rb_stack stack;
    toy toys[TOYS];
    int used;
    rb_streams streams;
    rb_pool *pool;
    rb_exec exec;
    rb_ops ops;
    rb_pass pass;
    rb_error err;
} net;

static rb_transform next_toy(net *t) {
    assert_true(t->used < TOYS);
    t->toys[t->used].weight = 0.1 + 0.01 * t->used;
    return (rb_transform){&t->toys[t->used++], toy_forward, toy_backward};
}

static void add_silo(net *t, int op, int count, const int *widths, bool created) {
    rb_silo_transforms f = {0}, g = {0};
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            if (i < j) f[i][j] = next_toy(t);
            if (i > j) g[i][j] = next_toy(t);
        }
    CHECK_OK(rb_stack_add_silo(&t->stack, op, count, widths, created, f, g, &t->err), &t->err);
}

/* The published order: residual blocks on the streams there are, a silo that creates the next; then silos of
 * all. */
static void build(net *t, int extra) {
    static const int widths[STREAMS] = {6, 4, 5, 7};
    int op = 0;
    for (int level = 1; level < STREAMS + extra; level++) {
        int present = level < STREAMS ? level : STREAMS, after = level < STREAMS ? level + 1 : STREAMS;
        for (int s = 0; s < present; s++)
            CHECK_OK(rb_stack_add_residual(&t->stack, op, s, widths[s], next_toy(t), next_toy(t), &t->err),
                     &t->err);
        op++;
        add_silo(t, op++, after, widths, after > present);
    }
    CHECK_OK(rb_pool_open(&t->pool, 2, &t->err), &t->err);
    rb_ops_fill(&t->ops, RB_CPU_REF);
    t->exec = (rb_exec){.ops = &t->ops, .pool = t->pool};
    CHECK_OK(rb_arena_open(&t->exec.kept, 1 << 22, "test", &t->err), &t->err);
    t->pass = (rb_pass){.exec = &t->exec, .err = &t->err, .training = true, .k = 20};
    t->streams.count = STREAMS;
    for (int i = 0; i < STREAMS; i++) {
        rb_shape shape = {2, 16 >> i, 8 >> i, widths[i]};
        t->streams.shape[i] = shape;
        t->streams.x[i] = rb_alloc(rb_elements(shape) * sizeof(int32_t));
        t->streams.d[i] = rb_alloc(rb_elements(shape) * sizeof(float));
    }
}

static void tear_down(net *t) {
    rb_stack_close(&t->stack);
    for (int i = 0; i < STREAMS; i++) {
        rb_free(t->streams.x[i]);
        rb_free(t->streams.d[i]);
    }
    rb_arena_close(&t->exec.kept);
    rb_pool_close(&t->pool);
}

static void set_input(net *t, uint64_t seed, int32_t *copy) {
    rb_rng rng = rb_rng_open(seed, RB_PURPOSE_TEST, 0, 0);
    size_t count = rb_elements(t->streams.shape[0]);
    for (size_t i = 0; i < count; i++) {
        t->streams.x[0][i] = (int32_t)(rb_rng_u32(&rng) >> 8) - (1 << 23);
        if (copy) copy[i] = t->streams.x[0][i];
    }
}

static void inverse_returns_the_input_bits(void **state) {
    (void)state;
    static net t;
    t = (net){0};
    build(&t, 6);
    size_t count = rb_elements(t.streams.shape[0]);
    int32_t *input = rb_alloc(count * sizeof *input);
    set_input(&t, 1, input);
    CHECK_OK(rb_stack_forward(&t.stack, &t.pass, &t.streams, NULL, NULL), &t.err);
    assert_memory_not_equal(t.streams.x[0], input, count * sizeof *input);
    CHECK_OK(rb_stack_inverse(&t.stack, &t.pass, &t.streams), &t.err);
    assert_memory_equal(t.streams.x[0], input, count * sizeof *input);
    rb_free(input);
    tear_down(&t);
}

/* Partial sums may pass 2^31 and come back: unsigned addition. */
static void inverse_survives_overflow(void **state) {
    (void)state;
    static net t;
    t = (net){0};
    build(&t, 2);
    for (int i = 0; i < t.used; i++) t.toys[i].weight = 900;
    t.pass.k = 21;
    size_t count = rb_elements(t.streams.shape[0]);
    int32_t *input = rb_alloc(count * sizeof *input);
    set_input(&t, 2, input);
    CHECK_OK(rb_stack_forward(&t.stack, &t.pass, &t.streams, NULL, NULL), &t.err);
    CHECK_OK(rb_stack_inverse(&t.stack, &t.pass, &t.streams), &t.err);
    assert_memory_equal(t.streams.x[0], input, count * sizeof *input);
    rb_free(input);
    tear_down(&t);
}

/* The cotangent of output stream i, element e. */
static double cotangent(int i, size_t e) { return sin(1.7 * (double)e + i); }

static double loss_of(net *t) {
    double loss = 0;
    for (int i = 0; i < STREAMS; i++)
        for (size_t e = 0; e < rb_elements(t->streams.shape[i]); e++)
            loss += cotangent(i, e) * t->streams.x[i][e] * ldexp(1, -t->pass.k);
    return loss;
}

static void run_backward(net *t, bool stored) {
    set_input(t, 3, NULL);
    rb_arena_release(&t->exec.kept, 0);
    t->pass.stored = stored;
    for (int i = 0; i < t->used; i++) t->toys[i].d_weight = 0;
    CHECK_OK(rb_stack_forward(&t->stack, &t->pass, &t->streams, NULL, NULL), &t->err);
    for (int i = 0; i < STREAMS; i++)
        for (size_t e = 0; e < rb_elements(t->streams.shape[i]); e++)
            t->streams.d[i][e] = (float)cotangent(i, e);
    CHECK_OK(rb_stack_backward(&t->stack, &t->pass, &t->streams), &t->err);
}

static void backward_restores_and_equals_stored(void **state) {
    (void)state;
    static net t;
    static double reversible[TOYS];
    t = (net){0};
    build(&t, 4);
    size_t count = rb_elements(t.streams.shape[0]);
    int32_t *input = rb_alloc(count * sizeof *input);
    float *d_input = rb_alloc(count * sizeof *d_input);
    set_input(&t, 3, input);
    run_backward(&t, false);
    assert_memory_equal(t.streams.x[0], input, count * sizeof *input);
    memcpy(d_input, t.streams.d[0], count * sizeof *d_input);
    for (int i = 0; i < t.used; i++) reversible[i] = t.toys[i].d_weight;
    size_t kept = t.exec.kept.high;
    assert_int_equal(kept, 0); /* the algebra itself keeps nothing */
    run_backward(&t, true);
    assert_true(t.exec.kept.high > 0);
    assert_memory_equal(t.streams.d[0], d_input, count * sizeof *d_input);
    for (int i = 0; i < t.used; i++) assert_true(reversible[i] == t.toys[i].d_weight);
    rb_free(input);
    rb_free(d_input);
    tear_down(&t);
}

/* Central differences in each transform's weight. The grid (2^-28 here) rounds the loss to about 1e-8 ·
 * √elements; with steps of 1e-3 that leaves 1e-4 relative to the gradient's size. */
static void gradient_is_the_derivative(void **state) {
    (void)state;
    static net t;
    t = (net){0};
    build(&t, 2);
    t.pass.k = 27;
    for (int i = 0; i < t.used; i++) t.toys[i].weight *= 0.2;
    run_backward(&t, false);
    static double analytic[TOYS];
    for (int i = 0; i < t.used; i++) analytic[i] = t.toys[i].d_weight;
    t.pass.stored = false;
    for (int i = 0; i < t.used; i += 5) {
        double losses[2], was = t.toys[i].weight;
        for (int side = 0; side < 2; side++) {
            t.toys[i].weight = was + (side ? 1e-3 : -1e-3);
            set_input(&t, 3, NULL);
            CHECK_OK(rb_stack_forward(&t.stack, &t.pass, &t.streams, NULL, NULL), &t.err);
            losses[side] = loss_of(&t);
        }
        t.toys[i].weight = was;
        double numeric = (losses[1] - losses[0]) / 2e-3;
        assert_true(fabs(numeric - analytic[i]) <= 1e-3 * (1 + fabs(numeric)));
    }
    tear_down(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverse_returns_the_input_bits),
        cmocka_unit_test(inverse_survives_overflow),
        cmocka_unit_test(backward_restores_and_equals_stored),
        cmocka_unit_test(gradient_is_the_derivative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
