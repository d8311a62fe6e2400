/* The bytes of a step, and the largest step that fits. */
#include <limits.h>

#include "api/context.h"
#include "model/config.h"
#include "train/optimizer.h"

revbifpn_memory rb_api_memory_of(const rb_model *network, const rb_step_bytes *step, rb_shape image,
                                 const rb_api_step *kind) {
    const rb_params *p = &network->params;
    revbifpn_memory m = {.weights_bytes =
                             (p->trained + 2 * p->running) * sizeof(float) + p->counters * sizeof(int64_t)};
    if (kind->training) {
        m.gradient_bytes = p->trained * sizeof(float);
        m.optimizer_bytes = rb_optimizer_bytes(p, kind->optimizer, kind->average);
    }
    m.kept_bytes = step->state + step->kept;
    m.scratch_bytes = step->gradient + step->scratch;
    m.activation_bytes = rb_elements(image) * (kind->words ? 2 : 1) + m.kept_bytes + m.scratch_bytes;
    m.total_bytes = m.weights_bytes + m.gradient_bytes + m.optimizer_bytes + m.activation_bytes;
    return m;
}

revbifpn_memory rb_api_memory(revbifpn *ctx, rb_model *network, rb_shape image, rb_api_step kind) {
    rb_step_bytes step = rb_model_measure(network, &ctx->ops, ctx->pool, image, kind.training, kind.stored);
    revbifpn_memory m = rb_api_memory_of(network, &step, image, &kind);
    image.n++;
    step = rb_model_measure(network, &ctx->ops, ctx->pool, image, kind.training, kind.stored);
    m.activation_bytes_per_sample =
        rb_api_memory_of(network, &step, image, &kind).activation_bytes - m.activation_bytes;
    return m;
}

revbifpn_status revbifpn_plan_step(revbifpn *ctx, const revbifpn_solve *s, revbifpn_memory *out) {
    RB_ENTER(ctx);
    rb_model network = {0};
    const revbifpn_model_config *c = &s->model;
    rb_shape image = {s->batch, c->image_height, c->image_width, c->input_channels};
    if (s->batch < 1) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "batch %d: at least 1", s->batch);
    if ((int)s->optimizer < REVBIFPN_SGD || s->optimizer > REVBIFPN_LAMBC)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "optimizer %d: there is none of that number",
                       (int)s->optimizer);
    revbifpn_status status = rb_api_network(ctx, c, image, s->training, &network);
    if (status != REVBIFPN_OK) return status;
    rb_model_set_precision(&network, s->precision);
    rb_api_step step = {.training = s->training, .stored = s->activations == REVBIFPN_STORED};
    step.optimizer = s->optimizer;
    step.average = s->model_ema;
    step.words = rb_raster_channels(c->input_channels, 0) > 0;
    *out = rb_api_memory(ctx, &network, image, step);
    rb_model_close(&network);
    return REVBIFPN_OK;
}

revbifpn_status revbifpn_plan(revbifpn *ctx, const revbifpn_model_config *config, int width, int height,
                              int batch, int training, revbifpn_activations activations,
                              revbifpn_precision precision, revbifpn_memory *out) {
    RB_ENTER(ctx);
    revbifpn_solve s = {.model = *config, .batch = batch, .training = training};
    s.model.image_width = width;
    s.model.image_height = height;
    s.activations = activations;
    s.precision = precision;
    return revbifpn_plan_step(ctx, &s, out);
}

/* ---- the largest that fits ---- */

enum { VARIANTS = 7, SIDE_MAX = 65536 };

typedef struct search {
    revbifpn *ctx;
    const revbifpn_solve *s;
    revbifpn_solution *best;
} search;

/* The question with its variable set to `value`: that many pictures, strides of the side, or the network of
 * that number. */
static revbifpn_status candidate(const search *x, int value, revbifpn_solution *out) {
    revbifpn_status status = REVBIFPN_OK;
    const revbifpn_solve *s = x->s;
    *out = (revbifpn_solution){.model = s->model, .batch = s->batch};
    if (s->variable == REVBIFPN_SOLVE_BATCH) out->batch = value;
    if (s->variable == REVBIFPN_SOLVE_IMGSZ)
        out->model.image_width = out->model.image_height = value * rb_model_stride(&s->model);
    if (s->variable == REVBIFPN_SOLVE_MODEL) {
        char name[3] = {'s', (char)('0' + value - 1), 0};
        TRY(rb_config_named(name, &out->model, &x->ctx->error));
        out->model.classes = s->model.classes;
        if (s->keep_size) {
            out->model.image_width = s->model.image_width;
            out->model.image_height = s->model.image_height;
        }
    }
    revbifpn_solve step = *s;
    step.model = out->model;
    step.batch = out->batch;
    return revbifpn_plan_step(x->ctx, &step, &out->memory);
fail:
    return status;
}

static int largest_value(const revbifpn_solve *s) {
    if (s->variable == REVBIFPN_SOLVE_MODEL) return VARIANTS;
    return s->variable == REVBIFPN_SOLVE_IMGSZ ? SIDE_MAX / rb_model_stride(&s->model) : INT_MAX / 2;
}

/* Does the candidate fit? A fitting one is remembered. */
static revbifpn_status fits(search *x, int value, bool *fit) {
    revbifpn_solution found;
    revbifpn_status status = candidate(x, value, &found);
    *fit = status == REVBIFPN_OK && found.memory.total_bytes <= x->s->max_memory;
    if (*fit) *x->best = found;
    return status;
}

/* Doubles until one does not fit, then halves the gap: ends at a value that fits and whose successor does
 * not. */
static revbifpn_status find_largest(search *x, int smallest) {
    revbifpn_status status;
    int good = smallest, end = largest_value(x->s), bad = end + 1;
    bool fit = true;
    for (int64_t next = 2 * (int64_t)good; good < end; next = 2 * (int64_t)good) {
        int value = next < end ? (int)next : end;
        TRY(fits(x, value, &fit));
        if (!fit) bad = value;
        if (!fit) break;
        good = value;
    }
    while (bad - good > 1) {
        int middle = good + (bad - good) / 2;
        TRY(fits(x, middle, &fit));
        *(fit ? &good : &bad) = middle;
    }
    return fits(x, good, &fit);
fail:
    return status;
}

revbifpn_status revbifpn_plan_largest(revbifpn *ctx, const revbifpn_solve *s, revbifpn_solution *out) {
    RB_ENTER(ctx);
    revbifpn_status status;
    search x = {ctx, s, out};
    bool fit;
    /* one picture of one cell has no batch statistics: training starts at the next size */
    int smallest = 1;
    revbifpn_solution first;
    status = candidate(&x, smallest, &first);
    if (status == REVBIFPN_BAD_ARGUMENT && s->variable != REVBIFPN_SOLVE_MODEL) smallest = 2;
    TRY(fits(&x, smallest, &fit));
    if (fit) return find_largest(&x, smallest);
    TRY(candidate(&x, smallest, &first));
    return rb_fail(&ctx->error, REVBIFPN_DOES_NOT_FIT,
                   "even the smallest needs %llu bytes, --max-memory allows %llu",
                   (unsigned long long)first.memory.total_bytes, (unsigned long long)s->max_memory);
fail:
    return status;
}
