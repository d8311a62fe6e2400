#include "rev/coupling.h"

#include <string.h>

static revbifpn_status append(rb_stack *stack, rb_coupling coupling, rb_error *err) {
    if (stack->count == stack->capacity) {
        int capacity = stack->capacity ? 2 * stack->capacity : 64;
        rb_coupling *grown = rb_alloc((size_t)capacity * sizeof *grown);
        if (!grown) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of couplings");
        if (stack->count) memcpy(grown, stack->couplings, (size_t)stack->count * sizeof *grown);
        rb_free(stack->couplings);
        stack->couplings = grown;
        stack->capacity = capacity;
    }
    stack->couplings[stack->count++] = coupling;
    if (coupling.op >= stack->ops) stack->ops = coupling.op + 1;
    return REVBIFPN_OK;
}

void rb_stack_close(rb_stack *stack) {
    rb_free(stack->couplings);
    *stack = (rb_stack){0};
}

revbifpn_status rb_stack_add_residual(rb_stack *stack, int op, int stream, int channels, rb_transform f,
                                      rb_transform g, rb_error *err) {
    revbifpn_status status;
    rb_slice x1 = {stream, 0, channels - channels / 2}, x2 = {stream, x1.channels, channels / 2};
    TRY(append(stack, (rb_coupling){.f = f, .src = x1, .dst = x2, .op = op}, err));
    TRY(append(stack, (rb_coupling){.f = g, .src = x2, .dst = x1, .op = op}, err));
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_stack_add_silo(rb_stack *stack, int op, int count, const int *channels, bool created,
                                  rb_silo_transforms f, rb_silo_transforms g, rb_error *err) {
    revbifpn_status status;
    rb_slice x[RB_MAX_STREAMS];
    bool opened = false;
    for (int i = 0; i < count; i++) x[i] = (rb_slice){i, 0, channels[i]};
    for (int i = count - 2; i >= 0; i--) /* down: y_j = x_j + Σ_{i<j} F_ij(x_i) */
        for (int j = i + 1; j < count; j++) {
            bool new_dst = created && j == count - 1;
            rb_coupling c = {.f = f[i][j], .src = x[i], .dst = x[j], .op = op, .new_dst = new_dst};
            c.opens = new_dst && !opened;
            opened |= new_dst;
            TRY(append(stack, c, err));
        }
    for (int i = 1; i < count; i++) /* up: z_j = y_j + Σ_{i>j} G_ij(y_i) */
        for (int j = i - 1; j >= 0; j--)
            TRY(append(stack, (rb_coupling){.f = g[i][j], .src = x[i], .dst = x[j], .op = op}, err));
    return REVBIFPN_OK;
fail:
    return status;
}

static rb_map map_of(const rb_streams *streams, rb_slice slice) {
    rb_shape shape = streams->shape[slice.stream];
    rb_map map = {.shape = shape, .x_ld = shape.c, .d_ld = shape.c, .stream = slice.stream};
    map.shape.c = slice.channels;
    map.x = streams->x[slice.stream] + slice.first;
    if (streams->d[slice.stream]) map.d = streams->d[slice.stream] + slice.first;
    return map;
}

static bool same_slice(rb_slice a, rb_slice b) {
    return a.stream == b.stream && a.first == b.first && a.channels == b.channels;
}

/* Stored mode: the source as it is now. Neighbours in the list that read the same slice share one copy:
 * nothing writes to it in between, since each writes elsewhere. */
static void save_source(rb_stack *stack, int at, rb_pass *pass, const rb_map *src) {
    rb_coupling *c = &stack->couplings[at];
    if (at > stack->frozen && same_slice(c->src, c[-1].src)) {
        c->saved = c[-1].saved;
        return;
    }
    c->saved = rb_arena_push(&pass->exec->kept, rb_elements(src->shape) * sizeof(int32_t));
    rb_slice_pack(pass->exec, src->shape, src->x, src->x_ld, c->saved);
}

static void enter(rb_pass *pass, const rb_coupling *c, bool backward) {
    bool residual = c->src.stream == c->dst.stream;
    rb_exec_enter(pass->exec, (rb_operation){.part = residual ? RB_PART_RESIDUAL : RB_PART_SILO,
                                             .op = c->op,
                                             .stream = residual ? c->src.stream : 0,
                                             .backward = backward});
}

revbifpn_status rb_stack_forward(rb_stack *stack, rb_pass *pass, rb_streams *streams, rb_observer *observe,
                                 void *arg) {
    revbifpn_status status;
    for (int at = 0; at < stack->count; at++) {
        rb_coupling *c = &stack->couplings[at];
        rb_map src = map_of(streams, c->src), dst = map_of(streams, c->dst);
        enter(pass, c, false);
        if (c->opens) rb_zero(pass->exec, dst.x, rb_elements(dst.shape) * sizeof(int32_t));
        if (pass->stored && at >= stack->frozen) save_source(stack, at, pass, &src);
        TRY(c->f.forward(c->f.self, pass, &src, &dst, 1));
        bool last = at + 1 == stack->count || c[1].op != c->op;
        if (observe && last) observe(arg, c->op, streams);
    }
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_stack_inverse(rb_stack *stack, rb_pass *pass, rb_streams *streams) {
    revbifpn_status status;
    for (int at = stack->count - 1; at >= 0; at--) {
        rb_coupling *c = &stack->couplings[at];
        rb_map src = map_of(streams, c->src), dst = map_of(streams, c->dst);
        if (!c->new_dst) TRY(c->f.forward(c->f.self, pass, &src, &dst, -1));
    }
    return REVBIFPN_OK;
fail:
    return status;
}

revbifpn_status rb_stack_backward(rb_stack *stack, rb_pass *pass, rb_streams *streams) {
    revbifpn_status status;
    for (int at = stack->count - 1; at >= stack->frozen; at--) {
        rb_coupling *c = &stack->couplings[at];
        rb_map src = map_of(streams, c->src), dst = map_of(streams, c->dst);
        enter(pass, c, true);
        if (pass->stored) {
            src.x = c->saved;
            src.x_ld = c->src.channels; /* the copy is dense */
        }
        TRY(c->f.backward(c->f.self, pass, &src, &dst, !pass->stored && !c->new_dst));
    }
    return REVBIFPN_OK;
fail:
    return status;
}
