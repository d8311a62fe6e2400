/* What a program gives a context: memory, of which every byte comes back to the allocator it is from, with
 * several contexts in several threads and inside each other's calls; lines for its log; the wish to stop.
 * THREAD-TEST */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <revbifpn.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/counter.h"
#include "api/host_objects.h"
#include "api/tiny.h"
#include "base/memory.h"

static char work[4096];

static revbifpn_status draw(revbifpn *ctx, const char *data) {
    revbifpn_synth_options o = revbifpn_default_synth();
    o.folder = data;
    o.train_images = 8;
    o.val_images = 4;
    o.classes = 2;
    o.side = 32;
    return revbifpn_synth(ctx, &o, NULL, NULL);
}

/* A tiny run of one epoch in `folder`, with pictures of its own there. */
static revbifpn_status train(revbifpn *ctx, const char *folder) {
    revbifpn_status status;
    revbifpn_trainer *trainer = NULL;
    revbifpn_report report = {0};
    revbifpn_train_config c = revbifpn_default_train();
    char data[ROOM], out[ROOM];
    c.data = inside(folder, "data", data);
    c.out = inside(folder, "run", out);
    c.epochs = 1;
    c.batch = 4;
    TRY(draw(ctx, data));
    TRY(tiny_config(ctx, &c.model));
    TRY(revbifpn_trainer_open(ctx, &c, 0, &trainer));
    while (!report.finished) TRY(revbifpn_trainer_step(trainer, &report));
    TRY(revbifpn_trainer_checkpoint(trainer));
fail:
    revbifpn_trainer_close(&trainer);
    return status;
}

/* Everything that is done with trained weights. The picture is handed out, to be freed at any time. */
static revbifpn_status use(revbifpn *ctx, const char *folder, revbifpn_image *picture) {
    revbifpn_status status;
    revbifpn_model *model = NULL;
    revbifpn_metrics metrics;
    revbifpn_prediction best[2];
    revbifpn_map maps[REVBIFPN_MAX_STREAMS], gradient = {0};
    revbifpn_image seen = {0}, back = {0}, heat = {0};
    revbifpn_val_options val = revbifpn_default_val();
    static const char *const lines[] = {"text"};
    float input[3 * 32 * 32], logits[2], *out[] = {logits};
    char path[ROOM], data[ROOM], file[ROOM];
    int found, index, count = 0;
    TRY(revbifpn_model_load(ctx, inside(folder, "run/weights/last.safetensors", path), &model));
    val.data = inside(folder, "data", data);
    TRY(revbifpn_evaluate(model, &val, &metrics));
    inside(folder, "data/val/ring/0001.jpg", file);
    TRY(revbifpn_predict_file(model, file, best, 2, &found));
    TRY(revbifpn_image_read(ctx, file, picture));
    TRY(revbifpn_predict(model, picture, best, 2, &found));
    TRY(revbifpn_features(model, picture, maps, &count));
    TRY(revbifpn_map_write_npy(ctx, inside(folder, "map.npy", path), &maps[0]));
    TRY(revbifpn_saliency(model, picture, &index, &gradient, &heat));
    TRY(revbifpn_recover(model, picture, &seen, &back));
    TRY(revbifpn_image_annotate(ctx, picture, lines, 1));
    TRY(revbifpn_image_write_png(ctx, inside(folder, "out.png", path), picture));
    TRY(revbifpn_input_read(model, file, input));
    TRY(revbifpn_run(model, input, 1, 32, 32, 0, out));
    TRY(revbifpn_export_onnx(model, inside(folder, "out.onnx", path), NULL));
    TRY(revbifpn_model_save(model, inside(folder, "out.pth", path)));
    status = revbifpn_convert(ctx, path, inside(folder, "back.safetensors", data), NULL, NULL);
fail:
    for (int i = 0; i < count; i++) revbifpn_map_free(&maps[i]);
    revbifpn_map_free(&gradient);
    revbifpn_image_free(&seen);
    revbifpn_image_free(&back);
    revbifpn_image_free(&heat);
    revbifpn_model_free(&model);
    return status;
}

static int count_path(void *user, const char *path) {
    (void)path;
    ++*(int *)user;
    return 0;
}

static void ignore_argument(void *user, const char *name, const char *a, const char *b) {
    (void)user, (void)name, (void)a, (void)b;
}

