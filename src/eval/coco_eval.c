#include "eval/coco_eval.h"

#include <float.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "eval/coco_groups.h"

enum { PARTS_A_TASK = 64 };

rb_coco_options rb_coco_default_options(void) {
    return (rb_coco_options){
        .limits = {1, 10, 100}, .areas = 4, .area = {{0, 1e10}, {0, 1024}, {1024, 9216}, {9216, 1e10}}};
}

typedef struct evaluation {
    rb_coco_match_input in;
    rb_coco_groups groups;
    rb_coco_match_room **rooms; /* one a thread */
    double *scores;             /* kept detections: category by category, picture by picture, best first */
    rb_coco_fate *fates;        /* … · areas */
    uint16_t *places;           /* their rank in the picture */
    rb_coco_score *out;
    rb_coco_curve *curves; /* NULL: not wanted */
    pthread_mutex_t lock;
    int failed_task; /* the lowest of the tasks that failed, so that the message does not depend on threads */
    revbifpn_status status;
    rb_error *error;
} evaluation;

static void failed(evaluation *e, int task, revbifpn_status status, const rb_error *error) {
    pthread_mutex_lock(&e->lock);
    if (!e->status || task < e->failed_task) {
        e->failed_task = task;
        e->status = status;
        if (e->error) *e->error = *error;
    }
    pthread_mutex_unlock(&e->lock);
}

static void match_task(void *arg, int task, int thread) {
    evaluation *e = arg;
    const rb_coco_groups *g = &e->groups;
    size_t begin = (size_t)task * PARTS_A_TASK, end = begin + PARTS_A_TASK;
    if (end > g->part_count) end = g->part_count;
    for (size_t i = begin; i < end; i++) {
        const rb_coco_part *p = &g->parts[i];
        rb_coco_group group = {g->detections + p->detections, g->objects + p->objects, p->detection_count,
                               p->object_count, p->image};
        size_t next = i + 1 < g->part_count ? g->parts[i + 1].out : g->kept;
        rb_error error = {0};
        revbifpn_status status =
            rb_coco_match(&e->in, &group, &e->rooms[thread], e->scores + p->out,
                          e->fates + (size_t)p->out * (size_t)e->in.options->areas, &error);
        if (status) return failed(e, task, status, &error);
        for (size_t k = p->out; k < next; k++) e->places[k] = (uint16_t)(k - p->out);
    }
}

/* What accumulating one category needs. */
typedef struct category {
    const double *scores;
    const rb_coco_fate *fates;
    const uint16_t *places;
    size_t count;
    rb_rank *ranks, *spare;
    double *precision;              /* at each true positive */
    size_t needed[RB_COCO_RECALLS]; /* true positives for each recall */
    int areas;
} category;

/* Objects that count in a range of areas. */
static size_t positives(const evaluation *e, size_t k, const double area[2]) {
    size_t count = 0;
    for (uint32_t i = e->groups.object_of[k]; i < e->groups.object_of[k + 1]; i++) {
        const rb_coco_object *o = &e->in.truth->objects[e->groups.objects[i]];
        count += !o->crowd && !(o->area < area[0] || o->area > area[1]);
    }
    return count;
}

/* The fewest true positives whose share of `all` reaches each recall; at least one, since the precision at
 * recall 0 is the best of all. */
static void needed_for_recall(size_t needed[RB_COCO_RECALLS], size_t all) {
    for (int i = 0; i < RB_COCO_RECALLS; i++) {
        double recall = i == RB_COCO_RECALLS - 1 ? 1 : i * 0.01;
        size_t n = (size_t)(recall * (double)all);
        while (n && (double)(n - 1) / (double)all >= recall) n--;
        while ((double)n / (double)all < recall) n++;
        needed[i] = n ? n : 1;
    }
}

/* Mean precision over recalls at threshold t in area a; *recall is what was reached. `curve`, which may be
 * NULL, takes the precision at each recall. */
