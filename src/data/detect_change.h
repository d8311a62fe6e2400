/* What a detector's pictures go through before the network (spec 4): resized within limits with the ratio of
 * their sides kept, in training mirrored half of the time; boxes and masks alike. In training also, when it
 * is asked for: another scale, of which no more is kept than the picture had room for (large-scale jitter),
 * and other colours. data/detect_scene.h puts four of them together. */
#ifndef RB_DATA_DETECT_CHANGE_H
#define RB_DATA_DETECT_CHANGE_H

#include "base/rng.h"
#include "data/objects.h"
#include "data/policy.h"
#include "image/image.h"
#include "mask/scale.h"
#include "mask/truth.h"

/* The longer side becomes long_side or the shorter one short_side, whichever is reached first. */
typedef struct rb_detect_limits {
    int long_side, short_side; /* 1333, 800 */
    int short_least; /* in training the shorter side's limit is drawn from short_least … short_side; 0: is
                        short_side */
    double mirror;   /* probability that a training picture is mirrored: ½ */
    double scale_low,
        scale_high;   /* in training the sides are multiplied by a factor drawn from here; 0, 0: 1 */
    rb_jitter colors; /* of training pictures */
} rb_detect_limits;

/* "1333x800", "1333x640-800". BAD_ARGUMENT, which says `option`. */
revbifpn_status rb_detect_limits_parse(const char *text, const char *option, rb_detect_limits *limits,
                                       rb_error *err) RB_CHECKED;
/* Sides of 32 … 16384, the long one not below the short one; factors of RB_SCALE_LEAST … RB_SCALE_MOST,
 * rising; BAD_ARGUMENT. */
#define RB_SCALE_LEAST 0.05
#define RB_SCALE_MOST 10
revbifpn_status rb_detect_limits_check(const rb_detect_limits *limits, rb_error *err) RB_CHECKED;

/* All that is drawn for one picture, whatever its size. */
typedef struct rb_detect_chance {
    int limit; /* of the shorter side */
    bool mirror;
    double factor;       /* of the sides; 1 without scale jitter */
    double across, down; /* in [0, 1): where a part is cut out, from left to right and from top to bottom */
    int change_count;
    rb_change changes[RB_JITTERS];
} rb_detect_chance;

/* Drawn from `rng` in training, each only where there is a choice: the limit, the coin, factor and place of
 * the cut, the changes of colour. */
rb_detect_chance rb_detect_chance_draw(const rb_detect_limits *limits, bool training, rb_rng *rng);

/* What happens to one picture: it is resized to full_width × full_height, of that the part at (left, top) is
 * taken, perhaps mirrored, and lies at (x, y) of the result. */
typedef struct rb_detect_draw {
    int width, height; /* of the result */
    int full_width, full_height;
    int left, top, part_width, part_height;
    int x, y;
    bool mirror;
    int change_count; /* of the colours of the part */
    rb_change changes[RB_JITTERS];
} rb_detect_draw;

/* Resized to that size, nothing else. */
rb_detect_draw rb_detect_draw_whole(int width, int height, bool mirror);
/* What `chance` means for a picture of that size. The result is never larger than it would be without scale
 * jitter. A picture of unknown size (0) counts as one of the shorter limit both ways. */
rb_detect_draw rb_detect_draw_of(const rb_detect_limits *limits, const rb_detect_chance *chance, int width,
                                 int height);
/* Both in one. */
rb_detect_draw rb_detect_draw_for(const rb_detect_limits *limits, int width, int height, bool training,
                                  rb_rng *rng);
/* `side` rounded up to a multiple of 32. */
int rb_detect_padded(int side);

/* The sizes that batches can have, padding included: every batch fits into one of the extents. */
typedef struct rb_detect_extent {
    int height, width;
} rb_detect_extent;
/* With `grouped`, as training has it (or with one picture a batch), upright and square pictures apart from
 * wide ones: up to two extents; else one. The pictures are list[0 … count − 1], or all where list is NULL.
 * Returns how many extents. */
int rb_detect_extents(const rb_detect_limits *limits, const rb_pictures *pictures, const uint32_t *list,
                      int count, bool grouped, rb_detect_extent extents[2]);

/* Memory of a thread, used again and again; zeroed at first. */
typedef struct rb_detect_room {
    rb_segment_room segments;
    rb_mask_scale scale;
    rb_spans one;
    unsigned char *scratch;
    size_t scratch_size;
} rb_detect_room;
void rb_detect_room_close(rb_detect_room *room);

/* The picture, changed; row y of the result lies at dst + y·stride. Beyond the part nothing is written. */
revbifpn_status rb_detect_change_image(const rb_detect_draw *draw, const rb_image *src, uint8_t *dst,
                                       size_t stride, rb_detect_room *room, rb_error *err) RB_CHECKED;

/* What is to be learned of one picture, with its memory; `view` borrows from it. */
typedef struct rb_detect_truth {
    rb_truth view;
    int room; /* objects that there is memory for */
    float *boxes;
    int32_t *labels;
    rb_mask *masks;
    size_t *first; /* room: where the spans of a mask begin */
    rb_spans spans;
} rb_detect_truth;

/* Memory for pictures of up to `objects` objects; `masks`: with masks. */
revbifpn_status rb_detect_truth_open(rb_detect_truth *truth, int objects, bool masks,
                                     rb_error *err) RB_CHECKED;
void rb_detect_truth_close(rb_detect_truth *truth);
/* No objects in a picture of that size. */
void rb_detect_truth_clear(rb_detect_truth *truth, int width, int height);
/* The objects to learn of a picture (rb_object_learns) in the pixels of the result: corners in float32 times
 * the float32 scale factors, clipped, mirrored; one of no width or height is left out (spec 15). An object
 * that the part cuts is left out, too, when less than a tenth of its box remains, less than two pixels of a
 * side, or none of its mask. Masks where there is memory for them; an object without outline has an empty
 * one. BAD_FILE for an outline that cannot be drawn, naming its annotation. */
revbifpn_status rb_detect_change_objects(const rb_detect_draw *draw, const rb_pictures *pictures, int picture,
                                         rb_detect_room *room, rb_detect_truth *truth,
                                         rb_error *err) RB_CHECKED;
/* Full size over original size, across and down, in float32 as boxes are multiplied by it. */
void rb_detect_scale(const rb_detect_draw *draw, const rb_picture *picture, float scale[2]);

#endif
