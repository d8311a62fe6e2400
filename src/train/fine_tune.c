/* Training that begins with weights instead of random numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "train/setup.h"

static revbifpn_status parse_freeze(const revbifpn_train_config *a, rb_freeze *freeze, rb_error *err) {
    char *end;
    int most = rb_model_levels(&a->model);
    *freeze = (rb_freeze){.stage = RB_FREEZE_LEVELS};
    if (!*a->freeze) return REVBIFPN_OK;
    if (!strcmp(a->freeze, "backbone")) return freeze->stage = RB_FREEZE_BACKBONE, REVBIFPN_OK;
    if (!strcmp(a->freeze, "features")) return freeze->stage = RB_FREEZE_FEATURES, REVBIFPN_OK;
    long levels = strtol(a->freeze, &end, 10);
    freeze->levels = (int)levels;
    if (end != a->freeze && !*end && levels >= 0 && levels <= most) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                   "freeze '%.40s': a number of levels (0 … %d), backbone or features", a->freeze, most);
}

revbifpn_status rb_train_freeze(rb_model *model, const revbifpn_train_config *args, rb_error *err) {
    rb_freeze freeze;
    revbifpn_status status = parse_freeze(args, &freeze, err);
    if (status != REVBIFPN_OK) return status;
    rb_model_freeze(model, freeze);
    if (args->bn_eval) rb_model_fix_norms(model);
    if (args->norm_affine == REVBIFPN_NORM_AFFINE_FIXED) rb_model_hold_affine(model);
    return REVBIFPN_OK;
}

/* Names of classes that differ, where both sides have names. */
static bool other_names(const rb_weights_info *saved, const rb_dataset *data) {
    for (int i = 0; i < saved->class_count && i < data->classes; i++)
        if (strcmp(saved->classes[i], data->class_names[i])) return true;
    return false;
}

/* How many tensors of the list the file can give; a note when it is not all. */
static int usable(rb_trainer *t, const rb_weights_info *saved) {
    const char *path = t->args.weights;
    char *note = t->start_note;
    int classes = saved->config.classes, here = t->args.model.classes;
    if (!classes) {
        snprintf(note, sizeof t->start_note, "%.300s has no classifier: all of the head begins anew", path);
        return t->model->head_params;
    }
    if (classes != here)
        snprintf(note, sizeof t->start_note,
                 "%.300s is for %d classes, here are %d: the last layer begins anew", path, classes, here);
    else if (other_names(saved, &t->classify.data))
        snprintf(note, sizeof t->start_note, "%.300s is for other classes: the last layer begins anew", path);
    else
        return t->model->params.count;
    return t->model->fc_weight;
}

static revbifpn_status check_network(const rb_trainer *t, const rb_weights_info *saved, rb_error *err) {
    char difference[200];
    revbifpn_model_config like = saved->config;
    like.classes = t->args.model.classes;
    like.input_channels = t->args.model.input_channels; /* no tensor has a shape that depends on it */
    if (!saved->config.classes) like.fc_features = t->args.model.fc_features;
    if (rb_config_equal_architecture(&like, &t->args.model, difference, sizeof difference))
        return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: weights of another network than %s: %s", t->args.weights,
                   t->args.model.name, difference);
}

/* The stem has no weights: it repeats the channels, and the first blocks read other ones than before. */
static void note_channels(rb_trainer *t, int saved) {
    size_t used = strlen(t->start_note);
    snprintf(t->start_note + used, sizeof t->start_note - used,
             "%sthe weights are for pictures of %d channels, these have %d: what read channel c of the "
             "repeated ones reads c mod %d now; mean and deviation are this run's",
             used ? "\n" : "", saved, t->args.model.input_channels, t->args.model.input_channels);
}

typedef revbifpn_status reader(rb_trainer *t, const rb_tensor_file *file, const rb_weights_info *saved,
                               rb_error *err);

/* Reads what `read` takes of the file, its grid, mean and deviation. */
static revbifpn_status begin_with(rb_trainer *t, reader *read, rb_error *err) {
    revbifpn_status status;
    rb_tensor_file *file = NULL;
    rb_weights_info saved = {0};
    TRY(rb_tensor_file_open(&file, t->args.weights, err));
    TRY(rb_weights_read_info(file, &saved, err));
    TRY(check_network(t, &saved, err));
    TRY(read(t, file, &saved, err));
    t->step.k = saved.grid;
    if (saved.config.input_channels == t->args.model.input_channels) {
        memcpy(t->info.preprocess.mean, saved.preprocess.mean, sizeof saved.preprocess.mean);
        memcpy(t->info.preprocess.std, saved.preprocess.std, sizeof saved.preprocess.std);
    } else {
        note_channels(t, saved.config.input_channels);
    }
fail:
    rb_weights_info_close(&saved);
    rb_tensor_file_close(&file);
    return status;
}

static revbifpn_status read_classifier(rb_trainer *t, const rb_tensor_file *file,
                                       const rb_weights_info *saved, rb_error *err) {
    if (saved->detector.classes)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "%s: weights of a detector; a classifier begins with a classifier's", t->args.weights);
    return rb_weights_read_first(file, &t->model->params, usable(t, saved), err);
}

revbifpn_status rb_train_read_weights(rb_trainer *t, rb_error *err) {
    return begin_with(t, read_classifier, err);
}

/* A detector of the same numbers, classes and all; else the backbone alone, of a detector or of a classifier.
 */
static revbifpn_status read_detector(rb_trainer *t, const rb_tensor_file *file, const rb_weights_info *saved,
                                     rb_error *err) {
    const revbifpn_detector_config *d = &saved->detector, *here = &t->info.detector;
    rb_params *params = &t->model->params;
    const char *path = t->args.weights;
    if (!d->classes) {
        snprintf(t->start_note, sizeof t->start_note,
                 "%.300s is a classifier: all behind the neck begins anew", path);
        return rb_weights_read_backbone(file, params, t->model->head_params, "backbone", err);
    }
    if (d->classes == here->classes && d->masks == here->masks && d->channels == here->channels &&
        d->features == here->features)
        return rb_weights_read(file, params, NULL, err);
    snprintf(t->start_note, sizeof t->start_note,
             "%.300s is another detector (%d classes, %s, %d channels, %d features): all behind the neck "
             "begins anew",
             path, d->classes, d->masks ? "masks" : "no masks", d->channels, d->features);
    return rb_weights_read_backbone(file, params, t->model->head_params, "", err);
}

revbifpn_status rb_train_read_detector(rb_trainer *t, rb_error *err) {
    return begin_with(t, read_detector, err);
}
