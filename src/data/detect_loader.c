#include "data/detect_loader.h"

#include <math.h>

#include "base/memory.h"
#include "data/detect_sampler.h"

/* A file of a batch: what the ring calls a picture. */
typedef struct part {
    int item, tile; /* of which picture, and which of its tiles */
} part;

/* The buffers of a batch, whose pictures are made of `tiles` files each at most. */
typedef struct slot {
    int count;         /* pictures */
    int height, width; /* of its pictures, padding included */
    uint8_t *images;
    rb_detect_scene *scenes; /* batch */
    part *parts;             /* batch·tiles, picture by picture */
    rb_detect_item *items;   /* batch·tiles: of each part … */
    rb_detect_truth *truths; /* … and its objects */
} slot;

struct rb_detect_loader {
    rb_detect_loader_options options;
    rb_detect_plan plan;
    int tiles;      /* most of a picture: 1, or those of a mosaic */
    int objects;    /* most of a file */
    uint32_t *list; /* plan.pictures: the pictures that are samples */
    rb_detect_order order;
    uint64_t order_epoch;
    bool have_order;
    slot *slots;
    rb_detect_item *items;   /* batch: of the batch delivered … */
    rb_detect_truth *joined; /* … and the objects of its mosaics; NULL when there are none */
    rb_ring *ring;
};

static const rb_picture *picture_of(const rb_detect_loader *l, uint32_t sample) {
    return &l->options.pictures->pictures[l->list[sample]];
}

/* The draws for a sample that was asked for. */
static rb_detect_scene draw_scene(const rb_detect_loader *l, uint64_t epoch, uint32_t want, uint32_t again) {
    const rb_detect_loader_options *o = &l->options;
    const rb_picture *p = picture_of(l, want);
    rb_rng rng = rb_rng_open(o->seed, RB_PURPOSE_AUGMENT, epoch, want | (uint64_t)again << 32);
    double mosaic = o->mosaic_end && epoch >= o->mosaic_end ? 0 : o->mosaic;
    return rb_detect_scene_draw(&o->limits, mosaic, o->training, want, l->plan.pictures, (int)p->width,
                                (int)p->height, &rng);
}

/* ---- what the ring asks for ---- */

static int samples_of(rb_detect_loader *l, uint64_t epoch, int index, uint32_t *want, uint32_t *again) {
    int start = index * l->options.batch, left = l->plan.pictures - start;
    int count = left < l->options.batch ? left : l->options.batch;
    if (!l->options.training) {
        for (int i = 0; i < count; i++) {
            want[i] = (uint32_t)(start + i);
            again[i] = 0;
        }
        return count;
    }
    if (!l->have_order || l->order_epoch != epoch) {
        rb_detect_order_shuffle(&l->order, l->options.seed, epoch);
        l->order_epoch = epoch;
        l->have_order = true;
    }
    rb_detect_order_batch(&l->order, index, want, again);
    return l->options.batch;
}

/* What a batch is made of, and its size, follow from the sizes of the pictures that were asked for, before
 * any is read. */
static int open_batch(void *user, int at, uint64_t epoch, int index, uint32_t *want, uint32_t *again) {
    rb_detect_loader *l = user;
    slot *s = &l->slots[at];
    int parts = 0;
    s->count = samples_of(l, epoch, index, want, again);
    s->height = s->width = 0;
    for (int i = 0; i < s->count; i++) {
        const rb_detect_scene *scene = &s->scenes[i];
        s->scenes[i] = draw_scene(l, epoch, want[i], again[i]);
        int height = rb_detect_padded(scene->height), width = rb_detect_padded(scene->width);
        if (height > s->height) s->height = height;
        if (width > s->width) s->width = width;
    }
    for (int i = 0; i < s->count; i++)
        for (int k = 0; k < s->scenes[i].tiles; k++, parts++) {
            s->parts[parts] = (part){i, k};
            want[parts] = s->scenes[i].tile[k].sample;
            again[parts] = 0; /* the draws are in the scene */
        }
    return parts;
}

static int shrunk(int side, double s) { return side * s < 1 ? 1 : (int)(side * s); }

/* What stands in for another picture may have to be smaller than it would be. */
static void fit(rb_detect_draw *d, int height, int width) {
    double s = fmin((double)height / d->height, (double)width / d->width);
    if (s >= 1) return;
    d->height = d->part_height = shrunk(d->height, s);
    d->width = d->part_width = shrunk(d->width, s);
    d->full_height = shrunk(d->full_height, s);
    d->full_width = shrunk(d->full_width, s);
    d->top = (int)(d->top * s);
    d->left = (int)(d->left * s);
    if (d->top > d->full_height - d->height) d->top = d->full_height - d->height;
    if (d->left > d->full_width - d->width) d->left = d->full_width - d->width;
}

