/* The classification head: fine to coarse, out_{i+1} = map_{i+1} + MBConv_i(out_i); then 1×1, norm,
 * hardswish, mean over the pixels, dropout, linear. Nothing of it is kept but the pooled vector and the
 * statistics: the backward pass forms the maps again from the pyramid. */
#include "base/rng.h"
#include "model/model.h"

static rb_shape map_shape(const rb_model *m, int i) {
    rb_shape shape = m->streams.shape[i];
    shape.c = m->map_widths[i];
    return shape;
}

static rb_source map_source(const rb_model *m, int i, float *const out[]) {
    rb_shape shape = map_shape(m, i);
    return (rb_source){.shape = shape, .ld = shape.c, .load = RB_LOAD_MAP, .data = out[i]};
}

/* What follows belongs to that part of level i. */
static void enter(rb_pass *pass, rb_part part, int i, bool backward) {
    rb_exec_enter(pass->exec, (rb_operation){.part = part, .stream = i, .backward = backward});
}

/* Level i's map: the neck of its stream, plus the head's transform of the finer map. */
static void form_map(rb_model *m, rb_pass *pass, int i, bool fresh, float *const out[]) {
    rb_source src = rb_model_stream(m, pass, i);
    enter(pass, RB_PART_NECK, i, !fresh);
    if (m->config.neck)
        rb_mbconv_map(m->neck[i], pass, &src, fresh, false, out[i]);
    else
        rb_state_to_map(pass->exec, m->streams.shape[i], m->streams.x[i], pass->k, out[i]);
    if (!i) return;
    enter(pass, RB_PART_HEAD, i - 1, !fresh);
    rb_source finer = map_source(m, i - 1, out);
    rb_mbconv_map(m->head[i - 1], pass, &finer, fresh, true, out[i]);
}

static float *push_map(rb_model *m, rb_pass *pass, int i) {
    return rb_arena_push(&pass->exec->scratch, rb_elements(map_shape(m, i)) * sizeof(float));
}

/* Maps out[1 … streams − 1] on scratch, each above the finer one; below[i] marks the scratch before out[i].
 * The finest map, as a rule larger than all others together, is there only until the next has been formed
 * from it. In stored mode all maps are kept, and found again by the backward pass. */
static void form_maps(rb_model *m, rb_pass *pass, bool fresh, float *out[], size_t below[]) {
    rb_exec *x = pass->exec;
    bool stored = pass->stored && pass->training;
    for (int i = 1; i < m->streams.count; i++) {
        below[i] = rb_arena_mark(&x->scratch);
        if (stored && fresh)
            m->maps[i] = rb_arena_push(&x->kept, rb_elements(map_shape(m, i)) * sizeof(float));
        out[i] = stored ? m->maps[i] : push_map(m, pass, i);
    }
    if (stored && fresh) m->maps[0] = rb_arena_push(&x->kept, rb_elements(map_shape(m, 0)) * sizeof(float));
    size_t mark = rb_arena_mark(&x->scratch);
    out[0] = stored ? m->maps[0] : push_map(m, pass, 0);
    for (int i = 0; i < m->streams.count && (fresh || !stored); i++) {
        form_map(m, pass, i, fresh, out);
        if (i == 1) rb_arena_release(&x->scratch, mark);
    }
    rb_arena_release(&x->scratch, mark);
}

static rb_shape final_shape(const rb_model *m) {
    rb_shape shape = m->streams.shape[m->streams.count - 1];
    shape.c = m->config.fc_features;
    return shape;
}

