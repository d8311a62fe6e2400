/* Every kind of file that is read, cut at every byte, or at 1000 places when it is long: an error in one line
 * that names the file, or the right answer. Files of a run folder are cut in test_files.c. */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <revbifpn.h>

#include "data/dataset.h"
#include "data/shard.h"
#include "image/image.h"
#include "io/tensor_file.h"

static char work[4096], data[4200];
static revbifpn *ctx;

/* What is made of a file: OK with whatever it checks itself, or an error in `err`. */
typedef revbifpn_status use(const char *path, size_t size, size_t whole, rb_error *err);

/* Cuts the file at `path`, writes it back, and returns at how many places it was refused. */
static int cut(const char *path, use *try_it) {
    size_t size;
    char *bytes = file_bytes(path, &size);
    if (!bytes) fail_msg("%s is not there", path);
    size_t places = size <= 4096 ? size : 1000, refused = 0;
    for (size_t i = 0; i <= places; i++) {
        rb_error err = {0};
        size_t left = size * i / places;
        write_bytes(path, bytes, left);
        revbifpn_status status = try_it(path, left, size, &err);
        refused += status != REVBIFPN_OK;
        if (status == REVBIFPN_OK) continue;
        if (left == size) fail_msg("%s, whole: %s", path, err.text);
        if (!strstr(err.text, path) || strchr(err.text, '\n') || status == REVBIFPN_OUT_OF_MEMORY)
            fail_msg("%s cut at %zu: status %d, '%s'", path, left, (int)status, err.text);
    }
    free(bytes);
    printf("%s: cut at %zu places, refused at %zu\n", path + strlen(work) + 1, places, refused);
    return (int)refused;
}

/* The same; each cut must be refused. */
static void cut_is_refused(const char *path, use *try_it) {
    size_t size;
    free(file_bytes(path, &size));
    assert_int_equal(cut(path, try_it), size <= 4096 ? size : 1000);
}

static revbifpn_status told(revbifpn_status status, rb_error *err) {
    return status ? rb_fail(err, status, "%s", revbifpn_message(ctx)) : status;
}

/* ---- weights ---- */

static revbifpn_status load(const char *path, size_t size, size_t whole, rb_error *err) {
    (void)size, (void)whole;
    revbifpn_model *model = NULL;
    revbifpn_status status = told(revbifpn_model_load(ctx, path, &model), err);
    revbifpn_model_free(&model);
    return status;
}

/* All tensors, whatever network they are of. */
static revbifpn_status read_tensors(const char *path, size_t size, size_t whole, rb_error *err) {
    (void)size, (void)whole;
    rb_tensor_file *file;
    revbifpn_status status = rb_tensor_file_open(&file, path, err);
    for (int i = 0; !status && i < rb_tensor_file_count(file); i++) {
        const rb_tensor_info *t = rb_tensor_file_at(file, i);
        void *dst = malloc(t->bytes + 1);
        assert_non_null(dst);
        status = rb_tensor_file_read(file, t->name, t->dtype, t->ndim, t->shape, dst, err);
        free(dst);
    }
    rb_tensor_file_close(&file);
    return status;
}

static void weights(void **state) {
    (void)state;
    char network[4200], path[4200];
    revbifpn_model_config config;
    revbifpn_model *model = NULL;
    make_tiny_network(path_of(network, work, "tiny.json"));
    if (revbifpn_config(ctx, network, &config) || revbifpn_model_create(ctx, &config, 1, &model) ||
        revbifpn_model_save(model, path_of(path, work, "w.safetensors")))
        fail_msg("%s", revbifpn_message(ctx));
    cut_is_refused(path, load);
    if (revbifpn_model_save(model, path_of(path, work, "w.pth"))) fail_msg("%s", revbifpn_message(ctx));
    cut_is_refused(path, load);
    revbifpn_model_free(&model);
    static const char *const theirs[] = {"small.pth", "small-legacy.pth", "views-legacy.pth",
                                         "checkpoint-legacy.pth.tar", "checkpoint.pth.tar"};
    for (int i = 0; i < 5; i++) {
        char source[200];
        size_t size;
        put(source, sizeof source, "tests/io/pth/%s", theirs[i]);
        char *bytes = file_bytes(source_path(source), &size);
        write_bytes(path_of(path, work, theirs[i]), bytes, size);
        free(bytes);
        cut_is_refused(path, read_tensors);
    }
}

