/* A detector's step: the same bits whatever the threads and whether activations are kept, in the planned
 * bytes however many objects there are. THREAD-TEST */
#include "check.h"

#include <math.h>

#include "base/host.h"
#include "detect/detector.h"
#include "model/config.h"

enum { PICTURES = 2, HEIGHT = 128, WIDTH = 160, MANY = 3000, CHANNELS = 32 };

typedef struct world {
    rb_detector detector;
    rb_pool *pool;
    rb_ops ops;
    rb_exec exec;
    rb_shape image;
    float *input;
    rb_truth truth[PICTURES];
    float *boxes;
    int32_t *labels;
    rb_mask *masks;
    rb_span *spans;
} world;

static float uniform(rb_rng *rng) { return (float)(2 * rb_rng_uniform(rng) - 1); }

/* `count` boxes of any size, with a mask of the left half of each; those of both pictures lie side by side.
 */
static void make_objects(world *w, int count, rb_rng *rng) {
    size_t all = (size_t)count * PICTURES;
    w->boxes = malloc(all * 4 * sizeof(float));
    w->labels = malloc(all * sizeof *w->labels);
    w->masks = malloc(all * sizeof *w->masks);
    w->spans = malloc(all * sizeof *w->spans);
    for (size_t i = 0; i < all; i++) {
        float *b = w->boxes + 4 * i;
        b[0] = (float)rb_rng_below(rng, 80);
        b[1] = (float)rb_rng_below(rng, 80);
        b[2] = b[0] + 4 + (float)rb_rng_below(rng, 40);
        b[3] = b[1] + 4 + (float)rb_rng_below(rng, 40);
        w->labels[i] = (int32_t)rb_rng_below(rng, 3);
        uint32_t height = 120, begin = (uint32_t)b[0] * height;
        w->spans[i] = (rb_span){begin, begin + (uint32_t)(b[2] - b[0]) / 2 * height};
        w->masks[i] = (rb_mask){height, 150, &w->spans[i], 1};
    }
    for (int n = 0; n < PICTURES; n++) {
        size_t first = (size_t)n * (size_t)count;
        w->truth[n] = (rb_truth){150, 120, count, w->boxes + 4 * first, w->labels + first, w->masks + first};
    }
}

static void open_detector(world *w, int objects, int threads, bool masks) {
    rb_error err;
    revbifpn_model_config backbone;
    *w = (world){.image = {PICTURES, HEIGHT, WIDTH, 3}};
    CHECK_OK(rb_config_named("s0", &backbone, &err), &err);
    revbifpn_detector_config c = rb_config_detector(&backbone, 3, masks);
    c.channels = CHANNELS;
    c.features = 40;
    c.train_per_level = 300;
    c.train_proposals = 120;
    c.test_per_level = c.test_proposals = 60;
    c.anchors_drawn = 64;
    c.boxes_drawn = 48;
    c.most_objects = objects;
    CHECK_OK(rb_detector_create(&w->detector, &c, &err), &err);
    rb_model_fix_norms(&w->detector.model);
    CHECK_OK(rb_params_allocate(&w->detector.model.params, true, &err), &err);
    CHECK_OK(rb_pool_open(&w->pool, threads, &err), &err);
    rb_ops_fill(&w->ops, rb_cpu_detect());
    rb_params_init(&w->detector.model.params, 5, w->pool);
    rb_rng rng = rb_rng_open(11, RB_PURPOSE_TEST, 0, 0);
    w->input = malloc(rb_elements(w->image) * sizeof(float));
    for (size_t i = 0; i < rb_elements(w->image); i++) w->input[i] = uniform(&rng);
    make_objects(w, objects, &rng);
}
static void open_world(world *w, int objects, int threads) { open_detector(w, objects, threads, true); }

static void close_world(world *w) {
    rb_exec_close(&w->exec);
    rb_detector_close(&w->detector);
    rb_pool_close(&w->pool);
    free(w->input);
    free(w->boxes);
    free(w->labels);
    free(w->masks);
    free(w->spans);
}

