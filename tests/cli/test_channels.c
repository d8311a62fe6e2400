/* Whole runs on pictures of five channels and of 16 bits. The classes differ in the low byte of the fourth
 * channel alone (of RGB, of blue), so a run learns only when that channel and those bits arrive. */
#include "runs.h"

#include <math.h>

#include "base/rng.h"
#include "rasters.h"

enum { SIDE = 32, CHANNELS = 5, TRAIN = 32, VAL = 12 };

static char work[4096], network[4200], wide[4200], five[4200], squeezed[4200], rgb[4200], stats[4200];

static const char *inside(const char *name) {
    static char paths[8][4200];
    static unsigned next;
    return path_of(paths[next++ % 8], work, name);
}

/* Noise everywhere; in channel `telling` 0x8010 … 0x801f for class 0, 0x80c0 … 0x80cf for class 1. */
static void fill(uint16_t *samples, int channels, int telling, int label, uint64_t number, bool squeeze) {
    rb_rng rng = rb_rng_open(11, RB_PURPOSE_TEST, number, (uint64_t)label);
    for (int i = 0; i < SIDE * SIDE * channels; i++) {
        uint32_t noise = rb_rng_u32(&rng);
        uint32_t value = i % channels == telling ? 0x8010 + 0xb0 * (uint32_t)label + noise % 16 : noise;
        samples[i] = (uint16_t)(squeeze ? value & 0xff00 : value);
    }
}

/* FOLDER/{train,val}/{dark,light}/N.ending */
static void make_raster_set(const char *folder, int channels, int telling, bool squeeze) {
    static const char *const splits[] = {"train", "val"}, *const classes[] = {"dark", "light"};
    uint16_t samples[SIDE * SIDE * CHANNELS];
    char path[8500];
    for (int split = 0; split < 2; split++)
        for (int label = 0; label < 2; label++) {
            put(path, sizeof path, "mkdir -p '%s/%s/%s'", folder, splits[split], classes[label]);
            assert_int_equal(system(path), 0);
            for (int i = 0; i < (split ? VAL : TRAIN); i++) {
                raster_file f = {.width = SIDE, .height = SIDE, .channels = channels, .bits = 16};
                f.samples = samples;
                f.compression = 8; /* deflate */
                f.planes = i % 2;
                f.tiled = i % 3 == 0;
                fill(samples, channels, telling, label, (uint64_t)(i + 1000 * split), squeeze);
                put(path, sizeof path, "%s/%s/%s/%d.%s", folder, splits[split], classes[label], i,
                    channels == 3 ? "png" : "tif");
                (channels == 3 ? raster_write_png : raster_write_tiff)(path, &f);
            }
        }
}

static void train(const char *data, const char *model, const char *more, const char *run) {
    command_works("train --data %s --model %s --out %s --batch 8 --warmup-epochs 0 --progress none %s", data,
                  model, run, more);
}

/* Top-1 of the run's last weights. */
static double top1(const char *data, const char *run) {
    char line[9000];
    put(line, sizeof line, "val --data %s --weights %s/weights/last.safetensors --json", data, run);
    json_t *result = command_json(line);
    double value = json_number_value(json_object_get(result, "top1"));
    assert_int_equal(json_integer_value(json_object_get(result, "images")), 2 * VAL);
    json_decref(result);
    return value;
}

static const char learning[] = "--channels 5 --epochs 6 --lr 0.1 --smoothing 0 --drop 0 --drop-path 0";

/* ---- check ---- */

static void check_measures_every_channel(void **state) {
    (void)state;
    double sum[CHANNELS] = {0}, squares[CHANNELS] = {0};
    uint16_t samples[SIDE * SIDE * CHANNELS];
    for (int label = 0; label < 2; label++)
        for (int i = 0; i < TRAIN; i++) {
            fill(samples, CHANNELS, 3, label, (uint64_t)i, false);
            for (int k = 0; k < SIDE * SIDE * CHANNELS; k++) {
                sum[k % CHANNELS] += samples[k] / 65535.0;
                squares[k % CHANNELS] += samples[k] / 65535.0 * (samples[k] / 65535.0);
            }
        }
    command_works("check --data %s --channels 5 --json %s --threads 2", five, stats);
    json_t *report = json_load_file(stats, 0, NULL);
    assert_non_null(report);
    assert_int_equal(json_integer_value(json_object_get(report, "channels")), CHANNELS);
    for (int c = 0; c < CHANNELS; c++) {
        double count = 2.0 * TRAIN * SIDE * SIDE, mean = sum[c] / count;
        double std = sqrt(squares[c] / count - mean * mean);
        double got_mean = json_number_value(json_array_get(json_object_get(report, "mean"), (size_t)c));
        double got_std = json_number_value(json_array_get(json_object_get(report, "std"), (size_t)c));
        if (!(fabs(got_mean - mean) < 1e-7 && fabs(got_std - std) < 1e-7))
            fail_msg("channel %d: %.9g %.9g, wanted %.9g %.9g", c, got_mean, got_std, mean, std);
    }
    json_decref(report);
    command_result r = command("check --data %s", five); /* three are the default */
    assert_int_equal(r.code, 4);
    assert_non_null(strstr(r.out, "TIFF: 5 channels; 3 are wanted (--channels)"));
    command_forget(&r);
}