static revbifpn_status check_size(const rb_picture *p, const rb_image *image, const char *path,
                                  rb_error *err) {
    if (p->width == (uint32_t)image->width && p->height == (uint32_t)image->height) return REVBIFPN_OK;
    if (!p->width)
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s: could not be read when the data set was opened", path);
    return rb_fail(err, REVBIFPN_BAD_FILE, "%s: %d x %d pixels, and %u x %u in the annotations", path,
                   image->width, image->height, p->width, p->height);
}

/* Puts a file where it belongs in the picture at `dst`. */
static revbifpn_status place(rb_detect_loader *l, const rb_detect_draw *draw, int number,
                             const rb_image *image, uint8_t *dst, size_t stride, rb_detect_room *room,
                             rb_detect_truth *truth, rb_error *err) {
    rb_detect_truth_clear(truth, draw->width, draw->height);
    if (!draw->part_width || !draw->part_height) return REVBIFPN_OK;
    revbifpn_status status = rb_detect_change_objects(draw, l->options.pictures, number, room, truth, err);
    return status ? status : rb_detect_change_image(draw, image, dst, stride, room, err);
}

static revbifpn_status make_part(void *user, const rb_ring_task *t, void *scratch, bool *damaged,
                                 rb_error *err) {
    rb_detect_loader *l = user;
    slot *s = &l->slots[t->slot];
    const part *at = &s->parts[t->place];
    const rb_detect_scene *scene = &s->scenes[at->item];
    int number = (int)l->list[t->from];
    const rb_picture *p = picture_of(l, t->from);
    const char *path = rb_picture_path(l->options.pictures, number);
    rb_decode_options decode = {.max_pixels = l->options.max_pixels, .apply_exif = true};
    rb_decode_info info = {0};
    rb_image image;
    revbifpn_status status;
    TRY(rb_image_read(path, &decode, &image, &info, err));
    TRY(check_size(p, &image, path, err));
    rb_detect_draw draw =
        rb_detect_scene_tile(scene, at->tile, &l->options.limits, (int)p->width, (int)p->height);
    size_t stride = (size_t)s->width * 3;
    uint8_t *dst = s->images + (size_t)at->item * stride * (size_t)s->height;
    if (scene->tiles > 1)
        rb_detect_scene_paint(scene, at->tile, dst, stride);
    else
        fit(&draw, s->height, s->width);
    rb_detect_truth *truth = &s->truths[t->place];
    TRY(place(l, &draw, number, &image, dst, stride, scratch, truth, err));
    rb_detect_item *item = &s->items[t->place];
    *item = (rb_detect_item){.picture = number,
                             .id = p->id,
                             .width = (int)p->width,
                             .height = (int)p->height,
                             .mirrored = draw.mirror,
                             .mosaic = scene->tiles > 1,
                             .stands_in = t->from != t->want,
                             .truth = truth->view};
    rb_detect_scale(&draw, p, item->scale);
    *damaged = info.damaged;
fail:
    rb_image_free(&image);
    return status;
}

static const char *path_of(void *user, uint32_t sample) {
    const rb_detect_loader *l = user;
    return rb_picture_path(l->options.pictures, (int)l->list[sample]);
}

static void close_scratch(void *scratch) { rb_detect_room_close(scratch); }

/* ---- delivery ---- */

/* The parts of a finished batch become its pictures. */
static void join(rb_detect_loader *l, const slot *s) {
    for (int i = 0, at = 0; i < s->count; at += s->scenes[i++].tiles) {
        int tiles = s->scenes[i].tiles;
        rb_detect_item *item = &l->items[i];
        *item = s->items[at];
        if (tiles == 1) continue;
        rb_detect_scene_join(&s->truths[at], tiles, &l->joined[i]);
        item->truth = l->joined[i].view;
        for (int k = 1; k < tiles; k++) item->stands_in = item->stands_in || s->items[at + k].stands_in;
    }
}

revbifpn_status rb_detect_loader_next(rb_detect_loader *l, rb_detect_batch *batch, rb_error *err) {
    rb_ring_batch b;
    *batch = (rb_detect_batch){0};
    revbifpn_status status = rb_ring_next(l->ring, &b, err);
    if (status || !b.count) return status;
    const slot *s = &l->slots[b.slot];
    join(l, s);
    *batch = (rb_detect_batch){.epoch = b.epoch,
                               .index = b.index,
                               .last = b.last,
                               .count = s->count,
                               .height = s->height,
                               .width = s->width,
                               .images = s->images,
                               .items = l->items};
    return REVBIFPN_OK;
}

