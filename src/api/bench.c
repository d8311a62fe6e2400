/* Timing of steps on random pictures, and the counters that the plan is held against. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "api/bench.h"
#include "base/rng.h"
#include "model/config.h"

static revbifpn_bench_options default_bench(void) {
    return (revbifpn_bench_options){
        .struct_size = sizeof(revbifpn_bench_options), .batch = 16, .steps = 5, .training = 1, .workers = 2};
}

void revbifpn_init_bench(revbifpn_bench_options *out, size_t struct_size) {
    revbifpn_bench_options options = default_bench();
    rb_api_init(out, struct_size, &options, sizeof options);
}

static revbifpn_status open_classifier(rb_bench *b) {
    revbifpn_status status;
    rb_error *err = &b->ctx->error;
    const revbifpn_bench_options *o = b->options;
    TRY(rb_api_check_config(&o->model, err));
    TRY(rb_model_check_input(&o->model, b->image, o->training, err));
    TRY(rb_model_create(&b->classifier, &o->model, err));
    b->network = &b->classifier;
fail:
    return status;
}

static rb_step_bytes bytes_of(rb_bench *b, rb_shape image) {
    if (b->objects) return rb_bench_detector_bytes(b, image);
    bool stored = b->options->activations == REVBIFPN_STORED;
    return rb_model_measure(b->network, &b->ctx->ops, b->ctx->pool, image, b->options->training, stored);
}

static revbifpn_status open_bench(rb_bench *b) {
    revbifpn_status status;
    rb_error *err = &b->ctx->error;
    const revbifpn_bench_options *o = b->options;
    b->image = (rb_shape){o->batch, o->height, o->width, o->model.input_channels};
    TRY((o->detector ? rb_bench_open_detector : open_classifier)(b));
    rb_model_set_precision(b->network, o->precision);
    TRY(rb_params_allocate(&b->network->params, o->training, err));
    rb_params_init(&b->network->params, 0, b->ctx->pool);
    b->bytes = bytes_of(b, b->image);
    b->step = (rb_step){.model = b->network, .stored = o->activations == REVBIFPN_STORED, .k = RB_GRID_START};
    rb_optimizer_options sgd = {.momentum = 0.9};
    if (o->training)
        TRY(rb_step_open(&b->step, &b->ctx->ops, b->ctx->pool, &b->bytes, &sgd, err));
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
    for (int i = 0; !b->objects && i < b->image.n; i++) b->labels[i] = i % b->options->model.classes;
}

static uint64_t peak_resident(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

/* Each operation of the network forward and backward, each part of the head likewise. */
static revbifpn_status start_profile(rb_bench *b) {
    revbifpn_status status;
    rb_peak peak;
    int most = 2 * RB_MAX_STREAMS * (b->network->stack.ops + 2) + 2 * RB_PART_OPTIMIZER;
    b->resident = peak_resident();
    TRY(rb_peak_measure(b->ctx->level, b->ctx->pool, &peak, &b->ctx->error));
    TRY(rb_profile_open(&b->profile, &peak, most, &b->ctx->error));
    b->step.exec.profile = &b->profile;
fail:
    return status;
}

revbifpn_status rb_bench_step(rb_bench *b, const uint8_t *pictures, const int32_t *labels) {
    rb_error *err = &b->ctx->error;
    rb_preprocess p = rb_preprocess_default();
    rb_images images = {.shape = b->image, .bytes = pictures, .mean = p.mean, .std = p.std};
    rb_pass pass = {.exec = &b->step.exec, .err = err, .k = RB_GRID_START};
    rb_step_report report;
    rb_targets targets = {.labels = labels};
    if (b->objects) return rb_bench_detector_step(b, &images);
    if (b->options->training) return rb_step_run(&b->step, &images, targets, 0.01, b->index++, &report, err);
    return rb_model_forward_on_a_grid(b->network, &pass, &images);
}

/* Processor time of the whole process. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

revbifpn_status rb_bench_steps(rb_bench *b, int from, int count) {
    revbifpn_status status = REVBIFPN_OK;
    size_t allocations = rb_alloc_count();
    double cpu = cpu_seconds();
    for (int i = from; i < from + count; i++) {
        double start = rb_profile_now();
        if (b->options->profile) rb_profile_begin(&b->profile);
        TRY(rb_bench_step(b, b->pictures, b->labels));
        if (b->options->profile) rb_profile_end(&b->profile);
        b->seconds[i] = rb_profile_now() - start;
    }
    b->cpu_seconds += cpu_seconds() - cpu;
    b->allocations += rb_alloc_count() - allocations;
fail:
    return status;
}

static revbifpn_status run(rb_bench *b, revbifpn_bench_result *out) {
    revbifpn_status status;
    TRY(rb_bench_step(b, b->pictures, b->labels)); /* the warm-up */
    if (b->options->profile) TRY(start_profile(b));
    return b->options->data ? rb_bench_with_data(b, out) : rb_bench_steps(b, 0, b->options->steps);
fail:
    return status;
}

static revbifpn_profile_row row_of(const rb_profile_row *r) {
    return (revbifpn_profile_row){.direction = "",
                                  .seconds = r->seconds,
                                  .gflops = r->flops * 1e-9,
                                  .gbytes = r->bytes * 1e-9,
                                  .floor_seconds = r->floor,
                                  .calls = r->calls};
}

