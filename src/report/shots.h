/* Pictures with objects for the report of a detector: the worst of a validation, and a batch as the network
 * sees it. Kept small, as JPEG, with what belongs into them drawn in: a megabyte or two in all, whatever the
 * number and size of the pictures. */
#ifndef RB_REPORT_SHOTS_H
#define RB_REPORT_SHOTS_H

#include "image/image.h"

enum { RB_WORST = 12, RB_SHOTS_SEEN = 16, RB_SHOT = 320 /* pixels a side, at most */ };

typedef struct rb_shot {
    int width, height;
    uint8_t *jpeg; /* size; owned */
    size_t size;
    char name[160];           /* of the file; cut at the front */
    int objects, found, hits; /* in it; detections that count; those of them that are right */
    double f1;                /* of a validation picture: rb_shot_f1 */
} rb_shot;

typedef struct rb_shots {
    int pictures, flawed; /* judged; of them with f1 below 1 */
    int worst_count, seen_count;
    rb_shot worst[RB_WORST]; /* worst first, equal ones in the order of the validation */
    rb_shot seen[RB_SHOTS_SEEN];
} rb_shots;

/* A box to draw: an object's is dashed, with its name within; a detection's has the colour of its class and
 * its name above. */
typedef struct rb_shot_box {
    double corners[4]; /* x1, y1, x2, y2 in pixels of the picture */
    int label;
    bool object;
    char text[48]; /* "": none */
} rb_shot_box;

/* How well a picture was judged: 2·hits / (objects + detections), the harmonic mean of precision and recall;
 * 1 where there is nothing and nothing was found. */
double rb_shot_f1(int objects, int found, int hits);

void rb_shots_close(rb_shots *s);
/* Forgets the last validation; the batch stays. */
void rb_shots_start(rb_shots *s);
/* Counts a judged picture. Its place among the worst, to be filled by rb_shot_take; NULL when it is without
 * flaw or others are worse. */
rb_shot *rb_shots_judged(rb_shots *s, int objects, int found, int hits);
/* Draws the boxes, the last first, into a copy of the picture of RB_SHOT pixels or less: larger ones are
 * scaled down, smaller ones enlarged by a whole number. OUT_OF_MEMORY. */
revbifpn_status rb_shot_take(rb_shot *s, const char *path, const rb_image *picture, const rb_shot_box *boxes,
                             int count, rb_error *err) RB_CHECKED;

#endif
