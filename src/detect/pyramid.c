/* HRFPN (Sun et al. 2019; spec 5.1), with its 1×1 convolution before the upsampling that the paper puts
 * first: both are linear and act on different axes, so they may change places, and the product then runs over
 * each level's own pixels. */
#include "detect/detector.h"
#include "ops/conv3x3/conv3x3.h"
#include "ops/maps/maps.h"

static size_t bytes_of(rb_shape shape) { return rb_elements(shape) * sizeof(float); }

static float *keep(rb_pass *pass, rb_shape shape) {
    return rb_arena_push(&pass->exec->kept, bytes_of(shape));
}

static rb_shape map_shape(const rb_detector *d, int i) {
    rb_shape shape = d->model.streams.shape[i];
    shape.c = d->model.map_widths[i];
    return shape;
}

/* The same pixels, with the pyramid's channels. */
static rb_shape low_shape(const rb_detector *d, int i) {
    rb_shape shape = d->model.streams.shape[i];
    shape.c = d->config.channels;
    return shape;
}

/* Columns of the reduction's weight that belong to map i. */
typedef struct part {
    int first, width, all;
} part;

static part part_of(const rb_detector *d, int i) {
    part p = {.width = d->model.map_widths[i]};
    for (int k = 0; k < d->model.streams.count; k++) {
        if (k < i) p.first += d->model.map_widths[k];
        p.all += d->model.map_widths[k];
    }
    return p;
}

/* W_i x_i, from a dense copy of its columns. */
static rb_pointwise product(const rb_detector *d, rb_exec *x, int i) {
    part p = part_of(d, i);
    rb_shape weight = {1, 1, d->config.channels, p.width}, shape = map_shape(d, i);
    float *wgt = rb_arena_push(&x->scratch, bytes_of(weight));
    rb_slice_pack(x, weight, rb_param_weight(&d->model.params, d->reduction.wgt) + p.first, p.all, wgt);
    rb_source src = {.shape = shape, .ld = shape.c, .load = RB_LOAD_MAP, .data = d->maps[i]};
    return (rb_pointwise){.src = src, .oc = d->config.channels, .wgt = wgt};
}

static void reduce(rb_detector *d, rb_pass *pass) {
    rb_exec *x = pass->exec;
    const float *bias = rb_param_weight(&d->model.params, d->reduction.bias);
    for (int i = 0; i < d->model.streams.count; i++) {
        size_t mark = rb_arena_mark(&x->scratch);
        rb_pointwise p = product(d, x, i);
        float *low = i ? rb_arena_push(&x->scratch, bytes_of(low_shape(d, i))) : d->sums[0];
        rb_pointwise_forward(x, &p, low, (rb_moments){0});
        if (i) rb_upsample_add(x, low_shape(d, i), 1 << i, low, i == 1 ? bias : NULL, d->sums[0]);
        rb_arena_release(&x->scratch, mark);
    }
}

static rb_conv3x3 conv_of(const rb_detector *d, int level) {
    return (rb_conv3x3){.shape = d->levels[level],
                        .src = d->sums[level],
                        .oc = d->config.channels,
                        .wgt = rb_param_weight(&d->model.params, d->fpn[level].wgt),
                        .bias = rb_param_weight(&d->model.params, d->fpn[level].bias)};
}

void rb_pyramid_forward(rb_detector *d, rb_pass *pass) {
    rb_exec *x = pass->exec;
    for (int i = 0; i < d->model.streams.count; i++) d->maps[i] = keep(pass, map_shape(d, i));
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        d->levels[l] = (rb_shape){d->model.image.n, d->anchors.h[l], d->anchors.w[l], d->config.channels};
        d->sums[l] = keep(pass, d->levels[l]);
        d->features[l] = keep(pass, d->levels[l]);
    }
    rb_exec_enter(x, (rb_operation){.part = RB_PART_NECK});
    rb_model_maps(&d->model, pass, d->maps);
    rb_exec_enter(x, (rb_operation){.part = RB_PART_PYRAMID});
    reduce(d, pass);
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        if (l) rb_average_pool(x, d->levels[0], 1 << l, d->sums[0], d->sums[l]);
        rb_conv3x3 conv = conv_of(d, l);
        rb_conv3x3_forward(x, &conv, d->features[l]);
    }
}

/* From the gradient of f to that of y_0, each level's in the place of its f. */
static float *backward_to_sum(rb_detector *d, rb_pass *pass) {
    rb_params *params = &d->model.params;
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
        rb_conv3x3 conv = conv_of(d, l);
        rb_conv3x3_backward(pass->exec, &conv, NULL, d->d_features[l],
                            rb_param_gradient(params, d->fpn[l].wgt),
                            rb_param_gradient(params, d->fpn[l].bias), d->features[l], false);
        if (l) rb_average_pool_backward(pass->exec, d->levels[0], 1 << l, d->features[l], d->features[0]);
    }
    return d->features[0];
}

/* The gradients of the weights of map i, and of the map (NULL: not asked). */
static void backward_to_map(rb_detector *d, rb_pass *pass, int i, float *d_sum, float *d_map) {
    rb_exec *x = pass->exec;
    size_t mark = rb_arena_mark(&x->scratch);
    rb_pointwise p = product(d, x, i);
    part columns = part_of(d, i);
    rb_shape shape = low_shape(d, i), weight = {1, 1, d->config.channels, columns.width};
    float *d_low = i ? rb_arena_push(&x->scratch, bytes_of(shape)) : d_sum;
    float *d_wgt = rb_arena_push(&x->scratch, bytes_of(weight));
    if (i) rb_upsample_backward(x, shape, 1 << i, d_sum, shape.c, d_low);
    rb_zero(x, d_wgt, bytes_of(weight));
    rb_gradient g = {.shape = shape, .d = d_low, .ld = shape.c};
    rb_sink sink = {.d = d_map, .ld = columns.width};
    rb_pointwise_backward(x, &p, &g, d_wgt, &sink);
    float *all = rb_param_gradient(&d->model.params, d->reduction.wgt) + columns.first;
    for (int o = 0; !x->dry && o < weight.w; o++)
        for (int c = 0; c < weight.c; c++)
            all[(size_t)o * (size_t)columns.all + (size_t)c] +=
                d_wgt[(size_t)o * (size_t)weight.c + (size_t)c];
    rb_arena_release(&x->scratch, mark);
}

revbifpn_status rb_pyramid_backward(rb_detector *d, rb_pass *pass) {
    rb_exec *x = pass->exec;
    float *d_maps[RB_MAX_STREAMS], *d_sum;
    rb_exec_enter(x, (rb_operation){.part = RB_PART_PYRAMID, .backward = true});
    d_sum = backward_to_sum(d, pass);
    float *d_bias = rb_param_gradient(&d->model.params, d->reduction.bias);
    rb_channel_sums(x, rb_pixels(d->levels[0]), d->config.channels, d_sum, d_bias);
    for (int i = 0; i < d->model.streams.count; i++) {
        bool learns = !d->model.frozen_neck;
        d_maps[i] = learns ? rb_arena_push(&x->scratch, bytes_of(map_shape(d, i))) : NULL;
        backward_to_map(d, pass, i, d_sum, d_maps[i]);
    }
    if (d->model.frozen_neck) return REVBIFPN_OK; /* nothing before it learns */
    rb_exec_enter(x, (rb_operation){.part = RB_PART_NECK, .backward = true});
    return rb_model_backward_maps(&d->model, pass, d_maps);
}
