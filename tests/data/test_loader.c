/* The loader: the same batches whatever the threads, resume, replacement of bad files, limits, early close.
 * THREAD-TEST */
#include "check.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/loader.h"

enum { PICTURES = 23, BATCH = 4, WIDTH = 12, HEIGHT = 10 };

static char root[4096];
static rb_sample samples[PICTURES];
static rb_split split = {.samples = samples, .count = PICTURES};

static void picture_path(int i, char path[8192]) { snprintf(path, 8192, "%s/%d.png", root, i); }

/* Picture i: noise with a flat colour of its own mixed in, of some size. */
static void write_picture(int i) {
    rb_image image;
    rb_error err;
    rb_rng rng = rb_rng_open(1, RB_PURPOSE_TEST, (uint64_t)i, 0);
    CHECK_OK(rb_image_alloc(&image, 8 + (int)rb_rng_below(&rng, 40), 8 + (int)rb_rng_below(&rng, 40), &err),
             &err);
    for (size_t p = 0; p < (size_t)image.width * (size_t)image.height * 3; p++)
        image.pixels[p] = (uint8_t)(i * 10 + (int)rb_rng_below(&rng, 8));
    CHECK_OK(rb_image_write_png(samples[i].path, &image, &err), &err);
    rb_image_free(&image);
}

static void spoil(int i) {
    rb_error err;
    CHECK_OK(rb_file_replace(samples[i].path, "not a picture", 13, &err), &err);
}

/* Puts the first half of a JPEG in the picture's place: damaged, but readable. */
static void truncate_picture(int i) {
    unsigned char *bytes;
    size_t size;
    rb_error err;
    rb_image image;
    CHECK_OK(rb_image_alloc(&image, 64, 64, &err), &err);
    for (int p = 0; p < 64 * 64 * 3; p++) image.pixels[p] = (uint8_t)(p * p >> 3);
    CHECK_OK(rb_image_write_jpeg(samples[i].path, &image, 95, &err), &err);
    rb_image_free(&image);
    CHECK_OK(rb_file_read(samples[i].path, 1 << 20, &bytes, &size, &err), &err);
    CHECK_OK(rb_file_replace(samples[i].path, bytes, size / 2, &err), &err);
    rb_free(bytes);
}

static int make_pictures(void **state) {
    (void)state;
    static char paths[PICTURES][8192];
    make_folder(root);
    for (int i = 0; i < PICTURES; i++) {
        picture_path(i, paths[i]);
        samples[i] = (rb_sample){.path = paths[i], .label = i};
        write_picture(i);
    }
    return 0;
}

