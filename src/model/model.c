/* Forward, backward and inverse of the whole network. */
#include "model/model.h"

#include <math.h>
#include <stdio.h>

int rb_model_stride(const revbifpn_model_config *config) { return 4 << (config->streams - 1); }

revbifpn_status rb_model_check_input(const revbifpn_model_config *config, rb_shape image, bool training,
                                     rb_error *err) {
    int stride = rb_model_stride(config);
    if (image.h <= 0 || image.w <= 0 || image.h % stride || image.w % stride) {
        int w = (image.w + stride / 2) / stride * stride, h = (image.h + stride / 2) / stride * stride;
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "image size %dx%d: width and height must be multiples of %d; the nearest is %dx%d",
                       image.w, image.h, stride, w ? w : stride, h ? h : stride);
    }
    if (image.c != config->input_channels)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "pictures of %d channels for a network of %d", image.c,
                       config->input_channels);
    if (training && (size_t)image.n * (size_t)(image.h / stride) * (size_t)(image.w / stride) < 2)
        return rb_fail(
            err, REVBIFPN_BAD_ARGUMENT,
            "a batch of %d picture of %dx%d leaves one value per channel for the batch norm of the coarsest "
            "stream; training needs a larger batch or size",
            image.n, image.w, image.h);
    return REVBIFPN_OK;
}

static void place_streams(rb_model *m, rb_pass *pass, rb_shape image) {
    const revbifpn_model_config *c = &m->config;
    m->image = image;
    m->streams = (rb_streams){.count = c->streams};
    for (int i = 0; i < c->streams; i++) {
        rb_shape shape = {image.n, image.h / (4 << i), image.w / (4 << i), c->widths[i]};
        m->streams.shape[i] = shape;
        m->streams.x[i] = rb_arena_push(&pass->exec->kept, rb_elements(shape) * sizeof(int32_t));
    }
}

static void prepare_block(const rb_mbconv *b, rb_exec *exec) {
    if (b->expand.c) rb_conv_norm_prepare(&b->expand, exec);
    rb_conv_norm_prepare(&b->depthwise, exec);
    rb_conv_norm_prepare(&b->project, exec);
}

/* The norms' affine maps for inference, once for as long as no training pass comes in between. */
static void prepare_maps(rb_model *m, const rb_pass *pass) {
    rb_exec *x = pass->exec;
    if (!pass->training && !m->params.maps_current) {
        for (int i = 0; i < m->block_count; i++) prepare_block(&m->blocks[i], x);
        if (m->config.classes) rb_conv_norm_prepare(&m->final, x);
    }
    if (!x->dry) m->params.maps_current = !pass->training;
}

static rb_stem stem_of(const rb_model *m, const rb_pass *pass, const rb_images *images, int32_t *state) {
    return (rb_stem){.image = images->shape,
                     .repeated = m->config.widths[0] / 16,
                     .bytes = images->bytes,
                     .words = images->words,
                     .floats = images->floats,
                     .mean = images->mean,
                     .std = images->std,
                     .k = pass->k,
                     .state = state};
}

revbifpn_status rb_model_forward(rb_model *m, rb_pass *pass, const rb_images *images, rb_observer *observe,
                                 void *arg) {
    revbifpn_status status;
    rb_exec *x = pass->exec;
    rb_arena_release(&x->kept, 0);
    rb_arena_release(&x->scratch, 0);
    pass->largest = 0;
    prepare_maps(m, pass);
    place_streams(m, pass, images->shape);
    rb_stem stem = stem_of(m, pass, images, m->streams.x[0]);
    rb_watch watch = {0};
    rb_exec_enter(x, (rb_operation){.part = RB_PART_STEM});
    rb_stem_forward(x, &stem, &watch);
    rb_stem_erase(x, &stem, images->patches, images->patch_count);
    TRY(rb_pass_check(pass, &watch, "the picture", 0));
    if (observe) observe(arg, 0, &m->streams);
    TRY(rb_stack_forward(&m->stack, pass, &m->streams, observe, arg));
    if (m->config.classes) rb_head_forward(m, pass);
    return REVBIFPN_OK;
fail:
    return status;
}

void rb_model_seen(rb_model *m, const rb_pass *pass, const rb_images *images, int i, float *floats) {
    rb_exec *x = pass->exec;
    rb_images one = *images;
    one.shape.n = 1;
    size_t before = (size_t)i * rb_elements(one.shape);
    if (one.bytes) one.bytes += before;
    if (one.words) one.words += before;
    if (one.floats) one.floats += before;
    rb_arena_release(&x->kept, 0);
    rb_arena_release(&x->scratch, 0);
    size_t state = rb_elements(one.shape) / (size_t)one.shape.c * (size_t)(m->config.widths[0] / 16);
    rb_stem stem = stem_of(m, pass, &one, rb_arena_push(&x->kept, state * sizeof(int32_t)));
    rb_watch watch = {0}; /* what leaves the range here does so in the pass itself, too */
    rb_stem_forward(x, &stem, &watch);
    for (int p = 0; p < images->patch_count; p++) {
        rb_patch patch = images->patches[p];
        if (patch.image != i) continue;
        patch.image = 0;
        rb_stem_erase(x, &stem, &patch, 1);
    }
    rb_stem_inverse(x, one.shape, stem.repeated, pass->k, stem.state, floats);
    rb_arena_release(&x->kept, 0);
}

