/* What the processor can do, found once at run time. */
#ifndef RB_BASE_CPU_H
#define RB_BASE_CPU_H

#include <stdbool.h>

typedef enum rb_cpu_level { RB_CPU_REF, RB_CPU_AVX2, RB_CPU_AVX512 } rb_cpu_level;

/* The best level of this processor and operating system (AVX2 means AVX2 and FMA; AVX-512 means F, BW, DQ and
 * VL). */
rb_cpu_level rb_cpu_detect(void);
/* Whether it multiplies pairs of bf16 numbers (AVX512-BF16). */
bool rb_cpu_has_bf16(void);
/* "ref", "avx2", "avx512" */
const char *rb_cpu_name(rb_cpu_level level);
/* The level of that name, or -1. */
int rb_cpu_from_name(const char *name);

#endif
