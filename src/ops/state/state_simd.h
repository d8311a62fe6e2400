/* Addition into the residual state: the reference's fused multiply-adds, so the bits are the same, pixel
 * after pixel as they lie in memory. Upsampling joins the two low rows that a row of the state reads into a
 * row of addends, one a low pixel; its values lie between two of them. Vectors only see that something left
 * the range; the part is then scanned again to say what came first. */
#include "ops/ops_simd.h"
#include "ops/resample/bilinear.h"
#include "ops/state/add_simd.h"

enum { PART = 16384 }; /* floats of the state that a task adds to, about */

typedef struct plan {
    size_t stride; /* floats of a row's pixel: the channels, filled up to whole vectors */
    size_t block;  /* rows of the state a task has, at most */
    size_t blocks; /* tasks a sample */
    size_t local;  /* floats a thread: scale, shift, a row of addends */
    size_t watches, taps, locals, total;
} plan;

static plan plan_of(const rb_state_add *a, int threads) {
    plan x = {.stride = round_up((size_t)a->shape.c, VL)};
    size_t height = (size_t)a->shape.h * (size_t)a->factor, width = (size_t)a->shape.w * (size_t)a->factor;
    x.block = size_clamp(PART / (width * (size_t)a->shape.c), 1, height);
    x.blocks = ceil_div(height, x.block);
    x.local = x.stride * (2 + (a->factor > 1 ? (size_t)a->shape.w : 0));
    x.watches = take(&x.total, (size_t)a->shape.n * x.blocks * sizeof(rb_watch));
    x.taps = take(&x.total, width * sizeof(rb_bilinear_tap));
    x.locals = take(&x.total, (size_t)threads * x.local * sizeof(float));
    return x;
}

size_t RB_LEVEL(rb_state_add_scratch)(const rb_state_add *a, int threads) {
    return plan_of(a, threads).total;
}

typedef struct job {
    const rb_state_add *a;
    plan x;
    rb_watch *watches;           /* one a task */
    const rb_bilinear_tap *taps; /* one a column */
    float *locals;
} job;

/* Some rows of the state of one sample. */
typedef struct part {
    const rb_state_add *a;
    const rb_bilinear_tap *taps;
    size_t stride, width, first, rows; /* rows of the sample */
    const float *z;                    /* the sample's */
    int32_t *state;                    /* of the first row */
    float *scale, *shift, *addends;
} part;

static part part_of(const job *j, size_t task, size_t thread) {
    const rb_state_add *a = j->a;
    size_t n = task / j->x.blocks, f = (size_t)a->factor, height = (size_t)a->shape.h * f;
    part p = {.a = a, .taps = j->taps, .stride = j->x.stride, .width = (size_t)a->shape.w * f};
    p.first = task % j->x.blocks * j->x.block;
    p.rows = size_min(j->x.block, height - p.first);
    p.z = a->z + n * (size_t)a->shape.h * (size_t)a->shape.w * (size_t)a->shape.c;
    p.state = a->state + (n * height + p.first) * p.width * (size_t)a->ld;
    p.scale = j->locals + thread * j->x.local;
    p.shift = p.scale + p.stride;
    p.addends = p.shift + p.stride;
    add_affine(a, n, p.scale, p.shift, p.stride);
    return p;
}

/* The addends of the low pixels for row y of the part. */
RB_TARGET static void join_rows(const part *p, size_t y) {
    size_t channels = (size_t)p->a->shape.c, low_row = (size_t)p->a->shape.w * channels;
    rb_bilinear_tap t = rb_bilinear_at((int)(p->first + y), p->a->factor, p->a->shape.h);
    const float *low = p->z + (size_t)t.low * low_row, *high = p->z + (size_t)t.high * low_row;
    float *to = p->addends;
    vf weight = vf_set1(t.part);
    for (size_t x = 0; x < (size_t)p->a->shape.w; x++, low += channels, high += channels, to += p->stride)
        for (size_t c = 0; c < channels; c += VL) {
            vf from = vf_load_n(low + c, channels - c),
               apart = vf_sub(vf_load_n(high + c, channels - c), from);
            vf_store(to + c, add_addend(p->scale + c, p->shift + c, vf_fma(weight, apart, from)));
        }
}

