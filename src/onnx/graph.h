/* An ONNX graph while it is built, and its file (ONNX IR 8, opset 17; onnx.ai). Nodes are kept as bytes of
 * the file; tensors as pointers, so that weights are read once, when the file is written. A value has the
 * name of the node that makes it. */
#ifndef RB_ONNX_GRAPH_H
#define RB_ONNX_GRAPH_H

#include "base/status.h"
#include "onnx/wire.h"

enum { RB_ONNX_OPSET = 17, RB_ONNX_IR = 8, RB_ONNX_NAME = 160 };
enum { RB_ONNX_FLOAT32 = 1, RB_ONNX_INT64 = 7 }; /* elements, for Cast */

typedef struct rb_onnx_name {
    char text[RB_ONNX_NAME];
} rb_onnx_name;

typedef struct rb_onnx_tensor {
    rb_onnx_name name;
    int ndim;
    int64_t shape[4];
    const float *floats;   /* not owned */
    const float *scale;    /* shape[0] factors of the rows of `floats`; NULL: 1. Not owned */
    const int64_t *counts; /* instead of floats; not owned */
} rb_onnx_tensor;

typedef struct rb_onnx_graph {
    rb_wire nodes, ends, metadata; /* `ends`: inputs and outputs */
    rb_onnx_tensor *tensors;       /* owned */
    int count, capacity;
    void **owned; /* memory that tensors point to */
    int owned_count, owned_capacity;
    bool failed; /* out of memory */
} rb_onnx_graph;

typedef enum rb_onnx_kind {
    RB_ONNX_NONE,
    RB_ONNX_INTEGER,
    RB_ONNX_FLOAT,
    RB_ONNX_TEXT,
    RB_ONNX_INTEGERS
} rb_onnx_kind;
typedef struct rb_onnx_attribute {
    const char *name;
    rb_onnx_kind kind;
    int64_t integers[4];
    int count; /* of RB_ONNX_INTEGERS */
    float number;
    const char *text;
} rb_onnx_attribute;

enum { RB_ONNX_INPUTS = 5, RB_ONNX_OUTPUTS = 2, RB_ONNX_ATTRIBUTES = 5 };
typedef struct rb_onnx_node {
    const char *op;
    const char *name;                   /* also of its output, when `outputs` is empty */
    const char *inputs[RB_ONNX_INPUTS]; /* "": left out; NULL: no more */
    const char *outputs[RB_ONNX_OUTPUTS];
    rb_onnx_attribute attributes[RB_ONNX_ATTRIBUTES]; /* ends with kind RB_ONNX_NONE */
} rb_onnx_node;

/* A side of an input or output: a number, or a name for one that is free. */
typedef struct rb_onnx_side {
    int64_t value;
    const char *name;
} rb_onnx_side;

/* Zero the graph first; close it at the end. */
void rb_onnx_graph_close(rb_onnx_graph *g);
void rb_onnx_add_node(rb_onnx_graph *g, const rb_onnx_node *node);
void rb_onnx_add_tensor(rb_onnx_graph *g, const rb_onnx_tensor *tensor);
void rb_onnx_add_input(rb_onnx_graph *g, const char *name, const rb_onnx_side *sides, int count);
void rb_onnx_add_output(rb_onnx_graph *g, const char *name, const rb_onnx_side *sides, int count);
/* … of whole numbers (int64) instead of float32. */
void rb_onnx_add_count_output(rb_onnx_graph *g, const char *name, const rb_onnx_side *sides, int count);
void rb_onnx_add_metadata(rb_onnx_graph *g, const char *key, const char *value);
/* Zeroed memory that lives as long as the graph; NULL (and g->failed) when there is none. */
void *rb_onnx_own(rb_onnx_graph *g, size_t bytes);

/* Writes PATH whole or not at all. OUT_OF_MEMORY also when it ran out while the graph was built; UNSUPPORTED
 * for files of 2 GiB or more, which protocol buffers do not have; IO_FAILED. */
revbifpn_status rb_onnx_write(const rb_onnx_graph *g, const char *name, const char *path,
                              rb_error *err) RB_CHECKED;

#endif