static void plan(world *w, bool training, bool stored) {
    rb_error err;
    rb_exec_close(&w->exec);
    rb_step_bytes bytes = rb_detector_measure(&w->detector, &w->ops, w->pool, w->image, training, stored);
    CHECK_OK(rb_exec_open(&w->exec, &w->ops, w->pool, &bytes, &err), &err);
}

static rb_detect_losses train(world *w, bool stored) {
    rb_error err;
    rb_detect_losses losses;
    rb_images images = {.shape = w->image, .floats = w->input};
    rb_pass pass = {.exec = &w->exec, .err = &err, .training = true, .stored = stored, .k = RB_GRID_START};
    rb_params *p = &w->detector.model.params;
    memset(p->gradient, 0, p->trained * sizeof(float));
    pass.seed = 9;
    pass.step = 3;
    CHECK_OK(rb_detector_train(&w->detector, &pass, &images, w->truth, 1, &losses), &err);
    return losses;
}

static float *gradients(int threads, bool stored, size_t *bytes) {
    world w;
    open_world(&w, 6, threads);
    plan(&w, true, stored);
    rb_detect_losses losses = train(&w, stored);
    for (int i = 0; i < RB_LOSS_PARTS; i++) assert_true(losses.part[i] > 0);
    assert_true(losses.accuracy >= 0 && losses.accuracy <= 1);
    assert_true(w.detector.counts[1] >= 6 && w.detector.counts[1] + w.detector.counts[2] <= 2 * 48);
    *bytes = w.detector.model.params.trained * sizeof(float);
    float *copy = malloc(*bytes);
    memcpy(copy, w.detector.model.params.gradient, *bytes);
    close_world(&w);
    return copy;
}

static void bits_do_not_depend_on_threads_or_what_is_kept(void **state) {
    (void)state;
    size_t bytes;
    float *one = gradients(1, false, &bytes);
    for (int threads = 1; threads <= 3; threads++) {
        float *other = gradients(threads, threads == 2, &bytes);
        assert_memory_equal(one, other, bytes);
        free(other);
    }
    free(one);
}

/* The plan is what is used; after the first step nothing is allocated. */
static void steps_stay_in_the_plan(world *w) {
    plan(w, true, false);
    train(w, false);
    size_t calls = rb_alloc_count();
    train(w, false);
    assert_true(rb_alloc_count() == calls);
    assert_true(w->exec.kept.high == w->exec.kept.capacity);
    assert_true(w->exec.scratch.high <= w->exec.scratch.capacity);
}

static void many_objects_train_in_the_planned_bytes(void **state) {
    (void)state;
    world w;
    open_world(&w, MANY, 2);
    steps_stay_in_the_plan(&w);
    assert_int_equal(w.detector.counts[1], PICTURES * 48 / 4); /* a quarter at most has an object */
    assert_true(w.detector.counts[2] <= PICTURES * 48 * 3 / 4);
    for (int i = 0; i < 2; i++) assert_int_equal(w.detector.anchor_counts[i], PICTURES * 64 / 2);
    size_t planned = w.exec.scratch.capacity;
    for (int n = 0; n < PICTURES; n++) w.truth[n].count = n; /* none at all, and one */
    steps_stay_in_the_plan(&w);
    assert_true(w.exec.scratch.capacity == planned);
    close_world(&w);
}

/* The object (its index in the picture) that a proposal learns which is the best one of both objects of the
 * first picture; −1: none. */
