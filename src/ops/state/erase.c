/* Random erasing on the state of the picture (ops.h). */
#include <assert.h>
#include <math.h>

#include "ops/profile.h"

enum { CELL = 4, CHANNELS = 64 };

typedef struct erase_job {
    const rb_stem *s;
    const rb_patch *patches;
    int count;
} erase_job;

/* The repeated channels of a pixel in the state. */
static int32_t *pixel_at(const rb_stem *s, int n, int y, int x) {
    size_t rows = (size_t)(s->image.h / CELL), columns = (size_t)(s->image.w / CELL);
    size_t cell = ((size_t)n * rows + (size_t)(y / CELL)) * columns + (size_t)(x / CELL);
    return s->state + (cell * CELL * CELL + (size_t)(y % CELL * CELL + x % CELL)) * (size_t)s->repeated;
}

static void draw(rb_rng *rng, int count, float grid, int32_t *values) {
    for (int c = 0; c < count; c++) values[c] = (int32_t)lrintf((float)rb_rng_normal(rng) * grid);
}

/* Noise stays below 8.6, since its uniforms have 53 bits: inside the range of every grid, so nothing is
 * watched. */
static void fill(const rb_stem *s, const rb_patch *p) {
    rb_rng rng = p->values;
    int channels = s->image.c;
    assert(channels <= CHANNELS);
    int32_t values[CHANNELS] = {0};
    float grid = ldexpf(1, s->k);
    if (p->fill == RB_PATCH_COLOR) draw(&rng, channels, grid, values);
    for (int y = p->y; y < p->y + p->h; y++)
        for (int x = p->x; x < p->x + p->w; x++) {
            int32_t *out = pixel_at(s, p->image, y, x);
            if (p->fill == RB_PATCH_NOISE) draw(&rng, channels, grid, values);
            for (int c = 0; c < s->repeated; c++) out[c] = values[c % channels];
        }
}

/* All patches of one picture, in their order: they may overlap. */
static void erase_task(void *arg, int n, int thread) {
    (void)thread;
    const erase_job *job = arg;
    for (int i = 0; i < job->count; i++)
        if (job->patches[i].image == n) fill(job->s, &job->patches[i]);
}

void rb_stem_erase(rb_exec *x, const rb_stem *s, const rb_patch *patches, int count) {
    if (!count) return;
    erase_job job = {s, patches, count};
    double bytes = 0;
    for (int i = 0; i < count; i++) bytes += 4.0 * patches[i].w * patches[i].h * s->repeated;
    RB_RUN(x, RB_PROFILE_STEM, 0, bytes, rb_pool_run(x->pool, s->image.n, erase_task, &job));
}
