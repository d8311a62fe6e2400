/* A trained network as an ONNX graph, for inference. */
#ifndef RB_ONNX_EXPORT_H
#define RB_ONNX_EXPORT_H

#include "io/weights.h"
#include "model/model.h"

/* Writes the network to PATH. Input "input": n,channels,height,width, normalised; n is free, with
 * o->dynamic_size also height and width. Output "logits": n,classes; of a network without classes, or with
 * o->features, the maps "p2", "p3", …: n,c,h,w. Errors as rb_onnx_write has them; BAD_ARGUMENT when a class
 * name is not UTF-8. */
revbifpn_status rb_onnx_export(const rb_model *model, const rb_weights_info *info,
                               const revbifpn_onnx_options *o, const char *path, rb_error *err) RB_CHECKED;

#endif
