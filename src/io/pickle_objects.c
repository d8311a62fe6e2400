/* The globals that a pickle may name, and what they make. What is not in the table does not happen. */
#include <stdio.h>
#include <string.h>

#include "io/pickle_machine.h"

static const struct {
    const char *module, *name;
    rb_pickle_global global;
    rb_dtype dtype;
} globals[] = {
    {"collections", "OrderedDict", RB_GLOBAL_ORDERED_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", RB_GLOBAL_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", RB_GLOBAL_PARAMETER, 0},
    {"torch", "FloatStorage", RB_GLOBAL_STORAGE, RB_DTYPE_F32},
    {"torch", "DoubleStorage", RB_GLOBAL_STORAGE, RB_DTYPE_F64},
    {"torch", "HalfStorage", RB_GLOBAL_STORAGE, RB_DTYPE_F16},
    {"torch", "BFloat16Storage", RB_GLOBAL_STORAGE, RB_DTYPE_BF16},
    {"torch", "LongStorage", RB_GLOBAL_STORAGE, RB_DTYPE_I64},
    {"torch", "IntStorage", RB_GLOBAL_STORAGE, RB_DTYPE_I32},
    {"torch", "ShortStorage", RB_GLOBAL_STORAGE, RB_DTYPE_I16},
    {"torch", "CharStorage", RB_GLOBAL_STORAGE, RB_DTYPE_I8},
    {"torch", "ByteStorage", RB_GLOBAL_STORAGE, RB_DTYPE_U8},
    {"torch", "BoolStorage", RB_GLOBAL_STORAGE, RB_DTYPE_BOOL},
    {"torch", "Size", RB_GLOBAL_SIZE, 0},
    {"argparse", "Namespace", RB_GLOBAL_NAMESPACE, 0},
    {"numpy", "dtype", RB_GLOBAL_NUMPY_DTYPE, 0},
    {"numpy.core.multiarray", "scalar", RB_GLOBAL_NUMPY_SCALAR, 0},
    {"numpy._core.multiarray", "scalar", RB_GLOBAL_NUMPY_SCALAR, 0},
    {"_codecs", "encode", RB_GLOBAL_ENCODE, 0}, /* how protocol 2 writes the bytes of a numpy scalar */
};

static bool same(const char *known, const unsigned char *text, size_t length) {
    return strlen(known) == length && !memcmp(known, text, length);
}

static bool find_global(const unsigned char *module, size_t module_length, const unsigned char *name,
                        size_t name_length, rb_pickle_global *global, rb_dtype *dtype) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (!same(globals[i].module, module, module_length) || !same(globals[i].name, name, name_length))
            continue;
        *global = globals[i].global;
        *dtype = globals[i].dtype;
        return true;
    }
    return false;
}

revbifpn_status rb_machine_global(rb_machine *m, const unsigned char *module, size_t module_length,
                                  const unsigned char *name, size_t name_length) {
    rb_pickle_global global;
    rb_dtype dtype;
    if (find_global(module, module_length, name, name_length, &global, &dtype))
        return rb_machine_push_new(
            m,
            (rb_pickle_value){.kind = RB_PICKLE_GLOBAL, .global = (uint8_t)global, .dtype = (uint8_t)dtype});
    return REFUSE(m, "the global '%.*s.%.*s' is none of those that weights need: refused",
                  (int)(module_length < 90 ? module_length : 90), (const char *)module,
                  (int)(name_length < 90 ? name_length : 90), (const char *)name);
}