static int learned_by_proposal(bool masks) {
    world w;
    rb_error err;
    float objects[] = {0, 0, 100, 100, 0, 0, 100, 75},
          proposal[] = {0, 0, 100, 90}; /* overlaps 0.9 and 0.83 */
    int32_t labels[] = {0, 1}, counts[] = {1, 0};
    open_detector(&w, 2, 1, masks);
    plan(&w, true, false);
    rb_truth truth[PICTURES] = {{.boxes = objects, .labels = labels, .count = 2}, {.boxes = objects}};
    rb_pass pass = {.exec = &w.exec, .err = &err, .training = true};
    w.detector.model.image = w.image;
    w.detector.proposals = proposal;
    w.detector.proposal_count = counts;
    rb_rois drawn = rb_rois_draw(&w.detector, &pass, truth);
    int found = -1;
    assert_int_equal(drawn.count, 3); /* both objects learn themselves */
    for (int i = 0; i < drawn.count; i++) {
        assert_int_equal(drawn.label[i], drawn.truth[i]);
        if (drawn.boxes[4 * i + 3] == 90) found = drawn.truth[i];
    }
    close_world(&w);
    return found;
}

/* Segmenters give an object its best proposals (the last object that a proposal is best for has it); other
 * detectors give a proposal its best object. */
static void only_segmenters_let_objects_choose(void **state) {
    (void)state;
    assert_int_equal(learned_by_proposal(true), 1);
    assert_int_equal(learned_by_proposal(false), 0);
}

/* ---- heads in chunks */

enum { BOXES = 300, EARLY = 270, OBJECTS = 6, PIXELS = RB_MASK_SIDE * RB_MASK_SIDE };

/* Boxes of both pictures with objects at random; label 3 is background. */
typedef struct boxes_of {
    float at[4 * BOXES];
    int32_t image[BOXES], label[BOXES], truth[BOXES];
} boxes_of;

static void random_boxes(boxes_of *b) {
    rb_rng rng = rb_rng_open(8, RB_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < BOXES; i++) {
        float *box = b->at + 4 * i;
        for (int side = 0; side < 2; side++) {
            box[side] = (float)rb_rng_below(&rng, 80);
            box[side + 2] = box[side] + 4 + (float)rb_rng_below(&rng, 40);
        }
        b->image[i] = i % PICTURES;
        b->label[i] = (int32_t)rb_rng_below(&rng, 4);
        b->truth[i] = b->label[i] == 3 ? -1 : (int32_t)rb_rng_below(&rng, OBJECTS);
    }
}

/* Sums over boxes first … last − 1: of the losses, and of those that were classified right. */
typedef struct sums {
    double class, box, mask, right;
} sums;

static sums learn_from(world *w, boxes_of *b, int first, int last) {
    rb_error err;
    rb_detect_losses l = {0};
    rb_pass pass = {.exec = &w->exec, .err = &err, .training = true};
    rb_rois rois = {last - first, b->at + 4 * first, b->image + first, b->label + first, b->truth + first};
    int count = last - first, objects = 0;
    for (int i = first; i < last; i++) objects += b->truth[i] >= 0;
    rb_box_head_learn(&w->detector, &pass, w->truth, &rois, 1, &l);
    rb_mask_head_learn(&w->detector, &pass, w->truth, &rois, 1, &l);
    return (sums){l.part[RB_LOSS_CLASS] * count, l.part[RB_LOSS_BOX] * count, l.part[RB_LOSS_MASK] * objects,
                  l.accuracy * count};
}

static void assert_sum(double whole, double early, double late) {
    assert_true(early > 0 && late > 0 && fabs(whole - early - late) < 1e-5 * whole);
}

/* What a box gives does not depend on those that go with it: the losses of all are those of two parts. */
static void heads_learn_in_chunks(void **state) {
    (void)state;
    world w;
    static boxes_of b;
    open_world(&w, OBJECTS, 2);
    w.detector.config.boxes_drawn = BOXES / PICTURES;
    plan(&w, true, false);
    train(&w, false); /* leaves maps, and room for their gradient */
    float *wgt = rb_param_weight(&w.detector.model.params, w.detector.mask_logits.wgt);
    for (int i = 0; i < 3 * CHANNELS; i++) wgt[i] *= 1000; /* masks that differ by box */
    random_boxes(&b);
    sums all = learn_from(&w, &b, 0, BOXES), early = learn_from(&w, &b, 0, EARLY);
    sums late = learn_from(&w, &b, EARLY, BOXES);
    assert_sum(all.class, early.class, late.class);
    assert_sum(all.box, early.box, late.box);
    assert_sum(all.mask, early.mask, late.mask);
    assert_sum(all.right, early.right, late.right);
    close_world(&w);
}

