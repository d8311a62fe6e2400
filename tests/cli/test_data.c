/* The same pictures as folder, shards and list: the same bits of a run; and revbifpn check. */
#include "runs.h"

#include <math.h>

#include "image/image.h"

static char work[4096], set[4200], network[4200];

static const char *inside(const char *name) {
    static char paths[6][4200];
    static unsigned next;
    return path_of(paths[next++ % 6], work, name);
}

/* ---- sources ---- */

/* The list of a split's pictures in the order of the folder, labels as names. */
static void write_list(const char *list, const char *split) {
    char line[8500];
    put(line, sizeof line,
        "cd '%s' && find %s -name '*.jpg' | sort | sed 's|\\([^/]*\\)/\\([^/]*\\)/\\(.*\\)|&\\t\\2|' > '%s'",
        set, split, list);
    assert_int_equal(system(line), 0);
}

static void train(const char *data, const char *more, const char *run) {
    command_works("train --data %s --model %s --out %s --epochs 2 --batch 4 --threads 1 --warmup-epochs 0 %s",
                  data, network, run, more);
}

static void folder_shards_and_list_give_the_same_run(void **state) {
    (void)state;
    char more[4300];
    train(set, "", inside("folder"));
    command_works("convert --data %s --out %s --shards 3", set, inside("shards"));
    train(inside("shards"), "--workers 1", inside("sharded"));
    assert_same_run(inside("folder"), inside("sharded"));
    train(inside("shards"), "--workers 3", inside("sharded3")); /* from the indexes, with other threads */
    assert_same_run(inside("folder"), inside("sharded3"));
    write_list(inside("set/train.list"), "train");
    write_list(inside("set/val.list"), "val");
    put(more, sizeof more, "--val-data %s", inside("set/val.list"));
    train(inside("set/train.list"), more, inside("listed"));
    assert_same_run(inside("folder"), inside("listed"));
}

/* val on each of the three, for the crops of the specification. */
static void val_sees_the_same_everywhere(void **state) {
    (void)state;
    static const char *const crops[] = {"0.875", "0.95", "1"};
    const char *weights = inside("folder/weights/last.safetensors");
    const char *const places[] = {set, inside("shards"), inside("set/val.list")};
    char first[3][256] = {""};
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < 3; p++) {
            command_result r =
                command("val --data %s --weights %s --crop-pct %s --json", places[p], weights, crops[c]);
            if (r.code) fail_msg("%s: %s", places[p], r.err);
            if (p) assert_string_equal(r.out, first[c]);
            put(first[c], sizeof first[c], "%s", r.out);
            command_forget(&r);
        }
    assert_string_not_equal(first[0], first[1]); /* the crop does make a difference */
    assert_string_not_equal(first[1], first[2]);
}

static double loss_of(const char *options, int *images) {
    char line[4096];
    put(line, sizeof line, "val --json %s", options);
    json_t *r = command_json(line);
    double loss = json_number_value(json_object_get(r, "loss"));
    *images = (int)json_integer_value(json_object_get(r, "images"));
    json_decref(r);
    return loss;
}

/* val on what a run validated on: a part held out, or another place. */
static void val_judges_what_training_did(void **state) {
    (void)state;
    char more[400], options[3000];
    int images;
    put(more, sizeof more, "--val-fraction 0.25 --seed 11");
    train(inside("set/train"), more, inside("held_out"));
    char csv[4200];
    size_t size;
    put(csv, sizeof csv, "%s/results.csv", inside("held_out"));
    char *text = file_bytes(csv, &size), *row = strchr(text, '\n') + 1;
    for (char *next; (next = strchr(row, '\n')) && next[1];) row = next + 1;
    double loss;
    assert_int_equal(sscanf(row, "%*[^,],%*[^,],%*[^,],%lf", &loss), 1);
    free(text);
    put(options, sizeof options, "--weights %s --data %s --val-fraction 0.25 --seed 11",
        inside("held_out/weights/last.safetensors"), inside("set/train"));
    double ours = loss_of(options, &images);
    assert_true(images > 0 && images < 12);
    if (!(fabs(ours - loss) <= 1e-6 * loss)) fail_msg("loss %.9g, of the run %.9g", ours, loss);
    put(options, sizeof options, "--weights %s --data %s --val-fraction 0.25 --seed 12",
        inside("held_out/weights/last.safetensors"), inside("set/train"));
    assert_true(loss_of(options, &images) != ours); /* another part */
    put(options, sizeof options, "--weights %s --data %s --val-data %s",
        inside("folder/weights/last.safetensors"), inside("set/train"), inside("set/val"));
    ours = loss_of(options, &images);
    put(options, sizeof options, "--weights %s --data %s", inside("folder/weights/last.safetensors"), set);
    assert_true(loss_of(options, &images) == ours);
    command_refuses(2, "exclude each other", "val --weights w --data d --val-data e --val-fraction 0.5");
    command_refuses(2, "--seed does nothing", "val --weights w --data d --seed 5");
}

