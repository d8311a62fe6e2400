#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "theirs.h"

/* This is a measuring program: whatever fails ends it. */
#define OK(expression)                                                                                       \
    do {                                                                                                     \
        dnnl_status_t status_ = (expression);                                                                \
        if (status_ != dnnl_success) {                                                                       \
            fprintf(stderr, "%s: %s gave %d\n", __FILE__, #expression, (int)status_);                        \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

typedef enum { SRC, WGT, DST } operand;
struct theirs {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t plain[3]; /* our layouts */
    dnnl_memory_t memory[3];     /* in the layouts of the primitive */
    theirs_pass pass;
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void open_engine(void) {
    if (engine) return;
    OK(dnnl_engine_create(&engine, dnnl_cpu, 0));
    OK(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
}

const char *theirs_version(void) {
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

/* The three operands of a convolution, dense, in a layout or (ANY) in whichever. */
static void describe(const call *c, dnnl_memory_desc_t out[3], bool free_map, bool free_weights) {
    rb_shape s = c->shape, d = call_result(c);
    dnnl_dims_t src = {s.n, s.c, s.h, s.w}, dst = {d.n, d.c, d.h, d.w};
    dnnl_dims_t wgt = {c->oc, s.c, 1, 1}, grouped = {s.c, 1, 1, c->kernel, c->kernel};
    bool deep = c->kind == CALL_DEPTHWISE;
    dnnl_format_tag_t map = free_map ? dnnl_format_tag_any : dnnl_nhwc;
    dnnl_format_tag_t weights = free_weights ? dnnl_format_tag_any : deep ? dnnl_goihw : dnnl_oihw;
    OK(dnnl_memory_desc_create_with_tag(&out[SRC], 4, src, dnnl_f32, map));
    OK(dnnl_memory_desc_create_with_tag(&out[WGT], deep ? 5 : 4, deep ? grouped : wgt, dnnl_f32, weights));
    OK(dnnl_memory_desc_create_with_tag(&out[DST], 4, dst, dnnl_f32, map));
}

static void forget(dnnl_memory_desc_t desc[3]) {
    for (int i = 0; i < 3; i++) OK(dnnl_memory_desc_destroy(desc[i]));
}

/* The primitive of a pass; the backward ones need the forward one as a hint. */
static dnnl_status_t choose(const call *c, theirs_pass pass, dnnl_memory_desc_t m[3],
                            dnnl_primitive_desc_t *out) {
    rb_shape d = call_result(c);
    dnnl_dim_t low = (c->kernel - 1) / 2;
    dnnl_dims_t strides = {c->stride, c->stride}, dilates = {0, 0}, before = {low, low};
    dnnl_dims_t after = {(d.h - 1) * c->stride + c->kernel - c->shape.h - low,
                         (d.w - 1) * c->stride + c->kernel - c->shape.w - low};
    dnnl_primitive_desc_t forward;
    dnnl_status_t status = dnnl_convolution_forward_primitive_desc_create(
        &forward, engine, dnnl_forward_training, dnnl_convolution_direct, m[SRC], m[WGT], NULL, m[DST],
        strides, dilates, before, after, NULL);
    if (status != dnnl_success || pass == THEIRS_FORWARD) {
        *out = forward;
        return status;
    }
    if (pass == THEIRS_DATA)
        status = dnnl_convolution_backward_data_primitive_desc_create(out, engine, dnnl_convolution_direct,
                                                                      m[SRC], m[WGT], m[DST], strides,
                                                                      dilates, before, after, forward, NULL);
    else
        status = dnnl_convolution_backward_weights_primitive_desc_create(
            out, engine, dnnl_convolution_direct, m[SRC], m[WGT], NULL, m[DST], strides, dilates, before,
            after, forward, NULL);
    OK(dnnl_primitive_desc_destroy(forward));
    return status;
}

static void reorder(dnnl_memory_t from, dnnl_memory_t to) {
    const_dnnl_memory_desc_t from_desc, to_desc;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    OK(dnnl_memory_get_memory_desc(from, &from_desc));
    OK(dnnl_memory_get_memory_desc(to, &to_desc));
    OK(dnnl_reorder_primitive_desc_create(&desc, from_desc, engine, to_desc, engine, NULL));
    OK(dnnl_primitive_create(&primitive, desc));
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    OK(dnnl_primitive_execute(primitive, stream, 2, args));
    OK(dnnl_stream_wait(stream));
    OK(dnnl_primitive_destroy(primitive));
    OK(dnnl_primitive_desc_destroy(desc));
}

static dnnl_memory_t allocate(const_dnnl_memory_desc_t desc) {
    dnnl_memory_t memory;
    OK(dnnl_memory_create(&memory, desc, engine, DNNL_MEMORY_ALLOCATE));
    return memory;
}

/* Between our memory and a plain memory object, either way. */
static void copy(dnnl_memory_t plain, const_dnnl_memory_desc_t desc, const float *from, float *to) {
    void *data;
    OK(dnnl_memory_map_data(plain, &data));
    if (from) memcpy(data, from, dnnl_memory_desc_get_size(desc));
    if (to) memcpy(to, data, dnnl_memory_desc_get_size(desc));
    OK(dnnl_memory_unmap_data(plain, data));
}

/* Memory for one operand in the primitive's layout; filled from ours when it is an input. */
static void place(theirs *t, operand which, int exec_arg, const float *values) {
    const_dnnl_memory_desc_t desc = dnnl_primitive_desc_query_md(t->desc, dnnl_query_exec_arg_md, exec_arg);
    t->memory[which] = allocate(desc);
    if (!values) return;
    dnnl_memory_t plain = allocate(t->plain[which]);
    copy(plain, t->plain[which], values, NULL);
    reorder(plain, t->memory[which]);
    OK(dnnl_memory_destroy(plain));
}

static const int exec_args[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                    {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                    {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
static const operand results[3] = {DST, SRC, WGT};

theirs *theirs_open(const call *c, theirs_pass pass, bool free_layout, const float *src, const float *wgt,
                    const float *d_dst) {
    const float *values[3] = {src, wgt, d_dst};
    dnnl_memory_desc_t wanted[3];
    open_engine();
    theirs *t = calloc(1, sizeof *t);
    if (!t) exit(1);
    t->pass = pass;
    describe(c, t->plain, false, false);
    describe(c, wanted, free_layout, true);
    dnnl_status_t status = choose(c, pass, wanted, &t->desc);
    forget(wanted);
    if (status != dnnl_success) {
        forget(t->plain);
        free(t);
        return NULL;
    }
    OK(dnnl_primitive_create(&t->primitive, t->desc));
    for (int i = 0; i < 3; i++)
        place(t, (operand)i, exec_args[pass][i], (operand)i == results[pass] ? NULL : values[i]);
    return t;
}

void theirs_run(void *primitive) {
    theirs *t = primitive;
    dnnl_exec_arg_t args[3];
    for (int i = 0; i < 3; i++) args[i] = (dnnl_exec_arg_t){exec_args[t->pass][i], t->memory[i]};
    OK(dnnl_primitive_execute(t->primitive, stream, 3, args));
    OK(dnnl_stream_wait(stream));
}

void theirs_result(theirs *t, float *out) {
    operand which = results[t->pass];
    dnnl_memory_t plain = allocate(t->plain[which]);
    reorder(t->memory[which], plain);
    copy(plain, t->plain[which], NULL, out);
    OK(dnnl_memory_destroy(plain));
}

const char *theirs_kernel(const theirs *t) {
    const char *name = "";
    OK(dnnl_primitive_desc_query(t->desc, dnnl_query_impl_info_str, 0, &name));
    return name;
}

void theirs_close(theirs *t) {
    if (!t) return;
    for (int i = 0; i < 3; i++) OK(dnnl_memory_destroy(t->memory[i]));
    forget(t->plain);
    OK(dnnl_primitive_destroy(t->primitive));
    OK(dnnl_primitive_desc_destroy(t->desc));
    free(t);
}
