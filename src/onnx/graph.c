#include "onnx/graph.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* Field numbers of the ONNX schema. */
enum {
    MODEL_IR = 1,
    MODEL_PRODUCER = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_METADATA = 14,
    OPSET_DOMAIN = 1,
    OPSET_VERSION = 2,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_TENSOR = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_FLOAT = 2,
    ATTRIBUTE_INTEGER = 3,
    ATTRIBUTE_TEXT = 4,
    ATTRIBUTE_INTEGERS = 8,
    ATTRIBUTE_TYPE = 20,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TYPE_ELEMENT = 1,
    TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_NAME = 2
};
static const int attribute_types[] = {
    [RB_ONNX_FLOAT] = 1, [RB_ONNX_INTEGER] = 2, [RB_ONNX_TEXT] = 3, [RB_ONNX_INTEGERS] = 7};

void rb_onnx_graph_close(rb_onnx_graph *g) {
    rb_wire_close(&g->nodes);
    rb_wire_close(&g->ends);
    rb_wire_close(&g->metadata);
    for (int i = 0; i < g->owned_count; i++) rb_free(g->owned[i]);
    rb_free(g->owned);
    rb_free(g->tensors);
    *g = (rb_onnx_graph){0};
}

/* One more place in a list of elements of that size; NULL when memory is out. */
static void *grow(rb_onnx_graph *g, void **list, int *count, int *capacity, size_t element) {
    if (*count == *capacity) {
        int larger = *capacity ? 2 * *capacity : 64;
        void *grown = rb_alloc(rb_size_mul((size_t)larger, element));
        if (!grown) return g->failed = true, NULL;
        if (*count) memcpy(grown, *list, (size_t)*count * element);
        rb_free(*list);
        *list = grown;
        *capacity = larger;
    }
    return (char *)*list + (size_t)(*count)++ * element;
}

void *rb_onnx_own(rb_onnx_graph *g, size_t bytes) {
    void *list = g->owned, **place = grow(g, &list, &g->owned_count, &g->owned_capacity, sizeof *place);
    g->owned = list;
    if (!place) return NULL;
    *place = rb_alloc(bytes);
    if (!*place) g->failed = true;
    return *place;
}

void rb_onnx_add_tensor(rb_onnx_graph *g, const rb_onnx_tensor *tensor) {
    void *list = g->tensors;
    rb_onnx_tensor *place = grow(g, &list, &g->count, &g->capacity, sizeof *place);
    g->tensors = list;
    if (place) *place = *tensor;
}

static void add_attribute(rb_wire *w, const rb_onnx_attribute *a) {
    size_t mark = rb_wire_begin(w, NODE_ATTRIBUTE);
    rb_wire_text(w, ATTRIBUTE_NAME, a->name);
    switch (a->kind) {
    case RB_ONNX_NONE: break;
    case RB_ONNX_INTEGER: rb_wire_integer(w, ATTRIBUTE_INTEGER, a->integers[0]); break;
    case RB_ONNX_FLOAT: rb_wire_float(w, ATTRIBUTE_FLOAT, a->number); break;
    case RB_ONNX_TEXT: rb_wire_text(w, ATTRIBUTE_TEXT, a->text); break;
    case RB_ONNX_INTEGERS:
        for (int i = 0; i < a->count; i++) rb_wire_integer(w, ATTRIBUTE_INTEGERS, a->integers[i]);
        break;
    }
    rb_wire_integer(w, ATTRIBUTE_TYPE, attribute_types[a->kind]);
    rb_wire_end(w, mark);
}

void rb_onnx_add_node(rb_onnx_graph *g, const rb_onnx_node *node) {
    rb_wire *w = &g->nodes;
    size_t mark = rb_wire_begin(w, GRAPH_NODE);
    for (int i = 0; i < RB_ONNX_INPUTS && node->inputs[i]; i++) rb_wire_text(w, NODE_INPUT, node->inputs[i]);
    for (int i = 0; i < RB_ONNX_OUTPUTS && node->outputs[i]; i++)
        rb_wire_text(w, NODE_OUTPUT, node->outputs[i]);
    if (!node->outputs[0]) rb_wire_text(w, NODE_OUTPUT, node->name);
    rb_wire_text(w, NODE_NAME, node->name);
    rb_wire_text(w, NODE_OP, node->op);
    for (int i = 0; i < RB_ONNX_ATTRIBUTES && node->attributes[i].kind; i++)
        add_attribute(w, &node->attributes[i]);
    rb_wire_end(w, mark);
}

