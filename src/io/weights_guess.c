#include "io/weights_guess.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/card.h"
#include "io/pth.h"
#include "io/weights_json.h"
#include "model/config.h"

enum { GRID = 22 /* where runs start; inference lowers it where a picture needs it */ };

/* What the tensors say without a doubt. */
typedef struct traits {
    int64_t width, classes; /* of the first stream; 0: no classifier */
    bool neck;
    struct {
        int64_t classes, channels, features; /* 0: no detector */
        bool masks;
    } detector;
} traits;

static bool starts(const char *name, const char *with) { return !strncmp(name, with, strlen(with)); }

/* How long one side of a tensor of so many dimensions is; 0: there is none. */
static int64_t side_of(const rb_tensor_file *file, const char *name, int ndim, int side) {
    const rb_tensor_info *t = rb_tensor_file_find(file, name);
    return t && t->ndim == ndim ? t->shape[side] : 0;
}

static traits look(const rb_tensor_file *file) {
    static const char first[] = "backbone.rev_stack.1.rev_transform_0.f.xform_0_1.project_conv.conv.weight";
    static const size_t backbone = sizeof "backbone." - 1;
    traits t = {0};
    int64_t scores = side_of(file, "roi_head.bbox_head.fc_cls.weight", 2, 0); /* of "nothing" too */
    bool detector = scores > 1;
    t.width =
        2 * side_of(file, detector ? first : first + backbone, 4, 0); /* a block: half of the channels */
    if (detector) {
        t.neck = true;
        t.detector.classes = scores - 1;
        t.detector.channels = side_of(file, "neck.reduction_conv.conv.weight", 4, 0);
        t.detector.features = side_of(file, "roi_head.bbox_head.fc_cls.weight", 2, 1);
        t.detector.masks = rb_tensor_file_find(file, "roi_head.mask_head.conv_logits.weight") != NULL;
        return t;
    }
    t.classes = side_of(file, "head.fc.weight", 2, 0);
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

/* Within the limits that a detector's metadata has. */
static bool plausible(const traits *t) {
    return t->detector.classes <= 65535 && t->detector.channels > 0 && t->detector.channels <= 4096 &&
           t->detector.features > 0 && t->detector.features <= 65536;
}

/* The detector's numbers are MMDetection's where no tensor says them. */
static revbifpn_status describe_detector(const rb_tensor_file *file, const traits *t, rb_weights_info *info,
                                         rb_error *err) {
    revbifpn_detector_config *d = &info->detector;
    const char *path = rb_tensor_file_path(file), *classes = rb_tensor_file_metadata(file, RB_PTH_CLASSES);
    if (!plausible(t))
        return rb_fail(err, REVBIFPN_BAD_FILE,
                       "%s: a detector of %" PRId64 " classes, %" PRId64 " channels, %" PRId64 " features",
                       path, t->detector.classes, t->detector.channels, t->detector.features);
    *d = rb_config_detector(&info->config, (int)t->detector.classes, t->detector.masks);
    d->channels = (int)t->detector.channels;
    d->features = (int)t->detector.features;
    strcpy(info->preprocess.interpolation, "bilinear");
    return classes ? rb_classes_from_json(path, classes, info, err) : REVBIFPN_OK;
}

revbifpn_status rb_weights_guess(const rb_tensor_file *file, rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    bool found = false;
    traits t = look(file);
    *info = (rb_weights_info){.grid = GRID, .preprocess = rb_preprocess_default()};
    if (!t.detector.classes) TRY(rb_card_read(rb_tensor_file_path(file), &found, info, err));
    if (found && info->config.widths[0] == t.width && info->config.classes == t.classes) return REVBIFPN_OK;
    rb_weights_info_close(info);
    *info = (rb_weights_info){.grid = GRID, .preprocess = rb_preprocess_default()};
    TRY(find_published(file, &t, &info->config, err));
    if (t.detector.classes) TRY(describe_detector(file, &t, info, err));
    return REVBIFPN_OK;
fail:
    rb_weights_info_close(info);
    return status;
}
