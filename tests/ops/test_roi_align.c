/* THREAD-TEST. RoIAlign: known values, the choice of a level, each level of kernels (which sum by rows and
 * columns) against the formula sample by sample, and the adjoint identity. */
#include "with_exec.h"

#include "ops/roi_align/roi_align.h"

/* The golden values are of a formula in double; positions and weights here are float32. */
#define GOLDEN_TOLERANCE 1e-4

typedef struct roi_case {
    rb_roi_align r;
    const float *d_dst;
} roi_case;

static void run_forward(rb_exec *x, const void *op, void **out) {
    rb_roi_align_forward(x, &((const roi_case *)op)->r, out[0]);
}
static void run_backward(rb_exec *x, const void *op, void **out) {
    const roi_case *k = op;
    float *const maps[RB_ROI_LEVELS] = {out[0], out[1], out[2], out[3]};
    rb_roi_align r = k->r;
    for (int l = 0; l < RB_ROI_LEVELS; l++) r.map[l] = NULL; /* which nobody reads */
    rb_roi_align_backward(x, &r, k->d_dst, maps);
}
static void call_forward(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    (void)scratch;
    with_exec(ops, pool, run_forward, op, out);
}
static void call_backward(const rb_ops *ops, const void *op, void **out, void *scratch, rb_pool *pool) {
    (void)scratch;
    with_exec(ops, pool, run_backward, op, out);
}

static void known_values(void **state) {
    (void)state;
    float map[6 * 8], dst[16];
    const float rois[16] = {4, 6, 27, 21, -3, -3, 10, 9, 20, 10, 40, 30, 8, 8, 8, 8};
    const int32_t image[4] = {0};
    const double want[16] = {12.336046, 20.321506, 23.237413, 30.732964, 0, 3.5625, 1.375, 6.125,
                             30.156636, 11.509259, 27.976852, 10.166667, 0, 0,      0,     0};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 8; j++) map[i * 8 + j] = (float)(i * i + 3 * j + i * j % 5);
    roi_case k = {.r = {.levels = 1, .shape = {{1, 6, 8, 1}}, .map = {map}, .scale = {0.25f}}};
    k.r.size = 2;
    k.r.count = 4;
    k.r.rois = rois;
    k.r.image = image;
    for (rb_cpu_level level = RB_CPU_REF; level <= rb_cpu_detect(); level++) {
        rb_ops ops;
        rb_ops_fill(&ops, level);
        with_exec(&ops, test_pools[0], run_forward, &k, (void *[]){dst});
        for (int i = 0; i < 16; i++)
            if (!(fabs((double)dst[i] - want[i]) < GOLDEN_TOLERANCE))
                fail_msg("%s: [%d] = %.9g, wanted %.9g", rb_cpu_name(level), i, (double)dst[i], want[i]);
    }
}

/* A box of one cell has its sample at its corner: up to a cell outside it reads the edge, beyond nothing. */
static void edges_reach_a_cell_outside(void **state) {
    (void)state;
    const float map[3] = {5, 6, 7}, at[] = {-1.0078125f, -1, -0.5f, 0, 1, 1.5f, 2, 2.5f, 3, 3.0078125f};
    const float want[] = {0, 5, 5, 5, 6, 6.5f, 7, 7, 7, 0};
    const int32_t image = 0;
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        for (int across = 0; across < 2; across++) {
            const float roi[2][4] = {{0, at[i], 1, at[i] + 1}, {at[i], 0, at[i] + 1, 1}};
            roi_case k = {.r = {.levels = 1, .map = {map}, .scale = {1}, .size = 1, .count = 1}};
            k.r.shape[0] = across ? (rb_shape){1, 1, 3, 1} : (rb_shape){1, 3, 1, 1};
            k.r.rois = roi[across];
            k.r.image = &image;
            float dst;
            rb_ops ops;
            rb_ops_fill(&ops, rb_cpu_detect());
            with_exec(&ops, test_pools[0], run_forward, &k, (void *[]){&dst});
            if (fabsf(dst - want[i]) > 1e-6f) fail_msg("at %g: %g", (double)at[i], (double)dst);
        }
}

