#include "detect/assign.h"

#include "detect/box.h"

enum { BLOCK = 4096 };

typedef struct job {
    const rb_assignment *a;
    float
        *best_of; /* threads,truths: largest overlap of each object, by thread; in the end row 0 is of all */
    int32_t *result;
} job;

static bool takes_part(const rb_assignment *a, int i) { return !a->valid || a->valid[i]; }

static int block_end(const rb_assignment *a, int block) {
    int end = (block + 1) * BLOCK;
    return end < a->count ? end : a->count;
}

/* Boxes by the object they overlap most; and objects' best, whose maximum does not depend on who saw what. */
static void match_block(void *arg, int block, int thread) {
    job *j = arg;
    const rb_assignment *a = j->a;
    float *best_of = j->best_of + (size_t)thread * (size_t)a->truths;
    for (int i = block * BLOCK, end = block_end(a, block); i < end; i++) {
        float most = -1;
        int object = 0;
        j->result[i] = RB_LEFT_OUT;
        if (!takes_part(a, i)) continue;
        for (int g = 0; g < a->truths; g++) {
            float overlap = rb_box_overlap(a->boxes + 4 * (size_t)i, a->truth + 4 * (size_t)g);
            if (overlap > best_of[g]) best_of[g] = overlap;
            if (overlap > most) {
                most = overlap;
                object = g;
            }
        }
        if (most < a->negative) j->result[i] = RB_BACKGROUND;
        if (most >= a->positive) j->result[i] = object + 1;
    }
}

static void take_best_block(void *arg, int block, int thread) {
    (void)thread;
    job *j = arg;
    const rb_assignment *a = j->a;
    for (int i = block * BLOCK, end = block_end(a, block); i < end; i++) {
        if (!takes_part(a, i)) continue;
        for (int g = 0; g < a->truths; g++) {
            if (j->best_of[g] < a->least) continue;
            if (rb_box_overlap(a->boxes + 4 * (size_t)i, a->truth + 4 * (size_t)g) == j->best_of[g])
                j->result[i] = g + 1;
        }
    }
}

static void run(rb_exec *x, job *j) {
    const rb_assignment *a = j->a;
    int blocks = (a->count + BLOCK - 1) / BLOCK, threads = rb_pool_threads(x->pool);
    size_t truths = (size_t)a->truths;
    for (size_t i = 0; i < (size_t)threads * truths; i++) j->best_of[i] = -1;
    rb_pool_run(x->pool, blocks, match_block, j);
    for (int t = 1; t < threads; t++)
        for (size_t g = 0; g < truths; g++)
            if (j->best_of[(size_t)t * truths + g] > j->best_of[g])
                j->best_of[g] = j->best_of[(size_t)t * truths + g];
    if (a->least <= 1) rb_pool_run(x->pool, blocks, take_best_block, j);
}

void rb_assign(rb_exec *x, const rb_assignment *a, int32_t *result) {
    size_t mark = rb_arena_mark(&x->scratch);
    size_t rows = (size_t)rb_pool_threads(x->pool);
    job j = {.a = a, .result = result};
    j.best_of = rb_arena_push(&x->scratch, rows * (size_t)a->truths * sizeof(float));
    if (!x->dry) run(x, &j);
    rb_arena_release(&x->scratch, mark);
}

/* A few hundred at most. */
static void sort(int32_t *values, int count) {
    for (int i = 1; i < count; i++) {
        int32_t one = values[i];
        int j = i;
        for (; j && values[j - 1] > one; j--) values[j] = values[j - 1];
        values[j] = one;
    }
}

int rb_draw(rb_rng *rng, int32_t *candidates, int count, int most) {
    if (count <= most) return count;
    for (int i = 0; i < most; i++) { /* Fisher and Yates, as far as it is needed */
        int j = i + (int)rb_rng_below(rng, (uint32_t)(count - i));
        int32_t swap = candidates[i];
        candidates[i] = candidates[j];
        candidates[j] = swap;
    }
    sort(candidates, most);
    return most;
}

void rb_draw_matched(rb_rng *rng, const int32_t *result, int count, int most, int share, rb_drawn *out) {
    out->positives = out->negatives = 0;
    for (int i = 0; i < count; i++) {
        if (result[i] > 0) out->positive[out->positives++] = i;
        if (result[i] == RB_BACKGROUND) out->negative[out->negatives++] = i;
    }
    if (!most) return;
    out->positives = rb_draw(rng, out->positive, out->positives, most / share);
    out->negatives = rb_draw(rng, out->negative, out->negatives, most - out->positives);
}
