/* Pillow's operations on 8-bit RGB pictures, byte for byte (libImaging, ImageOps, ImageEnhance; spec 4.2
 * … 4.6; compared with Pillow 13.0.0, and with the typed values of 9.4).
 *
 * Pixels are height,width,3 without padding. What needs neighbours goes from src to dst, which do not
 * overlap; everything else works in place. */
#ifndef RB_IMAGE_PILLOW_H
#define RB_IMAGE_PILLOW_H

#include <stddef.h>
#include <stdint.h>

typedef enum rb_sampling { RB_SAMPLING_NEAREST, RB_SAMPLING_BILINEAR, RB_SAMPLING_BICUBIC } rb_sampling;

/* Image.transform(AFFINE): pixel (x, y) of dst is src at (m0·x + m1·y + m2, m3·x + m4·y + m5), both taken at
 * the pixels' centres, or `fill` where that lies outside. The matrix must be finite. */
void rb_image_affine(const uint8_t *src, int width, int height, const double m[6], rb_sampling sampling,
                     const uint8_t fill[3], uint8_t *dst);
/* Image.rotate about the centre, counter-clockwise, size kept. Exact for 0 and 180 degrees, and for 90 and
 * 270 on squares. */
void rb_image_rotate(const uint8_t *src, int width, int height, double degrees, rb_sampling sampling,
                     const uint8_t fill[3], uint8_t *dst);
/* Turns a picture upside down. */
void rb_image_flip_rows(uint8_t *pixels, int width, int height);

/* Of `count` pixels: */
void rb_image_invert(uint8_t *pixels, size_t count);
/* Values from `threshold` on become 255 − v. */
void rb_image_solarize(uint8_t *pixels, size_t count, int threshold);
/* Values below 128 become min(255, v + add), add ≥ 0 (timm's SolarizeAdd). */
void rb_image_solarize_add(uint8_t *pixels, size_t count, int add);
/* Keeps the `bits` highest bits of each value; 8 and more: as it is; 0 and less: black. */
void rb_image_posterize(uint8_t *pixels, size_t count, int bits);
/* Each channel stretched from its smallest … largest value to 0 … 255. */
void rb_image_autocontrast(uint8_t *pixels, size_t count);
/* Each channel's histogram flattened. */
void rb_image_equalize(uint8_t *pixels, size_t count);

/* ImageEnhance: D + factor·(picture − D) in float32, where D is the picture in grey (color), its mean grey
 * (contrast), black (brightness) or the picture smoothed (sharpness). Factor 1 changes nothing. */
void rb_image_color(uint8_t *pixels, size_t count, double factor);
void rb_image_contrast(uint8_t *pixels, size_t count, double factor);
void rb_image_brightness(uint8_t *pixels, size_t count, double factor);
void rb_image_sharpness(const uint8_t *src, int width, int height, double factor, uint8_t *dst);
/* torchvision's adjust_hue of a picture: to HSV, trunc(255·shift) added to the hue modulo 256, and back;
 * |shift| ≤ 0.5. Not the identity for shift 0: HSV in 8 bits loses something. */
void rb_image_shift_hue(uint8_t *pixels, size_t count, double shift);

#endif
