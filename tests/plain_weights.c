#include "plain_weights.h"

#include "check.h"
#include "io/pth.h"

void plain_weights_save(const char *path, const rb_params *params) {
    rb_error err;
    rb_tensor_source *list = rb_alloc((size_t)params->count * sizeof *list);
    assert_non_null(list);
    for (int i = 0; i < params->count; i++) {
        const rb_param *p = &params->list[i];
        const void *data = p->kind == RB_PARAM_COUNTER   ? (const void *)(params->counter + p->offset)
                           : p->kind == RB_PARAM_TRAINED ? (const void *)(params->weight + p->offset)
                                                         : (const void *)(params->statistics + p->offset);
        list[i] = (rb_tensor_source){.name = p->name, .ndim = p->ndim, .data = data};
        list[i].dtype = p->kind == RB_PARAM_COUNTER ? RB_DTYPE_I64 : RB_DTYPE_F32;
        for (int d = 0; d < p->ndim; d++) list[i].shape[d] = p->shape[d];
    }
    if (rb_pth_name(path))
        CHECK_OK(rb_pth_write(path, list, params->count, NULL, 0, &err), &err);
    else
        CHECK_OK(rb_tensor_file_write(path, list, params->count, NULL, 0, &err), &err);
    rb_free(list);
}
