/* The classification head: fine to coarse, out_{i+1} = map_{i+1} + MBConv_i(out_i); then 1×1, norm,
 * hardswish, mean over the pixels, dropout, linear.
 *
 * Between forward and backward the coarse maps and the output of the last convolution stay on scratch, where
 * the backward pass, which starts at the coarse end, gives them back before memory peaks at the finest level.
 * The finest map, as a rule larger than all others together, is formed again when that level's turn comes. */
#include "base/rng.h"
#include "model/model.h"

static rb_shape map_shape(const rb_model *m, int i) {
    rb_shape shape = m->streams.shape[i];
    shape.c = m->map_widths[i];
    return shape;
}

static rb_source map_source(const rb_model *m, int i) {
    rb_shape shape = map_shape(m, i);
    return (rb_source){.shape = shape, .ld = shape.c, .load = RB_LOAD_MAP, .data = m->maps[i]};
}

static bool is_stored(const rb_pass *pass) { return pass->stored && pass->training; }

/* A map that the backward pass reads, too: kept in stored mode, else on scratch. */
static float *push_map(rb_pass *pass, rb_shape shape) {
    rb_arena *arena = is_stored(pass) ? &pass->exec->kept : &pass->exec->scratch;
    return rb_arena_push(arena, rb_elements(shape) * sizeof(float));
}

/* What follows belongs to that part of level i. */
static void enter(rb_pass *pass, rb_part part, int i, bool backward) {
    rb_exec_enter(pass->exec, (rb_operation){.part = part, .stream = i, .backward = backward});
}

/* Level i's map begins as the neck of its stream, … */
static void form_neck(rb_model *m, rb_pass *pass, int i, bool fresh) {
    rb_source src = rb_model_stream(m, pass, i);
    enter(pass, RB_PART_NECK, i, !fresh);
    if (m->config.neck)
        rb_mbconv_map(m->neck[i], pass, &src, fresh, false, m->maps[i]);
    else
        rb_state_to_map(pass->exec, m->streams.shape[i], m->streams.x[i], pass->k, m->maps[i]);
}

/* … to which the head adds its transform of the finer map. */
static void add_finer(rb_model *m, rb_pass *pass, int i) {
    rb_source finer = map_source(m, i - 1);
    enter(pass, RB_PART_HEAD, i - 1, false);
    rb_mbconv_map(m->head[i - 1], pass, &finer, true, true, m->maps[i]);
}

/* All maps, each above the finer one so that the coarsest can go first; the finest above all of them, until
 * the next has been formed from it. That one's neck comes before, while there is more room. */
static void form_maps(rb_model *m, rb_pass *pass) {
    rb_arena *scratch = &pass->exec->scratch;
    for (int i = 1; i < m->streams.count; i++) {
        m->below_map[i] = rb_arena_mark(scratch);
        m->maps[i] = push_map(pass, map_shape(m, i));
    }
    size_t mark = rb_arena_mark(scratch);
    form_neck(m, pass, 1, true);
    m->maps[0] = push_map(pass, map_shape(m, 0));
    form_neck(m, pass, 0, true);
    add_finer(m, pass, 1);
    rb_arena_release(scratch, mark);
    for (int i = 2; i < m->streams.count; i++) {
        form_neck(m, pass, i, true);
        add_finer(m, pass, i);
    }
}

/* Room for the gradient of a stream and, in the same place, of its map. */
static float *push_gradient(rb_model *m, rb_pass *pass, int i) {
    rb_shape shape = m->streams.shape[i];
    if (m->map_widths[i] > shape.c) shape.c = m->map_widths[i];
    return rb_arena_push(&pass->exec->scratch, rb_elements(shape) * sizeof(float));
}

/* Below the maps, which the gradients of the coarse levels outlast. That of map 1 has a place of its own: the
 * finest level still needs it when its stream's is there. It is the last, for the finest level's to take its
 * place. */
static void place_coarse_gradients(rb_model *m, rb_pass *pass) {
    m->below_gradients = rb_arena_mark(&pass->exec->scratch);
    for (int i = 1; i < m->streams.count; i++) m->d_maps[i] = m->streams.d[i] = push_gradient(m, pass, i);
    m->d_maps[1] = rb_arena_push(&pass->exec->scratch, rb_elements(map_shape(m, 1)) * sizeof(float));
}

static rb_shape final_shape(const rb_model *m) {
    rb_shape shape = m->streams.shape[m->streams.count - 1];
    shape.c = m->config.fc_features;
    return shape;
}