static rb_pointwise final_conv(const rb_model *m, float *const out[]) {
    return (rb_pointwise){.src = map_source(m, m->streams.count - 1, out),
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

void rb_head_forward(rb_model *m, rb_pass *pass) {
    rb_exec *x = pass->exec;
    size_t mark = rb_arena_mark(&x->scratch), n = (size_t)m->image.n;
    float *out[RB_MAX_STREAMS];
    size_t below[RB_MAX_STREAMS];
    m->pooled = rb_arena_push(&x->kept, n * (size_t)m->config.fc_features * sizeof(float));
    m->logits = rb_arena_push(&x->kept, n * (size_t)m->config.classes * sizeof(float));
    m->d_logits = rb_arena_push(&x->kept, n * (size_t)m->config.classes * sizeof(float));
    form_maps(m, pass, true, out, below);
    rb_shape shape = final_shape(m);
    bool stored = pass->stored && pass->training;
    float *z = rb_arena_push(stored ? &x->kept : &x->scratch, rb_elements(shape) * sizeof(float));
    m->final_z = z;
    rb_moments moments = pass->training ? rb_conv_norm_keep(&m->final, pass, shape) : (rb_moments){0};
    rb_pointwise conv = final_conv(m, out);
    enter(pass, RB_PART_FINAL_CONV, 0, false);
    rb_pointwise_forward(x, &conv, z, moments);
    rb_squeeze_pool(x, shape, z, rb_conv_norm_affine(&m->final, pass), m->pooled);
    enter(pass, RB_PART_LINEAR, 0, false);
    rb_linear linear = linear_of(m, pass, dropout(m, pass));
    rb_linear_forward(x, &linear, m->logits);
    rb_arena_release(&x->scratch, mark);
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
static void final_backward(rb_model *m, rb_pass *pass, float *const out[], float *d_out) {
    rb_exec *x = pass->exec;
    rb_shape shape = final_shape(m);
    const float *pool = linear_backward(m, pass, (size_t)shape.h * (size_t)shape.w);
    rb_pointwise conv = final_conv(m, out);
    float *z = m->final_z;
    enter(pass, RB_PART_FINAL_CONV, 0, true);
    if (!pass->stored || !pass->training) {
        z = rb_arena_push(&x->scratch, rb_elements(shape) * sizeof(float));
        rb_pointwise_forward(x, &conv, z, (rb_moments){0});
    }
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
    rb_source src = rb_model_stream(m, pass, i);
    rb_sink sink = {.d = m->streams.d[i], .ld = src.ld};
    enter(pass, RB_PART_NECK, i, true);
    if (m->config.neck)
        rb_mbconv_map_backward(m->neck[i], pass, &src, d_out, &sink);
    else if (sink.d != d_out)
        rb_slice_pack(pass->exec, src.shape, d_out, src.ld, sink.d);
}

/* Through the head's transform: the gradient of map i into that of map i − 1. */
static void transform_backward(rb_model *m, rb_pass *pass, int i, float *const out[], const float *d_out,
                               float *d_finer) {
    rb_source finer = map_source(m, i - 1, out);
    rb_sink sink = {.d = d_finer, .ld = finer.ld};
    enter(pass, RB_PART_HEAD, i - 1, true);
    rb_mbconv_map_backward(m->head[i - 1], pass, &finer, d_out, &sink);
}

/* Room for the gradient of a stream and, in the same place, of its map. */
static float *push_gradient(rb_model *m, rb_pass *pass, int i) {
    rb_shape shape = m->streams.shape[i];
    if (m->map_widths[i] > shape.c) shape.c = m->map_widths[i];
    return rb_arena_push(&pass->exec->scratch, rb_elements(shape) * sizeof(float));
}

/* The coarse levels, from the coarsest: each gives its gradient to the next finer map, then to its own
 * stream. Returns the gradient of map 1, which the finest level still needs: it has a place of its own. */
static float *coarse_backward(rb_model *m, rb_pass *pass, float *out[]) {
    rb_exec *x = pass->exec;
    size_t below[RB_MAX_STREAMS];
    float *d[RB_MAX_STREAMS];
    int last = m->streams.count - 1;
    for (int i = last; i > 0; i--) d[i] = m->streams.d[i] = push_gradient(m, pass, i);
    d[1] = push_map(m, pass, 1);
    form_maps(m, pass, false, out, below);
    size_t mark = rb_arena_mark(&x->scratch);
    final_backward(m, pass, out, d[last]);
    rb_arena_release(&x->scratch, mark);
    for (int i = last; i > 0; i--) {
        if (i > 1) transform_backward(m, pass, i, out, d[i], d[i - 1]);
        rb_arena_release(&x->scratch, below[i > 1 ? i - 1 : 1]); /* map i − 1 has been read */
        map_backward(m, pass, i, d[i]);
    }
    return d[1];
}

/* Memory peaks at the finest level, so it comes last, alone with the gradients: its map is formed once more.
 */
void rb_head_backward(rb_model *m, rb_pass *pass) {
    rb_exec *x = pass->exec;
    float *out[RB_MAX_STREAMS];
    const float *d_out = coarse_backward(m, pass, out);
    m->streams.d[0] = push_gradient(m, pass, 0);
    size_t mark = rb_arena_mark(&x->scratch);
    if (!pass->stored || !pass->training) {
        out[0] = push_map(m, pass, 0);
        form_map(m, pass, 0, false, out);
    }
    transform_backward(m, pass, 1, out, d_out, m->streams.d[0]);
    rb_arena_release(&x->scratch, mark);
    map_backward(m, pass, 0, m->streams.d[0]);
}
