/* bench through the public header: the plan is the run, nothing is allocated after the first step, and the
 * profile counts the operations that the network has. */
#include "check.h"

#include <math.h>

typedef struct rows {
    int count;
    double gflops, seconds, pointwise_backward;
    bool rest;
} rows;

static void add_row(void *user, const revbifpn_profile_row *row) {
    rows *r = user;
    r->count++;
    r->seconds += row->seconds;
    r->gflops += row->gflops;
    if (!strcmp(row->name, "pointwise backward")) r->pointwise_backward = row->gflops;
    if (!strcmp(row->name, "rest")) r->rest = true;
}

/* Operations, a picture, of the layers whose share in a training step is not that of the others. */
typedef struct layers {
    double finest_neck, final_conv, linear;
} layers;

static void add_layer(void *user, const revbifpn_layer *layer) {
    layers *l = user;
    double flops = 2 * (double)layer->cost.macs;
    int hidden = layer->in_channels * layer->expansion;
    if (!strcmp(layer->name, "rev_stack.recomp_op.recomp_transform_0"))
        l->finest_neck = flops - 4.0 * hidden * layer->squeeze; /* squeeze-excite is not in the profile */
    if (!strcmp(layer->name, "head.final_conv")) l->final_conv = flops;
    if (!strcmp(layer->name, "head.fc")) l->linear = flops;
}

static revbifpn_bench_result run(int training, revbifpn_activations activations, rows *r, layers *l,
                                 revbifpn_cost *cost) {
    revbifpn *ctx;
    revbifpn_bench_options o = revbifpn_default_bench();
    revbifpn_bench_result result;
    assert_int_equal(revbifpn_open(&ctx, NULL), REVBIFPN_OK);
    assert_int_equal(revbifpn_config(ctx, "s0", &o.model), REVBIFPN_OK);
    o.model.classes = 10;
    o.width = 96;
    o.height = 64;
    o.batch = 3;
    o.steps = 2;
    o.training = training;
    o.activations = activations;
    o.profile = add_row;
    o.user = r;
    assert_int_equal(revbifpn_inspect(ctx, &o.model, o.width, o.height, add_layer, l, cost), REVBIFPN_OK);
    if (revbifpn_bench(ctx, &o, &result)) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_close(&ctx);
    return result;
}

/* In inference the counted operations are two a multiply-accumulate, but for squeeze-excite's tiny products
 * (3 %). */
static void inference_counts_the_networks_operations(void **state) {
    (void)state;
    rows r = {0};
    layers l;
    revbifpn_cost cost;
    revbifpn_bench_result result = run(0, REVBIFPN_REVERSIBLE, &r, &l, &cost);
    double expected = 2e-9 * (double)cost.macs * 3 * 2; /* three pictures, two steps */
    assert_true(r.gflops <= expected * 1.0001 && r.gflops >= expected * 0.97);
    assert_true(r.rest && r.count > 5 && r.pointwise_backward == 0);
    assert_int_equal(result.allocations_after_first_step, 0);
}

/* A training step: forward and two gradients; when reversible also forward again, but for the last two
 * layers, whose inputs outlive the forward, and once more for the neck of the finest stream: its map is the
 * only one that is formed for the backward of another block. */
static void training_counts_recomputation_and_both_gradients(void **state) {
    (void)state;
    rows infer = {0}, stored = {0}, r = {0};
    layers l;
    revbifpn_cost cost;
    run(0, REVBIFPN_REVERSIBLE, &infer, &l, &cost);
    run(1, REVBIFPN_STORED, &stored, &l, &cost);
    revbifpn_bench_result result = run(1, REVBIFPN_REVERSIBLE, &r, &l, &cost);
    double others = 6e-9 * (l.finest_neck - l.final_conv - l.linear); /* three pictures, two steps */
    double rounding = 1e-12 * infer.gflops;                           /* of sums of doubles */
    assert_true(fabs(stored.gflops - 3 * infer.gflops) < rounding);
    assert_true(fabs(r.gflops - (4 * infer.gflops + others)) < rounding);
    assert_true(r.pointwise_backward > 0 && r.seconds > 0);
    assert_true(result.arena_planned_bytes == result.arena_high_bytes);
    assert_int_equal(result.allocations_after_first_step, 0);
    assert_true(result.images_per_second_best >= result.images_per_second_median);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inference_counts_the_networks_operations),
        cmocka_unit_test(training_counts_recomputation_and_both_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
