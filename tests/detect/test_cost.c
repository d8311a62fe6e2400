/* Parameters and MACs of the published detectors, to the unit (spec 5.5, 17). */
#include "check.h"

#include "detect/cost.h"
#include "model/config.h"

/* At 1344 × 800: products of backbone and neck, squeeze-excite's biases, 2 · norm outputs, upsampled values,
 * inputs of squeeze-excite's means; HRFPN's 1×1 products; all of HRFPN, RPN and box head by the published
 * rule. The masks' part is the same for all. */
typedef struct figures {
    const char *name;
    uint64_t parameters, conv, biases, normed_twice, upsampled, pooled, reduction, head;
    double faster[2], mask[2]; /* G, as printed: norms uncounted, counted */
} figures;

static const figures published[] = {
    {"s0",
     22194264,
     4788485600,
     8184,
     291681600,
     47241600,
     68124000,
     9633792000,
     129929009730,
     {134.76, 135.12},
     {187.84, 188.20}},
    {"s1",
     23118620,
     7446358304,
     10348,
     377025600,
     62227200,
     88250400,
     12386304000,
     132681521730,
     {140.19, 140.66},
     {193.26, 193.73}},
    {"s2",
     26502336,
     17041476800,
     16368,
     583363200,
     94483200,
     136248000,
     19267584000,
     139562801730,
     {156.70, 157.42},
     {209.77, 210.49}},
    {"s3",
     33038558,
     34077034496,
     26766,
     923630400,
     156710400,
     214435200,
     25323110400,
     145618328130,
     {179.85, 180.99},
     {232.92, 234.06}},
    {"s4",
     55522368,
     91901046400,
     49936,
     1662124800,
     286272000,
     383913600,
     38535168000,
     158830385730,
     {251.02, 253.06},
     {304.09, 306.14}},
    {"s5",
     80470016,
     157315904992,
     65712,
     2198481600,
     380486400,
     508082400,
     50921472000,
     171216689730,
     {328.91, 331.62},
     {381.99, 384.69}},
    {"s6",
     130151434,
     280720482816,
     96442,
     3156619200,
     555744000,
     726768000,
     63858278400,
     184153496130,
     {465.43, 469.31},
     {518.50, 522.39}},
};
static const uint64_t mask_parameters = 2643280, mask_macs = 53072409600;

typedef struct seen {
    uint64_t macs, reduction, parameters;
} seen;

static void see(void *user, const revbifpn_layer *layer) {
    seen *s = user;
    s->macs += layer->cost.macs;
    s->parameters += layer->cost.parameters;
    if (!strcmp(layer->name, "neck.reduction_conv.conv")) s->reduction = layer->cost.macs;
}

static uint64_t hundredths(uint64_t macs) { return (macs + 5000000) / 10000000; }

static void hold(const figures *f, bool masks) {
    revbifpn_model_config backbone;
    rb_detector d;
    rb_error err;
    revbifpn_detector_cost total;
    seen s = {0};
    CHECK_OK(rb_config_named(f->name, &backbone, &err), &err);
    revbifpn_detector_config config = rb_config_detector(&backbone, 80, masks);
    CHECK_OK(rb_detector_create(&d, &config, &err), &err);
    CHECK_OK(rb_detector_cost(&d, 1344, 800, see, &s, &total, &err), &err);
    uint64_t plain = f->conv + f->biases + f->upsampled + f->head + (masks ? mask_macs : 0);
    assert_true(total.parameters == f->parameters - (masks ? 0 : mask_parameters));
    assert_true(d.model.params.parameters == total.parameters && s.parameters == total.parameters);
    assert_true(s.macs == total.macs && s.reduction == f->reduction);
    assert_true(total.macs_published == plain);
    assert_true(total.macs_published_norms == plain + f->normed_twice + f->pooled);
    const double *printed = masks ? f->mask : f->faster;
    assert_true(hundredths(total.macs_published) == (uint64_t)(printed[0] * 100 + 0.5));
    assert_true(hundredths(total.macs_published_norms) == (uint64_t)(printed[1] * 100 + 0.5));
    uint64_t saved = total.macs - total.macs_run;
    if (!masks) assert_true(f->reduction - saved < f->reduction / 5); /* at least five times fewer */
    rb_detector_close(&d);
}

static void fourteen_detectors_to_the_unit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        hold(&published[i], false);
        hold(&published[i], true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fourteen_detectors_to_the_unit)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