/* Kind of item i of a tuple that has it. */
static rb_pickle_kind item_kind(const rb_machine *m, uint32_t v, uint32_t i) {
    uint32_t cell = value_at(m, v)->as.items.first;
    while (i--) cell = cell_at(m, cell)->next;
    return value_at(m, cell_at(m, cell)->value)->kind;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static revbifpn_status make_tensor(rb_machine *m, uint32_t args) {
    uint32_t count = value_at(m, args)->as.items.count;
    if (count < 6 || count > 7 || item_kind(m, args, 0) != RB_PICKLE_STORAGE ||
        item_kind(m, args, 1) != RB_PICKLE_INTEGER || item_kind(m, args, 2) != RB_PICKLE_TUPLE ||
        item_kind(m, args, 3) != RB_PICKLE_TUPLE)
        return REFUSE(m, "a tensor of other arguments than storage, offset, size, stride, grad and hooks");
    return rb_machine_push_new(m, (rb_pickle_value){.kind = RB_PICKLE_TENSOR, .more = args});
}

/* _rebuild_parameter(tensor, requires_grad, hooks): the tensor. */
static revbifpn_status make_parameter(rb_machine *m, uint32_t args) {
    if (value_at(m, args)->as.items.count != 3 || item_kind(m, args, 0) != RB_PICKLE_TENSOR)
        return REFUSE(m, "a parameter of other arguments than tensor, grad and hooks");
    return rb_machine_push(m, cell_at(m, value_at(m, args)->as.items.first)->value);
}

static revbifpn_status make_size(rb_machine *m, uint32_t args) {
    if (value_at(m, args)->as.items.count != 1 || item_kind(m, args, 0) != RB_PICKLE_TUPLE)
        return REFUSE(m, "torch.Size of something that is no tuple");
    return rb_machine_push(m, cell_at(m, value_at(m, args)->as.items.first)->value);
}

static revbifpn_status make_dict(rb_machine *m, uint32_t args) {
    if (value_at(m, args)->as.items.count) return REFUSE(m, "a dictionary made from arguments");
    return rb_machine_push_new(m, (rb_pickle_value){.kind = RB_PICKLE_DICT});
}

/* REDUCE and NEWOBJ: what a global makes of a tuple of arguments. */
revbifpn_status rb_machine_call(rb_machine *m, bool object) {
    revbifpn_status status;
    TRY(rb_machine_need(m, 2));
    uint32_t args = pop(m);
    const rb_pickle_value *callee = value_at(m, pop(m));
    if (callee->kind != RB_PICKLE_GLOBAL || value_at(m, args)->kind != RB_PICKLE_TUPLE)
        return REFUSE(m, "a call of something that is no global, or without arguments");
    rb_pickle_global what = (rb_pickle_global)callee->global;
    if (object && what != RB_GLOBAL_NAMESPACE && what != RB_GLOBAL_ORDERED_DICT)
        return REFUSE(m, "an object of a class that is none of those that weights need: refused");
    switch (what) {
    case RB_GLOBAL_ORDERED_DICT:
    case RB_GLOBAL_NAMESPACE: return make_dict(m, args);
    case RB_GLOBAL_TENSOR: return make_tensor(m, args);
    case RB_GLOBAL_PARAMETER: return make_parameter(m, args);
    case RB_GLOBAL_SIZE: return make_size(m, args);
    case RB_GLOBAL_NUMPY_DTYPE:
    case RB_GLOBAL_NUMPY_SCALAR:
    case RB_GLOBAL_ENCODE: return rb_machine_push_new(m, (rb_pickle_value){.kind = RB_PICKLE_OPAQUE});
    case RB_GLOBAL_STORAGE: break;
    }
    return REFUSE(m, "a storage that is made, not named");
fail:
    return status;
}

/* Attributes: kept for a dictionary (a state dict has "_metadata"), of no interest for a numpy dtype. */
revbifpn_status rb_machine_build(rb_machine *m) {
    revbifpn_status status;
    TRY(rb_machine_need(m, 2));
    uint32_t state = pop(m);
    rb_pickle_value *object = value_at(m, top(m));
    if (object->kind == RB_PICKLE_OPAQUE) return REVBIFPN_OK;
    if (object->kind != RB_PICKLE_DICT || value_at(m, state)->kind != RB_PICKLE_DICT)
        return REFUSE(m, "attributes for something that has none");
    object->more = state;
    return REVBIFPN_OK;
fail:
    return status;
}

/* ('storage', type, key, location, count[, view]) */
revbifpn_status rb_machine_persistent(rb_machine *m) {
    revbifpn_status status;
    TRY(rb_machine_need(m, 1));
    uint32_t id = pop(m);
    const rb_pickle_value *v = value_at(m, id);
    uint32_t count = v->kind == RB_PICKLE_TUPLE ? v->as.items.count : 0;
    if (count < 5 || count > 6 || item_kind(m, id, 1) != RB_PICKLE_GLOBAL ||
        item_kind(m, id, 2) != RB_PICKLE_TEXT || item_kind(m, id, 4) != RB_PICKLE_INTEGER)
        return REFUSE(m, "a persistent id that is no storage");
    const rb_pickle_cell *type = cell_at(m, cell_at(m, v->as.items.first)->next);
    const rb_pickle_value *storage = value_at(m, type->value);
    if (storage->global != RB_GLOBAL_STORAGE) return REFUSE(m, "a storage without a type");
    status = rb_machine_push_new(
        m, (rb_pickle_value){.kind = RB_PICKLE_STORAGE, .dtype = storage->dtype, .more = id});
fail:
    return status;
}