static rb_pointwise final_conv(const rb_model *m) {
    return (rb_pointwise){.src = map_source(m, m->streams.count - 1),
                          .oc = m->config.fc_features,
                          .wgt = rb_conv_norm_weight(&m->final)};
}

/* Dropout's factors n,f (0 or 1/(1 − p)), or NULL when there is none. Each sample has its own random stream.
 */
static float *dropout(const rb_model *m, rb_pass *pass) {
    double p = m->config.drop;
    size_t n = (size_t)m->image.n, f = (size_t)m->config.fc_features;
    if (!pass->training || p <= 0) return NULL;
    float *factor = rb_arena_push(&pass->exec->scratch, n * f * sizeof(float));
    if (pass->exec->dry) return factor;
    for (size_t i = 0; i < n; i++) {
        rb_rng rng = rb_rng_open(pass->seed, RB_PURPOSE_DROPOUT, pass->step, i);
        for (size_t c = 0; c < f; c++)
            factor[i * f + c] = rb_rng_uniform(&rng) < 1 - p ? (float)(1 / (1 - p)) : 0.0f;
    }
    return factor;
}

/* The linear layer on the pooled vector after dropout. */
static rb_linear linear_of(const rb_model *m, rb_pass *pass, const float *factor) {
    rb_linear l = {.n = m->image.n, .features = m->config.fc_features, .classes = m->config.classes};
    l.src = m->pooled;
    l.wgt = rb_param_weight(&m->params, m->fc_weight);
    l.bias = rb_param_weight(&m->params, m->fc_bias);
    if (!factor) return l;
    rb_exec *x = pass->exec;
    size_t count = (size_t)l.n * (size_t)l.features;
    float *dropped = rb_arena_push(&x->scratch, count * sizeof(float));
    rb_slice_pack(x, (rb_shape){l.n, 1, 1, l.features}, m->pooled, l.features, dropped);
    rb_scale_by(x, count, factor, dropped);
    l.src = dropped;
    return l;
}

/* From the coarsest map to the logits. */
static void form_logits(rb_model *m, rb_pass *pass) {
    rb_exec *x = pass->exec;
    rb_shape shape = final_shape(m);
    size_t mark = rb_arena_mark(&x->scratch);
    rb_moments moments = pass->training ? rb_conv_norm_keep(&m->final, pass, shape) : (rb_moments){0};
    rb_pointwise conv = final_conv(m);
    enter(pass, RB_PART_FINAL_CONV, 0, false);
    rb_pointwise_forward(x, &conv, m->final_z, moments);
    rb_squeeze_pool(x, shape, m->final_z, rb_conv_norm_affine(&m->final, pass), m->pooled);
    enter(pass, RB_PART_LINEAR, 0, false);
    rb_linear linear = linear_of(m, pass, dropout(m, pass));
    rb_linear_forward(x, &linear, m->logits);
    rb_arena_release(&x->scratch, mark);
}

void rb_head_forward(rb_model *m, rb_pass *pass) {
    rb_exec *x = pass->exec;
    size_t n = (size_t)m->image.n;
    m->pooled = rb_arena_push(&x->kept, n * (size_t)m->config.fc_features * sizeof(float));
    m->logits = rb_arena_push(&x->kept, n * (size_t)m->config.classes * sizeof(float));
    m->d_logits = rb_arena_push(&x->kept, n * (size_t)m->config.classes * sizeof(float));
    if (pass->training || pass->differentiate) place_coarse_gradients(m, pass);
    form_maps(m, pass);
    m->final_z = push_map(pass, final_shape(m));
    form_logits(m, pass);
}

/* d_logits → pool[n,f] = gradient of the pooled vector / pixels */
static const float *linear_backward(rb_model *m, rb_pass *pass, size_t pixels) {
    rb_exec *x = pass->exec;
    size_t count = (size_t)m->image.n * (size_t)m->config.fc_features;
    enter(pass, RB_PART_LINEAR, 0, true);
    float *d_pooled = rb_arena_push(&x->scratch, count * sizeof(float));
    const float *factor = dropout(m, pass);
    rb_linear linear = linear_of(m, pass, factor);
    rb_linear_backward(x, &linear, m->d_logits, d_pooled, rb_param_gradient(&m->params, m->fc_weight),
                       rb_param_gradient(&m->params, m->fc_bias));
    if (factor) rb_scale_by(x, count, factor, d_pooled);
    for (size_t i = 0; !x->dry && i < count; i++) d_pooled[i] /= (float)pixels;
    return d_pooled;
}

