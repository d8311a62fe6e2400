/* A picture set of our own, for the demonstration and the tests: one shape a picture on a cluttered
 * background. The class is the shape; colour, size, place and rotation carry nothing. */
#ifndef RB_DATA_SYNTH_H
#define RB_DATA_SYNTH_H

#include <stdint.h>

#include "base/status.h"
#include "image/image.h"

enum { RB_SYNTH_MAX_CLASSES = 10 };

typedef struct rb_synth_options {
    int images_train, images_val; /* of all classes together; class of picture i = i mod classes */
    int classes;                  /* 2 … RB_SYNTH_MAX_CLASSES */
    int side;                     /* of the square pictures, 16 … 2048 pixels */
    uint64_t seed;
    int objects; /* synth_objects.c: the most in a picture; of rb_synth_classify 0 */
} rb_synth_options;

/* Called after every picture; a result other than 0 stops with STOPPED. */
typedef int rb_synth_progress(void *arg, int done, int total);

/* "circle", "square", … for class 0 … RB_SYNTH_MAX_CLASSES − 1 */
const char *rb_synth_class_name(int class_index);

/* Draws picture `index` of class `class_index` over all of `image`. */
void rb_synth_draw(rb_image *image, int class_index, uint64_t seed, uint64_t index);

/* Writes FOLDER/train/CLASS/0001.jpg … and FOLDER/val/CLASS/…, and the options in FOLDER/synth.json. A
 * picture depends on its options' seed, side and classes and on its place alone, so equal options give equal
 * files. A folder that holds a set of the same options is completed: pictures already there are kept. Errors:
 * BAD_ARGUMENT for options and for a folder that holds anything else, IO_FAILED, OUT_OF_MEMORY, STOPPED. */
revbifpn_status rb_synth_classify(const char *folder, const rb_synth_options *options,
                                  rb_synth_progress *progress, void *arg, rb_error *err) RB_CHECKED;

/* Objects with outlines instead: pictures of side × ¾ side and ¾ side × side with 1 … options->objects shapes
 * each, none over another; FOLDER/images/….jpg and COCO's FOLDER/annotations/instances_{train,val}.json. All
 * else as above. Classes are those of rb_synth_class_name without the first, whose hole polygons cannot say;
 * so there are at most RB_SYNTH_MAX_CLASSES − 1, and at least one. */
revbifpn_status rb_synth_objects(const char *folder, const rb_synth_options *options,
                                 rb_synth_progress *progress, void *arg, rb_error *err) RB_CHECKED;

#endif
