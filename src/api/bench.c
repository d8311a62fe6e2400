/* Timing of steps on random pictures, and the counters that the plan is held against. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "api/bench.h"
#include "base/rng.h"
#include "model/config.h"

revbifpn_bench_options revbifpn_default_bench(void) {
    return (revbifpn_bench_options){
        .struct_size = sizeof(revbifpn_bench_options), .batch = 16, .steps = 5, .training = 1, .workers = 2};
}

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double rb_bench_now(void) { return seconds_of(CLOCK_MONOTONIC); }

static revbifpn_status open_bench(rb_bench *b) {
    revbifpn_status status;
    rb_error *err = &b->ctx->error;
    const revbifpn_bench_options *o = b->options;
    TRY(rb_config_check(&o->model, err));
    b->image = (rb_shape){o->batch, o->height, o->width, o->model.input_channels};
    TRY(rb_model_check_input(&o->model, b->image, o->training, err));
    TRY(rb_model_create(&b->network, &o->model, err));
    TRY(rb_params_allocate(&b->network.params, o->training, err));
    rb_params_init(&b->network.params, 0, b->ctx->pool);
    bool stored = o->activations == REVBIFPN_STORED;
    b->bytes = rb_model_measure(&b->network, &b->ctx->ops, b->ctx->pool, b->image, o->training, stored);
    b->step = (rb_step){.model = &b->network, .stored = stored, .momentum_factor = 0.9, .k = RB_GRID_START};
    if (o->training)
        TRY(rb_step_open(&b->step, &b->ctx->ops, b->ctx->pool, &b->bytes, err));
    else
        TRY(rb_exec_open(&b->step.exec, &b->ctx->ops, b->ctx->pool, &b->bytes, err));
    b->pictures = rb_alloc(rb_elements(b->image));
    b->labels = rb_alloc((size_t)o->batch * sizeof *b->labels);
    b->seconds = rb_alloc((size_t)o->steps * sizeof *b->seconds);
    if (b->pictures && b->labels && b->seconds) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the batch");
fail:
    return status;
}

static void fill_batch(rb_bench *b) {
    rb_rng rng = rb_rng_open(0, RB_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < rb_elements(b->image); i++) b->pictures[i] = (uint8_t)rb_rng_u32(&rng);
    for (int i = 0; i < b->image.n; i++) b->labels[i] = i % b->options->model.classes;
}

revbifpn_status rb_bench_step(rb_bench *b, const uint8_t *pictures, const int32_t *labels) {
    rb_error *err = &b->ctx->error;
    rb_preprocess p = rb_preprocess_default();
    rb_images images = {.shape = b->image, .bytes = pictures, .mean = p.mean, .std = p.std};
    rb_pass pass = {.exec = &b->step.exec, .err = err, .k = RB_GRID_START};
    rb_step_report report;
    if (b->options->training) return rb_step_run(&b->step, &images, labels, 0.01, b->index++, &report, err);
    return rb_model_forward_on_a_grid(&b->network, &pass, &images);
}

revbifpn_status rb_bench_steps(rb_bench *b, int from, int count) {
    size_t allocations = rb_alloc_count();
    double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = from; i < from + count; i++) {
        double start = rb_bench_now();
        revbifpn_status status = rb_bench_step(b, b->pictures, b->labels);
        if (status != REVBIFPN_OK) return status;
        b->seconds[i] = rb_bench_now() - start;
    }
    b->cpu_seconds += seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    b->allocations += rb_alloc_count() - allocations;
    return REVBIFPN_OK;
}

static revbifpn_status run(rb_bench *b, revbifpn_bench_result *out) {
    revbifpn_status status;
    TRY(rb_bench_step(b, b->pictures, b->labels)); /* the warm-up */
    if (b->options->profile) b->step.exec.profile = &b->profile;
    return b->options->data ? rb_bench_with_data(b, out) : rb_bench_steps(b, 0, b->options->steps);
fail:
    return status;
}

static void report_profile(const rb_bench *b) {
    double all = 0, kernels = 0;
    for (int i = 0; i < b->options->steps; i++) all += b->seconds[i];
    for (int op = 0; op < RB_PROFILE_OPS; op++) {
        const rb_profile_row *r = &b->profile.rows[op];
        kernels += r->seconds;
        revbifpn_profile_row row = {rb_profile_name((rb_profile_op)op), r->seconds, r->flops * 1e-9,
                                    r->bytes * 1e-9, r->calls};
        b->options->profile(b->options->user, &row);
    }
    revbifpn_profile_row rest = {.name = "rest", .seconds = all - kernels};
    b->options->profile(b->options->user, &rest);
}

int rb_bench_by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void rb_bench_rates(double *seconds, int steps, int batch, double *best, double *median) {
    qsort(seconds, (size_t)steps, sizeof *seconds, rb_bench_by_size);
    *best = batch / seconds[0];
    *median = batch / seconds[steps / 2];
}

static void summarise(rb_bench *b, revbifpn_bench_result *out) {
    const revbifpn_bench_options *o = b->options;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    out->allocations_after_first_step = b->allocations;
    out->step_cpu_seconds = b->cpu_seconds / o->steps / o->batch;
    rb_bench_rates(b->seconds, o->steps, o->batch, &out->images_per_second_best,
                   &out->images_per_second_median);
    out->peak_rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
    out->planned_bytes =
        rb_api_memory(b->ctx, &b->network, b->image, o->training, o->activations == REVBIFPN_STORED)
            .total_bytes;
    out->arena_planned_bytes = b->bytes.state + b->bytes.kept + b->bytes.gradient + b->bytes.scratch;
    out->arena_high_bytes = b->step.exec.kept.high + b->step.exec.scratch.high;
}

revbifpn_status revbifpn_bench(revbifpn *ctx, const revbifpn_bench_options *options,
                               revbifpn_bench_result *out) {
    revbifpn_status status;
    rb_bench b = {.ctx = ctx, .options = options};
    if (options->steps < 1 || options->batch < 1)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "steps and batch: at least 1");
    if (options->data && (!options->training || options->model.input_channels != 3 || options->profile))
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT,
                       "data: only for training steps of a network of 3 channels, without a profile");
    if (!options->model.classes)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "bench needs a network with classes");
    *out = (revbifpn_bench_result){0};
    TRY(open_bench(&b));
    fill_batch(&b);
    TRY(run(&b, out));
    if (options->profile) report_profile(&b);
    summarise(&b, out);
fail:
    rb_step_close(&b.step);
    rb_model_close(&b.network);
    rb_free(b.pictures);
    rb_free(b.labels);
    rb_free(b.seconds);
    return status;
}
