/* Weights of classifiers and detectors from one format into another. */
#include <string.h>

#include "api/context.h"
#include "io/pth.h"
#include "model/config.h"

/* What the file says of itself, or `config` when it says nothing. */
static revbifpn_status read_info(const rb_tensor_file *file, const revbifpn_model_config *config,
                                 rb_weights_info *info, rb_error *err) {
    revbifpn_status status;
    char difference[200];
    const char *path = rb_tensor_file_path(file);
    if (!config) return rb_weights_read_info(file, info, err);
    TRY(rb_api_check_config(config, err));
    *info =
        (rb_weights_info){.config = *config, .preprocess = rb_preprocess_default(), .grid = RB_GRID_START};
    if (!rb_tensor_file_metadata(file, "config")) return REVBIFPN_OK;
    TRY(rb_weights_read_info(file, info, err));
    if (!rb_config_equal_architecture(&info->config, config, difference, sizeof difference))
        status = rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: says itself that it is another network: %s", path,
                         difference);
fail:
    return status;
}

/* The network that the file is of, without values. */
static revbifpn_status build(const rb_weights_info *info, rb_detector *network, rb_error *err) {
    if (info->detector.classes) return rb_detector_create(network, &info->detector, err);
    return rb_model_create(&network->model, &info->config, err);
}

static revbifpn_status check_name(const char *out, rb_error *err) {
    static const char ending[] = ".safetensors";
    size_t length = strlen(out), end = sizeof ending - 1;
    if (rb_pth_name(out) || (length > end && !strcmp(out + length - end, ending))) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: the name must end in .safetensors, .pth, .pt or .pth.tar",
                   out);
}

revbifpn_status revbifpn_convert(revbifpn *ctx, const char *weights, const char *out, const char *key,
                                 const revbifpn_model_config *config) {
    RB_ENTER(ctx);
    revbifpn_status status;
    rb_tensor_file *file = NULL;
    rb_weights_info info = {0};
    rb_detector network = {0}; /* of a classifier the model in it alone */
    rb_params *params = &network.model.params;
    TRY(check_name(out, &ctx->error));
    TRY(rb_tensor_file_open_key(&file, weights, key, &ctx->error));
    TRY(read_info(file, config, &info, &ctx->error));
    TRY(build(&info, &network, &ctx->error));
    TRY(rb_params_allocate(params, false, &ctx->error));
    TRY(rb_weights_read(file, params, NULL, &ctx->error));
    status = rb_weights_save(out, params, &info, NULL, &ctx->error);
fail:
    rb_detector_close(&network);
    rb_weights_info_close(&info);
    rb_tensor_file_close(&file);
    return status;
}