static void bench_is_fed_by_all(void **state) {
    (void)state;
    static unsigned char records[8 * 3073];
    assert_int_equal(mkdir(inside("cifar"), 0777), 0);
    write_bytes(inside("cifar/data_batch_1.bin"), records, sizeof records);
    const char *const places[] = {set, inside("shards"), inside("set/train.list"), inside("cifar")};
    for (int i = 0; i < 4; i++) {
        char line[9000];
        put(line, sizeof line, "bench --model %s --batch 4 --steps 1 --threads 1 --json --data %s", network,
            places[i]);
        json_t *r = command_json(line), *fed = json_object_get(r, "data");
        assert_true(json_number_value(json_object_get(fed, "images_per_second_best")) > 0);
        json_decref(r);
    }
    command_refuses(1, "empty", "bench --model %s --batch 4 --steps 1 --data %s", network, inside("empty"));
}

static void wrong_options_are_told(void **state) {
    (void)state;
    command_refuses(2, "either --shards or --shard-size", "convert --data %s --out %s", set, inside("x"));
    command_refuses(2, "exclude each other", "convert --data %s --weights w --out x --shards 2", set);
    command_refuses(2, "--key does nothing without --weights", "convert --data %s --out x --shards 2 --key k",
                    set);
    command_refuses(2, "--shards does nothing without --data", "convert --weights w --out x.pth --shards 2");
    command_refuses(2, "not empty", "convert --data %s --out %s --shards 2", set, set);
    command_refuses(2, "not a pattern", "train --data %s/s-{1..}.tar --model %s", work, network);
    command_refuses(2, "mean '2': numbers in 0 … 1", "train --data %s --model %s --mean 2 --out %s --batch 4",
                    set, network, inside("y"));
    command_refuses(2, "std: 2 numbers for pictures of 3 channels",
                    "train --data %s --model %s --std 0.1,0.2 --out %s --batch 4", set, network, inside("y"));
}

/* ---- check ---- */

static json_t *check(const char *data, int code) {
    command_result r = command("check --data %s --json %s", data, inside("report.json"));
    if (r.code != code) fail_msg("check --data %s: exit %d, not %d: %s%s", data, r.code, code, r.out, r.err);
    command_forget(&r);
    json_t *root = json_load_file(inside("report.json"), 0, NULL);
    assert_non_null(root);
    return root;
}

/* How many findings of that kind there are, on paths that end so. */
static int found(json_t *report, const char *kind, const char *ending) {
    size_t i;
    json_t *item;
    int count = 0;
    json_array_foreach(json_object_get(report, "findings"), i, item) {
        const char *path = json_string_value(json_object_get(item, "path"));
        size_t a = strlen(path), b = strlen(ending);
        count += !strcmp(json_string_value(json_object_get(item, "kind")), kind) && a >= b &&
                 !strcmp(path + a - b, ending);
    }
    return count;
}

static void write_picture(const char *path, int width, int height, bool grey) {
    rb_error err;
    rb_image image;
    CHECK_OK(rb_image_alloc(&image, width, height, &err), &err);
    for (int i = 0; i < width * height * 3; i++)
        image.pixels[i] = (uint8_t)(grey ? i / 3 * 7 + width : i * 5 + height);
    CHECK_OK(rb_image_write_png(path, &image, &err), &err);
    rb_image_free(&image);
}

