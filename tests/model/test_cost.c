/* Parameters and MACs of the seven published networks, to the unit (DESIGN 3; spec 2.2). */
#include "check.h"

#include "model/config.h"
#include "model/cost.h"

typedef struct published {
    const char *name;
    int side;
    uint64_t parameters, macs_published, conv, linear;
} published;

static const published figures[] = {
    {"s0", 224, 3419196, 308039716, 268129648, 1280000},
    {"s1", 256, 5112300, 616781508, 549110528, 1696000},
    {"s2", 256, 10576528, 1370329000, 1266863104, 2560000},
    {"s3", 288, 19574184, 3330873312, 3119971040, 3408000},
    {"s4", 320, 48687336, 10632222080, 10162653440, 5120000},
    {"s5", 352, 81998976, 21848995912, 21096569712, 6816000},
    {"s6", 352, 142307972, 38084434748, 36995244256, 8528000},
};

static void sum(void *user, const revbifpn_layer *layer) { *(uint64_t *)user += layer->cost.macs; }

static void seven_networks_to_the_unit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const published *f = &figures[i];
        revbifpn_model_config config;
        rb_model model;
        rb_error err;
        revbifpn_cost total;
        uint64_t visited = 0;
        CHECK_OK(rb_config_named(f->name, &config, &err), &err);
        CHECK_OK(rb_model_create(&model, &config, &err), &err);
        CHECK_OK(rb_model_cost(&model, f->side, f->side, sum, &visited, &total, NULL, &err), &err);
        assert_true(config.image_width == f->side && config.image_height == f->side);
        assert_true(total.parameters == f->parameters && model.params.parameters == f->parameters);
        assert_true(total.macs == f->conv + f->linear && visited == total.macs);
        assert_true(total.macs_published == f->macs_published);
        rb_model_close(&model);
    }
}

static void sizes_are_checked(void **state) {
    (void)state;
    revbifpn_model_config config;
    rb_error err;
    CHECK_OK(rb_config_named("s0", &config, &err), &err);
    assert_int_equal(rb_model_check_input(&config, (rb_shape){1, 224, 230, 3}, false, &err),
                     REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "224x224"));
    assert_int_equal(rb_model_check_input(&config, (rb_shape){1, 32, 32, 3}, true, &err),
                     REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "one value per channel"));
    CHECK_OK(rb_model_check_input(&config, (rb_shape){1, 32, 32, 3}, false, &err), &err);
    CHECK_OK(rb_model_check_input(&config, (rb_shape){2, 32, 64, 3}, true, &err), &err);
    assert_int_equal(rb_model_check_input(&config, (rb_shape){1, 0, 32, 3}, false, &err),
                     REVBIFPN_BAD_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seven_networks_to_the_unit),
        cmocka_unit_test(sizes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