/* ---- learning ---- */

static void fourth_channel_and_low_bits_are_learned(void **state) {
    (void)state;
    char more[4600];
    put(more, sizeof more, "%s --data-stats %s --threads 1 --workers 0", learning, stats);
    train(five, wide, more, inside("one"));
    put(more, sizeof more, "%s --data-stats %s --threads 2 --workers 3", learning, stats);
    train(five, wide, more, inside("two"));
    assert_same_run(inside("one"), inside("two"));
    double right = top1(five, inside("one"));
    if (!(right > 0.95)) fail_msg("top-1 %g", right);
}

/* The control: with the low bytes gone, and all else as above, nothing can be learned. */
static void without_low_bits_it_cannot(void **state) {
    (void)state;
    char more[4600];
    put(more, sizeof more, "%s --data-stats %s", learning, stats);
    train(squeezed, wide, more, inside("squeezed-run"));
    double right = top1(squeezed, inside("squeezed-run"));
    if (!(right < 0.8)) fail_msg("top-1 %g without anything to learn", right);
}

static void rgb_of_16_bits(void **state) {
    (void)state;
    static const char more[] = "--epochs 6 --lr 0.1 --smoothing 0 --drop 0 --drop-path 0 "
                               "--mean 0.5,0.5,0.5016 --std 0.29,0.29,0.00134";
    char deep[400];
    put(deep, sizeof deep, "%s --bits 16", more);
    train(rgb, network, deep, inside("rgb16"));
    train(rgb, network, more, inside("rgb8"));
    double right = top1(rgb, inside("rgb16")), narrow = top1(rgb, inside("rgb8"));
    if (!(right > 0.95 && narrow < 0.8)) fail_msg("top-1 %g in 16 bits, %g in 8", right, narrow);
}

static void augmentation_of_many_channels(void **state) {
    (void)state;
    char more[5000];
    for (int i = 1; i <= 2; i++) {
        put(more, sizeof more,
            "--channels 5 --epochs 1 --data-stats %s --reprob 0.9 --mixup 0.4 --cutmix 1 --mixup-mode elem "
            "--vflip 0.5 --threads %d --workers %d",
            stats, i, 2 * i);
        train(five, wide, more, inside(i == 1 ? "augmented1" : "augmented2"));
    }
    assert_same_run(inside("augmented1"), inside("augmented2"));
}

/* ---- use ---- */

static void predict_looks_at_all_channels(void **state) {
    (void)state;
    char weights[4200];
    path_of(weights, work, "one/weights/last.safetensors");
    for (int label = 0; label < 2; label++) {
        char line[13000];
        const char *name = label ? "light" : "dark";
        put(line, sizeof line,
            "predict --weights %s --source %s/val/%s/%d.tif --json --save-pictures %s --features %s "
            "--saliency %s",
            weights, five, name, 3 + label, inside("shown"), inside("maps"), inside("heat"));
        json_t *answer = command_json(line);
        json_t *first = json_array_get(json_object_get(answer, "predictions"), 0);
        assert_string_equal(json_string_value(json_object_get(first, "class")), name);
        json_decref(answer);
    }
    char shell[9000];
    put(shell, sizeof shell, "test $(ls %s %s | grep -c png) = 4 && test $(ls %s | grep -c npy) = 4",
        inside("shown"), inside("heat"), inside("maps"));
    assert_int_equal(system(shell), 0);
    command_refuses(1, "3 channels; 5 are wanted", "predict --weights %s --source %s/val/dark/3.png", weights,
                    rgb);
}

static void weights_and_onnx_say_how(void **state) {
    (void)state;
    size_t size;
    const char *weights = inside("one/weights/last.safetensors");
    char *card = file_bytes(inside("one/weights/config.json"), &size);
    assert_non_null(strstr(card, "\"bits\""));
    assert_non_null(strstr(card, "[5,32,32]"));
    free(card);
    command_works("export --weights %s --out %s", weights, inside("five.onnx"));
    char *onnx = file_bytes(inside("five.onnx"), &size);
    bool found = false;
    for (size_t i = 0; i + 6 < size; i++) found = found || !memcmp(onnx + i, "\"bits\"", 6);
    assert_true(found);
    free(onnx);
    card = file_bytes(inside("rgb8/weights/config.json"), &size);
    assert_null(strstr(card, "\"bits\"")); /* the usual says nothing new */
    free(card);
    command_works("convert --weights %s --out %s", weights, inside("five.pth"));
    double before = top1(five, inside("one"));
    char line[9000];
    put(line, sizeof line, "val --data %s --weights %s --json", five, inside("five.pth"));
    json_t *result = command_json(line);
    assert_true(json_number_value(json_object_get(result, "top1")) == before);
    json_decref(result);
}