static void a_clean_set_has_no_faults(void **state) {
    (void)state;
    json_t *report = check(set, 0), *again = NULL;
    assert_int_equal(json_array_size(json_object_get(report, "findings")), 0);
    assert_int_equal(json_integer_value(json_object_get(report, "train")), 12);
    again = check(inside("shards"), 0);
    assert_true(json_equal(report, again));
    json_decref(report);
    json_decref(again);
}

static void each_fault_is_found(void **state) {
    (void)state;
    char command_line[9000], bad[4200];
    size_t size;
    path_of(bad, work, "bad");
    copy_tree(set, bad);
    put(command_line, sizeof command_line,
        "cd '%s' && cp train/ring/0001.jpg val/ring/copy.jpg && cp train/ring/0002.jpg train/cross/moved.jpg "
        "&&"
        " cp train/ring/0003.jpg train/ring/again.jpg && cp train/ring/0004.jpg train/ring/called.png &&"
        " echo nothing > train/ring/text.gif && head -c 700 train/cross/0001.jpg > train/cross/cut.jpg",
        bad);
    assert_int_equal(system(command_line), 0);
    write_picture(inside("bad/train/cross/tiny.png"), 40, 15, false);
    write_picture(inside("bad/train/cross/grey.png"), 40, 40, true);
    write_picture(inside("bad/train/cross/one.png"), 41, 40, false);
    /* the same pixels in other bytes: a comment chunk is no pixel */
    char *bytes = file_bytes(inside("bad/train/cross/one.png"), &size);
    FILE *f = fopen(inside("bad/train/cross/two.png"), "wbe");
    assert_true(fwrite(bytes, 1, size - 12, f) == size - 12);
    static const unsigned char text[] = {0, 0, 0, 3, 't', 'E', 'X', 't', 'a', 0, 'b', 0x62, 0xd8, 0x9a, 0x6b};
    assert_true(fwrite(text, 1, sizeof text, f) == sizeof text && fwrite(bytes + size - 12, 1, 12, f) == 12);
    fclose(f);
    free(bytes);
    json_t *r = check(bad, 4);
    assert_int_equal(found(r, "in_both_splits", "val/ring/copy.jpg"), 1);
    assert_int_equal(found(r, "two_classes", ""), 1);
    assert_int_equal(found(r, "same_bytes", ""), 2); /* again.jpg, called.png, each or its twin */
    assert_int_equal(found(r, "wrong_extension", "called.png"), 1);
    assert_int_equal(found(r, "unreadable", "text.gif"), 1);
    assert_int_equal(found(r, "unreadable", "cut.jpg") + found(r, "damaged", "cut.jpg"), 1);
    assert_int_equal(found(r, "tiny", "tiny.png"), 1);
    assert_int_equal(found(r, "grey", "grey.png"), 1);
    assert_int_equal(found(r, "same_pixels", "two.png"), 1);
    assert_int_equal(found(r, "", ""), 0);
    assert_int_equal(json_integer_value(json_object_get(r, "faults")), 8);
    assert_int_equal(json_array_size(json_object_get(r, "findings")), 10);
    json_t *one = check(bad, 4);
    command_result other = command("check --data %s --threads 1 --json %s", bad, inside("one.json"));
    assert_int_equal(other.code, 4);
    command_forget(&other);
    assert_same_file(inside("report.json"), inside("one.json")); /* with one thread the same */
    json_decref(one);
    json_decref(r);
}

