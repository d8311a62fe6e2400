/* Which detections of a category in a picture meet which objects. */
#ifndef RB_EVAL_COCO_MATCH_H
#define RB_EVAL_COCO_MATCH_H

#include "eval/coco_eval.h"
#include "base/rank.h"

/* How a detection fared within one range of areas: bit t for threshold t. An ignored one counts neither for
 * nor against. */
typedef struct rb_coco_fate {
    uint16_t matched, ignored;
} rb_coco_fate;

/* The detections and objects of one category in one picture: indices, in the order of the files. */
typedef struct rb_coco_group {
    const uint32_t *detections, *objects;
    size_t detection_count, object_count;
    int64_t image;
} rb_coco_group;

/* Everything that matching reads. */
typedef struct rb_coco_match_input {
    const rb_coco *truth;
    const rb_coco_results *results;
    const rb_coco_options *options;
    rb_coco_paths paths;
    double thresholds[RB_COCO_THRESHOLDS];
} rb_coco_match_input;

/* Memory of one thread, used again and again; zeroed at first. */
typedef struct rb_coco_match_room rb_coco_match_room;
void rb_coco_match_room_close(rb_coco_match_room **room);

/* Of the n = min(detections, largest limit) best detections, best first: scores[n], fates[n · areas]. *room
 * may be NULL and is made. */
revbifpn_status rb_coco_match(const rb_coco_match_input *in, const rb_coco_group *group,
                              rb_coco_match_room **room, double *scores, rb_coco_fate *fates,
                              rb_error *err) RB_CHECKED;

#endif
