/* Inference reads the norms as affine maps that were prepared once. A training pass forms them anew in every
 * layer: with the batch's statistics written into the running ones, the two give the same state and the same
 * logits, to the bit. And no map is older than the weights. */
#include "check.h"

#include "base/rng.h"
#include "small_run.h"

static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};

static rb_images pictures_of(small_run *r, rb_shape shape) {
    rb_rng rng = rb_rng_open(6, RB_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < rb_elements(shape); i++) r->pictures[i] = (uint8_t)rb_rng_u32(&rng);
    return (rb_images){.shape = shape, .bytes = r->pictures, .mean = mean, .std = std};
}

static void forward(small_run *r, const rb_images *images, bool training) {
    rb_pass pass = {.exec = &r->step.exec, .err = &r->err, .training = training, .k = 20};
    CHECK_OK(rb_model_forward(&r->model, &pass, images, NULL, NULL), &r->err);
}

/* The batch's statistics as running ones. */
static void freeze(const rb_conv_norm *l) {
    if (!l->c) return;
    memcpy(rb_param_statistic(l->params, l->running_mean), l->mean, (size_t)l->c * sizeof(float));
    memcpy(rb_param_statistic(l->params, l->running_var), l->var, (size_t)l->c * sizeof(float));
}

static void freeze_all(small_run *r) {
    for (int i = 0; i < r->model.block_count; i++) {
        const rb_mbconv *b = &r->model.blocks[i];
        freeze(&b->expand);
        freeze(&b->depthwise);
        freeze(&b->project);
    }
    freeze(&r->model.final);
}

/* The last pyramid, then the logits. */
static size_t result_bytes(const small_run *r) {
    const rb_model *m = &r->model;
    size_t bytes = (size_t)m->image.n * (size_t)m->config.classes * sizeof(float);
    for (int i = 0; i < m->streams.count; i++) bytes += rb_elements(m->streams.shape[i]) * sizeof(int32_t);
    return bytes;
}

static unsigned char *result_of(const small_run *r) {
    const rb_model *m = &r->model;
    unsigned char *copy = rb_alloc(result_bytes(r)), *to = copy;
    for (int i = 0; i < m->streams.count; i++) {
        size_t bytes = rb_elements(m->streams.shape[i]) * sizeof(int32_t);
        memcpy(to, m->streams.x[i], bytes);
        to += bytes;
    }
    memcpy(to, m->logits, (size_t)m->image.n * (size_t)m->config.classes * sizeof(float));
    return copy;
}

static void is_the_training_pass(revbifpn_model_config config, bool wide) {
    small_run r;
    config.drop = config.drop_path = 0;
    small_run_options o = small_run_custom_options(config);
    small_run_open(&r, &o);
    small_run_steps(&r, 1); /* gamma and beta are no longer 1 and 0 */
    rb_shape shape = r.image;
    if (wide) shape.h /= 2;
    rb_images images = pictures_of(&r, shape);
    forward(&r, &images, true);
    unsigned char *wanted = result_of(&r);
    freeze_all(&r);
    for (int again = 0; again < 2; again++) {
        forward(&r, &images, false);
        unsigned char *got = result_of(&r);
        assert_memory_equal(got, wanted, result_bytes(&r));
        rb_free(got);
    }
    rb_free(wanted);
    small_run_close(&r);
}

static void inference_is_the_training_pass_on_its_statistics(void **state) {
    (void)state;
    small_run_options s0 = small_run_defaults("s0", 10);
    s0.config.image_width = s0.config.image_height = 32;
    is_the_training_pass(s0.config, false);
    for (int streams = 2; streams <= 4; streams++)
        for (int neck = 0; neck < 2; neck++) {
            revbifpn_model_config config = small_run_custom(streams, 3);
            config.neck = neck;
            is_the_training_pass(config, false);
            is_the_training_pass(config, true);
        }
}

/* After inference, training and inference again: as a network that gets the same weights and has never been
 * run. */
static void no_map_is_older_than_the_weights(void **state) {
    (void)state;
    small_run used, fresh;
    small_run_options o = small_run_custom_options(small_run_custom(3, 3));
    small_run_open(&used, &o);
    rb_images images = pictures_of(&used, used.image);
    forward(&used, &images, false);
    unsigned char *first = result_of(&used);
    small_run_steps(&used, 2);
    small_run_open(&fresh, &o);
    const rb_params *p = &used.model.params, *q = &fresh.model.params;
    memcpy(q->weight, p->weight, p->trained * sizeof(float));
    memcpy(q->statistics, p->statistics, p->running * sizeof(float));
    images = pictures_of(&used, used.image);
    forward(&used, &images, false);
    forward(&fresh, &images, false);
    unsigned char *a = result_of(&used), *b = result_of(&fresh);
    assert_memory_equal(a, b, result_bytes(&used));
    assert_memory_not_equal(a, first, result_bytes(&used));
    rb_free(first);
    rb_free(a);
    rb_free(b);
    small_run_close(&used);
    small_run_close(&fresh);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inference_is_the_training_pass_on_its_statistics),
        cmocka_unit_test(no_map_is_older_than_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