/* From d_logits to the gradient of the coarsest map. */
static void final_backward(rb_model *m, rb_pass *pass, float *d_out) {
    rb_exec *x = pass->exec;
    rb_shape shape = final_shape(m);
    const float *pool = linear_backward(m, pass, (size_t)shape.h * (size_t)shape.w);
    rb_pointwise conv = final_conv(m);
    const float *z = m->final_z;
    enter(pass, RB_PART_FINAL_CONV, 0, true);
    rb_gradient g = {.shape = shape, .ld = shape.c, .z = z, .act = true, .pool = pool};
    g.affine = rb_conv_norm_affine(&m->final, pass);
    g.mean = rb_conv_norm_mean(&m->final, pass);
    double *act_sums =
        rb_arena_push(&x->scratch, (size_t)shape.n * RB_ACT_SUMS * (size_t)shape.c * sizeof(double));
    double *sums = rb_arena_push(&x->scratch, 2 * (size_t)shape.c * sizeof(double));
    rb_act_sums_pass(x, shape, NULL, (rb_act_sums){act_sums, z, g.mean, g.affine});
    rb_norm_sums_from_act(x, shape, act_sums, NULL, pool, sums);
    rb_conv_norm_backward(&m->final, pass, sums, &g);
    rb_sink sink = {.d = d_out, .ld = m->map_widths[m->streams.count - 1]};
    rb_pointwise_backward(x, &conv, &g, rb_conv_norm_weight_gradient(&m->final), &sink);
}

/* Gradient d_out of a level's map into that of its stream. They may share their place: by the time the neck's
 * last kernel writes the one, the other has been read. */
static void map_backward(rb_model *m, rb_pass *pass, int i, const float *d_out) {
    if (m->frozen_neck) return;
    rb_source src = rb_model_stream(m, pass, i);
    rb_sink sink = {.d = m->streams.d[i], .ld = src.ld};
    enter(pass, RB_PART_NECK, i, true);
    if (m->config.neck)
        rb_mbconv_map_backward(m->neck[i], pass, &src, d_out, &sink);
    else if (sink.d != d_out)
        rb_slice_pack(pass->exec, src.shape, d_out, src.ld, sink.d);
}

/* Through the head's transform: the gradient of map i into that of map i − 1. */
static void transform_backward(rb_model *m, rb_pass *pass, int i) {
    rb_source finer = map_source(m, i - 1);
    rb_sink sink = {.d = m->d_maps[i - 1], .ld = finer.ld};
    enter(pass, RB_PART_HEAD, i - 1, true);
    rb_mbconv_map_backward(m->head[i - 1], pass, &finer, m->d_maps[i], &sink);
}

/* The coarse levels, from the coarsest: each gives its gradient to the next finer map, which is then given
 * back, and to its own stream. */
static void coarse_backward(rb_model *m, rb_pass *pass) {
    rb_arena *scratch = &pass->exec->scratch;
    int last = m->streams.count - 1;
    final_backward(m, pass, m->d_maps[last]);
    rb_arena_release(scratch, m->below_map[last]);
    for (int i = last; i > 0; i--) {
        if (i > 1) {
            transform_backward(m, pass, i);
            rb_arena_release(scratch, m->below_map[i - 1]);
        }
        map_backward(m, pass, i, m->d_maps[i]);
    }
}

/* Once the gradients of coarse streams are complete, their places need not hold a map's any more: they move
 * together. */
static void close_ranks(rb_model *m, rb_pass *pass) {
    rb_arena *scratch = &pass->exec->scratch;
    rb_arena_release(scratch, m->below_gradients);
    for (int i = 1; i < m->streams.count; i++) {
        size_t bytes = rb_elements(m->streams.shape[i]) * sizeof(float);
        float *to = rb_arena_push(scratch, bytes);
        rb_move(pass->exec, to, m->streams.d[i], bytes);
        m->streams.d[i] = to;
    }
}

/* Memory peaks at the finest level, so it comes last, alone with the gradients. Its own begins where that of
 * map 1 lies, or before: the transform between them has read the one when its last kernel writes the other.
 */
void rb_head_backward(rb_model *m, rb_pass *pass) {
    rb_arena *scratch = &pass->exec->scratch;
    if (m->frozen_head) {
        linear_backward(m, pass, 1);
        return;
    }
    coarse_backward(m, pass);
    close_ranks(m, pass);
    m->d_maps[0] = m->streams.d[0] = push_gradient(m, pass, 0);
    size_t mark = rb_arena_mark(scratch);
    if (!is_stored(pass)) {
        m->maps[0] = push_map(pass, map_shape(m, 0));
        form_neck(m, pass, 0, false);
    }
    transform_backward(m, pass, 1);
    rb_arena_release(scratch, mark);
    map_backward(m, pass, 0, m->d_maps[0]);
}
