/* bench through the public header: the plan is the run, nothing is allocated after the first step, and the
 * profile counts the operations that the network has, the same by operator and by operation. */
#include "check.h"

#include <math.h>

typedef struct rows {
    int count, forward, backward;
    double gflops, seconds, pointwise_backward, convolutions;
    double finest_neck, final_conv, linear; /* forward, of one picture */
    bool rest;
    revbifpn_profile_row sum[2]; /* by kind */
} rows;

static void add_to_sum(revbifpn_profile_row *sum, const revbifpn_profile_row *row) {
    sum->seconds += row->seconds;
    sum->rest_seconds += row->rest_seconds;
    sum->gflops += row->gflops;
    sum->gbytes += row->gbytes;
    sum->floor_seconds += row->floor_seconds;
    sum->calls += row->calls;
}

static void add_row(void *user, const revbifpn_profile_row *row) {
    rows *r = user;
    add_to_sum(&r->sum[row->kind], row);
    if (row->kind == REVBIFPN_PROFILE_OPERATION) {
        assert_true(row->seconds >= row->rest_seconds && row->rest_seconds >= 0 && row->name[0]);
        assert_true(!row->calls || (isfinite(row->floor_seconds / row->seconds) && row->floor_seconds > 0));
        r->forward += !strcmp(row->direction, "forward");
        r->backward += !strcmp(row->direction, "backward");
        return;
    }
    r->count++;
    r->seconds += row->seconds;
    r->gflops += row->gflops;
    if (strstr(row->name, "wise ")) r->convolutions += row->gflops; /* depthwise and pointwise */
    if (!strcmp(row->name, "pointwise backward")) r->pointwise_backward = row->gflops;
    if (!strcmp(row->name, "rest")) r->rest = true;
}

static void add_layer(void *user, const revbifpn_layer *layer) {
    rows *r = user;
    double gflops = 2e-9 * (double)layer->cost.macs;
    int hidden = layer->in_channels * layer->expansion;
    if (!strcmp(layer->name, "rev_stack.recomp_op.recomp_transform_0"))
        r->finest_neck = gflops - 4e-9 * hidden * layer->squeeze; /* the convolutions alone */
    if (!strcmp(layer->name, "head.final_conv")) r->final_conv = gflops;
    if (!strcmp(layer->name, "head.fc")) r->linear = gflops;
}

static revbifpn_bench_result run(int training, revbifpn_activations activations, rows *r,
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
    assert_int_equal(revbifpn_inspect(ctx, &o.model, o.width, o.height, add_layer, r, cost), REVBIFPN_OK);
    if (revbifpn_bench(ctx, &o, &result)) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_close(&ctx);
    return result;
}

/* In inference the counted operations are two a multiply-accumulate. */
static void inference_counts_the_networks_operations(void **state) {
    (void)state;
    rows r = {0};
    revbifpn_cost cost;
    revbifpn_bench_result result = run(0, REVBIFPN_REVERSIBLE, &r, &cost);
    double expected = 2e-9 * (double)cost.macs * 3 * 2; /* three pictures, two steps */
    assert_true(r.gflops <= expected * 1.0001 && r.gflops >= expected * 0.9999);
    assert_true(r.rest && r.count > 5 && r.pointwise_backward == 0);
    assert_int_equal(result.allocations_after_first_step, 0);
}

/* A training step, in its convolutions: forward and two gradients; when reversible also forward again, but
 * for the last two layers, whose inputs outlive the forward, and once more for the neck of the finest stream:
 * its map is the only one that is formed for the backward of another block. */
static void training_counts_recomputation_and_both_gradients(void **state) {
    (void)state;
    rows infer = {0}, stored = {0}, r = {0};
    revbifpn_cost cost;
    run(0, REVBIFPN_REVERSIBLE, &infer, &cost);
    run(1, REVBIFPN_STORED, &stored, &cost);
    revbifpn_bench_result result = run(1, REVBIFPN_REVERSIBLE, &r, &cost);
    double others = 6 * (r.finest_neck - r.final_conv - r.linear); /* three pictures, two steps */
    double rounding = 1e-12 * infer.convolutions;                  /* of sums of doubles */
    assert_true(r.finest_neck > 0 && r.final_conv > 0 && r.linear > 0);
    assert_true(fabs(stored.convolutions - 3 * infer.convolutions) < rounding);
    assert_true(fabs(r.convolutions - (4 * infer.convolutions + others)) < rounding);
    assert_true(r.pointwise_backward > 0 && r.seconds > 0);
    assert_true(result.arena_planned_bytes == result.arena_high_bytes);
    assert_int_equal(result.allocations_after_first_step, 0);
    assert_true(result.images_per_second_best >= result.images_per_second_median);
}

/* S0 has ten layers of residual blocks on 1 1 2 2 3 3 4 4 4 4 streams, five silos, four necks, three
 * transforms of the head, its final convolution and its linear layer. */
enum { OPERATIONS = 28 + 5 + 4 + 3 + 2 };

static void check_sums(const rows *r) {
    const revbifpn_profile_row *operators = &r->sum[0], *operations = &r->sum[1];
    assert_true(operators->calls == operations->calls && operators->calls > 0);
    assert_true(fabs(operators->seconds - operations->seconds) < 1e-9 * operators->seconds);
    assert_true(fabs(operators->gflops - operations->gflops) < 1e-9 * operators->gflops);
    assert_true(fabs(operators->gbytes - operations->gbytes) < 1e-9 * operators->gbytes);
    assert_true(fabs(operators->floor_seconds - operations->floor_seconds) < 1e-9 * operators->floor_seconds);
    assert_true(operations->rest_seconds < operations->seconds);
}

static void both_tables_split_the_same_time(void **state) {
    (void)state;
    rows train = {0}, infer = {0};
    revbifpn_cost cost;
    revbifpn_bench_result result = run(1, REVBIFPN_REVERSIBLE, &train, &cost);
    check_sums(&train);
    assert_true(result.peak_gflops > 0 && result.peak_gbytes > 0);
    assert_int_equal(train.forward, OPERATIONS + 1); /* and the stem */
    assert_int_equal(train.backward, OPERATIONS);
    run(0, REVBIFPN_REVERSIBLE, &infer, &cost);
    check_sums(&infer);
    assert_int_equal(infer.forward, OPERATIONS + 1);
    assert_int_equal(infer.backward, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_tables_split_the_same_time),
        cmocka_unit_test(inference_counts_the_networks_operations),
        cmocka_unit_test(training_counts_recomputation_and_both_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