/* RGB weights begin a run on five channels: every tensor fits, and the run says what that means. */
static void rgb_weights_for_five_channels(void **state) {
    (void)state;
    train(rgb, wide, "--bits 16 --epochs 1", inside("rgb-wide"));
    command_result r = command("train --data %s --weights %s --channels 5 --batch 8 --epochs 1 --lr 0 "
                               "--weight-decay 0 --data-stats %s --out %s",
                               five, inside("rgb-wide/weights/last.safetensors"), stats, inside("tuned"));
    if (r.code || !strstr(r.err, "for pictures of 3 channels, these have 5"))
        fail_msg("%d: %s%s", r.code, r.out, r.err);
    command_forget(&r);
    size_t size;
    char *card = file_bytes(inside("tuned/weights/config.json"), &size);
    assert_non_null(strstr(card, "[5,32,32]"));
    free(card);
}

static void a_resumed_run_has_the_same_bits(void **state) {
    (void)state;
    char more[4600];
    put(more, sizeof more, "%s --data-stats %s", "--channels 5 --epochs 1 --sched constant", stats);
    train(five, wide, more, inside("resumed"));
    command_works("train --resume %s --epochs 2 --progress none", inside("resumed"));
    put(more, sizeof more, "%s --data-stats %s", "--channels 5 --epochs 2 --sched constant", stats);
    train(five, wide, more, inside("straight"));
    assert_same_run(inside("resumed"), inside("straight"));
}

static void wrong_wishes_are_told(void **state) {
    (void)state;
    const char *out = inside("wrong");
    command_refuses(2, "aa 'rand-m9': changes colours",
                    "train --data %s --model %s --channels 5 --aa rand-m9 --out %s", five, wide, out);
    command_refuses(2, "color-jitter '0.4': changes colours",
                    "train --data %s --model %s --bits 16 --color-jitter 0.4 --out %s", rgb, network, out);
    command_refuses(2, "bits 8: only for pictures of 3 channels",
                    "train --data %s --model %s --channels 5 --bits 8 --out %s", five, wide, out);
    command_refuses(2, "widths[0] of 80 or more", "train --data %s --model s0 --channels 5 --out %s", five,
                    out);
    command_refuses(2, "mean: 3 numbers for pictures of 5 channels",
                    "train --data %s --model %s --channels 5 --batch 8 --mean 0.1,0.2,0.3 --out %s", five,
                    wide, out);
    command_refuses(2, "bits 8: only for 3 channels", "check --data %s --channels 5 --bits 8", five);
    command_result r =
        command("train --data %s --model %s --channels 5 --batch 8 --epochs 1 --out %s", five, wide, out);
    if (r.code || !strstr(r.err, "5 channels: mean 0.5")) fail_msg("%d: %s%s", r.code, r.out, r.err);
    command_forget(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(check_measures_every_channel),
                                       cmocka_unit_test(fourth_channel_and_low_bits_are_learned),
                                       cmocka_unit_test(without_low_bits_it_cannot),
                                       cmocka_unit_test(rgb_of_16_bits),
                                       cmocka_unit_test(augmentation_of_many_channels),
                                       cmocka_unit_test(predict_looks_at_all_channels),
                                       cmocka_unit_test(weights_and_onnx_say_how),
                                       cmocka_unit_test(rgb_weights_for_five_channels),
                                       cmocka_unit_test(a_resumed_run_has_the_same_bits),
                                       cmocka_unit_test(wrong_wishes_are_told)};
    if (command_is_missing()) skip_all("the command has not been built");
    if (!rasters_have_tiff()) skip_all("built without libtiff");
    make_folder(work);
    path_of(network, work, "tiny.json");
    path_of(wide, work, "wide.json");
    path_of(five, work, "five");
    path_of(squeezed, work, "squeezed");
    path_of(rgb, work, "rgb");
    path_of(stats, work, "stats.json");
    make_tiny_network(network);
    char line[8500];
    put(line, sizeof line, "sed 's/\"widths\": .48/\"widths\": [80/' %s > %s", network, wide);
    assert_int_equal(system(line), 0);
    make_raster_set(five, CHANNELS, 3, false);
    make_raster_set(squeezed, CHANNELS, 3, true);
    make_raster_set(rgb, 3, 2, false);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_folder(work);
    return failed ? 1 : 0;
}
