/* COCO's result files: a list of detections, read from front to back, never held. */
#ifndef RB_EVAL_COCO_RESULTS_H
#define RB_EVAL_COCO_RESULTS_H

#include "data/coco.h"

typedef struct rb_coco_result {
    double score;
    int64_t image, category; /* ids, then indices */
    uint32_t number;         /* in the file, from 1 */
    bool has_box;
    union {
        double box[4];      /* has_box: x, y, width, height */
        rb_segment segment; /* else, in `block` */
    };
} rb_coco_result;

typedef struct rb_coco_results {
    rb_coco_result *at;
    size_t count, room;
    size_t left_out; /* of categories that the annotations do not have */
    rb_text block;
} rb_coco_results;

/* `masks`: outlines count, boxes are passed over; else a result's box, or that of its outline when it has no
 * box. BAD_FILE with line and byte; OUT_OF_MEMORY, IO_FAILED. After a failure *results is empty. */
revbifpn_status rb_coco_results_open(rb_coco_results *results, const char *path, bool masks,
                                     rb_error *err) RB_CHECKED;
void rb_coco_results_close(rb_coco_results *results);

/* Ids become indices of `truth`. BAD_DATA when a result is of a picture that is not there. */
revbifpn_status rb_coco_results_resolve(rb_coco_results *results, const rb_coco *truth, const char *path,
                                        rb_error *err) RB_CHECKED;

#endif
