#include "small_detector.h"

#include "check.h"
#include "golden_compare.h"
#include "model/config.h"
#include "small_run.h"

revbifpn_detector_config small_detector_config(int classes, bool masks) {
    revbifpn_model_config backbone = small_run_custom(4, 3);
    backbone.neck = 1;
    revbifpn_detector_config c = rb_config_detector(&backbone, classes, masks);
    c.channels = 20;
    c.features = 36;
    c.test_per_level = 300;
    c.test_proposals = 200;
    c.long_side = 640;
    c.short_side = 512;
    return c;
}

void small_detector_open(rb_detector *d, const revbifpn_detector_config *config) {
    rb_error err;
    CHECK_OK(rb_config_check(&config->backbone, &err), &err);
    CHECK_OK(rb_detector_create(d, config, &err), &err);
    CHECK_OK(rb_params_allocate(&d->model.params, false, &err), &err);
    golden_fill(&d->model.params);
    float *codes = rb_param_weight(&d->model.params, d->rpn_box.bias);
    for (int i = 0; i < 4 * RB_ANCHORS_PER_CELL; i++)
        codes[i] += i % 4 < 2 ? 0 : 1.5f; /* logarithms of sides */
}

rb_weights_info small_detector_info(const rb_detector *d) {
    return (rb_weights_info){
        .config = d->model.config, .detector = d->config, .preprocess = rb_preprocess_default(), .grid = 22};
}

void small_detector_save(const char *path, const rb_detector *d) {
    rb_error err;
    rb_weights_info info = small_detector_info(d);
    CHECK_OK(rb_weights_save(path, &d->model.params, &info, NULL, &err), &err);
}
