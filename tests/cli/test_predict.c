/* predict: its sources, its formats, and the files that it writes. */
#include "runs.h"

static char root[4096], weights[4200];

static int prepare(void **state) {
    (void)state;
    char path[4200], set[4200];
    make_folder(root);
    make_set(path_of(path, root, "data"), 3, 24, 6, 40);
    make_tiny_network(path_of(path, root, "tiny.json"));
    command_works("train --data %s/data --model %s/tiny.json --batch 8 --epochs 1 --out %s/run", root, root,
                  root);
    path_of(weights, root, "run/weights/last.safetensors");
    copy_tree(path_of(path, root, "data/val"), path_of(set, root, "set"));
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

static int lines_of(const char *text) {
    int count = 0;
    for (; *text; text++) count += *text == '\n';
    return count;
}

/* What predict prints when it runs in a shell, after `before`. */
static char *shell(const char *before, const char *after, int *code) {
    char line[16000];
    put(line, sizeof line, "%s '%s' predict --weights '%s' %s 2> '%s/err'", before, command_path(), weights,
        after, root);
    FILE *pipe = popen(line, "r");
    char *text = calloc(1, 1 << 16);
    assert_true(pipe && text);
    size_t size = fread(text, 1, (1 << 16) - 1, pipe);
    text[size] = 0;
    int status = pclose(pipe);
    *code = WEXITSTATUS(status);
    return text;
}

static void expect(const char *before, const char *source, int code, int lines) {
    int got;
    char options[9000];
    put(options, sizeof options, "--source %s --topk 1", source);
    char *out = shell(before, options, &got);
    if (got != code || lines_of(out) != lines)
        fail_msg("%s: exit %d with %d lines, wanted %d with %d", source, got, lines_of(out), code, lines);
    free(out);
}

static void sources_are_files_folders_patterns_and_standard_input(void **state) {
    (void)state;
    char source[8400], before[16000];
    put(source, sizeof source, "'%s/set'", root);
    expect("", source, 0, 6);
    put(source, sizeof source, "'%s/set/*/*1.jpg'", root);
    expect("", source, 0, 3);
    put(source, sizeof source, "'%s/set/*'", root); /* folders */
    expect("", source, 0, 6);
    put(source, sizeof source, "'%s/set/?nothing'", root);
    expect("", source, 1, 0);
    put(before, sizeof before, "printf '%s/set\\n\\n%s/nothing\\n%s/set/cross/0001.jpg' |", root, root, root);
    expect(before, "-", 1, 7); /* the others go on */
    expect("printf '' |", "-", 1, 0);
    put(source, sizeof source, "'%s/run'", root);
    expect("", source, 1, 0);
    /* a name with the characters of a pattern is first of all a name */
    put(before, sizeof before, "cp '%s/set/cross/0001.jpg' '%s/a[1].jpg';", root, root);
    put(source, sizeof source, "'%s/a[1].jpg'", root);
    expect(before, source, 0, 1);
}

static void csv_has_a_line_a_class(void **state) {
    (void)state;
    char options[9000];
    int code;
    put(options, sizeof options, "--source '%s/quo\"te, \n.jpg' --format csv --topk 3", root);
    char *out = shell("", "--source /nowhere --format csv", &code);
    assert_int_equal(code, 1);
    assert_string_equal(out, "file,rank,class,probability\n");
    free(out);
    char path[4200], copy[4200];
    size_t size;
    char *bytes = file_bytes(path_of(path, root, "set/cross/0001.jpg"), &size);
    write_bytes(path_of(copy, root, "quo\"te, \n.jpg"), bytes, size);
    free(bytes);
    out = shell("", options, &code);
    assert_int_equal(code, 0);
    assert_int_equal(lines_of(out), 1 + 3 * 2); /* one line end is part of the name */
    assert_non_null(strstr(out, "/quo\"\"te, \n.jpg\",1,"));
    double sum = 0, last = 1;
    for (int rank = 1; rank <= 3; rank++) {
        char key[32];
        put(key, sizeof key, ".jpg\",%d,", rank);
        const char *row = strstr(out, key);
        assert_non_null(row);
        const char *end = row + strcspn(row, "\n");
        while (*end != ',') end--;
        double p = atof(end + 1);
        assert_true(p <= last);
        last = p;
        sum += p;
    }
    assert_true(sum > 0.999 && sum < 1.001);
    free(out);
}

static void both_ways_to_ask_for_json_agree(void **state) {
    (void)state;
    char options[9000];
    int code;
    put(options, sizeof options, "--source '%s/set' --json", root);
    char *a = shell("", options, &code);
    put(options, sizeof options, "--source '%s/set' --format json", root);
    char *b = shell("", options, &code);
    assert_string_equal(a, b);
    assert_int_equal(lines_of(a), 6);
    free(a);
    free(b);
    command_refuses(2, "exclude each other", "predict --weights %s --source %s/set --json --format csv",
                    weights, root);
}

static int files_in(const char *folder) {
    char line[9000], text[32] = "";
    put(line, sizeof line, "ls '%s/%s' | wc -l", root, folder);
    FILE *pipe = popen(line, "r");
    assert_true(pipe && fgets(text, sizeof text, pipe));
    pclose(pipe);
    return atoi(text);
}

static uint32_t big_endian(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Width and height of a PNG. */
static void check_png(const char *name, uint32_t width, uint32_t height) {
    char path[4200];
    size_t size;
    unsigned char *bytes = (unsigned char *)file_bytes(path_of(path, root, name), &size);
    if (!bytes || size < 33) fail_msg("%s is not there", name);
    assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
    assert_int_equal(big_endian(bytes + 16), width);
    assert_int_equal(big_endian(bytes + 20), height);
    free(bytes);
}

static void pictures_maps_and_gradients_are_written(void **state) {
    (void)state;
    char path[4200];
    size_t size;
    command_works("predict --weights %s --source %s/set --save-pictures %s/p --features %s/f --saliency %s/s",
                  weights, root, root, root, root);
    assert_true(files_in("p") == 6 && files_in("f") == 12 && files_in("s") == 6);
    check_png("p/cross__0001.jpg.png", 240, 240); /* 40 pixels, enlarged to where text can be read */
    check_png("s/cross__0001.jpg.png", 32, 32);
    static const char *const shapes[] = {"(48, 8, 8,)", "(48, 4, 4,)"};
    for (int i = 0; i < 2; i++) {
        char name[64];
        put(name, sizeof name, "f/cross__0001.jpg.map%d.npy", i);
        char *bytes = file_bytes(path_of(path, root, name), &size);
        assert_non_null(bytes);
        assert_int_equal(size, 128 + 48 * (i ? 16 : 64) * 4);
        assert_non_null(strstr(bytes + 10, shapes[i]));
        free(bytes);
    }
}

/* What is asked for beside it does not change the answer. */
static void the_answers_stay_the_same(void **state) {
    (void)state;
    char options[13000];
    int code;
    put(options, sizeof options, "--source '%s/set'", root);
    char *plain = shell("", options, &code);
    put(options, sizeof options, "--source '%s/set' --saliency '%s/s2' --features '%s/f2'", root, root, root);
    char *with = shell("", options, &code);
    assert_string_equal(plain, with);
    free(plain);
    free(with);
}

static void a_folder_that_cannot_be_is_told(void **state) {
    (void)state;
    command_refuses(1, "--features", "predict --weights %s --source %s/set --features %s/tiny.json", weights,
                    root, root);
    command_refuses(1, "--saliency", "predict --weights %s --source %s/set --saliency /nowhere/at/all",
                    weights, root);
}

int main(void) {
    if (command_is_missing()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_are_files_folders_patterns_and_standard_input),
        cmocka_unit_test(csv_has_a_line_a_class),
        cmocka_unit_test(both_ways_to_ask_for_json_agree),
        cmocka_unit_test(pictures_maps_and_gradients_are_written),
        cmocka_unit_test(the_answers_stay_the_same),
        cmocka_unit_test(a_folder_that_cannot_be_is_told),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
