/* MBConv (Sandler et al. 2018; Tan and Le 2019), the transform of every coupling, of the neck and of the
 * head:
 *
 *   z0 = expand·src                 1×1, ic → e·ic, only when e ≠ 1
 *   z1 = depthwise k×k, stride s, of h(norm(z0)), or of src when e = 1
 *   g  = squeeze-excite gate of h(norm(z1)), only when r > 0
 *   z2 = project·(g·h(norm(z1)))    1×1 → oc
 *   F  = sample · norm(z2), then bilinear upsampling by `factor`
 *
 * z0, z1, z2 are the only intermediates ever written. Kept from forward to backward: mean and variance of
 * each norm and the pooled means of squeeze-excite (and z0, z1, z2 in stored mode); everything else is formed
 * again. */
#ifndef RB_BLOCKS_MBCONV_H
#define RB_BLOCKS_MBCONV_H

#include "blocks/conv_norm.h"

typedef struct rb_mbconv_spec {
    int ic, oc, kernel, stride, expansion, factor;
    double squeeze_ratio, drop_path;
} rb_mbconv_spec;

typedef struct rb_mbconv {
    char name[104];
    rb_mbconv_spec spec;
    int mid;     /* e·ic */
    int squeeze; /* hidden channels of squeeze-excite; 0: none */
    uint32_t id; /* names its random stream */
    bool bf16;   /* products of its 1×1 convolutions in bf16 (ops.h) */
    bool frozen; /* not trained: no stochastic depth; its norms are fixed */
    rb_params *params;
    rb_conv_norm expand, depthwise, project;
    int w1, b1, w2, b2;  /* squeeze-excite, indices into the parameter list */
    float *pooled;       /* kept: n,mid */
    float *z0, *z1, *z2; /* kept, stored mode only */
} rb_mbconv;

/* Registers its tensors under `name` (the published one). */
revbifpn_status rb_mbconv_create(rb_mbconv *b, rb_params *params, const char *name, uint32_t id,
                                 const rb_mbconv_spec *spec, rb_error *err) RB_CHECKED;

/* The coupling's pair (rev/coupling.h, rb_transform); self is the rb_mbconv. */
revbifpn_status rb_mbconv_couple(void *self, rb_pass *pass, const rb_map *src, const rb_map *dst,
                                 int sign) RB_CHECKED;
revbifpn_status rb_mbconv_uncouple(void *self, rb_pass *pass, const rb_map *src, const rb_map *dst,
                                   bool undo) RB_CHECKED;

/* Neck and head: dst (n,h/s,w/s,oc) = F(src), or dst += F(src). `fresh`: take new statistics (a training
 * forward); otherwise repeat with those that are kept. */
void rb_mbconv_map(rb_mbconv *b, rb_pass *pass, const rb_source *src, bool fresh, bool accumulate,
                   float *dst);
/* d: gradient of F (dense, oc channels); the gradient of src goes into `sink`. Recomputes what it needs. */
void rb_mbconv_map_backward(rb_mbconv *b, rb_pass *pass, const rb_source *src, const float *d,
                            const rb_sink *sink);

#endif