static double average_precision(category *c, int a, int t, size_t all, double *recall, double *curve) {
    size_t hits = 0, misses = 0;
    for (size_t i = 0; i < c->count; i++) {
        rb_coco_fate f = c->fates[c->ranks[i].index * (size_t)c->areas + (size_t)a];
        if (f.ignored >> t & 1) continue;
        if (f.matched >> t & 1) {
            hits++;
            c->precision[hits - 1] = (double)hits / ((double)misses + (double)hits + DBL_EPSILON);
        } else {
            misses++;
        }
    }
    *recall = (double)hits / (double)all;
    for (size_t i = hits; i-- > 1;)
        if (c->precision[i] > c->precision[i - 1]) c->precision[i - 1] = c->precision[i];
    double sum = 0;
    for (int i = 0; i < RB_COCO_RECALLS; i++)
        if (c->needed[i] <= hits) sum += c->precision[c->needed[i] - 1];
    for (int i = 0; curve && i < RB_COCO_RECALLS; i++)
        curve[i] = c->needed[i] <= hits ? c->precision[c->needed[i] - 1] : 0;
    return sum / RB_COCO_RECALLS;
}

/* Mean recall over thresholds when only the first `limit` detections of each picture count. */
static double recall_within(const category *c, int limit, size_t all) {
    size_t hits = 0;
    for (size_t i = 0; i < c->count; i++) {
        rb_coco_fate f = c->fates[i * (size_t)c->areas];
        if (c->places[i] < limit) hits += (size_t)__builtin_popcount(f.matched & ~(unsigned)f.ignored);
    }
    return (double)hits / (double)all / RB_COCO_THRESHOLDS;
}

/* Where the curve of threshold t in area a goes; NULL: nowhere. */
static double *curve_of(const evaluation *e, size_t k, int a, int t) {
    if (!e->curves || a || (t != 0 && t != 5)) return NULL;
    return e->curves[k].precision[t ? RB_COCO_AT_75 : RB_COCO_AT_50];
}

static void accumulate(evaluation *e, size_t k, category *c, rb_coco_score *s) {
    const rb_coco_options *o = e->in.options;
    for (size_t i = 0; i < c->count; i++) c->ranks[i] = (rb_rank){c->scores[i], (uint32_t)i};
    rb_rank_sort(c->ranks, c->count, c->spare);
    s->ap50 = s->ap75 = -1;
    for (int a = 0; a < o->areas; a++) {
        size_t all = positives(e, k, o->area[a]);
        s->ap[a] = s->ar[a] = -1;
        if (!all) continue;
        needed_for_recall(c->needed, all);
        double precision = 0, reached = 0, recall;
        for (int t = 0; t < RB_COCO_THRESHOLDS; t++) {
            double ap = average_precision(c, a, t, all, &recall, curve_of(e, k, a, t));
            precision += ap;
            reached += recall;
            if (!a && t == 0) s->ap50 = ap;
            if (!a && t == 5) s->ap75 = ap;
        }
        s->ap[a] = precision / RB_COCO_THRESHOLDS;
        s->ar[a] = reached / RB_COCO_THRESHOLDS;
    }
    size_t all = positives(e, k, o->area[0]);
    for (int m = 0; m < RB_COCO_LIMITS; m++) s->ar_limits[m] = all ? recall_within(c, o->limits[m], all) : -1;
}

static void accumulate_task(void *arg, int task, int thread) {
    (void)thread;
    evaluation *e = arg;
    size_t k = (size_t)task, begin = rb_coco_groups_out_of(&e->groups, k);
    category c = {.scores = e->scores + begin,
                  .fates = e->fates + begin * (size_t)e->in.options->areas,
                  .places = e->places + begin,
                  .count = rb_coco_groups_out_of(&e->groups, k + 1) - begin,
                  .areas = e->in.options->areas};
    c.ranks = rb_alloc(c.count * sizeof *c.ranks);
    c.spare = rb_alloc(c.count * sizeof *c.spare);
    c.precision = rb_alloc(c.count * sizeof *c.precision);
    if (c.ranks && c.spare && c.precision) {
        rb_coco_score *s = &e->out[k];
        accumulate(e, k, &c, s);
        for (uint32_t i = e->groups.object_of[k]; i < e->groups.object_of[k + 1]; i++)
            s->objects += !e->in.truth->objects[e->groups.objects[i]].crowd;
        s->detections = e->groups.detection_of[k + 1] - e->groups.detection_of[k];
    } else {
        rb_error error = {0};
        (void)rb_fail(&error, REVBIFPN_OUT_OF_MEMORY, "out of memory for the precision of a category");
        failed(e, task, REVBIFPN_OUT_OF_MEMORY, &error);
    }
    rb_free(c.ranks);
    rb_free(c.spare);
    rb_free(c.precision);
}