static void levels_by_area(void **state) {
    (void)state;
    const struct {
        float w, h;
        int level;
    } cases[] = {{0, 0, 0},
                 {10, 0, 0},
                 {111.999f, 111.999f, 0},
                 {112, 112, 1},
                 {111.99997f, 111.99997f, 1},
                 /* 1e-6 more */ {223.99f, 223.99f, 1},
                 {224, 224, 2},
                 {448, 448, 3},
                 {1e4f, 1e4f, 3},
                 {1333, 9.4f, 0},
                 {1333, 9.5f, 1},
                 {-5, 500, 0},
                 {NAN, 500, 0},
                 {INFINITY, 500, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float roi[4] = {0, 0, cases[i].w, cases[i].h};
        assert_int_equal(rb_roi_level(roi), cases[i].level);
    }
}

/* ---- random boxes: small and large, over the edge, outside, without area, reversed, not numbers */

static void random_box(trial *t, float side, bool huge, float box[4]) {
    double cx = (2 * rb_rng_uniform(&t->rng) - 0.5) * (double)side;
    double cy = (2 * rb_rng_uniform(&t->rng) - 0.5) * (double)side;
    double w = rb_rng_uniform(&t->rng) * (double)side, h = rb_rng_uniform(&t->rng) * (double)side;
    if (coin(t)) w /= 8, h /= 8;
    box[0] = (float)(cx - w / 2), box[1] = (float)(cy - h / 2);
    box[2] = (float)(cx + w / 2), box[3] = (float)(cy + h / 2);
    int axis = below(t, 2);
    switch (below(t, 16)) {
    case 0: box[2] = box[0]; break;
    case 1: box[3] = box[1] - 3; break;
    case 2: box[2] = box[0] - 5, box[3] = box[1] - 5; break;
    case 3: box[below(t, 4)] = NAN; break;
    case 4:
        if (huge) box[2 + axis] = INFINITY;
        break;
    case 5: /* more samples than any real box */
        if (huge) box[axis] = -1e7f, box[2 + axis] = 1e7f;
        break;
    case 6:
        for (int i = 0; i < 4; i++) box[i] = roundf(box[i] / 4) * 4; /* samples upon cells */
        break;
    default: break;
    }
}

static rb_roi_align random_rois(trial *t) {
    rb_roi_align r = {.levels = between(t, 1, 4), .size = ONE_OF(t, 1, 2, 3, 7), .count = between(t, 0, 9)};
    int n = between(t, 1, 3), c = random_channels(t, 70), side = between(t, 1, 18);
    bool huge = !below(t, 5);
    if (huge) c = between(t, 1, 4); /* the reference takes each of their samples */
    for (int l = 0; l < r.levels; l++) {
        r.shape[l] = (rb_shape){n, 1 + between(t, side / 2, side) / (1 << l), 1 + side / (1 << l), c};
        r.map[l] = random_floats(t, rb_elements(r.shape[l]), 1);
        r.scale[l] = 1 / (float)(4 << l);
    }
    float *rois = input(t, (size_t)r.count * 4 * sizeof *rois);
    int32_t *image = input(t, (size_t)r.count * sizeof *image);
    for (int i = 0; i < r.count; i++) random_box(t, 4 * (float)side * (coin(t) ? 1 : 4), huge, rois + 4 * i);
    for (int i = 0; i < r.count; i++) image[i] = below(t, n);
    r.rois = rois;
    r.image = image;
    snprintf(t->repro, sizeof t->repro, "%d levels, %d,%d,%d,%d, %d boxes, %d bins", r.levels, n,
             r.shape[0].h, r.shape[0].w, c, r.count, r.size);
    return r;
}

static float *magnitudes(trial *t, const float *from, size_t count) {
    float *to = input(t, count * sizeof *to);
    for (size_t i = 0; i < count; i++) to[i] = fabsf(from[i]);
    return to;
}
static double *tolerance(trial *t, const float *sizes, size_t count, double terms) {
    double *to = zeros(t, count);
    for (size_t i = 0; i < count; i++) to[i] = terms * EPS * (double)sizes[i] + 1e-12;
    return to;
}

/* A bin is a sum over at most its box's cells, with weights that are sums over samples: of a box that is no
 * larger than the map a handful, of a huge one as many as fall upon a cell. */
static double terms_of(const rb_roi_align *r) {
    double most = 0;
    for (int i = 0; i < r->count; i++) {
        double w = (double)r->rois[4 * i + 2] - (double)r->rois[4 * i];
        if (isfinite(w) && w < 1e6) most = fmax(most, w / 4);
    }
    return 60 + 2 * most;
}

static size_t bins_of(const rb_roi_align *r) {
    return (size_t)r->count * (size_t)r->size * (size_t)r->size * (size_t)r->shape[0].c;
}

static void forward_trial(int number) {
    trial t = trial_open(40, number);
    roi_case k = {.r = random_rois(&t)}, a = k;
    size_t count = bins_of(&k.r);
    for (int l = 0; l < k.r.levels; l++) a.r.map[l] = magnitudes(&t, k.r.map[l], rb_elements(k.r.shape[l]));
    float *sizes = input(&t, count * sizeof *sizes);
    rb_ops ref;
    rb_ops_fill(&ref, RB_CPU_REF);
    with_exec(&ref, test_pools[2], run_forward, &a, (void *[]){sizes});
    comparison c = {.t = &t,
                    .out = {{"dst", count, sizeof(float), NULL, tolerance(&t, sizes, count, terms_of(&k.r))}},
                    .outputs = 1,
                    .op = &k,
                    .run = call_forward};
    compare_levels(&c);
    trial_close(&t);
}

static void backward_trial(int number) {
    static const char *const names[] = {"level 0", "level 1", "level 2", "level 3"};
    trial t = trial_open(41, number);
    roi_case k = {.r = random_rois(&t)}, a;
    void *sizes[RB_ROI_LEVELS] = {0};
    k.d_dst = random_floats(&t, bins_of(&k.r), 1);
    for (int l = 0; l < k.r.levels; l++)
        sizes[l] = magnitudes(&t, k.r.map[l], rb_elements(k.r.shape[l])); /* maps begin with what is there */
    a = k;
    a.d_dst = magnitudes(&t, k.d_dst, bins_of(&k.r));
    rb_ops ref;
    rb_ops_fill(&ref, RB_CPU_REF);
    with_exec(&ref, test_pools[2], run_backward, &a, sizes);
    comparison c = {.t = &t, .outputs = k.r.levels, .op = &k, .run = call_backward};
    /* the reference adds sample by sample, in float */
    double terms = k.r.count * terms_of(&k.r);
    for (int l = 0; l < k.r.levels; l++) {
        size_t count = rb_elements(k.r.shape[l]);
        double *most = tolerance(&t, sizes[l], count, terms);
        c.out[l] = (output){names[l], count, sizeof(float), k.r.map[l], most};
    }
    compare_levels(&c);
    trial_close(&t);
}

enum { TRIALS = 150 };
static void forward_is_the_formula(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) forward_trial(i);
}
static void backward_is_the_formula(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) backward_trial(i);
}