/* What needs no weights. */
static revbifpn_status look_at(revbifpn *ctx, const char *folder) {
    revbifpn_status status;
    revbifpn_model_config c;
    revbifpn_cost cost;
    revbifpn_memory memory;
    revbifpn_solution solution;
    revbifpn_check_report checked;
    revbifpn_shard_report packed;
    revbifpn_bench_result timed;
    revbifpn_run_difference difference;
    revbifpn_model *model = NULL;
    revbifpn_check_options check = revbifpn_default_check();
    revbifpn_shard_options shards = revbifpn_default_shards();
    revbifpn_bench_options bench = revbifpn_default_bench();
    revbifpn_train_config run = revbifpn_default_train();
    char data[ROOM], out[ROOM], path[ROOM];
    int pictures = 0;
    TRY(tiny_config(ctx, &c));
    TRY(revbifpn_inspect(ctx, &c, 32, 32, NULL, NULL, &cost));
    TRY(revbifpn_plan(ctx, &c, 32, 32, 2, 1, REVBIFPN_REVERSIBLE, REVBIFPN_FLOAT32, &memory));
    revbifpn_solve solve = {.model = c, .batch = 2, .training = 1, .max_memory = 2 * memory.total_bytes};
    TRY(revbifpn_plan_largest(ctx, &solve, &solution));
    check.data = shards.data = inside(folder, "data", data);
    TRY(revbifpn_check(ctx, &check, &checked));
    shards.out = inside(folder, "shards", out);
    shards.shards = 1;
    TRY(revbifpn_shards(ctx, &shards, &packed));
    check.data = out;
    TRY(revbifpn_check(ctx, &check, &checked));
    TRY(revbifpn_find_pictures(ctx, data, count_path, &pictures));
    assert_int_equal(pictures, 12);
    bench.model = c;
    bench.width = bench.height = 32;
    bench.batch = 2;
    bench.steps = 1;
    bench.data = data;
    TRY(revbifpn_bench(ctx, &bench, &timed));
    assert_int_equal(timed.allocations_after_first_step, 0);
    run.out = inside(folder, "run", path);
    run.model = c;
    TRY(revbifpn_train_differences(ctx, &run, ignore_argument, NULL));
    TRY(revbifpn_compare_runs(ctx, path, path, ignore_argument, NULL, &difference));
    TRY(revbifpn_model_create(ctx, &c, 1, &model));
fail:
    revbifpn_model_free(&model);
    return status;
}

static revbifpn_status everything(revbifpn *ctx, const char *folder, revbifpn_image *picture) {
    revbifpn_status status;
    TRY(train(ctx, folder));
    TRY(use(ctx, folder, picture));
    TRY(look_at(ctx, folder));
    TRY(judge(ctx, folder));
    status = handle_objects(ctx, folder);
fail:
    return status;
}

/* rb_alloc_count() of a thread in no call counts what found no host: a public function that does not say
 * whose memory it is, or a thread that does not know for whom it works. */
static void every_byte_comes_back(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        counter c = fresh();
        revbifpn *ctx = NULL;
        revbifpn_image picture = {0};
        char folder[4200];
        snprintf(folder, sizeof folder, "%s/whole-%d", work, threads);
        assert_int_equal(mkdir(folder, 0700), 0);
        size_t outside = rb_alloc_count();
        revbifpn_status status = open_with(&c, threads, &ctx);
        if (!status) status = everything(ctx, folder, &picture);
        if (status) fail_msg("%s", revbifpn_message(ctx));
        assert_int_equal(rb_alloc_count(), outside);
        revbifpn_close(&ctx);
        assert_true(c.calls > 500);
        assert_true(c.live > 0);       /* the picture */
        revbifpn_image_free(&picture); /* … which knows where it is from */
        assert_int_equal(c.live, 0);
        assert_int_equal(c.wrong, 0);
    }
}

typedef struct job {
    counter counter;
    char folder[4200], failure[400];
} job;

static void *run_job(void *arg) {
    job *j = arg;
    revbifpn *ctx = NULL;
    revbifpn_image picture = {0};
    if (open_with(&j->counter, 2, &ctx) || train(ctx, j->folder) || use(ctx, j->folder, &picture))
        snprintf(j->failure, sizeof j->failure, "%.380s", revbifpn_message(ctx));
    revbifpn_image_free(&picture);
    revbifpn_close(&ctx);
    if (j->counter.live) snprintf(j->failure, sizeof j->failure, "%zu bytes", (size_t)j->counter.live);
    return NULL;
}

/* What is missing when a context closes lies with the other's allocator. */
static void contexts_in_threads_never_mix(void **state) {
    (void)state;
    job jobs[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        jobs[i] = (job){.counter = fresh()};
        snprintf(jobs[i].folder, sizeof jobs[i].folder, "%s/thread-%d", work, i);
        assert_int_equal(mkdir(jobs[i].folder, 0700), 0);
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        if (jobs[i].failure[0]) fail_msg("context %d: %s", i, jobs[i].failure);
        assert_int_equal(jobs[i].counter.wrong, 0);
        assert_true(jobs[i].counter.calls > 100);
    }
}