/* One row of the state, from the row of addends. */
RB_INLINE void add_between(const part *p, int32_t *state, add_seen *seen) {
    size_t channels = (size_t)p->a->shape.c, ld = (size_t)p->a->ld;
    size_t whole = channels / VL * VL, rest = channels - whole;
    add_seen s = *seen;
    for (size_t x = 0; x < p->width; x++, state += ld) {
        const float *low = p->addends + (size_t)p->taps[x].low * p->stride;
        const float *high = p->addends + (size_t)p->taps[x].high * p->stride;
        vf weight = vf_set1(p->taps[x].part);
        for (size_t c = 0; c < whole; c += VL) {
            vf from = vf_load(low + c), addend = vf_fma(weight, vf_sub(vf_load(high + c), from), from);
            vi_state_add(state + c, addend, ADD_LIMIT, &s.largest, &s.size, VL);
        }
        if (!rest) continue;
        vf from = vf_load(low + whole), addend = vf_fma(weight, vf_sub(vf_load(high + whole), from), from);
        vi_state_add(state + whole, addend, ADD_LIMIT, &s.largest, &s.size, rest);
    }
    *seen = s;
}

RB_TARGET static float addend_at(const part *p, size_t y, size_t x, size_t c) {
    if (p->a->factor == 1)
        return fmaf(p->scale[c], p->z[((p->first + y) * p->width + x) * (size_t)p->a->shape.c + c],
                    p->shift[c]);
    rb_bilinear_tap t = p->taps[x];
    return rb_bilinear_between(p->addends[(size_t)t.low * p->stride + c],
                               p->addends[(size_t)t.high * p->stride + c], t.part);
}

/* What happened in row y of a part that was flagged, value by value in the reference's order. The state is
 * already the result: an addend out of range left it alone. */
RB_TARGET static rb_watch scan_row(const part *p, size_t y) {
    const int32_t *state = p->state + y * p->width * (size_t)p->a->ld;
    float step = ldexpf(1, -p->a->k);
    rb_watch watch = {0};
    for (size_t x = 0; x < p->width; x++, state += p->a->ld)
        for (size_t c = 0; c < (size_t)p->a->shape.c; c++) {
            float addend = addend_at(p, y, x, c);
            bool first = !watch.not_finite && !watch.out_of_range;
            if (!(fabsf(addend) < (float)RB_STATE_LIMIT)) {
                if (first) watch.value = addend * step;
                *(isfinite(addend) ? &watch.out_of_range : &watch.not_finite) = true;
                continue;
            }
            uint32_t sum = (uint32_t)state[c], size = sum >> 31 ? 0u - sum : sum;
            if (size > watch.largest) watch.largest = size;
            if (size < RB_STATE_LIMIT) continue;
            if (first) watch.value = (float)state[c] * step;
            watch.out_of_range = true;
        }
    return watch;
}

static rb_watch scan(const part *p) {
    rb_watch all = {0};
    for (size_t y = 0; y < p->rows; y++) {
        if (p->a->factor > 1) join_rows(p, y);
        rb_watch row = scan_row(p, y);
        rb_watch_merge(&all, &row);
    }
    return all;
}

RB_TARGET static void part_task(void *arg, int task, int thread) {
    const job *j = arg;
    const part p = part_of(j, (size_t)task, (size_t)thread);
    size_t channels = (size_t)j->a->shape.c, ld = (size_t)j->a->ld;
    add_seen seen = add_nothing_seen();
    if (j->a->factor == 1)
        add_rows(p.z + p.first * p.width * channels, channels, p.state, ld, p.rows * p.width, channels,
                 p.scale, p.shift, &seen);
    for (size_t y = 0; y < p.rows && j->a->factor > 1; y++) {
        join_rows(&p, y);
        add_between(&p, p.state + y * p.width * ld, &seen);
    }
    j->watches[task] = add_flagged(&seen) ? scan(&p) : (rb_watch){.largest = vi_largest(seen.largest)};
}

void RB_LEVEL(rb_state_add)(const rb_state_add *a, rb_watch *watch, void *scratch, rb_pool *pool) {
    plan x = plan_of(a, rb_pool_threads(pool));
    unsigned char *memory = scratch;
    rb_bilinear_tap *taps = (rb_bilinear_tap *)(void *)(memory + x.taps);
    job j = {a, x, (rb_watch *)(void *)(memory + x.watches), taps, floats_at(scratch, x.locals)};
    for (int i = 0; i < a->shape.w * a->factor; i++) taps[i] = rb_bilinear_at(i, a->factor, a->shape.w);
    int tasks = a->shape.n * (int)x.blocks;
    rb_pool_run(pool, tasks, part_task, &j);
    if (!watch) return;
    for (int i = 0; i < tasks; i++) rb_watch_merge(watch, &j.watches[i]);
}