/* Mean and deviation against sums made here; then used by a run, whose weights carry them. */
static void statistics_go_into_the_weights(void **state) {
    (void)state;
    command_works("synth --out %s --images 4 --val-images 2 --classes 2 --imgsz 32", inside("four"));
    json_t *r = check(inside("four"), 0);
    double sum[3] = {0}, squares[3] = {0}, pixels = 0;
    static const char *const names[] = {"0001.jpg", "0002.jpg"};
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(r, "classes"), i, item) for (int n = 0; n < 2; n++) {
        char path[4700];
        rb_error err;
        rb_image image;
        rb_decode_options options = {.max_pixels = 10000};
        put(path, sizeof path, "%s/four/train/%s/%s", work, json_string_value(json_object_get(item, "name")),
            names[n]);
        CHECK_OK(rb_image_read(path, &options, &image, NULL, &err), &err);
        for (int p = 0; p < 3 * 32 * 32; p++) {
            sum[p % 3] += image.pixels[p];
            squares[p % 3] += image.pixels[p] * image.pixels[p];
        }
        pixels += 32 * 32;
        rb_image_free(&image);
    }
    for (size_t c = 0; c < 3; c++) {
        double mean = sum[c] / pixels, std = sqrt(squares[c] / pixels - mean * mean);
        double told = json_number_value(json_array_get(json_object_get(r, "mean"), c));
        assert_true(fabs(told - mean / 255) < 1e-9);
        told = json_number_value(json_array_get(json_object_get(r, "std"), c));
        assert_true(fabs(told - std / 255) < 1e-9);
    }
    command_works("train --data %s --model %s --out %s --epochs 1 --batch 4 --data-stats %s --std 0.25",
                  inside("four"), network, inside("stats"), inside("report.json"));
    size_t size;
    char *args = file_bytes(inside("stats/args.json"), &size), text[64];
    put(text, sizeof text, "\"mean\": \"%.10g,", sum[0] / pixels / 255);
    assert_non_null(strstr(args, text));
    assert_non_null(strstr(args, "\"std\": \"0.25\""));
    free(args);
    char *card = file_bytes(inside("stats/weights/config.json"), &size);
    put(text, sizeof text, "%.8f", sum[0] / pixels / 255);
    text[7] = 0; /* five digits, whatever the rounding of the last */
    if (!card || !strstr(card, text)) fail_msg("%s is not in config.json: %s", text, card);
    free(card);
    json_decref(r);
}

/* The files of ../shared/data/awkward, each under the label of what its index expects. */
static void awkward_files_are_told(void **state) {
    (void)state;
    const char *path = shared_path("data/awkward/index.json");
    if (!path) {
        print_message("../shared/data/awkward is not here\n");
        skip();
    }
    json_t *index = json_load_file(path, 0, NULL), *item;
    FILE *list = fopen(inside("awkward.list"), "we");
    size_t i;
    int sure = 0;
    assert_true(index && list);
    json_array_foreach(index, i, item) {
        const char *file = json_string_value(json_object_get(item, "file"));
        char relative[512];
        put(relative, sizeof relative, "data/awkward/%s", file);
        fprintf(list, "%s\t%s\n", shared_path(relative), json_string_value(json_object_get(item, "expect")));
    }
    fclose(list);
    json_t *r = check(inside("awkward.list"), 4);
    assert_int_equal(json_integer_value(json_object_get(r, "train")), 110);
    json_array_foreach(index, i, item) {
        const char *file = json_string_value(json_object_get(item, "file"));
        const char *expect = json_string_value(json_object_get(item, "expect"));
        bool fine = !strcmp(expect, "ok"), wrong = !strcmp(expect, "error") || !strcmp(expect, "limit");
        int unreadable = found(r, "unreadable", file);
        if ((fine && unreadable) || (wrong && !unreadable)) fail_msg("%s: %d", file, unreadable);
        sure += fine || wrong;
    }
    assert_true(sure > 80);
    json_decref(index);
    json_decref(r);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    path_of(set, work, "set");
    path_of(network, work, "tiny.json");
    make_set(set, 3, 12, 6, 32);
    make_tiny_network(network);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_shards_and_list_give_the_same_run),
        cmocka_unit_test(val_sees_the_same_everywhere),
        cmocka_unit_test(val_judges_what_training_did),
        cmocka_unit_test(bench_is_fed_by_all),
        cmocka_unit_test(wrong_options_are_told),
        cmocka_unit_test(a_clean_set_has_no_faults),
        cmocka_unit_test(each_fault_is_found),
        cmocka_unit_test(awkward_files_are_told),
        cmocka_unit_test(statistics_go_into_the_weights),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) ? 1 : 0;
}
