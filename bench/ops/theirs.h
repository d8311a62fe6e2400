/* A convolution of another library, ready to run: theirs_onednn.c, or theirs_none.c where there is none. */
#ifndef BENCH_OPS_THEIRS_H
#define BENCH_OPS_THEIRS_H

#include "shapes.h"

typedef enum theirs_pass { THEIRS_FORWARD, THEIRS_DATA, THEIRS_WEIGHTS } theirs_pass;
typedef struct theirs theirs;

/* "3.13.2", or NULL where there is no library. Its threads are set by the environment. */
const char *theirs_version(void);
/* `free_layout`: source and result in the layout that the library likes best, else NHWC. Weights always are
 * as it likes them. Operands (dense NHWC; weights oc,ic or c,k,k) are copied, reordered and not timed. NULL
 * when the library has no such primitive. */
theirs *theirs_open(const call *c, theirs_pass pass, bool free_layout, const float *src, const float *wgt,
                    const float *d_dst);
void theirs_run(void *primitive);
/* The result, reordered to our layout: dst, d_src or d_wgt. */
void theirs_result(theirs *t, float *out);
/* What the library calls the kernel it chose. */
const char *theirs_kernel(const theirs *t);
void theirs_close(theirs *t);

#endif
