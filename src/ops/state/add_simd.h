/* Addends into the residual state (state_ref.c is the specification), for the kernel that adds a map and for
 * any that has the map's pixels at hand. Included after avx2.h or avx512.h. */
#ifndef RB_OPS_ADD_SIMD_H
#define RB_OPS_ADD_SIMD_H

#include <math.h>

#include "ops/simd/tile.h"

/* What additions saw, lane by lane: the largest |result|, and the largest bits of |addend|. */
typedef struct add_seen {
    vi largest, size;
} add_seen;

RB_INLINE add_seen add_nothing_seen(void) { return (add_seen){vi_zero(), vi_zero()}; }

/* The bits of RB_STATE_LIMIT as a float. */
enum { ADD_LIMIT = (127 + 30) << 23 };

/* Between the slices of a state's pixels lie gaps, which no processor's own prefetching expects: ask for the
 * pixel this many elements on. */
enum { ADD_AHEAD = 1024 };

/* Whether an addend or a result reached the limit, or was not finite. */
RB_INLINE bool add_flagged(const add_seen *seen) {
    return vi_largest(seen->size) >= ADD_LIMIT || vi_largest(seen->largest) >= RB_STATE_LIMIT;
}

/* The affine that forms a sample's addends, in units of the grid: `stride` floats each, 0 beyond c channels.
 */
static inline void add_affine(const rb_state_add *a, size_t sample, float *scale, float *shift,
                              size_t stride) {
    float factor = ldexpf((float)a->sign * (a->sample ? a->sample[sample] : 1), a->k);
    for (size_t c = 0; c < stride; c++) {
        scale[c] = c < (size_t)a->shape.c ? a->affine.scale[c] * factor : 0;
        shift[c] = c < (size_t)a->shape.c ? a->affine.shift[c] * factor : 0;
    }
}

RB_INLINE vf add_addend(const float *scale, const float *shift, vf z) {
    return vf_fma(vf_load(scale), z, vf_load(shift));
}

/* Adds to `rows` pixels of cn channels: scale and shift are add_affine's, at the first of them. */
RB_INLINE void add_rows(const float *z, size_t ldz, int32_t *state, size_t ld, size_t rows, size_t cn,
                        const float *scale, const float *shift, add_seen *seen) {
    size_t whole = cn / VL * VL, rest = cn - whole, ahead = fetch_distance(ADD_AHEAD, ld);
    add_seen s = *seen;
    for (size_t r = 0; r < rows; r++, z += ldz, state += ld) {
        fetch((const float *)(const void *)state, ahead, cn);
        for (size_t c = 0; c < whole; c += VL) {
            vf addend = add_addend(scale + c, shift + c, vf_load(z + c));
            vi_state_add(state + c, addend, ADD_LIMIT, &s.largest, &s.size, VL);
        }
        if (!rest) continue;
        vf addend = add_addend(scale + whole, shift + whole, vf_load_n(z + whole, rest));
        vi_state_add(state + whole, addend, ADD_LIMIT, &s.largest, &s.size, rest);
    }
    *seen = s;
}

#endif