static void add_end(rb_wire *w, int field, const char *name, int element, const rb_onnx_side *sides,
                    int count) {
    size_t value = rb_wire_begin(w, field);
    rb_wire_text(w, VALUE_NAME, name);
    size_t type = rb_wire_begin(w, VALUE_TYPE), tensor = rb_wire_begin(w, TYPE_TENSOR);
    rb_wire_integer(w, TYPE_ELEMENT, element);
    size_t shape = rb_wire_begin(w, TYPE_SHAPE);
    for (int i = 0; i < count; i++) {
        size_t dim = rb_wire_begin(w, SHAPE_DIM);
        if (sides[i].name)
            rb_wire_text(w, DIM_NAME, sides[i].name);
        else
            rb_wire_integer(w, DIM_VALUE, sides[i].value);
        rb_wire_end(w, dim);
    }
    rb_wire_end(w, shape);
    rb_wire_end(w, tensor);
    rb_wire_end(w, type);
    rb_wire_end(w, value);
}

void rb_onnx_add_input(rb_onnx_graph *g, const char *name, const rb_onnx_side *sides, int count) {
    add_end(&g->ends, GRAPH_INPUT, name, RB_ONNX_FLOAT32, sides, count);
}

void rb_onnx_add_output(rb_onnx_graph *g, const char *name, const rb_onnx_side *sides, int count) {
    add_end(&g->ends, GRAPH_OUTPUT, name, RB_ONNX_FLOAT32, sides, count);
}

void rb_onnx_add_count_output(rb_onnx_graph *g, const char *name, const rb_onnx_side *sides, int count) {
    add_end(&g->ends, GRAPH_OUTPUT, name, RB_ONNX_INT64, sides, count);
}

void rb_onnx_add_metadata(rb_onnx_graph *g, const char *key, const char *value) {
    size_t mark = rb_wire_begin(&g->metadata, MODEL_METADATA);
    rb_wire_text(&g->metadata, ENTRY_KEY, key);
    rb_wire_text(&g->metadata, ENTRY_VALUE, value);
    rb_wire_end(&g->metadata, mark);
}

/* ---- the file ---- */

static size_t elements(const rb_onnx_tensor *t) {
    size_t count = 1;
    for (int i = 0; i < t->ndim; i++) count = rb_size_mul(count, (size_t)t->shape[i]);
    return count;
}

static size_t data_bytes(const rb_onnx_tensor *t) {
    return rb_size_mul(elements(t), t->counts ? sizeof *t->counts : sizeof *t->floats);
}

/* All of a tensor's message but its data, which comes last. */
static void add_tensor_head(rb_wire *w, const rb_onnx_tensor *t) {
    for (int i = 0; i < t->ndim; i++) rb_wire_integer(w, TENSOR_DIMS, t->shape[i]);
    rb_wire_integer(w, TENSOR_TYPE, t->counts ? RB_ONNX_INT64 : RB_ONNX_FLOAT32);
    rb_wire_text(w, TENSOR_NAME, t->name.text);
    rb_wire_head(w, TENSOR_RAW, data_bytes(t));
}

/* Bytes of the field that holds the tensor; *head is left with what comes before its data. */
static size_t tensor_bytes(const rb_onnx_tensor *t, rb_wire *head) {
    rb_wire message = {0};
    add_tensor_head(&message, t);
    size_t size = rb_size_add(message.size, data_bytes(t));
    head->size = 0;
    rb_wire_head(head, GRAPH_TENSOR, size);
    size_t whole = rb_size_add(head->size, size);
    add_tensor_head(head, t);
    head->failed |= message.failed;
    rb_wire_close(&message);
    return whole;
}