/* config.json beside weights that do not say their network themselves: refused, or the same (the end of the
 * file is a newline). */
static revbifpn_status load_beside(const char *path, size_t size, size_t whole, rb_error *err) {
    char file[4200];
    revbifpn_status status = load(path_of(file, work, "plain.safetensors"), size, whole, err);
    (void)path;
    return size == whole || size < whole - 1 ? status : REVBIFPN_OK;
}

static void card(void **state) {
    (void)state;
    char from[4200], to[4200], path[4200];
    rb_error err;
    rb_tensor_file *file;
    CHECK_OK(rb_tensor_file_open(&file, path_of(from, work, "w.safetensors"), &err), &err);
    int count = rb_tensor_file_count(file);
    rb_tensor_source *sources = calloc((size_t)count, sizeof *sources);
    for (int i = 0; i < count; i++) {
        const rb_tensor_info *t = rb_tensor_file_at(file, i);
        sources[i] = (rb_tensor_source){.name = t->name, .dtype = t->dtype, .ndim = t->ndim};
        memcpy(sources[i].shape, t->shape, sizeof t->shape);
        void *values = calloc(1, t->bytes + 1);
        CHECK_OK(rb_tensor_file_read(file, t->name, t->dtype, t->ndim, t->shape, values, &err), &err);
        sources[i].data = values;
    }
    CHECK_OK(rb_tensor_file_write(path_of(to, work, "plain.safetensors"), sources, count, NULL, 0, &err),
             &err);
    for (int i = 0; i < count; i++) free((void *)(uintptr_t)sources[i].data);
    free(sources);
    rb_tensor_file_close(&file);
    assert_true(cut(path_of(path, work, "config.json"), load_beside) > 0);
}

/* ---- pictures ---- */

static rb_image whole_picture;

/* One that says not to be damaged has all its pixels. */
static revbifpn_status decode(const char *path, size_t size, size_t whole, rb_error *err) {
    rb_image image;
    rb_decode_info info;
    rb_decode_options options = {.max_pixels = 10000, .apply_exif = true};
    revbifpn_status status = rb_image_read(path, &options, &image, &info, err);
    if (status) return status;
    if (size == whole && !whole_picture.pixels) return whole_picture = image, status;
    bool same = image.width == whole_picture.width && image.height == whole_picture.height;
    if (!same) fail_msg("%s cut at %zu: another size", path, size);
    if (!info.damaged && memcmp(image.pixels, whole_picture.pixels, (size_t)(image.width * image.height * 3)))
        fail_msg("%s cut at %zu: other pixels, and not said to be damaged", path, size);
    rb_image_free(&image);
    return status;
}

static void pictures(void **state) {
    (void)state;
    static const char *const names[] = {"baseline.jpg", "progressive.jpg", "cmyk.jpg",  "grey-restarts.jpg",
                                        "rgb.png",      "palette.png",     "rgba.png",  "grey16.png",
                                        "lossy.webp",   "lossless.webp",   "plain.gif", "animated.gif",
                                        "rgb.bmp",      "palette.bmp",     "rle8.bmp",  "fields16.bmp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4200], source[200];
        size_t size;
        rb_error err;
        put(source, sizeof source, "tests/fuzz/seeds_pictures/%s", names[i]);
        char *bytes = file_bytes(source_path(source), &size);
        write_bytes(path_of(path, work, names[i]), bytes, size);
        free(bytes);
        CHECK_OK(decode(path, size, size, &err), &err); /* keeps the whole one */
        assert_true(cut(path, decode) > 0);
        rb_image_free(&whole_picture);
    }
}

/* ---- data sets ---- */

static rb_shard_index whole_index;

static bool same_index(const rb_shard_index *a, const rb_shard_index *b) {
    enum { HEAD = 32 }; /* it has the shard's time of change */
    return a->size == b->size && a->count == b->count &&
           !memcmp(a->bytes + HEAD, b->bytes + HEAD, a->size - HEAD - 8);
}

static revbifpn_status index_shard(const char *path, size_t size, size_t whole, rb_error *err) {
    rb_shard_index index;
    (void)whole;
    revbifpn_status status = rb_shard_index_make(&index, path, err);
    if (status) return status;
    if (!same_index(&index, &whole_index)) fail_msg("%s cut at %zu: other pictures", path, size);
    rb_shard_index_close(&index);
    return status;
}

