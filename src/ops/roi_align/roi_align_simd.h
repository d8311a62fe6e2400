/* RoIAlign by rows and columns: the weights of a box along both axes first; then, for each row of the map
 * that it reads, the columns of its bins, which are added to the rows of bins that read the row. */
#include <math.h>

#include "ops/ops_simd.h"
#include "ops/simd/tile.h"

enum { ROWS = 8 }; /* of a map, that a task of the backward pass owns */

typedef struct plan {
    size_t reach, rooms;                                     /* places; a room for each thread, with */
    size_t rows, columns, row_room, column_room, line, room; /* places in it, and its bytes */
    size_t total;
} plan;

static plan plan_of(const rb_roi_align *r, int threads) {
    plan x = {0};
    size_t bins = (size_t)r->size;
    int h = 0, w = 0;
    for (int l = 0; l < r->levels; l++) {
        h = r->shape[l].h > h ? r->shape[l].h : h;
        w = r->shape[l].w > w ? r->shape[l].w : w;
    }
    x.rows = take(&x.room, bins * sizeof(rb_roi_bin));
    x.columns = take(&x.room, bins * sizeof(rb_roi_bin));
    x.row_room = take(&x.room, rb_roi_axis_room(r->size, h) * sizeof(float));
    x.column_room = take(&x.room, rb_roi_axis_room(r->size, w) * sizeof(float));
    x.line = take(&x.room, bins * (size_t)r->shape[0].c * sizeof(float));
    x.reach = take(&x.total, (size_t)r->count * sizeof(rb_roi_reach));
    x.rooms = take(&x.total, (size_t)threads * x.room);
    return x;
}

size_t RB_LEVEL(rb_roi_align_scratch)(const rb_roi_align *r, int threads) {
    return plan_of(r, threads).total;
}

typedef struct job {
    const rb_roi_align *r;
    plan x;
    unsigned char *scratch;
    rb_roi_reach *reach;
    float *dst;
    const float *d_dst;
    float *const *d_map;
} job;

static job job_of(const rb_roi_align *r, void *scratch, rb_pool *pool) {
    job j = {.r = r, .x = plan_of(r, rb_pool_threads(pool)), .scratch = scratch};
    j.reach = (rb_roi_reach *)(void *)(j.scratch + j.x.reach);
    for (int i = 0; i < r->count; i++) j.reach[i] = rb_roi_reach_of(r, i);
    return j;
}

/* A box's weights, and a line of bins in the making. */
typedef struct work {
    rb_roi_bin *rows, *columns;
    rb_roi_span y;
    float samples; /* of a bin */
    float *line;
} work;

static work work_of(const job *j, int roi, int thread) {
    const rb_roi_align *r = j->r;
    const float *box = r->rois + 4 * (size_t)roi;
    int level = j->reach[roi].level;
    unsigned char *room = j->scratch + j->x.rooms + (size_t)thread * j->x.room;
    work w = {.rows = (rb_roi_bin *)(void *)(room + j->x.rows),
              .columns = (rb_roi_bin *)(void *)(room + j->x.columns),
              .line = floats_at(room, j->x.line)};
    rb_roi_line y = rb_roi_line_of(box[1], box[3], r->scale[level], r->size);
    rb_roi_line x = rb_roi_line_of(box[0], box[2], r->scale[level], r->size);
    w.samples = fmaxf((float)y.grid * (float)x.grid, 1);
    w.y = rb_roi_axis(y, r->size, r->shape[level].h, w.rows, floats_at(room, j->x.row_room));
    rb_roi_axis(x, r->size, r->shape[level].w, w.columns, floats_at(room, j->x.column_room));
    return w;
}

/* `count` ≤ AT_ONCE vectors (n lanes of the last): to = Σ_q weight[q]·from[q·ld]. */
enum { AT_ONCE = 4 };
RB_INLINE void sum_vectors(const float *from, size_t ld, rb_roi_bin bin, size_t count, size_t n, float *to) {
    vf sum[AT_ONCE];
    RB_UNROLL
    for (size_t v = 0; v < count; v++) sum[v] = vf_zero();
    for (int q = 0; q < bin.count; q++, from += ld) {
        vf weight = vf_set1(bin.weight[q]);
        RB_UNROLL
        for (size_t v = 0; v < count; v++)
            sum[v] = vf_fma(weight, vf_load_n(from + v * VL, v + 1 < count ? VL : n), sum[v]);
    }
    RB_UNROLL
    for (size_t v = 0; v < count; v++) vf_store_n(to + v * VL, sum[v], v + 1 < count ? VL : n);
}

/* to (c) = the cells of a bin, weighted: neighbours lie c floats apart. */
RB_TARGET static void sum_bin(const float *from, size_t c, rb_roi_bin bin, float *to) {
    size_t i = 0;
    from += (size_t)bin.low * c;
    for (; i + AT_ONCE * VL <= c; i += AT_ONCE * VL) sum_vectors(from + i, c, bin, AT_ONCE, VL, to + i);
    for (; i < c; i += VL) sum_vectors(from + i, c, bin, 1, size_min(VL, c - i), to + i);
}