rb_loader_work rb_detect_loader_worked(rb_detect_loader *l) { return rb_ring_worked(l->ring); }

const rb_detect_plan *rb_detect_loader_planned(const rb_detect_loader *l) { return &l->plan; }

size_t rb_detect_loader_issues(const rb_detect_loader *l, const rb_loader_issue **issues) {
    return rb_ring_issues(l->ring, issues);
}

/* ---- opening and closing ---- */

/* Of a picture. */
static int most_tiles(const rb_detect_loader_options *o) {
    return o->training && o->mosaic > 0 ? RB_MOSAIC_TILES : 1;
}

static rb_ring_options ring_options(const rb_detect_loader_options *o) {
    return (rb_ring_options){.work = {.open = open_batch,
                                      .make = make_part,
                                      .path = path_of,
                                      .scratch_size = sizeof(rb_detect_room),
                                      .scratch_close = close_scratch},
                             .batch = o->batch * most_tiles(o),
                             .epoch = o->epoch,
                             .first_batch = o->first_batch,
                             .end_epoch = o->end_epoch,
                             .threads = o->threads,
                             .depth = o->ring,
                             .max_bad = o->max_bad,
                             .stop = o->stop};
}

static revbifpn_status check_options(const rb_detect_loader_options *o, rb_error *err) {
    if (!o->pictures || o->batch < 1 || o->max_bad < 0 || o->first_batch < 0)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "the loader needs pictures, a batch of 1 or more, --max-bad of 0 or more");
    if (!(o->mosaic >= 0 && o->mosaic <= 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "mosaic %g: not a probability", o->mosaic);
    if (!o->max_pixels) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "the limit of --max-pixels is 0");
    rb_ring_options ring = ring_options(o);
    revbifpn_status status = rb_ring_check(&ring, err);
    return status ? status : rb_detect_limits_check(&o->limits, err);
}

/* The pictures that are samples; *list is freed with rb_free. */
static revbifpn_status list_pictures(const rb_detect_loader_options *o, uint32_t **list, int *count,
                                     rb_error *err) {
    int all = o->pictures->count;
    *count = 0;
    *list = rb_alloc(rb_size_mul((size_t)all, sizeof **list));
    if (!*list) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
    if (o->training) {
        *count = rb_pictures_to_learn(o->pictures, *list);
    } else {
        for (int i = 0; i < all; i++) (*list)[i] = (uint32_t)i;
        *count = all;
    }
    if (*count) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_DATA,
                   o->training ? "none of %d pictures has an object and sides of 32 pixels or more"
                               : "%d pictures to evaluate",
                   all);
}

static size_t batch_bytes(const rb_detect_loader_options *o, const rb_detect_plan *plan) {
    size_t most = 0;
    for (int i = 0; i < plan->extent_count; i++) {
        size_t bytes = (size_t)plan->extents[i].height * (size_t)plan->extents[i].width * 3;
        if (bytes > most) most = bytes;
    }
    return rb_size_mul(most, (size_t)o->batch);
}

/* Memory of `count` sets of `objects` objects. */
static size_t truth_bytes(bool masks, size_t count, int objects) {
    size_t object = 4 * sizeof(float) + sizeof(int32_t) + (masks ? sizeof(rb_mask) + sizeof(size_t) : 0);
    return rb_size_mul(rb_size_mul(count, object), (size_t)objects);
}

static void plan_for(rb_detect_loader *l, int count, int batches) {
    const rb_detect_loader_options *o = &l->options;
    rb_detect_plan *plan = &l->plan;
    *plan = (rb_detect_plan){.pictures = count, .batches = batches};
    l->tiles = most_tiles(o);
    l->objects = rb_pictures_most_objects(o->pictures);
    plan->most_objects = l->objects * l->tiles;
    plan->extent_count = rb_detect_extents(&o->limits, o->pictures, l->list, count,
                                           o->training || o->batch == 1, plan->extents);
    size_t batch = (size_t)o->batch, of_batch = batch_bytes(o, plan);
    of_batch = rb_size_add(of_batch, truth_bytes(o->masks, batch * (size_t)l->tiles, l->objects));
    plan->bytes = rb_size_mul(of_batch, (size_t)o->ring);
    if (l->tiles > 1)
        plan->bytes = rb_size_add(plan->bytes, truth_bytes(o->masks, batch, plan->most_objects));
}

static revbifpn_status open_order(rb_detect_loader *l, rb_error *err) {
    int count = l->plan.pictures;
    bool *wide = rb_alloc((size_t)count * sizeof *wide);
    if (!wide) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
    for (int i = 0; i < count; i++) {
        const rb_picture *p = picture_of(l, (uint32_t)i);
        wide[i] = p->width > p->height;
    }
    revbifpn_status status = rb_detect_order_open(&l->order, wide, count, l->options.batch, err);
    rb_free(wide);
    return status;
}

