/* The programs of examples/: what they promise. */
#include "check.h"
#include "command.h"

#include <math.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/synth.h"
#include "image/image.h"

static void recover_writes_the_picture_that_the_network_saw(void **state) {
    (void)state;
    char folder[4096], line[16000], in[4200], out[4200];
    const char *build = getenv("REVBIFPN_BUILD");
    rb_error err;
    rb_image image, back;
    make_folder(folder);
    snprintf(in, sizeof in, "%s/in.png", folder);
    snprintf(out, sizeof out, "%s/out.png", folder);
    CHECK_OK(rb_image_alloc(&image, 224, 224, &err), &err); /* the size of S0: nothing is scaled */
    rb_synth_draw(&image, 3, 1, 1);
    CHECK_OK(rb_image_write_png(in, &image, &err), &err);
    snprintf(line, sizeof line, "%s/example_recover %s %s > %s/said", build ? build : "build", in, out,
             folder);
    assert_int_equal(system(line), 0);
    rb_decode_options options = {.max_pixels = 1000000};
    CHECK_OK(rb_image_read(out, &options, &back, NULL, &err), &err);
    assert_true(back.width == 224 && back.height == 224);
    assert_memory_equal(back.pixels, image.pixels, 224 * 224 * 3);
    snprintf(line, sizeof line, "%s/example_recover %s/said %s 2> %s/why", build ? build : "build", folder,
             out, folder);
    assert_int_not_equal(system(line), 0);
    rb_image_free(&image);
    rb_image_free(&back);
    remove_folder(folder);
}

/* What an example says, called with these words in that folder; its exit status is `code`. */
static char *say(const char *folder, const char *words, int code) {
    char line[16000], said[4200];
    const char *build = getenv("REVBIFPN_BUILD");
    size_t size;
    unsigned char *bytes;
    rb_error err;
    snprintf(said, sizeof said, "%s/said", folder);
    snprintf(line, sizeof line, "PATH=%s:$PATH && cd %s && %s > said 2>&1", build ? build : "build", folder,
             words);
    assert_int_equal(system(line), code * 256);
    CHECK_OK(rb_file_read(said, 1000000, &bytes, &size, &err), &err);
    char *text = test_calloc(size + 1, 1);
    memcpy(text, bytes, size);
    rb_free(bytes);
    return text;
}

/* A set of 40 pictures, and a run of two epochs on it. */
static char *train_on_drawn_pictures(const char *folder) {
    char line[8192];
    snprintf(line, sizeof line, "synth --out %s/set --images 40 --val-images 8 --classes 4 --imgsz 64",
             folder);
    command_result drawn = command_run(line);
    assert_int_equal(drawn.code, 0);
    command_forget(&drawn);
    return say(folder, "example_train set run set/val/cross/0001.jpg 2 32", 0);
}

static void train_keeps_weights_and_goes_on(void **state) {
    (void)state;
    char folder[4096];
    make_folder(folder);
    char *first = train_on_drawn_pictures(folder);
    char *second = say(folder, "example_train set run set/val/cross/0001.jpg 3 32", 0);
    char *wrong = say(folder, "example_train set run nothing.jpg 3 32", 1);
    assert_non_null(strstr(first, "epoch 1 of 2"));
    assert_non_null(strstr(first, "epoch 2 of 2"));
    assert_non_null(strstr(second, "epoch 3 of 3"));
    assert_null(strstr(second, "epoch 2 of"));
    assert_non_null(strstr(wrong, "nothing.jpg: cannot open"));
    test_free(first);
    test_free(second);
    test_free(wrong);
    remove_folder(folder);
}

/* The first answer of `train` is the largest logit, and its probability the softmax of all. */
static void logits_are_those_of_the_prediction(void **state) {
    (void)state;
    static const char *const classes[] = {"cross", "ring", "square", "triangle"};
    char folder[4096], best[32];
    double probability, logits[4], sum = 0;
    int largest = 0;
    make_folder(folder);
    char *answer = train_on_drawn_pictures(folder);
    assert_int_equal(sscanf(strstr(answer, "0001.jpg: "), "0001.jpg: %31[a-z], %lf", best, &probability), 2);
    char *said = say(folder, "example_logits run/weights/best.safetensors set/val/cross/0001.jpg", 0);
    const char *at = said;
    for (int i = 0; i < 4; i++) {
        int index, length;
        char name[32];
        assert_int_equal(sscanf(at, "%d %lf %31s\n%n", &index, &logits[i], name, &length), 3);
        assert_int_equal(index, i);
        assert_string_equal(name, classes[i]);
        if (logits[i] > logits[largest]) largest = i;
        at += length;
    }
    assert_string_equal(at, "");
    assert_string_equal(classes[largest], best);
    for (int i = 0; i < 4; i++) sum += exp(logits[i] - logits[largest]);
    assert_true(fabs(1 / sum - probability) < 1e-4); /* four digits are printed */
    test_free(answer);
    test_free(said);
    char *wrong = say(folder, "example_logits run/args.json set/val/cross/0001.jpg", 1);
    assert_non_null(strstr(wrong, "logits: run/args.json: "));
    test_free(wrong);
    remove_folder(folder);
}

int main(void) {
    if (command_is_missing()) skip_all("the command is not built");
    const struct CMUnitTest tests[] = {cmocka_unit_test(recover_writes_the_picture_that_the_network_saw),
                                       cmocka_unit_test(train_keeps_weights_and_goes_on),
                                       cmocka_unit_test(logits_are_those_of_the_prediction)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
