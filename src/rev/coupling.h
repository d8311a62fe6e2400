/* The reversible algebra: a network is a list of additive couplings y_j = x_j + F(x_i), i ≠ j.
 *
 * Each is undone exactly by x_j = y_j − F(x_i), because x_i = y_i is still there and addition is on integers.
 * With d_y the gradient, d_x_i = d_y_i + Fᵀ d_y_j and d_x_j = d_y_j. A residual block (Gomez et al. 2017) is
 * two couplings between the channel halves of a stream; a RevSilo (Chiley et al. 2022, Fig. 2) is the list of
 * its F_ij, coarser sources first, then of its G_ij, finer sources first: in that order no source has been
 * touched before it is read. The backward pass walks the list in reverse.
 *
 * What F computes is not known here: a transform is a pair of functions. */
#ifndef RB_REV_COUPLING_H
#define RB_REV_COUPLING_H

#include "ops/pass.h"

typedef struct rb_transform {
    void *self;
    /* dst += sign·F(src). sign +1: forward. sign −1: the undoing, which must repeat F's forward arithmetic to
     * the bit. */
    revbifpn_status (*forward)(void *self, rb_pass *pass, const rb_map *src, const rb_map *dst, int sign);
    /* src.d += Fᵀ dst.d, and the gradients of F's parameters; with `undo` also dst −= F(src) on the way. */
    revbifpn_status (*backward)(void *self, rb_pass *pass, const rb_map *src, const rb_map *dst, bool undo);
} rb_transform;

/* Channels first … first + channels − 1 of a stream. */
typedef struct rb_slice {
    int stream, first, channels;
} rb_slice;

typedef struct rb_coupling {
    rb_transform f;
    rb_slice src, dst;
    int op;         /* index of the reversible operation it belongs to */
    bool new_dst;   /* dst is a stream that this operation creates: there is no x_j, nothing to undo */
    bool opens;     /* the first coupling into that new stream */
    int32_t *saved; /* stored mode: the source as it was */
} rb_coupling;

enum { RB_MAX_STREAMS = REVBIFPN_MAX_STREAMS };

typedef struct rb_streams {
    int count;
    rb_shape shape[RB_MAX_STREAMS];
    int32_t *x[RB_MAX_STREAMS]; /* n,h,w,c fixed point */
    float *d[RB_MAX_STREAMS];   /* the same shape; set for the backward pass */
} rb_streams;

typedef struct rb_stack {
    rb_coupling *couplings; /* owned */
    int count, capacity, ops;
    int frozen; /* the first couplings, which learn nothing: the backward pass ends before them */
} rb_stack;

void rb_stack_close(rb_stack *stack);
/* Appends y = x + F on the halves of a stream: y2 = x2 + F(x1), y1 = x1 + G(y2), as part of operation `op`.
 */
revbifpn_status rb_stack_add_residual(rb_stack *stack, int op, int stream, int channels, rb_transform f,
                                      rb_transform g, rb_error *err) RB_CHECKED;
/* Appends a silo over `count` streams with those widths; f[i][j] for i < j, g[i][j] for i > j. `created`: the
 * coarsest stream is new. */
typedef rb_transform rb_silo_transforms[RB_MAX_STREAMS][RB_MAX_STREAMS];
revbifpn_status rb_stack_add_silo(rb_stack *stack, int op, int count, const int *channels, bool created,
                                  rb_silo_transforms f, rb_silo_transforms g, rb_error *err) RB_CHECKED;

/* Called after each reversible operation, with the streams as they are then. May be NULL. */
typedef void rb_observer(void *arg, int op, const rb_streams *streams);

/* Runs the list. In stored mode sources are saved on the kept arena. */
revbifpn_status rb_stack_forward(rb_stack *stack, rb_pass *pass, rb_streams *streams, rb_observer *observe,
                                 void *arg) RB_CHECKED;
/* Undoes it: streams end as they began. */
revbifpn_status rb_stack_inverse(rb_stack *stack, rb_pass *pass, rb_streams *streams) RB_CHECKED;
/* Walks back: streams.d becomes the gradient of the first input. Reversible mode also undoes the state;
 * stored mode reads what was saved and leaves the state alone. With frozen couplings it ends at their output.
 */
revbifpn_status rb_stack_backward(rb_stack *stack, rb_pass *pass, rb_streams *streams) RB_CHECKED;

#endif
