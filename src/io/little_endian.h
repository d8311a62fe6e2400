/* Whole numbers in the byte order of files, at any address. */
#ifndef RB_IO_LITTLE_ENDIAN_H
#define RB_IO_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint16_t rb_le16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t rb_le32(const unsigned char *p) { return rb_le16(p) | (uint32_t)rb_le16(p + 2) << 16; }
static inline uint64_t rb_le64(const unsigned char *p) { return rb_le32(p) | (uint64_t)rb_le32(p + 4) << 32; }

/* The lower `bytes` bytes of `value`. */
static inline void rb_put_le(unsigned char *p, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) p[i] = (unsigned char)(value >> 8 * i);
}

#endif