/* ⟨align(map), d⟩ = ⟨map, d_map⟩ */
static void adjoint_trial(int number) {
    trial t = trial_open(42, number);
    roi_case k = {.r = random_rois(&t)};
    size_t count = bins_of(&k.r);
    float *dst = random_floats(&t, count, 0);
    void *d_map[RB_ROI_LEVELS] = {0};
    double sum = 0, size = 1;
    k.d_dst = random_floats(&t, count, 1);
    for (int l = 0; l < k.r.levels; l++) d_map[l] = zeros(&t, rb_elements(k.r.shape[l]));
    rb_ops ref;
    rb_ops_fill(&ref, RB_CPU_REF);
    with_exec(&ref, test_pools[1], run_forward, &k, (void *[]){dst});
    with_exec(&ref, test_pools[1], run_backward, &k, d_map);
    for (size_t i = 0; i < count; i++) {
        sum += (double)dst[i] * (double)k.d_dst[i];
        size += fabs((double)dst[i] * (double)k.d_dst[i]);
    }
    for (int l = 0; l < k.r.levels; l++)
        for (size_t i = 0; i < rb_elements(k.r.shape[l]); i++)
            sum -= (double)k.r.map[l][i] * (double)((float *)d_map[l])[i];
    /* both sides are rounded, the second at each of its additions: their errors have random signs */
    if (!(fabs(sum) <= 1e-5 * size)) fail_msg("trial %d: %g of %g, %s", number, sum, size, t.repro);
    trial_close(&t);
}
static void reference_is_adjoint(void **state) {
    (void)state;
    for (int i = 0; i < TRIALS; i++) adjoint_trial(i);
}

/* The rows that a box is said to read are enough. */
static void reach_holds_all_rows(void **state) {
    (void)state;
    trial t = trial_open(43, 0);
    for (int i = 0; i < 20000; i++) {
        float box[4], room[200];
        const int32_t image = 0;
        rb_roi_bin bins[7];
        random_box(&t, 160, i < 1000, box);
        int h = between(&t, 1, 50);
        rb_roi_align r = {.levels = 1, .shape = {{1, h, 9, 1}}, .scale = {0.25f}, .size = 7, .count = 1};
        r.rois = box;
        r.image = &image;
        rb_roi_line line = rb_roi_line_of(box[1], box[3], 0.25f, 7);
        rb_roi_span rows = rb_roi_axis(line, 7, h, bins, room);
        rb_roi_reach reach = rb_roi_reach_of(&r, 0);
        if (rows.last > rows.first)
            assert_true(reach.rows.first <= rows.first && reach.rows.last >= rows.last);
        double sum = 0; /* a bin whose samples all lie inside has weights that add up to 1 */
        for (int q = 0; q < bins[3].count; q++) sum += (double)bins[3].weight[q];
        assert_true(sum <= line.grid * (1 + 1e-5));
        if (box[1] > 0 && box[3] < 4 * (float)h - 4 && box[3] > box[1])
            assert_true(sum > line.grid * (1 - 1e-5));
    }
    trial_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),           cmocka_unit_test(edges_reach_a_cell_outside),
        cmocka_unit_test(levels_by_area),         cmocka_unit_test(reach_holds_all_rows),
        cmocka_unit_test(reference_is_adjoint),   cmocka_unit_test(forward_is_the_formula),
        cmocka_unit_test(backward_is_the_formula)};
    return cmocka_run_group_tests(tests, open_pools, close_pools) ? 1 : 0;
}