/* Of a cut index nothing is noticed: it is made anew. */
static revbifpn_status use_index(const char *path, size_t size, size_t whole, rb_error *err) {
    rb_shard_index index;
    char shard[4200];
    (void)whole;
    put(shard, sizeof shard, "%.*s", (int)(strlen(path) - strlen(".index")), path);
    revbifpn_status status = rb_shard_index_open(&index, shard, err);
    if (status) return status;
    if (!same_index(&index, &whole_index)) fail_msg("%s cut at %zu: other pictures", path, size);
    rb_shard_index_close(&index);
    return status;
}

static void shards(void **state) {
    (void)state;
    char path[4200], index[4300], out[4200];
    rb_error err;
    revbifpn_shard_report report;
    revbifpn_shard_options options = revbifpn_default_shards();
    options.data = data;
    options.out = path_of(out, work, "shards");
    options.shards = 1;
    if (revbifpn_shards(ctx, &options, &report)) fail_msg("%s", revbifpn_message(ctx));
    path_of(path, out, "train/shard-000000.tar");
    CHECK_OK(rb_shard_index_open(&whole_index, path, &err), &err);
    put(index, sizeof index, "%s.index", path);
    assert_int_equal(cut(index, use_index), 0);
    assert_true(cut(path, index_shard) > 900); /* what is behind the first block of zeros says nothing */
    rb_shard_index_close(&whole_index);
}

/* Samples of the whole, from the first on. */
static revbifpn_status open_samples(const char *path, const char *root, size_t records, rb_error *err) {
    rb_dataset d;
    rb_dataset_options options = {.purpose = RB_DATASET_ALL};
    revbifpn_status status = rb_dataset_open(&d, root, &options, err);
    if (!status && (size_t)d.train.count != records)
        fail_msg("%s: %d samples instead of %zu", path, d.train.count, records);
    rb_dataset_close(&d);
    return status;
}

static revbifpn_status open_cifar(const char *path, size_t size, size_t whole, rb_error *err) {
    char folder[4200];
    (void)whole;
    put(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    return open_samples(path, folder, size / 3073, err);
}

/* Lines are counted as the reader must: those with a label, cut or not. */
static revbifpn_status open_list(const char *path, size_t size, size_t whole, rb_error *err) {
    size_t bytes, lines = 0;
    char *text = file_bytes(path, &bytes);
    (void)size, (void)whole;
    for (char *line = text, *end; *line; line = end) {
        end = strchrnul(line, '\n');
        if (*end) *end++ = 0;
        lines += *line != 0;
    }
    free(text);
    return open_samples(path, path, lines, err);
}

static void lists_and_cifar(void **state) {
    (void)state;
    char path[4200], folder[4200];
    static unsigned char records[3 * 3073];
    records[3073] = 4;
    path_of(folder, work, "cifar");
    assert_int_equal(mkdir(folder, 0777), 0);
    write_bytes(path_of(path, folder, "data_batch_1.bin"), records, sizeof records);
    assert_true(cut(path, open_cifar) > 990);
    write_text(path_of(path, work, "list.txt"), "a/one.jpg 0\nb/two.jpg 1\nthree with blanks.png 12\n");
    assert_true(cut(path, open_list) > 0);
}

/* Mean and deviation out of a report of `check`. */
static revbifpn_status read_stats(const char *path, size_t size, size_t whole, rb_error *err) {
    char mean[REVBIFPN_STATS_TEXT], std[REVBIFPN_STATS_TEXT];
    (void)size, (void)whole;
    return told(revbifpn_data_stats(ctx, path, mean, std), err);
}

static void statistics(void **state) {
    (void)state;
    char path[4200];
    write_text(path_of(path, work, "report.json"),
               "{\"findings\": [], \"mean\": [0.5, 0.25, 0.125], \"std\": [0.25, 0.25, 0.5]}");
    cut_is_refused(path, read_stats);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    make_set(path_of(data, work, "data"), 2, 6, 2, 32);
    return revbifpn_open(&ctx, NULL) != REVBIFPN_OK;
}

static int tear_down(void **state) {
    (void)state;
    revbifpn_close(&ctx);
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights),         cmocka_unit_test(card),
        cmocka_unit_test(pictures),        cmocka_unit_test(shards),
        cmocka_unit_test(lists_and_cifar), cmocka_unit_test(statistics),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
