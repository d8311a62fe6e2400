#include "small_run.h"

#include "base/rng.h"
#include "check.h"
#include "model/config.h"

static void choose_sgd(small_run_options *o) {
    o->optimizer = (rb_optimizer_options){.rule = REVBIFPN_SGD, .momentum = 0.9, .decay = 5e-5};
    o->loss.smoothing = 0.1;
}

small_run_options small_run_defaults(const char *name, int classes) {
    small_run_options o = {.batch = 4, .side = 64, .threads = 2, .level = rb_cpu_detect()};
    choose_sgd(&o);
    rb_error err;
    CHECK_OK(rb_config_named(name, &o.config, &err), &err);
    o.config.classes = classes;
    return o;
}

revbifpn_model_config small_run_custom(int streams, int channels) {
    revbifpn_model_config c = {.struct_size = sizeof c, .name = "custom", .streams = streams};
    c.input_channels = channels;
    c.blocks_per_level = 1;
    c.extension_levels = 1;
    c.neck = 1;
    c.fc_features = 37;
    c.classes = 5;
    c.drop = 0.1;
    c.drop_path = 0.2;
    c.image_width = c.image_height = 4 << (streams - 1);
    for (int i = 0; i < streams; i++) {
        c.widths[i] = i ? 22 + 6 * i : 16 * channels;
        c.kernels[i] = i % 2 ? 5 : 3;
        c.kernel_pads[i] = i == streams - 1 ? 2 : 0;
        c.expansions[i] = 1 + i % 3;
        c.squeeze_ratios[i] = i % 2 ? 0.25 : 0;
        c.head_widths[i] = 19 + 3 * i;
        c.head_kernels[i] = 5;
        c.head_expansions[i] = 1 + (i > 0);
        c.head_squeeze_ratios[i] = 0.125;
    }
    return c;
}

small_run_options small_run_custom_options(revbifpn_model_config config) {
    small_run_options o = {.config = config, .batch = 3, .threads = 2, .level = rb_cpu_detect()};
    choose_sgd(&o);
    o.side = 2 * config.image_width;
    return o;
}

void small_run_open(small_run *r, const small_run_options *o) {
    *r = (small_run){.image = {o->batch, o->side, o->side, o->config.input_channels}};
    CHECK_OK(rb_config_check(&o->config, &r->err), &r->err);
    CHECK_OK(rb_pool_open(&r->pool, o->threads, &r->err), &r->err);
    rb_ops_fill(&r->ops, o->level);
    CHECK_OK(rb_model_create(&r->model, &o->config, &r->err), &r->err);
    rb_model_set_precision(&r->model, o->precision);
    CHECK_OK(rb_params_allocate(&r->model.params, true, &r->err), &r->err);
    rb_params_init(&r->model.params, 5, r->pool);
    r->bytes = rb_model_measure(&r->model, &r->ops, r->pool, r->image, true, o->stored);
    r->step = (rb_step){.model = &r->model, .stored = o->stored, .loss = o->loss, .seed = 9};
    CHECK_OK(rb_step_open(&r->step, &r->ops, r->pool, &r->bytes, &o->optimizer, &r->err), &r->err);
    rb_optimizer_start(&r->step.optimizer);
    r->pictures = rb_alloc(rb_elements(r->image));
    r->labels = rb_alloc((size_t)o->batch * sizeof *r->labels);
}

void small_run_close(small_run *r) {
    rb_step_close(&r->step);
    rb_model_close(&r->model);
    rb_pool_close(&r->pool);
    rb_free(r->pictures);
    rb_free(r->labels);
}

revbifpn_status small_run_step(small_run *r) {
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, r->done, 0);
    for (size_t i = 0; i < rb_elements(r->image); i++) r->pictures[i] = (uint8_t)rb_rng_u32(&rng);
    for (int i = 0; i < r->image.n; i++)
        r->labels[i] = (int32_t)rb_rng_below(&rng, (uint32_t)r->model.config.classes);
    rb_images images = {.shape = r->image, .bytes = r->pictures, .mean = mean, .std = std};
    rb_step_report report;
    rb_targets targets = {.labels = r->labels};
    revbifpn_status status = rb_step_run(&r->step, &images, targets, 0.05, r->done, &report, &r->err);
    if (status != REVBIFPN_OK) return status;
    r->done++;
    r->loss = report.loss;
    r->lowered += report.lowered;
    return REVBIFPN_OK;
}

void small_run_steps(small_run *r, int count) {
    for (int i = 0; i < count; i++) CHECK_OK(small_run_step(r), &r->err);
}

void small_run_assert_equal(const small_run *a, const small_run *b) {
    const rb_params *p = &a->model.params, *q = &b->model.params;
    assert_int_equal(p->trained, q->trained);
    assert_memory_equal(p->weight, q->weight, p->trained * sizeof(float));
    assert_memory_equal(p->statistics, q->statistics, p->running * sizeof(float));
    assert_memory_equal(p->counter, q->counter, p->counters * sizeof(int64_t));
    const rb_optimizer *x = &a->step.optimizer, *y = &b->step.optimizer;
    assert_int_equal(x->steps, y->steps);
    assert_int_equal(x->state.high, y->state.high);
    assert_memory_equal(x->state.base, y->state.base, x->state.high);
    assert_int_equal(a->step.k, b->step.k);
}