/* Called for each picture that another context judges: a context of its own from open to close. */
static void open_and_close_another(void *user, int done, int all) {
    counter *c = user;
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_model_config config;
    (void)done, (void)all;
    if (open_with(c, 1, &ctx) || tiny_config(ctx, &config) || revbifpn_model_create(ctx, &config, 1, &model))
        atomic_fetch_add(&c->wrong, 1);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    if (c->live) atomic_fetch_add(&c->wrong, 1); /* the outer one's, if anything */
}

static void a_context_inside_anothers_call(void **state) {
    (void)state;
    counter outer = fresh(), inner = fresh();
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_model_config config;
    revbifpn_metrics metrics;
    revbifpn_val_options val = revbifpn_default_val();
    char data[ROOM];
    val.data = inside(work, "nested", data);
    val.batch = 1;
    val.workers = 0; /* pictures are read between the calls of the inner context */
    val.progress = open_and_close_another;
    val.user = &inner;
    revbifpn_status status = open_with(&outer, 2, &ctx);
    if (!status) status = draw(ctx, data);
    if (!status) status = tiny_config(ctx, &config);
    if (!status) status = revbifpn_model_create(ctx, &config, 1, &model);
    if (!status) status = revbifpn_evaluate(model, &val, &metrics);
    if (status) fail_msg("%s", revbifpn_message(ctx));
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    assert_true(inner.calls > 0);
    assert_int_equal(inner.wrong, 0);
    assert_int_equal(outer.wrong, 0);
    assert_int_equal(outer.live, 0);
}

/* Allocation 0, 1, 2, … of opening, making a network and predicting fails. */
static void an_allocator_that_fails(void **state) {
    (void)state;
    long n = 0;
    for (bool failed = true; failed; n++) {
        counter c = fresh();
        revbifpn *ctx = NULL;
        revbifpn_model *model = NULL;
        revbifpn_model_config config;
        revbifpn_prediction best[2];
        uint8_t pixels[40 * 30 * 3] = {0};
        revbifpn_image image = {.width = 40, .height = 30, .pixels = pixels};
        int found;
        c.fail_at = n;
        revbifpn_status status = open_with(&c, 2, &ctx);
        if (!status) status = tiny_config(ctx, &config);
        if (!status) status = revbifpn_model_create(ctx, &config, 1, &model);
        if (!status) status = revbifpn_predict(model, &image, best, 2, &found);
        failed = c.fail_at < 0;
        if (status != (failed ? REVBIFPN_OUT_OF_MEMORY : REVBIFPN_OK))
            fail_msg("allocation %ld: status %d, %s", n, (int)status, revbifpn_message(ctx));
        if (!failed) { /* a class without a name is called by its number */
            assert_int_equal(found, 2);
            assert_int_equal(atoi(best[0].name), best[0].index);
            assert_int_equal(atoi(best[1].name), best[1].index);
            assert_int_equal(strlen(best[0].name), 1);
        }
        revbifpn_model_free(&model);
        revbifpn_close(&ctx);
        assert_int_equal(c.live, 0);
        assert_int_equal(c.wrong, 0);
    }
    assert_true(n > 10);
}

