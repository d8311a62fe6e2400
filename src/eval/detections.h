/* COCO's measure of a detector on a split, in inference: one picture at a time, as published results are. */
#ifndef RB_EVAL_DETECTIONS_H
#define RB_EVAL_DETECTIONS_H

#include "data/detect_loader.h"
#include "detect/detector.h"
#include "eval/coco_eval.h"

/* A picture that has been judged. */
typedef struct rb_detected {
    const rb_detect_item *item;
    const uint8_t *pixels; /* as the network saw it: item->truth.height rows of `stride` bytes */
    size_t stride;
    const rb_detections *found; /* in its pixels */
} rb_detected;

typedef struct rb_detect_evaluation {
    rb_detector *detector;
    rb_exec *exec; /* opened for pictures of each extent of the plan of `data` */
    int k;         /* the saved grid */
    const float *mean, *std;
    const rb_objects *set;
    const rb_detect_loader_options *data; /* of the split, one picture a batch */
    const char *path;                     /* what errors call the annotations */
    void (*progress)(void *user, int done, int all);
    void (*note)(void *user, const char *line); /* of each file that could not be used */
    /* of each picture, in order; may be NULL, and may fail */
    revbifpn_status (*judged)(void *user, const rb_detected *one, rb_error *err);
    void *user;
    bool curves; /* of precision are wanted */
} rb_detect_evaluation;

/* What the results are: by class and in all, of boxes and, with a segmenter, of masks. */
typedef struct rb_detect_scores {
    rb_coco_score *boxes, *masks;              /* classes, owned: rb_detect_scores_close; masks NULL: none */
    rb_coco_score box, mask;                   /* means */
    rb_coco_curve *box_curves, *mask_curves;   /* of each class, owned, too; NULL: not wanted, or no masks */
    rb_coco_results box_results, mask_results; /* owned, too: images and categories are places in the split */
    int images, bad_files;
} rb_detect_scores;
void rb_detect_scores_close(rb_detect_scores *scores);

/* Arena bytes for all extents of a split. */
rb_step_bytes rb_detections_bytes(rb_detector *detector, const struct rb_ops *ops, rb_pool *pool,
                                  const rb_detect_plan *plan, int batch, bool training, bool stored);
/* The padding of picture `image`, which covers width × height of a batch of batch_width × batch_height: to be
 * set to 0 after normalisation. Gives how many patches it takes: up to two. */
int rb_detect_padding(int batch_width, int batch_height, int image, int width, int height, rb_patch out[2]);

/* Errors: of the loader, of the network, of outlines that cannot be drawn; BAD_DATA when no picture could be
 * read. */
revbifpn_status rb_detect_evaluate(const rb_detect_evaluation *e, rb_detect_scores *out,
                                   rb_error *err) RB_CHECKED;
/* Writes the results as COCO's list: image_id, category_id, bbox, score, and of masks segmentation. Whole or
 * not at all. */
revbifpn_status rb_detect_results_write(const char *path, const rb_detect_scores *scores,
                                        const rb_objects *set, const rb_pictures *pictures,
                                        rb_error *err) RB_CHECKED;
/* COCO's twelve numbers of a score, in their order. */
void rb_coco_stats(const rb_coco_score *score, double stats[REVBIFPN_COCO_STATS]);

#endif
