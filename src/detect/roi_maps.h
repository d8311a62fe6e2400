/* The feature pyramid as RoIAlign reads it: its first four levels. */
#ifndef RB_DETECT_ROI_MAPS_H
#define RB_DETECT_ROI_MAPS_H

#include "detect/detector.h"

/* `count` boxes (count,4) of pictures `image` (count), pooled to size × size. */
static inline rb_roi_align rb_roi_maps(const rb_detector *d, int size, int count, const float *boxes,
                                       const int32_t *image) {
    rb_roi_align r = {.levels = RB_ROI_LEVELS, .size = size, .count = count, .rois = boxes, .image = image};
    for (int l = 0; l < RB_ROI_LEVELS; l++) {
        r.shape[l] = d->levels[l];
        r.map[l] = d->features[l];
        r.scale[l] = 1.0f / (float)rb_level_stride(l);
    }
    return r;
}

#endif