static void judge(world *w, const boxes_of *b, int first, float *scores, float *masks) {
    static float codes[BOXES * 3 * 4];
    rb_error err;
    rb_pass pass = {.exec = &w->exec, .err = &err};
    const float *at = b->at + 4 * first;
    int count = BOXES - first;
    int32_t label[BOXES];
    for (int i = 0; i < count; i++) label[i] = b->label[first + i] % 3;
    rb_box_head_judge(&w->detector, &pass, count, at, b->image + first, scores, codes);
    rb_mask_head_form(&w->detector, &pass, count, at, b->image + first, label, masks);
}

static void heads_judge_in_chunks(void **state) {
    (void)state;
    world w;
    static boxes_of b;
    static float scores[BOXES * 4], late_scores[BOXES * 4], masks[BOXES * PIXELS], late_masks[BOXES * PIXELS];
    open_world(&w, OBJECTS, 2);
    plan(&w, true, false);
    train(&w, false);
    random_boxes(&b);
    judge(&w, &b, 0, scores, masks);
    judge(&w, &b, EARLY, late_scores, late_masks);
    rb_diff nothing = rb_diff_f32(scores, late_scores, (BOXES - EARLY) * 4); /* boxes differ */
    rb_diff off = rb_diff_f32(scores + EARLY * 4, late_scores, (BOXES - EARLY) * 4);
    assert_true(nothing.max_abs > 0 && off.max_abs <= 1e-2 * nothing.max_abs);
    nothing = rb_diff_f32(masks, late_masks, (BOXES - EARLY) * PIXELS);
    off = rb_diff_f32(masks + EARLY * PIXELS, late_masks, (BOXES - EARLY) * PIXELS);
    assert_true(nothing.max_abs > 0 && off.max_abs <= 1e-2 * nothing.max_abs);
    close_world(&w);
}

/* Classes that are not likely enough give no detection. */
static void unlikely_classes_are_left_out(void **state) {
    (void)state;
    static rb_detections found[PICTURES];
    world w;
    rb_error err;
    int labels[3] = {0};
    open_world(&w, 4, 2);
    rb_params *p = &w.detector.model.params;
    memset(rb_param_weight(p, w.detector.box_class.wgt), 0, 4 * 40 * sizeof(float));
    memcpy(rb_param_weight(p, w.detector.box_class.bias), (float[]){0, 0, -2.65f, -0.5f}, 4 * sizeof(float));
    plan(&w, false, false); /* shares of 0.37, 0.37, 0.026 and, background, 0.23 */
    rb_images images = {.shape = w.image, .floats = w.input};
    rb_frame frames[PICTURES] = {{150, 120}, {160, 128}};
    rb_pass pass = {.exec = &w.exec, .err = &err, .k = RB_GRID_START};
    CHECK_OK(rb_detector_detect(&w.detector, &pass, &images, frames, found), &err);
    for (int n = 0; n < PICTURES; n++)
        for (int i = 0; i < found[n].count; i++) labels[found[n].at[i].label]++;
    assert_true(labels[0] > 0 && labels[1] > 0 && labels[2] == 0);
    close_world(&w);
}

