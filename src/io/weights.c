#include "io/weights.h"

#include <stdio.h>
#include <string.h>

#include "io/card.h"
#include "io/config.h"
#include "io/pth.h"
#include "io/weights_guess.h"
#include "io/weights_json.h"

static const void *data_of(const rb_params *params, const rb_param *p) {
    if (p->kind == RB_PARAM_COUNTER) return params->counter + p->offset;
    return (p->kind == RB_PARAM_TRAINED ? params->weight : params->statistics) + p->offset;
}

static rb_tensor_source source_of(const rb_param *p, const char *name, const void *data) {
    rb_tensor_source source = {.name = name, .ndim = p->ndim, .data = data};
    source.dtype = p->kind == RB_PARAM_COUNTER ? RB_DTYPE_I64 : RB_DTYPE_F32;
    for (int i = 0; i < p->ndim; i++) source.shape[i] = p->shape[i];
    return source;
}

typedef char block_name[sizeof((rb_param *)0)->name + RB_CHECKPOINT_PREFIX];

/* The block's part of a tensor, and its name; NULL when it has none. */
static float *place_in(const rb_checkpoint_block *block, const rb_param *p, block_name name) {
    float *base = p->kind == RB_PARAM_TRAINED   ? block->trained
                  : p->kind == RB_PARAM_RUNNING ? block->running
                                                : NULL;
    if (base) snprintf(name, sizeof(block_name), "%s.%s", block->prefix, p->name);
    return base ? base + p->offset : NULL;
}

/* The list of tensors, with those of a checkpoint after the weights. `names` holds the names of these. */
static int list_tensors(const rb_params *params, const rb_checkpoint *checkpoint, rb_tensor_source *list,
                        block_name *names) {
    int count = 0;
    for (int i = 0; i < params->count; i++)
        list[count++] = source_of(&params->list[i], params->list[i].name, data_of(params, &params->list[i]));
    for (int b = 0; checkpoint && b < checkpoint->blocks; b++)
        for (int i = 0; i < params->count; i++) {
            const rb_param *p = &params->list[i];
            const float *data = place_in(&checkpoint->block[b], p, *names);
            if (data) list[count++] = source_of(p, *names++, data);
        }
    return count;
}

static revbifpn_status write_file(const char *path, const rb_tensor_source *list, int count,
                                  const rb_weights_info *info, const rb_checkpoint *checkpoint,
                                  rb_error *err) {
    revbifpn_status status;
    char *config = NULL, *classes = NULL, *preprocess = NULL, *detector = NULL, grid[16];
    TRY(rb_config_to_json(&info->config, &config, err));
    TRY(rb_classes_to_json(info, &classes, err));
    TRY(rb_preprocess_to_json(&info->preprocess, info->config.input_channels, &preprocess, err));
    snprintf(grid, sizeof grid, "%d", info->grid);
    if (info->detector.classes) TRY(rb_detector_to_json(&info->detector, &detector, err));
    int used = 5;
    rb_tensor_metadata metadata[7] = {{"format", "pt"},
                                      {"config", config},
                                      {"classes", classes},
                                      {"preprocessing", preprocess},
                                      {"grid", grid}};
    if (detector) metadata[used++] = (rb_tensor_metadata){"detector", detector};
    if (checkpoint) metadata[used++] = (rb_tensor_metadata){"training", checkpoint->training};
    if (rb_pth_name(path) && !checkpoint) /* "format" says what the metadata of safetensors is about */
        status = rb_pth_write(path, list, count, metadata + 1, used - 1, err);
    else
        status = rb_tensor_file_write(path, list, count, metadata, used, err);
    if (status == REVBIFPN_OK && !checkpoint && !detector) status = rb_card_write(path, info, err);
fail:
    rb_free(config);
    rb_free(classes);
    rb_free(preprocess);
    rb_free(detector);
    return status;
}

revbifpn_status rb_weights_save(const char *path, const rb_params *params, const rb_weights_info *info,
                                const rb_checkpoint *checkpoint, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    size_t blocks = checkpoint ? (size_t)checkpoint->blocks : 0;
    rb_tensor_source *list = rb_alloc((1 + blocks) * (size_t)params->count * sizeof *list);
    block_name *names = rb_alloc((blocks * (size_t)params->count + 1) * sizeof *names);
    if (list && names)
        status = write_file(path, list, list_tensors(params, checkpoint, list, names), info, checkpoint, err);
    else
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for the list of tensors", path);
    rb_free(list);
    rb_free(names);
    return status;
}

static revbifpn_status missing(const rb_tensor_file *file, const char *key, rb_error *err) {
    return rb_fail(err, REVBIFPN_BAD_FILE, "%s: metadata: no \"%s\": not a weights file of this program",
                   rb_tensor_file_path(file), key);
}