static int remove_pictures(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

static rb_loader_options options_for(bool training, int threads) {
    return (rb_loader_options){.split = &split,
                               .batch = BATCH,
                               .training = training,
                               .train = rb_train_transform_default(WIDTH, HEIGHT),
                               .eval = {.width = WIDTH, .height = HEIGHT, .crop_pct = 0.875},
                               .seed = 42,
                               .threads = threads,
                               .ring = threads ? 3 : 1,
                               .max_bad = 5,
                               .decode = {.max_pixels = 10000}};
}

static rb_loader *open_loader(const rb_loader_options *options) {
    rb_loader *loader;
    rb_error err;
    CHECK_OK(rb_loader_open(&loader, options, &err), &err);
    return loader;
}

static rb_batch next(rb_loader *loader) {
    rb_batch batch;
    rb_error err;
    CHECK_OK(rb_loader_next(loader, &batch, &err), &err);
    return batch;
}

/* A number for all that a batch says. */
static uint64_t batch_hash(const rb_batch *b) {
    uint64_t h = 0xCBF29CE484222325u ^ b->epoch ^ (uint64_t)b->index << 20 ^ (uint64_t)b->count << 40;
    for (int i = 0; i < b->count * WIDTH * HEIGHT * 3; i++) h = (h ^ b->images[i]) * 0x100000001B3u;
    for (int i = 0; i < b->count; i++) h = (h ^ (uint64_t)b->labels[i]) * 0x100000001B3u;
    return h;
}

enum { STEPS = 17 }; /* three epochs of five batches and a bit */

static void read_hashes(const rb_loader_options *options, uint64_t hashes[STEPS]) {
    rb_loader *loader = open_loader(options);
    for (int i = 0; i < STEPS; i++) {
        rb_batch batch = next(loader);
        hashes[i] = batch_hash(&batch);
    }
    rb_loader_close(&loader);
    assert_null(loader);
}

static const int thread_counts[] = {0, 1, 2, 5};

static void same_batches_for_any_threads(void **state) {
    (void)state;
    spoil(7), spoil(8), truncate_picture(11);
    for (int training = 0; training < 2; training++) {
        uint64_t want[STEPS], got[STEPS];
        rb_loader_options options = options_for(training, 0);
        read_hashes(&options, want);
        for (int i = 1; i < STEPS; i++) assert_true(want[i] != want[i - 1]);
        for (size_t t = 0; t < 4; t++) {
            options = options_for(training, thread_counts[t]);
            options.ring = 2 + (int)t;
            read_hashes(&options, got);
            assert_memory_equal(got, want, sizeof want);
        }
        options.seed++;
        read_hashes(&options, got);
        if (training) assert_true(got[0] != want[0] && got[9] != want[9]);
    }
}

/* A recipe with everything in it: policy or jitter, both flips, repetitions. */
static rb_loader_options rich_options(int threads, int which) {
    static const char *const policies[] = {"rand-m9-n3-mstd0.5-inc1", "original-mstd0.5", ""};
    rb_error err;
    rb_loader_options options = options_for(true, threads);
    options.train.vflip = 0.5;
    options.repeats = 3;
    CHECK_OK(rb_policy_parse(&options.train.policy, policies[which], &err), &err);
    CHECK_OK(rb_jitter_parse(&options.train.jitter, "0.4,0.4,0.4,0.2", &err), &err);
    return options;
}

static void same_recipes_for_any_threads(void **state) {
    (void)state;
    spoil(7), truncate_picture(11);
    for (int which = 0; which < 3; which++) {
        uint64_t want[STEPS], got[STEPS], plain[STEPS];
        rb_loader_options options = rich_options(0, which);
        read_hashes(&options, want);
        options.train.policy = (rb_policy){0};
        options.train.jitter = (rb_jitter){0};
        read_hashes(&options, plain);
        int changed = 0; /* a policy may leave all four pictures of a batch alone */
        for (int i = 0; i < STEPS; i++) changed += want[i] != plain[i];
        assert_in_range(changed, which == 2 ? STEPS : STEPS - 4, STEPS);
        for (size_t t = 1; t < 4; t++) {
            options = rich_options(thread_counts[t], which);
            options.ring = 2 + (int)t;
            read_hashes(&options, got);
            assert_memory_equal(got, want, sizeof want);
        }
        options.epoch = 1, options.first_batch = 2; /* resumed */
        rb_loader *loader = open_loader(&options);
        for (int i = 7; i < 14; i++) {
            rb_batch batch = next(loader);
            assert_true(batch_hash(&batch) == want[i]);
        }
        rb_loader_close(&loader);
    }
}

/* Each sample of the order comes three times in a row with draws of its own, the first of which are those it
 * has without repetition. */
static void repetitions_are_drawn_anew(void **state) {
    (void)state;
    rb_loader_options options = options_for(true, 2);
    options.batch = 21;
    rb_loader *once = open_loader(&options);
    options.repeats = 3;
    rb_loader *loader = open_loader(&options);
    assert_int_equal(rb_loader_batches(loader), 1);
    for (int epoch = 0; epoch < 3; epoch++) {
        rb_batch want = next(once), got = next(loader);
        size_t size = WIDTH * HEIGHT * 3;
        for (int i = 0; i < 21; i++) {
            assert_int_equal(got.samples[i], want.samples[i / 3]);
            assert_int_equal(got.labels[i], want.labels[i / 3]);
            assert_int_equal(got.repetitions[i], i % 3);
            assert_int_equal(want.repetitions[i], 0);
            if (i % 3 == 0)
                assert_memory_equal(got.images + (size_t)i * size, want.images + (size_t)(i / 3) * size,
                                    size);
            else
                assert_memory_not_equal(got.images + (size_t)i * size, got.images + (size_t)(i - 1) * size,
                                        size);
        }
    }
    rb_loader_close(&loader);
    rb_loader_close(&once);
}

/* Work is counted, whoever does it: at least what was delivered, and no more than the ring beyond it. */
static void work_is_counted(void **state) {
    (void)state;
    for (size_t t = 0; t < 4; t++) {
        rb_loader_options options = options_for(true, thread_counts[t]);
        rb_loader *loader = open_loader(&options);
        for (int i = 1; i <= STEPS; i++) {
            next(loader);
            rb_loader_work work = rb_loader_worked(loader);
            assert_true(work.pictures >= (uint64_t)(i * BATCH) && work.cpu_seconds > 0);
            assert_true(work.pictures <= (uint64_t)((i - 1 + options.ring) * BATCH));
        }
        rb_loader_close(&loader);
    }
}

static void resume_in_mid_epoch(void **state) {
    (void)state;
    uint64_t want[STEPS];
    rb_loader_options options = options_for(true, 2);
    read_hashes(&options, want);
    for (int skip = 0; skip < STEPS; skip++) {
        options = options_for(true, skip % 3);
        options.epoch = (uint64_t)skip / 5;
        options.first_batch = skip % 5;
        rb_loader *loader = open_loader(&options);
        assert_int_equal(rb_loader_batches(loader), 5);
        for (int i = skip; i < STEPS && i < skip + 7; i++) {
            rb_batch batch = next(loader);
            assert_int_equal(batch.epoch, i / 5);
            assert_int_equal(batch.index, i % 5);
            assert_int_equal(batch.last, i % 5 == 4);
            assert_true(batch_hash(&batch) == want[i]);
        }
        rb_loader_close(&loader);
    }
}

static void epochs_visit_each_picture_once(void **state) {
    (void)state;
    rb_loader_options options = options_for(true, 2);
    options.batch = PICTURES;
    options.end_epoch = 3;
    rb_loader *loader = open_loader(&options);
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[PICTURES] = {0};
        rb_batch batch = next(loader);
        assert_int_equal(batch.count, PICTURES);
        for (int i = 0; i < PICTURES; i++) {
            seen[batch.labels[i]]++;
            /* the picture that belongs to the label: its flat colour, give or take noise and bicubic
             * overshoot */
            int pixel = batch.images[i * WIDTH * HEIGHT * 3 + 100];
            assert_in_range(pixel + 5 - batch.labels[i] * 10, 0, 17);
        }
        for (int i = 0; i < PICTURES; i++) assert_int_equal(seen[i], 1);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(next(loader).count, 0); /* the end stays the end */
    rb_loader_close(&loader);
}

static void validation_keeps_order_and_rest(void **state) {
    (void)state;
    rb_loader_options options = options_for(false, 2);
    rb_loader *loader = open_loader(&options);
    assert_int_equal(rb_loader_batches(loader), 6);
    for (int i = 0; i < 12; i++) { /* two epochs */
        rb_batch batch = next(loader);
        assert_int_equal(batch.count, i % 6 == 5 ? 3 : 4);
        assert_int_equal(batch.last, i % 6 == 5);
        for (int k = 0; k < batch.count; k++) assert_int_equal(batch.labels[k], i % 6 * 4 + k);
    }
    rb_loader_close(&loader);
}

static void check_issue(const rb_loader_issue *issue, int sample, bool bad) {
    assert_string_equal(issue->path, samples[sample].path);
    assert_int_equal(issue->reason != NULL, bad);
    if (bad) assert_non_null(strstr(issue->reason, samples[sample].path));
}

static void bad_files_are_replaced_and_listed(void **state) {
    (void)state;
    spoil(3), spoil(4), spoil(22), truncate_picture(9), remove(samples[14].path);
    static const int want[PICTURES] = {0,  1,  2,  5,  5,  5,  6,  7,  8,  9,  10, 11,
                                       12, 13, 15, 15, 16, 17, 18, 19, 20, 21, 0};
    for (size_t t = 0; t < 4; t++) {
        rb_loader_options options = options_for(false, thread_counts[t]);
        rb_loader *loader = open_loader(&options);
        const rb_loader_issue *issues;
        assert_int_equal(rb_loader_issues(loader, &issues), 0);
        static const size_t listed[12] = {2, 2, 3, 4, 4, 5, 5, 5, 5, 5, 5, 5}; /* after each batch */
        for (int i = 0; i < 12; i++) {
            rb_batch batch = next(loader);
            for (int k = 0; k < batch.count; k++) assert_int_equal(batch.labels[k], want[i % 6 * 4 + k]);
            assert_int_equal(rb_loader_issues(loader, &issues), listed[i]);
        }
        check_issue(&issues[0], 3, true);
        check_issue(&issues[1], 4, true);
        check_issue(&issues[2], 9, false);
        check_issue(&issues[3], 14, true);
        check_issue(&issues[4], 22, true);
        rb_loader_close(&loader);
    }
}

static void too_many_bad_files_stop(void **state) {
    (void)state;
    spoil(2), spoil(9), spoil(15);
    for (size_t t = 0; t < 4; t++) {
        rb_loader_options options = options_for(false, thread_counts[t]);
        options.max_bad = 2;
        rb_loader *loader = open_loader(&options);
        for (int i = 0; i < 3; i++) next(loader);
        rb_batch batch;
        rb_error err;
        for (int again = 0; again < 2; again++) {
            assert_int_equal(rb_loader_next(loader, &batch, &err), REVBIFPN_BAD_DATA);
            assert_int_equal(batch.count, 0);
            assert_non_null(strstr(err.text, "3 unreadable files, more than the limit of 2 (--max-bad): "));
            assert_non_null(strstr(err.text, samples[2].path));
            assert_non_null(strstr(err.text, samples[15].path));
        }
        rb_loader_close(&loader);
    }
}

static void nothing_readable_stops(void **state) {
    (void)state;
    for (int i = 0; i < PICTURES; i++) spoil(i);
    for (size_t t = 0; t < 4; t++) {
        rb_loader_options options = options_for(true, thread_counts[t]);
        options.max_bad = t % 2 ? 1000 : 0;
        rb_loader *loader = open_loader(&options);
        rb_batch batch;
        rb_error err;
        assert_int_equal(rb_loader_next(loader, &batch, &err), REVBIFPN_BAD_DATA);
        assert_non_null(strstr(err.text, t % 2 ? "23 unreadable files, and no readable one"
                                               : "more than the limit of 0"));
        rb_loader_close(&loader);
    }
}

static void large_pictures_count_as_bad(void **state) {
    (void)state;
    rb_image image;
    rb_error err;
    CHECK_OK(rb_image_alloc(&image, 101, 100, &err), &err);
    CHECK_OK(rb_image_write_png(samples[1].path, &image, &err), &err);
    rb_image_free(&image);
    rb_loader_options options = options_for(false, 1);
    rb_loader *loader = open_loader(&options);
    rb_batch batch = next(loader);
    assert_int_equal(batch.labels[1], 2);
    const rb_loader_issue *issues;
    assert_int_equal(rb_loader_issues(loader, &issues), 1);
    assert_non_null(strstr(issues[0].reason, "--max-pixels"));
    rb_loader_close(&loader);
}

static void closes_at_any_moment(void **state) {
    (void)state;
    for (int i = 0; i < 60; i++) {
        rb_loader_options options = options_for(i % 2, i % 6);
        options.ring = 2 + i % 4;
        rb_loader *loader = open_loader(&options);
        for (int k = 0; k < i % 5; k++) next(loader);
        rb_loader_close(&loader);
        rb_loader_close(&loader);
    }
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    rb_loader *loader;
    rb_error err;
    rb_loader_options options = options_for(true, 1);
    options.batch = PICTURES + 1;
    assert_int_equal(rb_loader_open(&loader, &options, &err), REVBIFPN_BAD_DATA);
    assert_string_equal(err.text, "23 pictures do not fill one batch of 24");
    options.batch = 0;
    assert_int_equal(rb_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
    options = options_for(true, -1);
    assert_int_equal(rb_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
    options = options_for(true, 1);
    options.ring = 1;
    assert_int_equal(rb_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
    options = options_for(true, 1);
    options.decode.max_pixels = 0;
    assert_int_equal(rb_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
    options = options_for(true, 1);
    options.repeats = -1;
    assert_int_equal(rb_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "--aug-repeats -1"));
    options = options_for(true, 1);
    options.train.vflip = 2;
    assert_int_equal(rb_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
    options = options_for(false, 1);
    options.eval.crop_pct = 2;
    assert_int_equal(rb_loader_open(&loader, &options, &err), REVBIFPN_BAD_ARGUMENT);
    assert_null(loader);
}

/* Stops when `left` questions have been asked. */
static int ask(void *user) { return (*(int *)user)-- <= 0; }

/* Wherever it is stopped, the loader goes on with the same batches. */
static void stops_and_goes_on(void **state) {
    (void)state;
    uint64_t wanted[STEPS];
    for (int threads = 0; threads <= 2; threads += 2) {
        rb_loader_options options = options_for(true, threads);
        read_hashes(&options, wanted);
        int left = 0, stops = 0;
        rb_stop stop = {.asked = ask, .user = &left};
        options.stop = &stop;
        rb_loader *loader = open_loader(&options);
        for (int i = 0, tries = 0; i < STEPS; tries++) {
            rb_batch batch;
            rb_error err = {0};
            left = tries % 9;
            stop.held = tries % 11 == 0;
            revbifpn_status status = rb_loader_next(loader, &batch, &err);
            if (status == REVBIFPN_STOPPED) {
                assert_false(stop.held);
                assert_int_equal(batch.count, 0);
                stops++;
                continue;
            }
            CHECK_OK(status, &err);
            assert_true(batch_hash(&batch) == wanted[i]);
            i++;
        }
        assert_true(stops > 2);
        rb_loader_close(&loader);
    }
}

#define WITH_PICTURES(test) cmocka_unit_test_setup_teardown(test, make_pictures, remove_pictures)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PICTURES(same_batches_for_any_threads),
        WITH_PICTURES(same_recipes_for_any_threads),
        WITH_PICTURES(repetitions_are_drawn_anew),
        WITH_PICTURES(work_is_counted),
        WITH_PICTURES(resume_in_mid_epoch),
        WITH_PICTURES(epochs_visit_each_picture_once),
        WITH_PICTURES(validation_keeps_order_and_rest),
        WITH_PICTURES(bad_files_are_replaced_and_listed),
        WITH_PICTURES(too_many_bad_files_stop),
        WITH_PICTURES(nothing_readable_stops),
        WITH_PICTURES(large_pictures_count_as_bad),
        WITH_PICTURES(stops_and_goes_on),
        WITH_PICTURES(closes_at_any_moment),
        WITH_PICTURES(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
