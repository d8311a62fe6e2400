#include "ops/ops.h"

void rb_ops_init_avx2(rb_ops *ops) { ops->level = RB_CPU_AVX2; }