/* All but the ring. */
static revbifpn_status open_plan(rb_detect_loader *l, rb_error *err) {
    revbifpn_status status;
    const rb_detect_loader_options *o = &l->options;
    int count;
    TRY(check_options(o, err));
    TRY(list_pictures(o, &l->list, &count, err));
    l->plan.pictures = count;
    TRY(open_order(l, err));
    int in_order = count / o->batch + (count % o->batch != 0);
    plan_for(l, count, o->training ? l->order.batch_count : in_order);
fail:
    return status;
}

revbifpn_status rb_detect_loader_plan(const rb_detect_loader_options *options, rb_detect_plan *plan,
                                      rb_error *err) {
    rb_detect_loader l = {.options = *options};
    revbifpn_status status = open_plan(&l, err);
    *plan = l.plan;
    rb_detect_order_close(&l.order);
    rb_free(l.list);
    return status;
}

static revbifpn_status open_slot(slot *s, const rb_detect_loader *l, rb_error *err) {
    size_t batch = (size_t)l->options.batch, parts = batch * (size_t)l->tiles;
    s->images = rb_alloc(batch_bytes(&l->options, &l->plan));
    s->scenes = rb_alloc(rb_size_mul(batch, sizeof *s->scenes));
    s->parts = rb_alloc(rb_size_mul(parts, sizeof *s->parts));
    s->items = rb_alloc(rb_size_mul(parts, sizeof *s->items));
    s->truths = rb_alloc(rb_size_mul(parts, sizeof *s->truths));
    if (!s->images || !s->scenes || !s->parts || !s->items || !s->truths)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %d batches of %d pictures of %d x %d",
                       l->options.ring, l->options.batch, l->plan.extents[0].width,
                       l->plan.extents[0].height);
    revbifpn_status status = REVBIFPN_OK;
    for (size_t i = 0; !status && i < parts; i++)
        status = rb_detect_truth_open(&s->truths[i], l->objects, l->options.masks, err);
    return status;
}

static void close_truths(rb_detect_truth *truths, int count) {
    for (int i = 0; truths && i < count; i++) rb_detect_truth_close(&truths[i]);
    rb_free(truths);
}

static void close_slot(slot *s, int parts) {
    close_truths(s->truths, parts);
    rb_free(s->items);
    rb_free(s->parts);
    rb_free(s->scenes);
    rb_free(s->images);
}

/* All buffers but those of the ring itself. */
static revbifpn_status open_memory(rb_detect_loader *l, rb_error *err) {
    size_t batch = (size_t)l->options.batch;
    revbifpn_status status = REVBIFPN_OK;
    l->slots = rb_alloc((size_t)l->options.ring * sizeof *l->slots);
    l->items = rb_alloc(rb_size_mul(batch, sizeof *l->items));
    if (l->tiles > 1) l->joined = rb_alloc(rb_size_mul(batch, sizeof *l->joined));
    if (!l->slots || !l->items || (l->tiles > 1 && !l->joined))
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the loader");
    for (size_t i = 0; l->joined && !status && i < batch; i++)
        status = rb_detect_truth_open(&l->joined[i], l->plan.most_objects, l->options.masks, err);
    for (int i = 0; !status && i < l->options.ring; i++) status = open_slot(&l->slots[i], l, err);
    return status;
}

revbifpn_status rb_detect_loader_open(rb_detect_loader **loader, const rb_detect_loader_options *options,
                                      rb_error *err) {
    revbifpn_status status;
    *loader = NULL;
    rb_detect_loader *l = rb_alloc(sizeof *l);
    if (!l) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the loader");
    l->options = *options;
    TRY(open_plan(l, err));
    TRY(open_memory(l, err));
    rb_ring_options ring = ring_options(options);
    ring.work.user = l;
    ring.samples = l->plan.pictures;
    ring.batches = l->plan.batches;
    TRY(rb_ring_open(&l->ring, &ring, err));
    *loader = l;
    return REVBIFPN_OK;
fail:
    rb_detect_loader_close(&l);
    return status;
}

void rb_detect_loader_close(rb_detect_loader **loader) {
    rb_detect_loader *l = *loader;
    if (!l) return;
    *loader = NULL;
    rb_ring_close(&l->ring);
    for (int i = 0; l->slots && i < l->options.ring; i++)
        close_slot(&l->slots[i], l->options.batch * l->tiles);
    close_truths(l->joined, l->options.batch);
    rb_free(l->items);
    rb_free(l->slots);
    rb_detect_order_close(&l->order);
    rb_free(l->list);
    rb_free(l);
}
