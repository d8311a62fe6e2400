#include "blocks/params.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

enum { ALIGN = (int)(64 / sizeof(float)), INIT_BLOCK = 1 << 16 };

revbifpn_status rb_params_add(rb_params *params, const rb_param *param, int *index, rb_error *err) {
    if (params->count == params->capacity) {
        int capacity = params->capacity ? 2 * params->capacity : 256;
        rb_param *grown = rb_alloc((size_t)capacity * sizeof *grown);
        if (!grown) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the parameter list");
        if (params->count) memcpy(grown, params->list, (size_t)params->count * sizeof *grown);
        rb_free(params->list);
        params->list = grown;
        params->capacity = capacity;
    }
    rb_param *p = &params->list[params->count];
    *p = *param;
    p->count = 1;
    for (int i = 0; i < p->ndim; i++) p->count = rb_size_mul(p->count, (size_t)p->shape[i]);
    *index = params->count++;
    return REVBIFPN_OK;
}

static bool decays(const rb_param *p) {
    size_t length = strlen(p->name);
    bool bias = length >= 5 && !strcmp(p->name + length - 5, ".bias");
    return p->kind == RB_PARAM_TRAINED && p->ndim > 1 && !bias;
}

static void place(rb_param *p, size_t *top) {
    p->offset = *top;
    *top += (p->count + ALIGN - 1) / ALIGN * ALIGN;
}

void rb_params_layout(rb_params *params) {
    params->trained = params->running = params->counters = params->parameters = 0;
    for (int i = 0; i < params->count; i++)
        if (decays(&params->list[i])) place(&params->list[i], &params->trained);
    params->decayed = params->trained;
    for (int i = 0; i < params->count; i++) {
        rb_param *p = &params->list[i];
        if (p->kind == RB_PARAM_TRAINED) params->parameters += p->count;
        if (p->kind == RB_PARAM_TRAINED && !decays(p)) place(p, &params->trained);
        if (p->kind == RB_PARAM_RUNNING) place(p, &params->running);
        if (p->kind == RB_PARAM_COUNTER) p->offset = params->counters++;
    }
}

revbifpn_status rb_params_allocate(rb_params *params, bool gradients, rb_error *err) {
    params->weight = rb_alloc(params->trained * sizeof(float));
    params->statistics = rb_alloc(params->running * sizeof(float));
    params->maps = rb_alloc(params->running * sizeof(float));
    params->counter = rb_alloc(params->counters * sizeof(int64_t));
    params->gradient = gradients ? rb_alloc(params->trained * sizeof(float)) : NULL;
    bool whole = params->weight && params->statistics && params->maps && params->counter;
    if (whole && (params->gradient || !gradients)) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %zu parameters", params->parameters);
}

void rb_params_close(rb_params *params) {
    rb_free(params->list);
    rb_free(params->weight);
    rb_free(params->gradient);
    rb_free(params->statistics);
    rb_free(params->maps);
    rb_free(params->counter);
    *params = (rb_params){0};
}

typedef struct init_job {
    const rb_param *param;
    uint64_t seed;
    int index;
    float *out;
} init_job;

/* Deviation of normal weights, bound of uniform ones. */
static double scale_of(const rb_param *p) {
    if (p->init == RB_INIT_NORMAL_FAN_OUT) return sqrt(2.0 / p->fan);
    if (p->init == RB_INIT_UNIFORM_FAN_IN) return 1 / sqrt((double)p->fan);
    return p->scale;
}

/* A block of a tensor: streams are short, so that no counter runs over. */
static void init_task(void *arg, int block, int thread) {
    (void)thread;
    const init_job *job = arg;
    const rb_param *p = job->param;
    size_t first = (size_t)block * INIT_BLOCK,
           last = first + INIT_BLOCK < p->count ? first + INIT_BLOCK : p->count;
    rb_rng rng = rb_rng_open(job->seed, RB_PURPOSE_INIT, (uint64_t)job->index, (uint64_t)block);
    bool normal = p->init == RB_INIT_NORMAL_FAN_OUT || p->init == RB_INIT_NORMAL;
    double scale = scale_of(p);
    for (size_t i = first; i < last; i++)
        job->out[i] =
            normal ? (float)(scale * rb_rng_normal(&rng)) : (float)(scale * (2 * rb_rng_uniform(&rng) - 1));
}

void rb_params_init(rb_params *params, uint64_t seed, rb_pool *pool) {
    params->maps_current = false;
    for (int i = 0; i < params->count; i++) {
        const rb_param *p = &params->list[i];
        if (p->kind == RB_PARAM_COUNTER) {
            params->counter[p->offset] = 0;
            continue;
        }
        float *out = (p->kind == RB_PARAM_TRAINED ? params->weight : params->statistics) + p->offset;
        if (p->init == RB_INIT_ZERO || p->init == RB_INIT_ONE) {
            for (size_t k = 0; k < p->count; k++) out[k] = p->init == RB_INIT_ONE ? 1.0f : 0.0f;
            continue;
        }
        init_job job = {p, seed, i, out};
        rb_pool_run(pool, (int)((p->count + INIT_BLOCK - 1) / INIT_BLOCK), init_task, &job);
    }
}

int rb_params_find(const rb_params *params, const char *name) {
    for (int i = 0; i < params->count; i++)
        if (!strcmp(params->list[i].name, name)) return i;
    return -1;
}
