/* COCO's measure of detections: average precision and recall over thresholds of overlap, areas of objects,
 * and detections a picture. The numbers are those of its reference evaluator. */
#ifndef RB_EVAL_COCO_EVAL_H
#define RB_EVAL_COCO_EVAL_H

#include "base/threads.h"
#include "eval/coco_results.h"

enum {
    RB_COCO_THRESHOLDS = 10, /* of overlap: 0.50, 0.55 … 0.95 */
    RB_COCO_RECALLS = 101,   /* 0, 0.01 … 1 */
    RB_COCO_MAX_AREAS = 8,
    RB_COCO_LIMITS = 3
};

typedef struct rb_coco_options {
    bool masks;                 /* overlap of masks instead of boxes */
    int limits[RB_COCO_LIMITS]; /* detections of a category in a picture that count, rising; 1 … 65535 */
    int areas;                  /* the first should hold all */
    double area[RB_COCO_MAX_AREAS][2]; /* from … to, both included */
} rb_coco_options;
/* Boxes; 1, 10, 100; all, small, medium, large. */
rb_coco_options rb_coco_default_options(void);

/* Of one category, or means over categories; −1 where there is no object. */
typedef struct rb_coco_score {
    double ap[RB_COCO_MAX_AREAS];     /* mean over thresholds and recalls, at the largest limit */
    double ar[RB_COCO_MAX_AREAS];     /* mean over thresholds of the recall reached, at the largest limit */
    double ap50, ap75;                /* in the first area */
    double ar_limits[RB_COCO_LIMITS]; /* in the first area */
    size_t objects, detections;       /* crowd regions not counted */
} rb_coco_score;

/* The precision of one category at recalls 0, 0.01 … 1, in the first area at the largest limit; −1 where
 * there is no object. */
enum { RB_COCO_AT_50, RB_COCO_AT_75, RB_COCO_CURVES }; /* overlaps */
typedef struct rb_coco_curve {
    double precision[RB_COCO_CURVES][RB_COCO_RECALLS];
} rb_coco_curve;

/* Where both lists are from, for messages. */
typedef struct rb_coco_paths {
    const char *truth, *results;
} rb_coco_paths;

/* Scores each category into scores[truth->category_count] and, unless that is NULL, curves[…] likewise.
 * `results` have been resolved. The same numbers with any number of threads. BAD_FILE for outlines that
 * cannot be drawn, BAD_DATA for objects without area or box. */
revbifpn_status rb_coco_evaluate(const rb_coco *truth, const rb_coco_results *results,
                                 const rb_coco_options *options, rb_coco_paths paths, rb_pool *pool,
                                 rb_coco_score *scores, rb_coco_curve *curves, rb_error *err) RB_CHECKED;
/* Means over the categories that have objects. */
rb_coco_score rb_coco_mean(const rb_coco_score *scores, size_t count, const rb_coco_options *options);

#endif
