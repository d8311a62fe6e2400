#include "detect/propose.h"

#include <string.h>

#include "base/rank.h"
#include "detect/box.h"

enum { HALF = 1 << 16 };

/* ---- the best of many ---- */

/* Whole numbers that order as the floats do. */
static uint32_t order_of(float score) {
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* The key that the `most`-th largest score has in its upper or lower half: keys are counted by that half,
 * among those with the given upper half (lower) or all (upper, `upper` < 0). *above: how many are larger. */
static uint32_t find_half(const float *scores, int count, int64_t upper, int most, uint32_t *counts,
                          int *above) {
    memset(counts, 0, HALF * sizeof *counts);
    for (int i = 0; i < count; i++) {
        uint32_t key = order_of(scores[i]);
        if (scores[i] != scores[i]) continue;
        if (upper < 0)
            counts[key >> 16]++;
        else if (key >> 16 == (uint32_t)upper)
            counts[key & (HALF - 1)]++;
    }
    uint32_t half = HALF - 1;
    for (; half && *above + (int)counts[half] < most; half--) *above += (int)counts[half];
    return half;
}

int rb_select_best(const float *scores, int count, int most, uint32_t *counts, int32_t *out) {
    int above = 0, taken = 0;
    uint32_t upper = find_half(scores, count, -1, most, counts, &above);
    uint32_t last = upper << 16 | find_half(scores, count, upper, most, counts, &above);
    for (int i = 0; i < count; i++) {
        uint32_t key = order_of(scores[i]);
        if (scores[i] != scores[i] || key < last) continue;
        if (key == last && above >= most) continue; /* of equal ones the first */
        above += key == last;
        out[taken++] = i;
    }
    return taken;
}

/* ---- one level ---- */

typedef struct level {
    int count; /* boxes found, by falling score */
    int32_t *best;
    uint32_t *counts;
    rb_rank *ranks, *spare;
    float *boxes, *scores;
    uint8_t *keep;
} level;

typedef struct job {
    const rb_propose *p;
    const rb_rpn_maps *maps;
    float width, height;
    level levels[RB_PYRAMID_LEVELS];
} job;

static int anchors_in(const rb_anchors *a, int l) { return a->first[l + 1] - a->first[l]; }

static int most_in(const rb_propose *p, int l) {
    int all = anchors_in(p->anchors, l);
    return all < p->per_level ? all : p->per_level;
}

static void open_level(rb_exec *x, const rb_propose *p, int l, level *v) {
    size_t most = (size_t)most_in(p, l);
    *v = (level){.best = rb_arena_push(&x->scratch, most * sizeof *v->best)};
    v->counts = rb_arena_push(&x->scratch, HALF * sizeof *v->counts);
    v->ranks = rb_arena_push(&x->scratch, most * sizeof *v->ranks);
    v->spare = rb_arena_push(&x->scratch, most * sizeof *v->spare);
    v->boxes = rb_arena_push(&x->scratch, most * 4 * sizeof(float));
    v->scores = rb_arena_push(&x->scratch, most * sizeof(float));
    v->keep = rb_arena_push(&x->scratch, most);
}

/* The level's best anchors, by falling score. The logits order as the scores do. */
static int rank(const job *j, int l, level *v) {
    const float *scores = j->maps->scores[l];
    int count = rb_select_best(scores, anchors_in(j->p->anchors, l), most_in(j->p, l), v->counts, v->best);
    for (int i = 0; i < count; i++) v->ranks[i] = (rb_rank){(double)scores[v->best[i]], (uint32_t)v->best[i]};
    rb_rank_sort(v->ranks, (size_t)count, v->spare);
    return count;
}

/* Decodes them; what has no area goes. */
static int decode(const job *j, int l, level *v, int count) {
    int found = 0;
    for (int i = 0; i < count; i++) {
        float anchor[4], *box = v->boxes + 4 * (size_t)found;
        uint32_t at = v->ranks[i].index;
        rb_anchor_box(j->p->anchors, j->p->anchors->first[l] + (int)at, anchor);
        rb_box_decode(anchor, j->maps->codes[l] + 4 * (size_t)at, rb_deviation_rpn, j->width, j->height, box);
        if (!(box[2] > box[0] && box[3] > box[1])) continue;
        v->scores[found++] = (float)v->ranks[i].score;
    }
    return found;
}

static void run_level(void *arg, int l, int thread) {
    (void)thread;
    job *j = arg;
    level *v = &j->levels[l];
    int found = decode(j, l, v, rank(j, l, v));
    rb_box_suppress(v->boxes, found, j->p->threshold, v->keep);
    for (int i = 0; i < found; i++) {
        if (!v->keep[i]) continue;
        memmove(v->boxes + 4 * (size_t)v->count, v->boxes + 4 * (size_t)i, 4 * sizeof(float));
        v->scores[v->count++] = v->scores[i];
    }
}

/* ---- all levels ---- */

/* The best of all: levels are sorted, so their heads are compared; of equal ones the finer level's first. */
static int join(job *j, float *boxes) {
    int at[RB_PYRAMID_LEVELS] = {0}, count = 0;
    for (; count < j->p->most; count++) {
        int best = -1;
        for (int l = 0; l < RB_PYRAMID_LEVELS; l++) {
            if (at[l] == j->levels[l].count) continue;
            if (best < 0 || j->levels[l].scores[at[l]] > j->levels[best].scores[at[best]]) best = l;
        }
        if (best < 0) break;
        memcpy(boxes + 4 * (size_t)count, j->levels[best].boxes + 4 * (size_t)at[best]++, 4 * sizeof(float));
    }
    return count;
}

int rb_propose_run(rb_exec *x, const rb_propose *p, const rb_rpn_maps *maps, int width, int height,
                   float *boxes) {
    size_t mark = rb_arena_mark(&x->scratch);
    job j = {.p = p, .maps = maps, .width = (float)width, .height = (float)height};
    int count = p->most;
    for (int l = 0; l < RB_PYRAMID_LEVELS; l++) open_level(x, p, l, &j.levels[l]);
    if (!x->dry) {
        rb_pool_run(x->pool, RB_PYRAMID_LEVELS, run_level, &j);
        count = join(&j, boxes);
    }
    rb_arena_release(&x->scratch, mark);
    return count;
}