/* At the floor of k a state out of range is final. */
static revbifpn_status exhausted(rb_error *err, int floor) {
    char why[sizeof err->text];
    snprintf(why, sizeof why, "%s", err->text);
    return rb_fail(err, REVBIFPN_NOT_FINITE, "%.900s; the coarsest grid is 2^%d", why, -floor);
}

revbifpn_status rb_model_forward_on_a_grid(rb_model *m, rb_pass *pass, const rb_images *images) {
    int floor = pass->training || images->shape.n > 1 ? RB_GRID_FLOOR : RB_GRID_LAST;
    for (;;) {
        revbifpn_status status = rb_model_forward(m, pass, images, NULL, NULL);
        if (status != REVBIFPN_OUT_OF_RANGE) return status;
        if (pass->k == floor) return exhausted(pass->err, floor);
        pass->k--;
    }
}

/* Gradients of the streams, on scratch for the rest of the backward pass. */
static void place_gradients(rb_model *m, rb_pass *pass) {
    for (int i = 0; i < m->streams.count; i++)
        m->streams.d[i] =
            rb_arena_push(&pass->exec->scratch, rb_elements(m->streams.shape[i]) * sizeof(float));
}

static revbifpn_status finish_backward(rb_model *m, rb_pass *pass) {
    revbifpn_status status = rb_stack_backward(&m->stack, pass, &m->streams);
    rb_arena_release(&pass->exec->scratch, 0);
    return status;
}

revbifpn_status rb_model_backward(rb_model *m, rb_pass *pass) {
    rb_head_backward(m, pass);
    return finish_backward(m, pass);
}

revbifpn_status rb_model_input_gradient(rb_model *m, rb_pass *pass, int class, float *floats) {
    revbifpn_status status;
    rb_exec *x = pass->exec;
    rb_zero(x, m->params.gradient, m->params.trained * sizeof(float));
    rb_zero(x, m->d_logits, (size_t)m->config.classes * sizeof(float));
    if (!x->dry) m->d_logits[class] = 1;
    TRY(rb_model_backward(m, pass));
    rb_stem_backward(x, m->image, m->config.widths[0] / 16, m->streams.d[0], floats);
fail:
    return status;
}

rb_source rb_model_stream(const rb_model *m, const rb_pass *pass, int i) {
    return (rb_source){.shape = m->streams.shape[i],
                       .ld = m->streams.shape[i].c,
                       .load = RB_LOAD_FIXED,
                       .data = m->streams.x[i],
                       .step = ldexpf(1, -pass->k)};
}

void rb_model_maps(rb_model *m, rb_pass *pass, float *const maps[]) {
    if (m->config.classes) rb_arena_release(&pass->exec->scratch, 0);
    for (int i = 0; i < m->streams.count; i++) {
        rb_source src = rb_model_stream(m, pass, i);
        if (m->config.neck)
            rb_mbconv_map(m->neck[i], pass, &src, true, false, maps[i]);
        else
            rb_state_to_map(pass->exec, m->streams.shape[i], m->streams.x[i], pass->k, maps[i]);
    }
}

revbifpn_status rb_model_backward_maps(rb_model *m, rb_pass *pass, float *const d_maps[]) {
    place_gradients(m, pass);
    for (int i = 0; i < m->streams.count; i++) {
        rb_source src = rb_model_stream(m, pass, i);
        rb_sink sink = {.d = m->streams.d[i], .ld = src.ld};
        if (m->config.neck)
            rb_mbconv_map_backward(m->neck[i], pass, &src, d_maps[i], &sink);
        else
            rb_slice_pack(pass->exec, src.shape, d_maps[i], src.ld, sink.d);
    }
    return finish_backward(m, pass);
}

revbifpn_status rb_model_inverse(rb_model *m, rb_pass *pass, float *floats) {
    rb_arena_release(&pass->exec->scratch, 0); /* what the head left there for its backward */
    revbifpn_status status = rb_stack_inverse(&m->stack, pass, &m->streams);
    if (status == REVBIFPN_OK)
        rb_stem_inverse(pass->exec, m->image, m->config.widths[0] / 16, pass->k, m->streams.x[0], floats);
    return status;
}

static void move_block(const rb_mbconv *b, rb_exec *exec, int times) {
    if (b->expand.c) rb_conv_norm_move(&b->expand, exec, times);
    rb_conv_norm_move(&b->depthwise, exec, times);
    rb_conv_norm_move(&b->project, exec, times);
}

void rb_model_move_statistics(rb_model *m, rb_exec *exec, bool published) {
    const rb_mbconv *first_of_head = m->head[0] ? m->head[0] : m->blocks + m->block_count;
    for (const rb_mbconv *b = m->blocks; b < m->blocks + m->block_count; b++)
        move_block(b, exec, published && b < first_of_head ? 2 : 1);
    if (m->config.classes) rb_conv_norm_move(&m->final, exec, 1);
}
