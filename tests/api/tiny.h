/* A network that trains in no time: two streams, two classes, pictures of 32×32. */
#ifndef RB_TESTS_API_TINY_H
#define RB_TESTS_API_TINY_H

#include <revbifpn.h>

static inline revbifpn_status tiny_config(revbifpn *context, revbifpn_model_config *c) {
    revbifpn_status status = revbifpn_config(context, "s0", c);
    c->streams = 2;
    c->blocks_per_level = 1;
    c->extension_levels = 0;
    c->widths[1] = c->head_widths[1] = 48;
    c->fc_features = 16;
    c->classes = 2;
    c->image_width = c->image_height = 32;
    return status;
}

#endif
