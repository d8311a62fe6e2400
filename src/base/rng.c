#include "base/rng.h"

#include <math.h>
#include <string.h>

void rb_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c[4], k0 = key[0], k1 = key[1];
    memcpy(c, counter, sizeof c);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k1,
                            (uint32_t)p0};
        memcpy(c, next, sizeof c);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

rb_rng rb_rng_open(uint64_t seed, rb_purpose purpose, uint64_t a, uint64_t b) {
    rb_rng rng = {.key = {(uint32_t)seed, (uint32_t)(seed >> 32)}};
    /* word 0: position in the low 24 bits, purpose above; high halves of a and b are folded into word 1 */
    rng.counter[0] = (uint32_t)purpose << 24;
    rng.counter[1] = (uint32_t)(a >> 32) ^ (uint32_t)(b >> 32) * 0x9E3779B9u;
    rng.counter[2] = (uint32_t)a;
    rng.counter[3] = (uint32_t)b;
    return rng;
}

uint32_t rb_rng_u32(rb_rng *rng) {
    if (!rng->left) {
        rb_philox(rng->counter, rng->key, rng->block);
        rng->counter[0]++;
        rng->left = 4;
    }
    return rng->block[4 - rng->left--];
}

double rb_rng_uniform(rb_rng *rng) {
    uint64_t high = rb_rng_u32(rng), low = rb_rng_u32(rng);
    return (double)((high << 32 | low) >> 11) * 0x1p-53;
}

uint32_t rb_rng_below(rb_rng *rng, uint32_t n) {
    /* Lemire: a multiply maps 32 bits onto n values; the few that would bias it are drawn again */
    uint64_t product = (uint64_t)rb_rng_u32(rng) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = -n % n;
        while ((uint32_t)product < threshold) product = (uint64_t)rb_rng_u32(rng) * n;
    }
    return (uint32_t)(product >> 32);
}

double rb_rng_normal(rb_rng *rng) {
    double u = 1.0 - rb_rng_uniform(rng), v = rb_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925286766559 * v);
}
