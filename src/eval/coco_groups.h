/* Detections and objects sorted by category, then picture. */
#ifndef RB_EVAL_COCO_GROUPS_H
#define RB_EVAL_COCO_GROUPS_H

#include "eval/coco_match.h"

typedef struct rb_coco_part {
    uint32_t image;
    uint32_t detections, detection_count, objects, object_count; /* in the lists below */
    uint32_t out;                                                /* first of its kept detections */
} rb_coco_part;

typedef struct rb_coco_groups {
    uint32_t *detections, *objects;               /* indices, by category, picture, order of the file */
    uint32_t *detection_of, *object_of, *part_of; /* where each category begins; one more for the end */
    rb_coco_part *parts;                          /* pictures with detections of a category */
    size_t part_count, kept;                      /* kept: detections within the largest limit */
} rb_coco_groups;

revbifpn_status rb_coco_groups_open(rb_coco_groups *groups, const rb_coco *truth,
                                    const rb_coco_results *results, const rb_coco_options *options,
                                    rb_error *err) RB_CHECKED;
void rb_coco_groups_close(rb_coco_groups *groups);
/* The kept detections of category k are out_of(k) … out_of(k + 1) − 1. */
size_t rb_coco_groups_out_of(const rb_coco_groups *groups, size_t category);

#endif
