/* Detection: so far the measure that detections are judged by. revbifpn.h includes this; its first comment
 * has the conventions. */
#ifndef REVBIFPN_DETECT_H
#define REVBIFPN_DETECT_H

#ifndef REVBIFPN_H
#error "include <revbifpn.h>"
#endif

/* ---- COCO's average precision and recall ---- */

/* The twelve numbers in COCO's order: average precision (AP) and recall (AR), means over categories and, but
 * for AP50 and AP75, over the overlaps 0.50, 0.55 … 0.95. SMALL is an area below 32², LARGE above 96²; AR1
 * and AR10 let 1 and 10 detections of each category in a picture count, all others 100. */
typedef enum revbifpn_coco_stat {
    REVBIFPN_COCO_AP,
    REVBIFPN_COCO_AP50,
    REVBIFPN_COCO_AP75,
    REVBIFPN_COCO_AP_SMALL,
    REVBIFPN_COCO_AP_MEDIUM,
    REVBIFPN_COCO_AP_LARGE,
    REVBIFPN_COCO_AR1,
    REVBIFPN_COCO_AR10,
    REVBIFPN_COCO_AR100,
    REVBIFPN_COCO_AR_SMALL,
    REVBIFPN_COCO_AR_MEDIUM,
    REVBIFPN_COCO_AR_LARGE,
    REVBIFPN_COCO_STATS
} revbifpn_coco_stat;

typedef struct revbifpn_coco_class {
    int64_t id;                        /* of the category */
    const char *name;                  /* "" when the file has none; lives as long as the call */
    double stats[REVBIFPN_COCO_STATS]; /* −1: no object to find */
    uint64_t objects, detections;      /* crowd regions are not counted as objects */
} revbifpn_coco_class;

typedef struct revbifpn_coco_options {
    size_t struct_size;
    const char *gt; /* annotations: COCO's instances_….json */
    const char
        *dt;   /* results: a JSON list of {"image_id", "category_id", "bbox" or "segmentation", "score"} */
    int masks; /* 0: boxes overlap, and a result's area is that of its box. 1: masks; a result's bbox is
                  passed over, its area is that of its mask */
    void (*class_stats)(void *user, const revbifpn_coco_class *one); /* by rising id; may be NULL */
    void *user;
} revbifpn_coco_options;
typedef struct revbifpn_coco_report {
    double stats[REVBIFPN_COCO_STATS]; /* −1: there was no object to find */
    uint64_t images, categories, objects, detections;
    uint64_t objects_left_out;    /* of images or categories that `gt` does not list */
    uint64_t detections_left_out; /* of categories that it does not list */
} revbifpn_coco_report;
REVBIFPN_API void revbifpn_init_coco(revbifpn_coco_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_coco_options, coco)
/* Judges results. The numbers equal those of COCO's reference evaluator to rounding, and are the same with
 * any number of threads; an empty list of results has AP and AR 0. Both files are read once, front to back.
 * Errors: BAD_FILE with file, line and byte or number of the entry; BAD_DATA for a result of an image that
 * `gt` does not list; BAD_ARGUMENT, IO_FAILED, OUT_OF_MEMORY. */
REVBIFPN_API revbifpn_status revbifpn_eval_coco(revbifpn *ctx, const revbifpn_coco_options *options,
                                                revbifpn_coco_report *out) REVBIFPN_CHECKED;

#endif