static void half_an_allocator_and_a_crooked_one(void **state) {
    (void)state;
    counter c = fresh();
    revbifpn *ctx = NULL;
    revbifpn_options options = revbifpn_default_options();
    options.user = &c;
    options.allocate = allocate;
    assert_int_equal(revbifpn_open(&ctx, &options), REVBIFPN_BAD_ARGUMENT);
    assert_string_equal(revbifpn_message(ctx), "allocate and release: both or neither");
    revbifpn_close(&ctx);
    assert_int_equal(c.calls, 0);
    c.crooked = true;
    c.wanted = "not aligned";
    assert_int_equal(open_with(&c, 1, &ctx), REVBIFPN_OUT_OF_MEMORY);
    assert_null(ctx);
    assert_int_equal(c.live, 0);
    assert_int_equal(c.logged, 1);
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* An unreadable picture, and an index that cannot be kept because a folder lies in its place. */
static void lines_for_the_log(void **state) {
    (void)state;
    counter c = fresh();
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    revbifpn_model_config config;
    revbifpn_metrics metrics;
    revbifpn_check_report report;
    revbifpn_shard_report packed;
    revbifpn_val_options val = revbifpn_default_val();
    revbifpn_shard_options shards = revbifpn_default_shards();
    revbifpn_check_options check = revbifpn_default_check();
    char data[ROOM], path[ROOM], out[ROOM];
    assert_int_equal(open_with(&c, 1, &ctx), REVBIFPN_OK);
    val.data = shards.data = inside(work, "log", data);
    assert_int_equal(draw(ctx, data), REVBIFPN_OK);
    shards.out = inside(work, "log-shards", out);
    shards.shards = 1;
    assert_int_equal(revbifpn_shards(ctx, &shards, &packed), REVBIFPN_OK);
    assert_int_equal(c.warnings + c.notices, 0);

    write_text(inside(data, "val/ring/0001.jpg", path), "no picture");
    assert_int_equal(tiny_config(ctx, &config), REVBIFPN_OK);
    assert_int_equal(revbifpn_model_create(ctx, &config, 1, &model), REVBIFPN_OK);
    c.wanted = "val/ring/0001.jpg";
    assert_int_equal(revbifpn_evaluate(model, &val, &metrics), REVBIFPN_OK);
    assert_int_equal(metrics.bad_files, 1);
    assert_int_equal(c.logged, 1);
    assert_int_equal(c.warnings, 1);

    char index[4600];
    revbifpn_status status = REVBIFPN_OK;
    check.data = inside(out, "val/shard-000000.tar", path);
    snprintf(index, sizeof index, "%s.index", path);
    assert_int_equal(access(path, F_OK), 0);
    (void)remove(index);
    assert_int_equal(mkdir(index, 0700), 0);
    c.wanted = ".index";
    status = revbifpn_check(ctx, &check, &report);
    if (status) fail_msg("%s", revbifpn_message(ctx));
    assert_int_equal(c.logged, 2);
    assert_int_equal(c.notices, 1);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
}

/* Folders, shards and lists are read no further, and nothing has been begun. */
static void reading_is_stopped(void **state) {
    (void)state;
    counter c = fresh();
    revbifpn *ctx = NULL;
    revbifpn_trainer *trainer;
    revbifpn_check_report report;
    revbifpn_shard_report packed;
    revbifpn_train_config train_config = revbifpn_default_train();
    revbifpn_check_options check = revbifpn_default_check();
    revbifpn_shard_options shards = revbifpn_default_shards();
    char data[ROOM], run[ROOM], list[ROOM], out[ROOM], line[2 * ROOM + 80];
    assert_int_equal(open_with(&c, 1, &ctx), REVBIFPN_OK);
    train_config.data = shards.data = inside(work, "stop", data);
    train_config.out = inside(work, "stopped-run", run);
    shards.out = inside(work, "stop-shards", out);
    shards.shards = 1;
    assert_int_equal(draw(ctx, data), REVBIFPN_OK);
    assert_int_equal(tiny_config(ctx, &train_config.model), REVBIFPN_OK);
    assert_int_equal(revbifpn_shards(ctx, &shards, &packed), REVBIFPN_OK);
    snprintf(line, sizeof line, "%s/train/ring/0001.jpg a\n%s/train/ring/0001.jpg b\n", data, data);
    write_text(inside(work, "stop.txt", list), line);
    for (int after = 0; after < 6; after += 5) { /* at once; among the pictures */
        c.stop_after = after;
        assert_int_equal(revbifpn_trainer_open(ctx, &train_config, 0, &trainer), REVBIFPN_STOPPED);
        assert_null(trainer);
        assert_non_null(strstr(revbifpn_message(ctx), data));
        assert_non_null(strstr(revbifpn_message(ctx), "asked to stop"));
        assert_int_not_equal(access(run, F_OK), 0);
    }
    char shard[ROOM], index[ROOM];
    (void)remove(inside(out, "val/shard-000000.tar.index", index)); /* else the shard is not read */
    const char *sets[] = {list, inside(out, "val/shard-000000.tar", shard)};
    for (int i = 0; i < 2; i++) {
        check.data = sets[i];
        c.stop_after = 1; /* the second line or member */
        assert_int_equal(revbifpn_check(ctx, &check, &report), REVBIFPN_STOPPED);
        c.stop_after = -1;
        revbifpn_status status = revbifpn_check(ctx, &check, &report);
        if (status) fail_msg("%s", revbifpn_message(ctx));
    }
    revbifpn_close(&ctx);
    assert_int_equal(c.live, 0);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(contexts_in_threads_never_mix),
        cmocka_unit_test(a_context_inside_anothers_call),
        cmocka_unit_test(an_allocator_that_fails),
        cmocka_unit_test(half_an_allocator_and_a_crooked_one),
        cmocka_unit_test(lines_for_the_log),
        cmocka_unit_test(reading_is_stopped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
