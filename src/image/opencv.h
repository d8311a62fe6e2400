/* Resizing as OpenCV's cv::resize does with INTER_LINEAR, byte for byte (without IPP, whose results may
 * differ by 1): two sources an axis, no smoothing, weights of 11 bits; halving both sides averages four
 * pixels. It is what detectors are trained with elsewhere; classification uses Pillow's rule (image.h). */
#ifndef RB_IMAGE_OPENCV_H
#define RB_IMAGE_OPENCV_H

#include "image/image.h"

/* The picture becomes width × height; of that only the part_width × part_height pixels at (left, top) are
 * made, exactly as in the whole. */
typedef struct rb_opencv_resize {
    int width, height;
    int left, top, part_width, part_height;
    bool mirror; /* left and right of the part exchanged, afterwards */
} rb_opencv_resize;

/* A resize whose whole result is wanted. */
rb_opencv_resize rb_opencv_resize_whole(int width, int height, bool mirror);

/* Bytes of scratch that the resize of a picture needs, whatever its size is. */
size_t rb_opencv_resize_scratch(const rb_opencv_resize *r);
/* Row y of the part goes to dst + y·stride, part_width·3 bytes. `scratch` is aligned as rb_alloc does. */
void rb_opencv_resize_run(const rb_opencv_resize *r, const rb_image *src, uint8_t *dst, size_t stride,
                          void *scratch);

/* With INTER_NEAREST: the source that result i of m takes of n. It never falls with i. */
int rb_opencv_nearest(int n, int m, int i);

#endif