static revbifpn_status check_objects(const rb_coco *truth, bool masks, const char *path, rb_error *err) {
    for (size_t i = 0; i < truth->object_count; i++) {
        const rb_coco_object *o = &truth->objects[i];
        const char *missing = !o->has_area ? "area" : !masks && !o->has_box ? "bbox" : NULL;
        if (missing)
            return rb_fail(err, REVBIFPN_BAD_DATA, "%s: annotation %lld has no %s", path, (long long)o->id,
                           missing);
    }
    return REVBIFPN_OK;
}

static revbifpn_status run(evaluation *e, rb_pool *pool) {
    size_t tasks = (e->groups.part_count + PARTS_A_TASK - 1) / PARTS_A_TASK;
    rb_pool_run(pool, (int)tasks, match_task, e);
    if (e->status) return e->status;
    rb_pool_run(pool, (int)e->in.truth->category_count, accumulate_task, e);
    return e->status;
}

revbifpn_status rb_coco_evaluate(const rb_coco *truth, const rb_coco_results *results,
                                 const rb_coco_options *options, rb_coco_paths paths, rb_pool *pool,
                                 rb_coco_score *scores, rb_coco_curve *curves, rb_error *err) {
    revbifpn_status status;
    evaluation e = {
        .in = {truth, results, options, paths, {0}}, .out = scores, .curves = curves, .error = err};
    size_t threads = (size_t)rb_pool_threads(pool), areas = (size_t)options->areas;
    for (int t = 0; t < RB_COCO_THRESHOLDS; t++)
        e.in.thresholds[t] = t == RB_COCO_THRESHOLDS - 1 ? 0.95 : t * ((0.95 - 0.5) / 9) + 0.5;
    memset(scores, 0, truth->category_count * sizeof *scores);
    for (size_t k = 0; curves && k < truth->category_count; k++)
        for (int i = 0; i < RB_COCO_CURVES * RB_COCO_RECALLS; i++)
            curves[k].precision[i / RB_COCO_RECALLS][i % RB_COCO_RECALLS] = -1;
    pthread_mutex_init(&e.lock, NULL);
    TRY(check_objects(truth, options->masks, paths.truth, err));
    TRY(rb_coco_groups_open(&e.groups, truth, results, options, err));
    e.rooms = rb_alloc(threads * sizeof *e.rooms);
    e.scores = rb_alloc(rb_size_mul(e.groups.kept, sizeof *e.scores));
    e.fates = rb_alloc(rb_size_mul(e.groups.kept, areas * sizeof *e.fates));
    e.places = rb_alloc(rb_size_mul(e.groups.kept, sizeof *e.places));
    if (e.rooms && e.scores && e.fates && e.places)
        status = run(&e, pool);
    else
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %zu detections", e.groups.kept);
fail:
    for (size_t i = 0; e.rooms && i < threads; i++) rb_coco_match_room_close(&e.rooms[i]);
    rb_free(e.rooms);
    rb_free(e.scores);
    rb_free(e.fates);
    rb_free(e.places);
    rb_coco_groups_close(&e.groups);
    pthread_mutex_destroy(&e.lock);
    return status;
}

/* Mean over categories of one of their numbers, −1 left out. */
static double mean_of(const rb_coco_score *scores, size_t count, size_t offset) {
    double sum = 0;
    size_t valid = 0;
    for (size_t i = 0; i < count; i++) {
        double v;
        memcpy(&v, (const char *)&scores[i] + offset, sizeof v);
        if (v < 0) continue;
        sum += v;
        valid++;
    }
    return valid ? sum / (double)valid : -1;
}

rb_coco_score rb_coco_mean(const rb_coco_score *scores, size_t count, const rb_coco_options *options) {
    rb_coco_score mean = {0};
#define MEAN(field) mean.field = mean_of(scores, count, offsetof(rb_coco_score, field))
    MEAN(ap50);
    MEAN(ap75);
    for (int a = 0; a < options->areas; a++) {
        mean.ap[a] = mean_of(scores, count, offsetof(rb_coco_score, ap) + (size_t)a * sizeof(double));
        mean.ar[a] = mean_of(scores, count, offsetof(rb_coco_score, ar) + (size_t)a * sizeof(double));
    }
    for (int m = 0; m < RB_COCO_LIMITS; m++)
        mean.ar_limits[m] =
            mean_of(scores, count, offsetof(rb_coco_score, ar_limits) + (size_t)m * sizeof(double));
#undef MEAN
    for (size_t i = 0; i < count; i++) {
        mean.objects += scores[i].objects;
        mean.detections += scores[i].detections;
    }
    return mean;
}