/* W·concat(up(x)) + b, as the paper writes it, in double: at some pixels of y_0. */
static double reference_sum(const rb_detector *d, int n, int y, int x, int o) {
    const float *wgt = rb_param_weight(&d->model.params, d->reduction.wgt);
    double sum = (double)rb_param_weight(&d->model.params, d->reduction.bias)[o];
    int in = 0, first = 0;
    for (int i = 0; i < 4; i++) in += d->model.map_widths[i];
    for (int i = 0; i < 4; i++) {
        int h = d->model.streams.shape[i].h, w = d->model.streams.shape[i].w, c = d->model.map_widths[i];
        double fy = fmax((y + 0.5) / (1 << i) - 0.5, 0), fx = fmax((x + 0.5) / (1 << i) - 0.5, 0);
        int y0 = (int)fy, x0 = (int)fx, y1 = y0 + 1 < h ? y0 + 1 : y0, x1 = x0 + 1 < w ? x0 + 1 : x0;
        const float *map = d->maps[i] + (size_t)n * (size_t)(h * w * c);
        for (int k = 0; k < c; k++) {
            double a = (double)map[(y0 * w + x0) * c + k], b = (double)map[(y0 * w + x1) * c + k];
            double e = (double)map[(y1 * w + x0) * c + k], f = (double)map[(y1 * w + x1) * c + k];
            double top = a + (b - a) * (fx - x0), bottom = e + (f - e) * (fx - x0);
            sum += (double)wgt[o * in + first + k] * (top + (bottom - top) * (fy - y0));
        }
        first += c;
    }
    return sum;
}

static void reducing_first_is_the_same(void **state) {
    (void)state;
    world w;
    rb_error err;
    open_world(&w, 4, 2);
    plan(&w, false, false);
    rb_images images = {.shape = w.image, .floats = w.input};
    rb_frame frames[PICTURES] = {{150, 120}, {160, 128}};
    static rb_detections found[PICTURES];
    rb_pass pass = {.exec = &w.exec, .err = &err, .k = RB_GRID_START};
    CHECK_OK(rb_detector_detect(&w.detector, &pass, &images, frames, found), &err);
    const rb_detector *d = &w.detector;
    rb_rng rng = rb_rng_open(2, RB_PURPOSE_TEST, 0, 0);
    double error = 0, norm = 0;
    for (int i = 0; i < 2000; i++) {
        int n = (int)rb_rng_below(&rng, PICTURES), y = (int)rb_rng_below(&rng, HEIGHT / 4);
        int x = (int)rb_rng_below(&rng, WIDTH / 4), o = (int)rb_rng_below(&rng, CHANNELS);
        double expected = reference_sum(d, n, y, x, o);
        double got = (double)d->sums[0][((n * HEIGHT / 4 + y) * (WIDTH / 4) + x) * CHANNELS + o];
        error += (got - expected) * (got - expected);
        norm += expected * expected;
    }
    assert_true(sqrt(error / norm) < 2e-6); /* float32 sums of 560 products */
    close_world(&w);
}

/* Boxes lie in their picture, by falling score, with probabilities as masks. */
static void detections_are_in_order(void **state) {
    (void)state;
    world w;
    rb_error err;
    open_world(&w, 4, 2);
    plan(&w, false, false);
    rb_images images = {.shape = w.image, .floats = w.input};
    rb_frame frames[PICTURES] = {{150, 120}, {160, 128}};
    static rb_detections found[PICTURES];
    rb_pass pass = {.exec = &w.exec, .err = &err, .k = RB_GRID_START};
    CHECK_OK(rb_detector_detect(&w.detector, &pass, &images, frames, found), &err);
    for (int n = 0; n < PICTURES; n++) {
        assert_true(found[n].count > 0 && found[n].masks);
        for (int i = 0; i < found[n].count; i++) {
            const rb_detection *d = &found[n].at[i];
            assert_true(d->score > 0.05f && (!i || d->score <= d[-1].score));
            assert_true(d->box[0] >= 0 && d->box[1] >= 0 && d->box[2] <= (float)frames[n].width &&
                        d->box[3] <= (float)frames[n].height);
            for (int p = 0; p < 784; p++) {
                float mask = found[n].masks[i * 784 + p];
                assert_true(mask > 0 && mask < 1);
            }
        }
    }
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_threads_or_what_is_kept),
        cmocka_unit_test(many_objects_train_in_the_planned_bytes),
        cmocka_unit_test(only_segmenters_let_objects_choose),
        cmocka_unit_test(heads_learn_in_chunks),
        cmocka_unit_test(heads_judge_in_chunks),
        cmocka_unit_test(unlikely_classes_are_left_out),
        cmocka_unit_test(reducing_first_is_the_same),
        cmocka_unit_test(detections_are_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
