#include "base/cpu.h"

#include <string.h>

static const char *const names[] = {"ref", "avx2", "avx512"};

rb_cpu_level rb_cpu_detect(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return RB_CPU_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return RB_CPU_AVX2;
#endif
    return RB_CPU_REF;
}

bool rb_cpu_has_bf16(void) {
#if defined(__x86_64__)
    return rb_cpu_detect() == RB_CPU_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

const char *rb_cpu_name(rb_cpu_level level) { return names[level]; }

int rb_cpu_from_name(const char *name) {
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) return i;
    return -1;
}