/* As the state dict names it. */
static void name_operation(rb_operation o, char *name, size_t size) {
    switch (o.part) {
    case RB_PART_STEM: snprintf(name, size, "rev_stack.0"); break;
    case RB_PART_RESIDUAL: snprintf(name, size, "rev_stack.%d.rev_transform_%d", o.op, o.stream); break;
    case RB_PART_SILO: snprintf(name, size, "rev_stack.%d", o.op); break;
    case RB_PART_NECK: snprintf(name, size, "rev_stack.recomp_op.recomp_transform_%d", o.stream); break;
    case RB_PART_HEAD: snprintf(name, size, "head.pyramid_heads.%d", o.stream); break;
    case RB_PART_FINAL_CONV: snprintf(name, size, "head.final_conv"); break;
    case RB_PART_LINEAR: snprintf(name, size, "head.fc"); break;
    case RB_PART_PYRAMID: snprintf(name, size, "neck"); break;
    case RB_PART_RPN: snprintf(name, size, "rpn_head"); break;
    case RB_PART_BOX_HEAD: snprintf(name, size, "roi_head.bbox_head"); break;
    case RB_PART_MASK_HEAD: snprintf(name, size, "roi_head.mask_head"); break;
    case RB_PART_LOSS: snprintf(name, size, "loss"); break;
    case RB_PART_OPTIMIZER: snprintf(name, size, "optimizer"); break;
    }
}

static void report_operation(const rb_bench *b, const rb_profile_operation *o) {
    revbifpn_profile_row row = row_of(&o->row);
    row.kind = REVBIFPN_PROFILE_OPERATION;
    row.seconds = o->elapsed;
    row.rest_seconds = o->elapsed - o->row.seconds;
    if (o->operation.part < RB_PART_LOSS) row.direction = o->operation.backward ? "backward" : "forward";
    name_operation(o->operation, row.name, sizeof row.name);
    b->options->profile(b->options->user, &row);
}

static void report_profile(const rb_bench *b) {
    const rb_profile *p = &b->profile;
    revbifpn_profile_row rest = {.name = "rest", .direction = ""};
    for (int op = 0; op < RB_PROFILE_OPS; op++) {
        revbifpn_profile_row row = row_of(&p->operators[op]);
        if (!p->operators[op].calls) continue; /* of another kind of network */
        snprintf(row.name, sizeof row.name, "%s", rb_profile_name((rb_profile_op)op));
        b->options->profile(b->options->user, &row);
    }
    for (int i = 0; i < p->count; i++)
        rest.seconds += p->operations[i].elapsed - p->operations[i].row.seconds;
    b->options->profile(b->options->user, &rest);
    for (int i = 0; i < p->count; i++) report_operation(b, &p->operations[i]);
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
    out->allocations_after_first_step = b->allocations;
    out->step_cpu_seconds = b->cpu_seconds / o->steps / o->batch;
    rb_bench_rates(b->seconds, o->steps, o->batch, &out->images_per_second_best,
                   &out->images_per_second_median);
    out->peak_gflops = b->profile.peak.flops * 1e-9;
    out->peak_gbytes = b->profile.peak.read * 1e-9;
    out->peak_rss_bytes = o->profile ? b->resident : peak_resident();
    rb_api_step step = {.training = o->training, .stored = o->activations == REVBIFPN_STORED};
    out->planned_bytes = rb_api_memory_of(b->network, &b->bytes, b->image, &step).total_bytes;
    out->arena_planned_bytes = b->bytes.state + b->bytes.kept + b->bytes.gradient + b->bytes.scratch;
    out->arena_high_bytes = b->step.exec.kept.high + b->step.exec.scratch.high;
}

static revbifpn_status bench(revbifpn *ctx, const revbifpn_bench_options *options,
                             revbifpn_bench_result *out) {
    revbifpn_status status;
    rb_bench b = {.ctx = ctx, .options = options};
    if (options->steps < 1 || options->batch < 1)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "steps and batch: at least 1");
    if (options->data && (!options->training || options->model.input_channels != 3 || options->profile))
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT,
                       "data: only for training steps of a network of 3 channels, without a profile");
    if (options->detector && options->data)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "data: not with a detector");
    if (!options->detector && !options->model.classes)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "bench needs a network with classes");
    *out = (revbifpn_bench_result){0};
    TRY(open_bench(&b));
    fill_batch(&b);
    TRY(run(&b, out));
    if (options->profile) report_profile(&b);
    summarise(&b, out);
fail:
    rb_profile_close(&b.profile);
    rb_step_close(&b.step);
    rb_model_close(&b.classifier);
    rb_bench_close_detector(&b);
    rb_free(b.pictures);
    rb_free(b.labels);
    rb_free(b.seconds);
    return status;
}

revbifpn_status revbifpn_bench(revbifpn *ctx, const revbifpn_bench_options *options,
                               revbifpn_bench_result *out) {
    RB_ENTER(ctx);
    revbifpn_bench_options own = default_bench();
    revbifpn_status status = rb_api_take(&own, sizeof own, options, "bench_options", &ctx->error);
    return status ? status : bench(ctx, &own, out);
}
