/* Targets of the mask head. RoIAlign's samples are products of a row and a column: each column of the mask
 * that a box reads is summed into rows of bins once, and these into columns of bins. The mask is taken from
 * its spans column by column, and its sums are exact wherever the weights are (whole and half pixels, say),
 * so that a bin of exactly ½ is 1 as it should. */
#include <string.h>

#include "ops/mask_head/mask_head.h"
#include "ops/profile.h"
#include "ops/roi_align/roi_align.h"

enum { BINS = RB_MASK_SIDE };

/* A thread's memory. */
typedef struct room {
    rb_roi_bin rows[BINS], columns[BINS];
    float *row_weights, *column_weights;
    uint8_t *pixels; /* of a column of the mask */
    double sums[BINS][BINS];
} room;

typedef struct job {
    const rb_mask_targets *t;
    uint8_t *target;
    room *rooms;
} job;

/* The first span that ends after pixel `first`. */
static size_t span_after(const rb_mask *m, uint32_t first) {
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->spans[middle].end <= first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Column x, one byte a pixel. Whether any is set: none is beyond the mask's width. */
static bool expand_column(const rb_mask *m, uint32_t x, uint8_t *pixels) {
    uint32_t first = x * m->height, last = first + m->height;
    size_t i = span_after(m, first);
    if (i == m->count || m->spans[i].begin >= last) return false;
    memset(pixels, 0, m->height);
    for (; i < m->count && m->spans[i].begin < last; i++) {
        uint32_t begin = m->spans[i].begin > first ? m->spans[i].begin : first;
        uint32_t end = m->spans[i].end < last ? m->spans[i].end : last;
        memset(pixels + (begin - first), 1, end - begin);
    }
    return true;
}

/* The part of a row of bins that lies in the column: pixels below the mask are 0. */
static double weigh(const rb_roi_bin *bin, const uint8_t *pixels, int height) {
    double sum = 0;
    int end = bin->low + bin->count < height ? bin->low + bin->count : height;
    for (int y = bin->low; y < end; y++)
        if (pixels[y]) sum += (double)bin->weight[y - bin->low];
    return sum;
}

static void add_column(room *r, const rb_mask *m, int x) {
    double part[BINS];
    if (!expand_column(m, (uint32_t)x, r->pixels)) return;
    for (int i = 0; i < BINS; i++) part[i] = weigh(&r->rows[i], r->pixels, (int)m->height);
    for (int j = 0; j < BINS; j++) {
        const rb_roi_bin *bin = &r->columns[j];
        if (x < bin->low || x >= bin->low + bin->count) continue;
        for (int i = 0; i < BINS; i++) r->sums[i][j] += (double)bin->weight[x - bin->low] * part[i];
    }
}

static float into(float value, int limit) {
    return value > 0 ? value < (float)limit ? value : (float)limit : 0;
}

static void target_task(void *arg, int i, int thread) {
    const job *j = arg;
    const rb_mask_targets *t = j->t;
    room *r = &j->rooms[thread];
    const float *roi = t->rois + 4 * (size_t)i;
    const rb_mask *m = &t->masks[i];
    uint8_t *target = j->target + (size_t)i * BINS * BINS;
    rb_roi_line across = rb_roi_line_of(into(roi[0], t->width), into(roi[2], t->width), 1, BINS);
    rb_roi_line down = rb_roi_line_of(into(roi[1], t->height), into(roi[3], t->height), 1, BINS);
    rb_roi_span columns = rb_roi_axis(across, BINS, t->width, r->columns, r->column_weights);
    rb_roi_axis(down, BINS, t->height, r->rows, r->row_weights);
    double samples = (double)across.grid * (double)down.grid;
    memset(r->sums, 0, sizeof r->sums);
    for (int x = columns.first; x < columns.last; x++) add_column(r, m, x);
    for (int p = 0; p < BINS * BINS; p++)
        target[p] = samples > 0 && r->sums[p / BINS][p % BINS] >= 0.5 * samples;
}

void rb_mask_target(rb_exec *x, const rb_mask_targets *t, uint8_t *target) {
    size_t mark = rb_arena_mark(&x->scratch), threads = (size_t)rb_pool_threads(x->pool);
    job j = {t, target, rb_arena_push(&x->scratch, threads * sizeof *j.rooms)};
    for (size_t i = 0; i < threads; i++) {
        float *rows = rb_arena_push(&x->scratch, rb_roi_axis_room(BINS, t->height) * sizeof *rows);
        float *columns = rb_arena_push(&x->scratch, rb_roi_axis_room(BINS, t->width) * sizeof *columns);
        uint8_t *pixels = rb_arena_push(&x->scratch, (size_t)t->height);
        if (x->dry) continue;
        j.rooms[i].row_weights = rows;
        j.rooms[i].column_weights = columns;
        j.rooms[i].pixels = pixels;
    }
    RB_RUN(x, RB_PROFILE_MASK_TARGET, 0, (double)t->count * BINS * BINS,
           rb_pool_run(x->pool, t->count, target_task, &j));
    rb_arena_release(&x->scratch, mark);
}
