/* Batches of pictures with their objects, made ahead by threads: data/ring.h says how, and what it promises.
 *
 * In training batches hold pictures of one group (data/detect_sampler.h), an epoch visits all pictures that
 * there is something to learn from, and every picture is changed as data/detect_change.h says, or put
 * together of four as data/detect_scene.h says, with draws named by (seed, epoch, sample). In evaluation all
 * pictures come in order, unmirrored; the last batch may be smaller.
 *
 * A picture that cannot be read, has another size than the annotations say, or an outline that cannot be
 * drawn is replaced by the next good one, which is made to fit into the batch; in evaluation it is marked,
 * since its own turn comes, too. */
#ifndef RB_DATA_DETECT_LOADER_H
#define RB_DATA_DETECT_LOADER_H

#include "data/detect_scene.h"
#include "data/ring.h"

typedef struct rb_detect_loader_options {
    const rb_pictures *pictures; /* stays the caller's, and unchanged until the loader is closed */
    int batch;
    bool training;
    bool masks; /* wanted: the data set was read with outlines */
    rb_detect_limits limits;
    double mosaic;       /* in training: probability that a picture is a mosaic … */
    uint64_t mosaic_end; /* … in the epochs before this one; 0: in all of them */
    uint64_t seed;
    uint64_t epoch; /* the first batch to deliver: a resumed run gives the one after its last step */
    int first_batch;
    uint64_t end_epoch; /* no batches of this epoch and later ones; 0: no end */
    int threads;        /* that make pictures; 0: the caller's thread does, inside rb_detect_loader_next */
    int ring;           /* batches in memory, the delivered one included; ≥ 2, or ≥ 1 without threads */
    int max_bad;        /* distinct unreadable files that are put up with */
    uint64_t max_pixels;
    const rb_stop *stop; /* the caller's; NULL: none */
} rb_detect_loader_options;

/* What is known before anything is read. */
typedef struct rb_detect_plan {
    int pictures, batches;       /* in an epoch: different pictures, batches */
    int most_objects;            /* to learn, in one picture; of mosaics four times what a file has */
    rb_detect_extent extents[2]; /* every batch, padding included, fits into one of them */
    int extent_count;            /* 1 or 2 */
    size_t bytes; /* taken by the loader at opening; pictures being decoded and changed and runs of masks
                     come on top */
} rb_detect_plan;

/* One picture of a batch. Of a mosaic all but `stands_in` and `truth` is its first tile's. */
typedef struct rb_detect_item {
    int picture;       /* place in options.pictures */
    int64_t id;        /* of the picture */
    int width, height; /* of the original, turned */
    float scale[2];    /* of the result, across and down: boxes were multiplied by it */
    bool mirrored;
    bool mosaic;
    bool stands_in; /* for one that cannot be used */
    rb_truth truth; /* its size is that of the picture in the batch, without padding */
} rb_detect_item;

/* One batch; all of it is the loader's and holds until the next call of rb_detect_loader_next or
 * rb_detect_loader_close. */
typedef struct rb_detect_batch {
    uint64_t epoch;
    int index;         /* within its epoch */
    bool last;         /* of its epoch */
    int count;         /* pictures; 0 after the end */
    int height, width; /* multiples of 32 that hold every picture of the batch */
    uint8_t *images;   /* count,height,width,3; beyond the size of its picture whatever was there before. The
                          caller may change them */
    const rb_detect_item *items; /* count */
} rb_detect_batch;

typedef struct rb_detect_loader rb_detect_loader;

/* BAD_ARGUMENT; BAD_DATA when there is no picture to learn from. */
revbifpn_status rb_detect_loader_plan(const rb_detect_loader_options *options, rb_detect_plan *plan,
                                      rb_error *err) RB_CHECKED;
/* Takes all buffers, starts the threads. As the plan; OUT_OF_MEMORY. */
revbifpn_status rb_detect_loader_open(rb_detect_loader **loader, const rb_detect_loader_options *options,
                                      rb_error *err) RB_CHECKED;
/* As rb_loader_next. */
revbifpn_status rb_detect_loader_next(rb_detect_loader *loader, rb_detect_batch *batch,
                                      rb_error *err) RB_CHECKED;
void rb_detect_loader_close(rb_detect_loader **loader);

const rb_detect_plan *rb_detect_loader_planned(const rb_detect_loader *loader);
rb_loader_work rb_detect_loader_worked(rb_detect_loader *loader);
/* As rb_loader_issues. */
size_t rb_detect_loader_issues(const rb_detect_loader *loader, const rb_loader_issue **issues);

#endif