/* to += weight·from */
RB_TARGET static void add_scaled(float weight, const float *from, size_t n, float *to) {
    vf w = vf_set1(weight);
    size_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(to + i, vf_fma(w, vf_load(from + i), vf_load(to + i)));
    if (i < n) vf_store_n(to + i, vf_fma(w, vf_load_n(from + i, n - i), vf_load_n(to + i, n - i)), n - i);
}

/* Whether row i of bins reads row y of the map, and the share that each of its cells has of the mean. */
static bool reads(const work *w, size_t i, int y) {
    return y >= w->rows[i].low && y < w->rows[i].low + w->rows[i].count;
}
static float share_of(const work *w, size_t i, int y) {
    return w->rows[i].weight[y - w->rows[i].low] / w->samples;
}

static size_t row_at(rb_shape s, int image, int y) {
    return ((size_t)image * (size_t)s.h + (size_t)y) * (size_t)s.w * (size_t)s.c;
}

static void forward_task(void *arg, int roi, int thread) {
    const job *j = arg;
    const rb_roi_align *r = j->r;
    int level = j->reach[roi].level;
    rb_shape s = r->shape[level];
    size_t c = (size_t)s.c, bins = (size_t)r->size, line = bins * c;
    float *dst = j->dst + (size_t)roi * bins * line;
    work w = work_of(j, roi, thread);
    memset(dst, 0, bins * line * sizeof *dst);
    for (int y = w.y.first; y < w.y.last; y++) {
        const float *row = r->map[level] + row_at(s, r->image[roi], y);
        for (size_t k = 0; k < bins; k++) sum_bin(row, c, w.columns[k], w.line + k * c);
        for (size_t i = 0; i < bins; i++)
            if (reads(&w, i, y)) add_scaled(share_of(&w, i, y), w.line, line, dst + i * line);
    }
}

void RB_LEVEL(rb_roi_align_forward)(const rb_roi_align *r, float *dst, void *scratch, rb_pool *pool) {
    job j = job_of(r, scratch, pool);
    j.dst = dst;
    rb_pool_run(pool, r->count, forward_task, &j);
}

/* Row y of a map, from one box: the rows of bins that read it, then each bin to its columns. */
static void add_row(const work *w, size_t bins, size_t c, const float *d_dst, int y, float *d_row) {
    memset(w->line, 0, bins * c * sizeof *w->line);
    for (size_t i = 0; i < bins; i++)
        if (reads(w, i, y)) add_scaled(share_of(w, i, y), d_dst + i * bins * c, bins * c, w->line);
    for (size_t k = 0; k < bins; k++)
        for (int q = 0; q < w->columns[k].count; q++)
            add_scaled(w->columns[k].weight[q], w->line + k * c, c,
                       d_row + (size_t)(w->columns[k].low + q) * c);
}

/* Rows first … last − 1 of a sample's map. */
static void backward_rows(const job *j, int level, int image, int first, int last, int thread) {
    const rb_roi_align *r = j->r;
    rb_shape s = r->shape[level];
    size_t c = (size_t)s.c, bins = (size_t)r->size;
    for (int roi = 0; roi < r->count; roi++) {
        const rb_roi_reach *reach = &j->reach[roi];
        if (reach->level != level || r->image[roi] != image || reach->rows.first >= last ||
            reach->rows.last <= first)
            continue;
        work w = work_of(j, roi, thread);
        int y = w.y.first > first ? w.y.first : first, end = w.y.last < last ? w.y.last : last;
        for (; y < end; y++)
            add_row(&w, bins, c, j->d_dst + (size_t)roi * bins * bins * c, y,
                    j->d_map[level] + row_at(s, image, y));
    }
}

static int blocks_of(rb_shape s) { return (s.h + ROWS - 1) / ROWS; }

static void backward_task(void *arg, int task, int thread) {
    const job *j = arg;
    int level = 0;
    while (task >= j->r->shape[level].n * blocks_of(j->r->shape[level])) {
        task -= j->r->shape[level].n * blocks_of(j->r->shape[level]);
        level++;
    }
    rb_shape s = j->r->shape[level];
    int image = task / blocks_of(s), first = task % blocks_of(s) * ROWS;
    backward_rows(j, level, image, first, first + ROWS < s.h ? first + ROWS : s.h, thread);
}

void RB_LEVEL(rb_roi_align_backward)(const rb_roi_align *r, const float *d_dst, float *const d_map[],
                                     void *scratch, rb_pool *pool) {
    job j = job_of(r, scratch, pool);
    int tasks = 0;
    j.d_dst = d_dst;
    j.d_map = d_map;
    for (int l = 0; l < r->levels; l++) tasks += r->shape[l].n * blocks_of(r->shape[l]);
    rb_pool_run(pool, tasks, backward_task, &j);
}