static revbifpn_status write_data(rb_file_writer *file, const rb_onnx_tensor *t, float *row, size_t length,
                                  rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    if (t->counts) return rb_file_write(file, t->counts, data_bytes(t), err);
    if (!t->scale) return rb_file_write(file, t->floats, data_bytes(t), err);
    for (int64_t r = 0; r < t->shape[0]; r++) {
        for (size_t i = 0; i < length; i++) row[i] = t->floats[(size_t)r * length + i] * t->scale[r];
        TRY(rb_file_write(file, row, length * sizeof *row, err));
    }
fail:
    return status;
}

static revbifpn_status write_tensor(rb_file_writer *file, const rb_onnx_tensor *t, rb_wire *head,
                                    rb_error *err) {
    revbifpn_status status;
    size_t length = t->scale ? elements(t) / (size_t)t->shape[0] : 0;
    float *row = t->scale ? rb_alloc(length * sizeof *row) : NULL;
    tensor_bytes(t, head);
    if (head->failed || (t->scale && !row)) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for %s", t->name.text);
        goto fail;
    }
    TRY(rb_file_write(file, head->bytes, head->size, err));
    status = write_data(file, t, row, length, err);
fail:
    rb_free(row);
    return status;
}

/* What comes before the tensors: the model's own fields, and of the graph (whose size is known) the nodes. */
static void add_beginning(const rb_onnx_graph *g, const char *name, size_t graph_bytes, rb_wire *w) {
    rb_wire_integer(w, MODEL_IR, RB_ONNX_IR);
    rb_wire_text(w, MODEL_PRODUCER, "revbifpn");
    rb_wire_text(w, MODEL_PRODUCER_VERSION, REVBIFPN_VERSION);
    size_t mark = rb_wire_begin(w, MODEL_OPSET);
    rb_wire_text(w, OPSET_DOMAIN, "");
    rb_wire_integer(w, OPSET_VERSION, RB_ONNX_OPSET);
    rb_wire_end(w, mark);
    w->failed |= g->failed | g->nodes.failed | g->ends.failed | g->metadata.failed;
    rb_wire_head(w, MODEL_GRAPH, graph_bytes);
    rb_wire_text(w, GRAPH_NAME, name);
}

static size_t graph_bytes(const rb_onnx_graph *g, const char *name, rb_wire *head) {
    size_t size = rb_size_add(g->nodes.size, g->ends.size);
    size = rb_size_add(size, rb_wire_head_bytes(GRAPH_NAME, strlen(name)) + strlen(name));
    for (int i = 0; i < g->count; i++) size = rb_size_add(size, tensor_bytes(&g->tensors[i], head));
    return size;
}

revbifpn_status rb_onnx_write(const rb_onnx_graph *g, const char *name, const char *path, rb_error *err) {
    revbifpn_status status;
    rb_file_writer file = {0};
    rb_wire head = {0}, beginning = {0};
    size_t size = graph_bytes(g, name, &head);
    add_beginning(g, name, size, &beginning);
    if (head.failed || beginning.failed) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for the graph", path);
        goto fail;
    }
    if (rb_size_add(size, beginning.size + g->metadata.size) > INT32_MAX) {
        status = rb_fail(err, REVBIFPN_UNSUPPORTED,
                         "%s: %zu bytes; an ONNX file without external data ends at 2 GiB", path, size);
        goto fail;
    }
    TRY(rb_file_begin(&file, path, err));
    TRY(rb_file_write(&file, beginning.bytes, beginning.size, err));
    TRY(rb_file_write(&file, g->nodes.bytes, g->nodes.size, err));
    for (int i = 0; i < g->count; i++) TRY(write_tensor(&file, &g->tensors[i], &head, err));
    TRY(rb_file_write(&file, g->ends.bytes, g->ends.size, err));
    TRY(rb_file_write(&file, g->metadata.bytes, g->metadata.size, err));
    TRY(rb_file_commit(&file, err));
fail:
    rb_file_abandon(&file);
    rb_wire_close(&head);
    rb_wire_close(&beginning);
    return status;
}