revbifpn_status rb_weights_read_info(const rb_tensor_file *file, rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    *info = (rb_weights_info){0};
    const char *path = rb_tensor_file_path(file);
    const char *config = rb_tensor_file_metadata(file, "config"),
               *grid = rb_tensor_file_metadata(file, "grid");
    const char *classes = rb_tensor_file_metadata(file, "classes");
    const char *preprocess = rb_tensor_file_metadata(file, "preprocessing");
    if (!config && !classes && !preprocess && !grid) return rb_weights_guess(file, info, err);
    if (!config || !classes || !preprocess || !grid)
        return missing(file,
                       !config    ? "config"
                       : !classes ? "classes"
                       : !grid    ? "grid"
                                  : "preprocessing",
                       err);
    TRY(rb_config_from_json(path, config, strlen(config), &info->config, err));
    const char *detector = rb_tensor_file_metadata(file, "detector");
    if (detector) TRY(rb_detector_from_json(path, detector, &info->config, &info->detector, err));
    TRY(rb_classes_from_json(path, classes, info, err));
    TRY(rb_preprocess_from_json(path, preprocess, info->config.input_channels, &info->preprocess, err));
    char rest;
    if (sscanf(grid, "%d%c", &info->grid, &rest) != 1 || info->grid < 10 || info->grid > 22) {
        status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: metadata: grid \"%.20s\" is not a number from 10 to 22",
                         path, grid);
        goto fail;
    }
    return REVBIFPN_OK;
fail:
    rb_weights_info_close(info);
    return status;
}

static revbifpn_status read_tensor(const rb_tensor_file *file, const rb_param *p, const char *name,
                                   void *data, rb_error *err) {
    rb_tensor_source like = source_of(p, name, data);
    if (like.dtype == RB_DTYPE_F32)
        return rb_tensor_file_read_floats(file, name, like.ndim, like.shape, data, err);
    return rb_tensor_file_read(file, name, like.dtype, like.ndim, like.shape, data, err);
}

/* Is PREFIX.NAME a tensor of these blocks? Who wants the weights of a checkpoint alone passes over any block.
 */
static bool in_blocks(const rb_tensor_file *file, const rb_params *params, const rb_checkpoint *checkpoint,
                      const char *name) {
    const char *dot = strchr(name, '.');
    if (!dot || rb_params_find(params, dot + 1) < 0) return false;
    if (!checkpoint) return rb_tensor_file_metadata(file, "training") != NULL;
    for (int b = 0; b < checkpoint->blocks; b++) {
        size_t length = strlen(checkpoint->block[b].prefix);
        if (length == (size_t)(dot - name) && !memcmp(name, checkpoint->block[b].prefix, length)) return true;
    }
    return false;
}

revbifpn_status rb_weights_read_backbone(const rb_tensor_file *file, rb_params *params, int count,
                                         const char *prefix, rb_error *err) {
    revbifpn_status status;
    size_t length = *prefix ? strlen(prefix) + 1 : 0;
    params->maps_current = false;
    for (int i = 0; i < count; i++) {
        const rb_param *p = &params->list[i];
        TRY(read_tensor(file, p, p->name + length, (void *)(uintptr_t)data_of(params, p), err));
    }
    return REVBIFPN_OK;
fail:
    return status;
}

/* The first tensor of the file that the network does not have. */
static revbifpn_status refuse_extra(const rb_tensor_file *file, const rb_params *params,
                                    const rb_checkpoint *checkpoint, rb_error *err) {
    for (int i = 0; i < rb_tensor_file_count(file); i++) {
        const char *name = rb_tensor_file_at(file, i)->name;
        if (rb_params_find(params, name) < 0 && !in_blocks(file, params, checkpoint, name))
            return rb_fail(err, REVBIFPN_BAD_FILE, "%s: tensor %s does not belong to this network",
                           rb_tensor_file_path(file), name);
    }
    return REVBIFPN_OK;
}

static revbifpn_status read_blocks(const rb_tensor_file *file, const rb_param *p,
                                   const rb_checkpoint *checkpoint, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    for (int b = 0; checkpoint && b < checkpoint->blocks; b++) {
        block_name name;
        float *data = place_in(&checkpoint->block[b], p, name);
        if (data) TRY(read_tensor(file, p, name, data, err));
    }
fail:
    return status;
}

revbifpn_status rb_weights_read_first(const rb_tensor_file *file, rb_params *params, int count,
                                      rb_error *err) {
    revbifpn_status status;
    params->maps_current = false;
    for (int i = 0; i < count; i++) {
        const rb_param *p = &params->list[i];
        TRY(read_tensor(file, p, p->name, (void *)(uintptr_t)data_of(params, p), err));
    }
    return refuse_extra(file, params, NULL, err);
fail:
    return status;
}

revbifpn_status rb_weights_read(const rb_tensor_file *file, rb_params *params, rb_checkpoint *checkpoint,
                                rb_error *err) {
    revbifpn_status status;
    params->maps_current = false;
    for (int i = 0; i < params->count; i++) {
        const rb_param *p = &params->list[i];
        TRY(read_tensor(file, p, p->name, (void *)(uintptr_t)data_of(params, p), err));
        TRY(read_blocks(file, p, checkpoint, err));
    }
    TRY(refuse_extra(file, params, checkpoint, err));
    if (!checkpoint) return REVBIFPN_OK;
    const char *training = rb_tensor_file_metadata(file, "training");
    if (!training) return missing(file, "training", err);
    checkpoint->training = rb_alloc(strlen(training) + 1);
    if (!checkpoint->training) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory");
    strcpy(checkpoint->training, training);
    return REVBIFPN_OK;
fail:
    return status;
}
