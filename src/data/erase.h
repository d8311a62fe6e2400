/* Random erasing (spec 7): boxes of a normalised picture are replaced by zeros or normal noise. Boxes are
 * drawn here; what fills them is drawn where they are filled, each from a stream of its own. */
#ifndef RB_DATA_ERASE_H
#define RB_DATA_ERASE_H

#include <stdbool.h>

#include "base/rng.h"
#include "base/status.h"

typedef enum rb_erase_mode {
    RB_ERASE_CONST, /* 0 */
    RB_ERASE_RAND,  /* one N(0, 1) for each channel of a box */
    RB_ERASE_PIXEL  /* one for each value */
} rb_erase_mode;

enum { RB_ERASE_BOXES = 16 };

typedef struct rb_erase {
    double probability; /* that a picture gets any */
    rb_erase_mode mode;
    int count; /* 1 … count boxes, at most RB_ERASE_BOXES */
} rb_erase;

typedef struct rb_erasure {
    int x, y, w, h;
    rb_rng values;
} rb_erasure;

/* "const", "rand" or "pixel". BAD_ARGUMENT. */
revbifpn_status rb_erase_mode_parse(rb_erase_mode *mode, const char *text, rb_error *err) RB_CHECKED;
revbifpn_status rb_erase_check(const rb_erase *erase, rb_error *err) RB_CHECKED;

/* The size of a box that covers `share` of a picture divided among `boxes`, as high as wide times
 * e^log_aspect; false when it is not smaller than the picture both ways. */
bool rb_erase_size(int width, int height, int boxes, double share, double log_aspect, int *w, int *h);
/* Draws the boxes of a picture; `sample` has the repetition in its high half, as the loader's draws have. In
 * this order: whether there are any; how many, if count > 1; for each up to ten times share (0.02 … 1/3) and
 * logarithm of the aspect (ln 0.3 … −ln 0.3), then top and left of the first that fits. Returns how many. */
int rb_erase_draw(const rb_erase *erase, int width, int height, uint64_t seed, uint64_t epoch,
                  uint64_t sample, rb_erasure erasures[RB_ERASE_BOXES]);

#endif
