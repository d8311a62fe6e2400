/* How a pointwise convolution is cut: panels of weights, chunks of pixels, and what lies where in scratch. */
#ifndef RB_OPS_POINTWISE_PLAN_SIMD_H
#define RB_OPS_POINTWISE_PLAN_SIMD_H

#include "ops/ops_simd.h"
#include "ops/pointwise/terms.h"
#include "ops/simd/sums.h"

enum {
    TASKS = 16,          /* at least, where there is so much to share */
    SPLITS = 16,         /* of the weight gradient's sum over pixels */
    WIDE = 1 << 18,      /* weights that a thread packs for itself, by groups of panels, */
    GROUP = 1 << 17,     /* floats of a group, as many terms as fit */
    SHARED = 1 << 17,    /* weights whose gradient is formed in blocks, not in a partial of its own */
    FORMED = 1 << 20,    /* floats of operands that are formed at a time before the product */
    FORM_ROWS = 16,      /* by a task, */
    FORM_CHANNELS = 512, /* and channels at once where floats become words */
    TILE = 8192,         /* floats of a tile, which is formed beside the product */
    PANEL = 6144         /* floats of a panel that should stay in the first cache */
};

/* Columns `n` as vectors, the vectors as panels of nearly equal width. */
typedef struct panels {
    size_t n, vectors, count;
} panels;

static panels panels_of(size_t n) {
    size_t vectors = ceil_div(n, VL);
    return (panels){n, vectors, ceil_div(vectors, NV)};
}
/* First vector of panel i. */
static size_t panel_vector(panels p, size_t i) { return p.vectors * i / p.count; }
static size_t panel_width(panels p, size_t i) { return panel_vector(p, i + 1) - panel_vector(p, i); }

typedef struct plan {
    size_t pixels, per_sample, ic, oc, icp, ocp; /* p: rounded up to vectors */
    size_t chunk, chunks;
    panels columns;
    size_t groups;      /* of panels, which are tasks of their own */
    bool wide, formed;  /* see WIDE; operands are formed before the product, not beside it */
    size_t k, terms;    /* words of a column of the packed weights; those that are packed at a time */
    size_t rows;        /* formed at a time: of a tile, or of the whole */
    size_t tile_floats; /* of a thread */
    size_t splits;      /* of the weight gradient, where it is not formed in blocks */
    size_t outputs;     /* of such a block */
    size_t src_words, dz_words, dz_row_words; /* formed: floats of each operand */
    size_t packed, packed_floats, tiles, src, dz, dz_rows, moments[3], slots, partials, total;
} plan;

static plan plan_common(const rb_pointwise *p, panels columns, size_t terms) {
    rb_shape s = p->src.shape;
    plan x = {.pixels = rb_pixels(s), .per_sample = (size_t)s.h * (size_t)s.w, .columns = columns};
    x.ic = (size_t)s.c, x.oc = (size_t)p->oc;
    x.icp = round_up(x.ic, VL), x.ocp = round_up(x.oc, VL);
    x.chunk = flat_chunk(x.pixels), x.chunks = ceil_div(x.pixels, x.chunk);
    x.k = words(terms);
    x.wide = x.ic * x.oc >= WIDE;
    x.groups = x.wide ? size_clamp(round_up(ceil_div(columns.count, 2), 4), 1, columns.count)
                      : size_clamp(TASKS / x.chunks, 1, columns.count);
    return x;
}

/* Rows of a tile of `width` floats a row, or of operands that are formed before the product. */
static void plan_rows(plan *x, size_t width, size_t least) {
    size_t chunks = size_clamp(FORMED / width / x->chunk, 1, x->chunks);
    if (x->formed)
        x->rows = ceil_div(x->chunks, ceil_div(x->chunks, chunks)) * x->chunk;
    else
        x->rows = size_clamp(TILE / width / MR * MR, least, x->chunk);
}

/* Places for weights and tiles: weights of all panels, or of a group for each thread. */
static void plan_places(plan *x, int threads) {
    size_t group = ceil_div(x->columns.count, x->groups) * NV * VL;
    x->terms = x->wide ? size_min(round_up(size_max(GROUP / group, 1), CHAIN), x->k) : x->k;
    x->packed_floats = x->terms * (x->wide ? group : x->columns.vectors * VL);
    x->packed = take(&x->total, (x->wide ? (size_t)threads : 1) * x->packed_floats * sizeof(float));
    x->tiles = take(&x->total, (size_t)threads * x->tile_floats * sizeof(float));
    x->src = take(&x->total, x->src_words * sizeof(float));
    x->dz = take(&x->total, x->dz_words * sizeof(float));
    x->dz_rows = PAIR > 1 ? take(&x->total, x->dz_row_words * sizeof(float)) : x->dz;
}

/* A tile in which floats are formed that become words elsewhere. */
enum { FORM_TILE = PAIR > 1 ? FORM_ROWS *FORM_CHANNELS : 0 };

static plan plan_forward(const rb_pointwise *p, int threads) {
    plan x = plan_common(p, panels_of((size_t)p->oc), (size_t)p->src.shape.c);
    x.formed = x.wide || x.groups > 1;
    plan_rows(&x, x.icp, MR);
    x.src_words = x.formed ? round_up(x.rows, MR) * round_up(x.k, VL) : 0;
    x.tile_floats = x.formed ? FORM_TILE : x.rows * x.icp;
    plan_places(&x, threads);
    take_moments(&x.total, x.chunks, x.ocp, x.moments);
    return x;
}

static plan plan_backward(const rb_pointwise *p, int threads) {
    plan x = plan_common(p, panels_of((size_t)p->src.shape.c), (size_t)p->oc);
    x.formed = x.ic * x.oc > SHARED || x.groups > 1;
    size_t width = x.icp + x.ocp * PAIR; /* d_dst twice: words of channels and of rows */
    plan_rows(&x, width, 4 * MR);
    x.outputs = size_clamp(round_up(x.oc / TASKS, VL), VL, 64);
    if (x.formed) {
        x.src_words = round_up(words(x.rows), MR) * x.icp;
        x.dz_words = round_up(x.rows, MR) * round_up(x.k, VL);
        x.dz_row_words = round_up(words(x.rows), MR) * x.ocp;
        x.tile_floats = FORM_TILE;
    } else {
        x.splits = size_min(SPLITS, x.chunks);
        x.tile_floats = x.rows * width;
    }
    plan_places(&x, threads);
    x.slots = take(&x.total, flat_slots(x.pixels, (size_t)p->src.shape.n, x.chunk) * RB_ACT_SUMS * x.icp *
                                 sizeof(double));
    x.partials = take(&x.total, x.splits > 1 ? x.splits * x.oc * x.icp * sizeof(float) : 0);
    return x;
}

/* A run of panels, or of other things. */
typedef struct span {
    size_t first, last;
} span;
static span group_of(const plan *x, size_t group) {
    return (span){x->columns.count * group / x->groups, x->columns.count * (group + 1) / x->groups};
}

#endif
