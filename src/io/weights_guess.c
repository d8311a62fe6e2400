#include "io/weights_guess.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/card.h"
#include "model/config.h"

enum { GRID = 22 /* where runs start; inference lowers it where a picture needs it */ };

/* What the tensors say without a doubt. */
typedef struct traits {
    int64_t width, classes; /* of the first stream; 0: no classifier */
    bool neck;
} traits;

static bool starts(const char *name, const char *with) { return !strncmp(name, with, strlen(with)); }

static traits look(const rb_tensor_file *file) {
    traits t = {0};
    const rb_tensor_info *first =
        rb_tensor_file_find(file, "rev_stack.1.rev_transform_0.f.xform_0_1.project_conv.conv.weight");
    const rb_tensor_info *fc = rb_tensor_file_find(file, "head.fc.weight");
    if (first && first->ndim == 4) t.width = 2 * first->shape[0]; /* a block works on half of the channels */
    if (fc && fc->ndim == 2) t.classes = fc->shape[0];
    for (int i = 0; i < rb_tensor_file_count(file) && !t.neck; i++)
        t.neck = starts(rb_tensor_file_at(file, i)->name, "rev_stack.recomp_op.");
    return t;
}

static revbifpn_status find_published(const rb_tensor_file *file, const traits *t, revbifpn_model_config *out,
                                      rb_error *err) {
    for (int i = 0; i < 7; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        revbifpn_status status = rb_config_named(name, out, err);
        if (status != REVBIFPN_OK) return status;
        if (out->widths[0] != t->width || t->classes > 1000000) continue;
        out->classes = (int)t->classes;
        out->neck = t->neck;
        return REVBIFPN_OK;
    }
    if (t->width)
        return rb_fail(
            err, REVBIFPN_BAD_FILE,
            "%s: not a weights file of this program, and no published network has a first width of %" PRId64
            "; name its configuration",
            rb_tensor_file_path(file), t->width);
    return rb_fail(
        err, REVBIFPN_BAD_FILE,
        "%s: not a weights file of this program: neither \"config\" in its metadata nor the tensors of "
        "a published network",
        rb_tensor_file_path(file));
}

revbifpn_status rb_weights_guess(const rb_tensor_file *file, rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    bool found = false;
    traits t = look(file);
    *info = (rb_weights_info){.grid = GRID, .preprocess = rb_preprocess_default()};
    TRY(rb_card_read(rb_tensor_file_path(file), &found, info, err));
    if (found && info->config.widths[0] == t.width && info->config.classes == t.classes) return REVBIFPN_OK;
    rb_weights_info_close(info);
    *info = (rb_weights_info){.grid = GRID, .preprocess = rb_preprocess_default()};
    status = find_published(file, &t, &info->config, err);
fail:
    return status;
}
