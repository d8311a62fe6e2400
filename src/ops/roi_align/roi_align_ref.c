/* RoIAlign, the specification: sample by sample, as mmcv and torchvision have it. */
#include "ops/roi_align/roi_align.h"

typedef struct job {
    const rb_roi_align *r;
    float *dst;
    const float *d_dst;
    float *const *d_map;
} job;

/* A box on its map. */
typedef struct box {
    rb_shape shape;
    rb_roi_line y, x;
    size_t first; /* element of the map where the sample begins */
    int level;
} box;

static box box_of(const rb_roi_align *r, int roi) {
    const float *at = r->rois + 4 * (size_t)roi;
    box b = {.level = rb_roi_reach_of(r, roi).level};
    b.shape = r->shape[b.level];
    b.x = rb_roi_line_of(at[0], at[2], r->scale[b.level], r->size);
    b.y = rb_roi_line_of(at[1], at[3], r->scale[b.level], r->size);
    b.first = (size_t)r->image[roi] * (size_t)b.shape.h * (size_t)b.shape.w * (size_t)b.shape.c;
    return b;
}

/* The four cells of a sample of bin i,j, and their weights over the number of samples. */
typedef struct cells {
    size_t at[4];
    double weight[4];
} cells;

static cells cells_of(const box *b, int i, int j, int ay, int ax) {
    rb_roi_tap y = rb_roi_tap_at(rb_roi_sample(b->y, i, ay), b->shape.h);
    rb_roi_tap x = rb_roi_tap_at(rb_roi_sample(b->x, j, ax), b->shape.w);
    double samples = (double)b->y.grid * (double)b->x.grid, near = (double)x.near, far = (double)x.far;
    cells s;
    for (int k = 0; k < 4; k++) {
        int row = k < 2 ? y.low : y.high, column = k % 2 ? x.high : x.low;
        double of_row = (double)(k < 2 ? y.near : y.far);
        s.at[k] = b->first + ((size_t)row * (size_t)b->shape.w + (size_t)column) * (size_t)b->shape.c;
        s.weight[k] = of_row * (k % 2 ? far : near) / samples;
    }
    return s;
}

static double bin_value(const float *map, const box *b, int i, int j, int c) {
    double sum = 0;
    for (int ay = 0; ay < b->y.grid; ay++)
        for (int ax = 0; ax < b->x.grid; ax++) {
            cells s = cells_of(b, i, j, ay, ax);
            for (int k = 0; k < 4; k++)
                if (s.weight[k] != 0) sum += s.weight[k] * (double)map[s.at[k] + (size_t)c];
        }
    return sum;
}

static size_t bin_at(const rb_roi_align *r, int roi, int i, int j) {
    size_t bins = (size_t)r->size, c = (size_t)r->shape[0].c;
    return (((size_t)roi * bins + (size_t)i) * bins + (size_t)j) * c;
}

static void forward_task(void *arg, int roi, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_roi_align *r = j->r;
    box b = box_of(r, roi);
    for (int i = 0; i < r->size; i++)
        for (int k = 0; k < r->size; k++)
            for (int c = 0; c < b.shape.c; c++)
                j->dst[bin_at(r, roi, i, k) + (size_t)c] = (float)bin_value(r->map[b.level], &b, i, k, c);
}

void rb_roi_align_forward_ref(const rb_roi_align *r, float *dst, void *scratch, rb_pool *pool) {
    (void)scratch;
    job j = {.r = r, .dst = dst};
    rb_pool_run(pool, r->count, forward_task, &j);
}

static void add_bin(const box *b, int i, int j, float d, float *d_map) {
    for (int ay = 0; ay < b->y.grid; ay++)
        for (int ax = 0; ax < b->x.grid; ax++) {
            cells s = cells_of(b, i, j, ay, ax);
            for (int k = 0; k < 4; k++)
                if (s.weight[k] != 0) d_map[s.at[k]] += (float)(s.weight[k] * (double)d);
        }
}

/* One channel of all maps. */
static void backward_task(void *arg, int c, int thread) {
    (void)thread;
    const job *j = arg;
    const rb_roi_align *r = j->r;
    for (int roi = 0; roi < r->count; roi++) {
        box b = box_of(r, roi);
        for (int i = 0; i < r->size; i++)
            for (int k = 0; k < r->size; k++)
                add_bin(&b, i, k, j->d_dst[bin_at(r, roi, i, k) + (size_t)c], j->d_map[b.level] + c);
    }
}

void rb_roi_align_backward_ref(const rb_roi_align *r, const float *d_dst, float *const d_map[], void *scratch,
                               rb_pool *pool) {
    (void)scratch;
    job j = {.r = r, .d_dst = d_dst, .d_map = d_map};
    rb_pool_run(pool, r->shape[0].c, backward_task, &j);
}
