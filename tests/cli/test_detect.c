/* Detectors as whole runs: trained from a COCO folder, killed and resumed, begun from other weights.
 * SLOW-TEST */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <glob.h>
#include <math.h>

#include "base/rng.h"
#include "io/weights.h"

enum { KILLS = 8 };

static char work[4096], data[4200], network[4200], whole[4200];

static const char *train_line(const char *task, const char *out, const char *extra) {
    static char line[16000];
    put(line, sizeof line,
        "train --task %s --data %s --model %s --fpn 16 --fc 24 --imgsz 96 --scales 64..96 --epochs 2 --seed "
        "7 --out %s %s",
        task, data, network, out, extra);
    return line;
}

static char *first_line(const char *run, const char *file) {
    char path[4200];
    size_t size;
    char *text = file_bytes(path_of(path, run, file), &size);
    assert_non_null(text);
    text[strcspn(text, "\n")] = 0;
    return text;
}

static void a_run_leaves_what_runs_leave(void **state) {
    (void)state;
    static const char *const names[] = {"args.json",
                                        "results.csv",
                                        "report.html",
                                        "steps.jsonl",
                                        "weights/last.safetensors",
                                        "weights/best.safetensors",
                                        "checkpoint.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_true(has_file(whole, names[i]));
    char *header = first_line(whole, "results.csv");
    assert_string_equal(header,
                        "epoch,lr,train_loss,loss_rpn_cls,loss_rpn_bbox,loss_cls,loss_bbox,loss_mask,ap,ap50,"
                        "ap75,ap_small,ap_medium,ap_large,ar1,ar10,ar100,ar_small,ar_medium,ar_large,mask_ap,"
                        "mask_ap50,mask_ap75,mask_ap_small,mask_ap_medium,mask_ap_large,mask_ar1,mask_ar10,"
                        "mask_ar100,mask_ar_small,mask_ar_medium,mask_ar_large,grid");
    free(header);
}

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) count++;
    return count;
}

static char *report_of(const char *run) {
    char path[4200];
    size_t size;
    char *html = file_bytes(path_of(path, run, "report.html"), &size);
    assert_non_null(html);
    assert_int_equal(strlen(html), size);
    assert_int_equal(count_of(html, "http://") + count_of(html, "https://") + count_of(html, "<script"), 0);
    assert_int_equal(count_of(html, "src="), count_of(html, "src=\"data:image/jpeg;base64,"));
    return html;
}

static void wants(const char *html, const char *const *parts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strstr(html, parts[i])) fail_msg("the report lacks '%s'", parts[i]);
}

static void the_report_tells_the_run(void **state) {
    (void)state;
    static const char *const parts[] = {
        "2 of 2</b>epochs",
        "Mask R-CNN on small, 2 classes, 12 training and 5 validation pictures",
        "best AP of masks",
        "Training loss and its parts",
        "<title>1: proposal box ",
        "<title>2: mask ",
        "Boxes: average precision by epoch",
        "Masks: average precision by epoch",
        "Learning rate",
        "Pictures a second",
        "Boxes: precision by recall, mean over classes",
        "Masks: precision by recall at an overlap of 0.50, by class",
        "The worst pictures",
        "5 validation pictures, ",
        "A training batch as the network sees it",
        "Memory of a step",
        "<th>task</th>",
        "<th>commit</th>"};
    char *html = report_of(whole);
    wants(html, parts, sizeof parts / sizeof *parts);
    /* the validation is 5 pictures, the batch that of the recipe, which the 12 pictures fill at least once */
    assert_true(count_of(html, "<img ") >= 3 && count_of(html, "<img ") <= 5 + 12);
    free(html);
}

static char *only_events(const char *run, size_t *size) {
    char pattern[4300];
    glob_t found;
    put(pattern, sizeof pattern, "%s/events.out.tfevents.*", run);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    char *bytes = file_bytes(found.gl_pathv[0], size);
    globfree(&found);
    return bytes;
}

static void events_have_the_parts_of_the_loss(void **state) {
    (void)state;
    static const char *const tags[] = {"epoch/loss_rpn_cls", "epoch/loss_rpn_bbox", "epoch/loss_cls",
                                       "epoch/loss_bbox",    "epoch/loss_mask",     "epoch/mask_ap50"};
    size_t size;
    char *bytes = only_events(whole, &size);
    for (int i = 0; i < 6; i++)
        if (!memmem(bytes, size, tags[i], strlen(tags[i]))) fail_msg("no %s", tags[i]);
    free(bytes);
}

/* The parts of the loss add up to it. */
static void losses_add_up(void **state) {
    (void)state;
    char path[4200];
    size_t size;
    int rows = 0;
    char *csv = file_bytes(path_of(path, whole, "results.csv"), &size);
    for (char *row = csv; (row = strchr(row, '\n')) && row[1]; rows++) {
        double n[8], sum = 0;
        row++;
        assert_int_equal(sscanf(row, "%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf", &n[0], &n[1], &n[2], &n[3], &n[4],
                                &n[5], &n[6], &n[7]),
                         8);
        for (int i = 3; i < 8; i++) sum += n[i];
        assert_true(fabs(sum - n[2]) < 1e-6 * n[2]); /* nine digits are written, losses are doubles */
        for (int i = 3; i < 8; i++) assert_true(n[i] > 0);
    }
    assert_int_equal(rows, 2);
    free(csv);
}

/* Pictures without an object to find: every number is −1, and the page says so. */
static void a_validation_without_objects(void **state) {
    (void)state;
    char empty[4200], run[4200], path[4200];
    path_of(empty, work, "empty");
    copy_tree(data, empty);
    json_error_t error;
    json_t *val = json_load_file(path_of(path, empty, "annotations/instances_val.json"), 0, &error);
    assert_non_null(val);
    json_array_clear(json_object_get(val, "annotations"));
    assert_int_equal(json_dump_file(val, path, 0), 0);
    json_decref(val);
    command_works("train --task detect --data %s --model %s --fpn 16 --fc 24 --imgsz 96 --epochs 1 --out %s",
                  empty, network, path_of(run, work, "nothing"));
    static const char *const parts[] = {"Faster R-CNN", "best AP<", "No class has an object",
                                        "5 validation pictures, "};
    char *html = report_of(run);
    wants(html, parts, sizeof parts / sizeof *parts);
    assert_int_equal(count_of(html, "average precision by epoch") + count_of(html, "Masks:"), 0);
    free(html);
    char *header = first_line(run, "results.csv");
    assert_non_null(strstr(header, ",loss_bbox,ap,"));
    free(header);
}

/* A report that cannot be written costs a line, not the run. */
static void a_run_does_not_need_its_report(void **state) {
    (void)state;
    char run[4200], path[4200];
    copy_tree(whole, path_of(run, work, "odd"));
    assert_int_equal(unlink(path_of(path, run, "report.html")), 0);
    assert_int_equal(mkdir(path, 0777), 0);
    command_result r = command("train --resume %s --epochs 3", run);
    if (r.code) fail_msg("%s", r.err);
    assert_non_null(strstr(r.err, "report.html"));
    command_forget(&r);
}

static void threads_and_stored_activations_give_the_same_bits(void **state) {
    (void)state;
    char other[4200];
    command_works("%s", train_line("segment", path_of(other, work, "one"), "--threads 1 --workers 0"));
    assert_same_run(other, whole);
    command_works("%s", train_line("segment", path_of(other, work, "kept"), "--activations stored"));
    assert_same_run(other, whole);
}

/* Killed anywhere, a run that goes on ends in the bytes of the undisturbed one. */
static void killed_runs_end_the_same(void **state) {
    (void)state;
    char killed[4200], other[4200];
    path_of(killed, work, "killed");
    double start = now_ms();
    command_works("%s", train_line("segment", path_of(other, work, "timed"), "--checkpoint-steps 1"));
    double time = now_ms() - start;
    rb_rng rng = rb_rng_open(5, RB_PURPOSE_TEST, 0, 0);
    int resumed = 0;
    for (int i = 0; i < KILLS; i++) {
        char line[4400];
        put(line, sizeof line, "rm -rf %s", killed);
        assert_int_equal(system(line), 0);
        command_child p =
            command_start(train_line("segment", killed, i % 2 ? "--checkpoint-steps 1" : ""), NULL);
        pause_ms(time * (0.1 + 0.9 * (double)rb_rng_below(&rng, 1000) / 1000));
        kill(p.id, SIGKILL);
        command_result r = command_wait(&p);
        command_forget(&r);
        if (!has_file(killed, "args.json")) continue;
        command_works("train --resume %s --threads %d", killed, 1 + i % 3);
        assert_same_run(killed, whole);
        resumed++;
    }
    assert_true(resumed >= KILLS / 2);
}

/* All tensors of the backbone are those of the classifier. */
static void assert_backbone_is(const char *run, const char *classifier) {
    char path[4200];
    rb_error err;
    rb_tensor_file *ours = NULL, *theirs = NULL;
    int compared = 0;
    CHECK_OK(rb_tensor_file_open(&ours, path_of(path, run, "weights/last.safetensors"), &err), &err);
    CHECK_OK(rb_tensor_file_open(&theirs, path_of(path, classifier, "weights/last.safetensors"), &err), &err);
    for (int i = 0; i < rb_tensor_file_count(ours); i++) {
        const rb_tensor_info *t = rb_tensor_file_at(ours, i);
        size_t count = 1;
        if (strncmp(t->name, "backbone.", 9) != 0 || strstr(t->name, "num_batches_tracked")) continue;
        for (int k = 0; k < t->ndim; k++) count *= (size_t)t->shape[k];
        float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b);
        CHECK_OK(rb_tensor_file_read_floats(ours, t->name, t->ndim, t->shape, a, &err), &err);
        CHECK_OK(rb_tensor_file_read_floats(theirs, t->name + 9, t->ndim, t->shape, b, &err), &err);
        assert_memory_equal(a, b, count * sizeof *a);
        free(a);
        free(b);
        compared++;
    }
    assert_true(compared > 100);
    rb_tensor_file_close(&ours);
    rb_tensor_file_close(&theirs);
}

/* A classifier's backbone, and a whole detector, begin another run; what begins anew is told. */
static void other_weights_begin_a_run(void **state) {
    (void)state;
    char pictures[4200], classifier[4200], run[4200], weights[4300];
    make_set(path_of(pictures, work, "pictures"), 2, 8, 4, 64);
    command_works("train --data %s --model %s --imgsz 64 --batch 4 --epochs 1 --out %s", pictures, network,
                  path_of(classifier, work, "classifier"));
    put(weights, sizeof weights, "--weights %s/weights/last.safetensors", classifier);
    command_result r = command("%s", train_line("detect", path_of(run, work, "from_classifier"), weights));
    if (r.code) fail_msg("%s", r.err);
    assert_non_null(strstr(r.err, "is a classifier: all behind the neck begins anew"));
    command_forget(&r);
    put(weights, sizeof weights, "--weights %s/weights/last.safetensors --freeze backbone", classifier);
    command_works("%s", train_line("detect", path_of(run, work, "frozen"), weights));
    assert_backbone_is(run, classifier);
    put(weights, sizeof weights, "--weights %s/weights/last.safetensors", whole);
    r = command("%s", train_line("segment", path_of(run, work, "from_detector"), weights));
    if (r.code) fail_msg("%s", r.err);
    assert_null(strstr(r.err, "anew"));
    command_forget(&r);
    r = command("%s", train_line("detect", path_of(run, work, "without_masks"), weights));
    if (r.code) fail_msg("%s", r.err);
    assert_non_null(strstr(r.err, "another detector"));
    command_forget(&r);
}

static const json_t *stats_of(const json_t *root, const char *kind) {
    return json_object_get(kind ? json_object_get(root, kind) : root, "stats");
}

/* The last row of results.csv, what val says of the last weights, and what eval says of val's results. */
static void judging_agrees(void **state) {
    (void)state;
    char line[16000], path[4200], results[4200], *row, *end;
    size_t size;
    put(line, sizeof line, "val --weights %s/weights/last.safetensors --data %s --json --results %s", whole,
        data, path_of(results, work, "results.json"));
    json_t *val = command_json(line);
    char *csv = file_bytes(path_of(path, whole, "results.csv"), &size);
    assert_non_null(csv);
    row = strstr(csv, "\n2,");
    assert_non_null(row);
    row++;
    for (int i = 0; i < 3 + 5; i++) row = strchr(row, ',') + 1;
    for (int kind = 0; kind < 2; kind++) {
        const char *name = kind ? "segm" : "bbox";
        put(line, sizeof line, "eval --gt %s/annotations/instances_val.json --dt %s --type %s --json", data,
            results, name);
        json_t *judged = command_json(line);
        for (size_t i = 0; i < 12; i++, row = end + 1) {
            double in_val = json_number_value(json_array_get(stats_of(val, name), i));
            double in_eval = json_number_value(json_array_get(stats_of(judged, NULL), i));
            assert_true(fabs(strtod(row, &end) - in_val) < 1e-8); /* nine digits are written */
            assert_true(fabs(in_eval - in_val) < 1e-6);           /* of boxes and scores, too */
        }
        json_decref(judged);
    }
    assert_true(json_number_value(json_array_get(stats_of(val, "bbox"), 8)) > 0); /* something is found */
    free(csv);
    json_decref(val);
}

static void predictions_come_in_every_form(void **state) {
    (void)state;
    static const char *const forms[] = {"text", "json", "csv", "coco", "yolo"};
    static const char *const parts[] = {"found", "\"segmentation\"", "file,class,score,x1,y1,x2,y2",
                                        "\"image_id\": 1", "# "};
    char pictures[4200];
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        command_result r = command("predict --weights %s/weights/last.safetensors --source "
                                   "%s/images/val_00001.jpg --conf 0.05 --format %s --save-pictures %s",
                                   whole, data, forms[i], path_of(pictures, work, "drawn"));
        if (r.code) fail_msg("%s", r.err);
        assert_non_null(strstr(r.out, parts[i]));
        if (i == 3) {
            json_t *list = json_loads(r.out, 0, NULL);
            assert_true(json_array_size(list) > 0);
            json_decref(list);
        }
        command_forget(&r);
    }
    assert_true(has_file(pictures, "val_00001.jpg.png"));
    command_refuses(2, "was trained to segment",
                    "val --task classify --weights %s/weights/last.safetensors --data %s", whole, data);
    command_works("export --weights %s/weights/last.safetensors --out %s/x.onnx", whole, work);
    command_refuses(2, "--saliency are for classifiers",
                    "predict --weights %s/weights/last.safetensors --source %s/images --saliency %s/s", whole,
                    data, work);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    char nowhere[4200], pictures[4200];
    path_of(nowhere, work, "nowhere");
    path_of(pictures, work, "pictures");
    command_refuses(2, "--recipe imagenet is for classifiers", "%s",
                    train_line("detect", nowhere, "--recipe imagenet"));
    command_refuses(2, "--recipe 1x is for detectors", "train --data %s --recipe 1x", pictures);
    command_refuses(2, "--scales is for --task", "train --data %s --scales 64..96", pictures);
    command_refuses(2, "mixup: not for detectors", "%s", train_line("detect", nowhere, "--mixup 0.2"));
    command_refuses(2, "freeze features: not for detectors", "%s",
                    train_line("detect", nowhere, "--weights x --freeze features"));
    command_refuses(2, "milestones '8,3'", "%s", train_line("detect", nowhere, "--milestones 8,3"));
    command_refuses(1, "annotations", "train --task detect --data %s --out %s", pictures, nowhere);
    command_refuses(3, "the plan needs", "%s", train_line("detect", nowhere, "--max-memory 1M"));
    assert_false(has_file(nowhere, "args.json"));
}

static int prepare(void **state) {
    (void)state;
    rb_error err = {0};
    rb_synth_options options = {
        .images_train = 12, .images_val = 5, .classes = 2, .side = 96, .seed = 3, .objects = 3};
    make_folder(work);
    path_of(data, work, "data");
    path_of(whole, work, "whole");
    CHECK_OK(rb_synth_objects(data, &options, NULL, NULL, &err), &err);
    write_text(path_of(network, work, "small.json"),
               "{\"base\": \"s0\", \"name\": \"small\", \"widths\": [48, 48, 48, 48], \"blocks_per_level\": "
               "1, \"extension_levels\": 0, \"head_widths\": [16, 16, 16, 16], \"fc_features\": 32}\n");
    command_works("%s", train_line("segment", whole, "--threads 2"));
    return 0;
}

static int clean(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    if (command_is_missing()) skip_all("the command is not built");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_leaves_what_runs_leave),
        cmocka_unit_test(the_report_tells_the_run),
        cmocka_unit_test(events_have_the_parts_of_the_loss),
        cmocka_unit_test(losses_add_up),
        cmocka_unit_test(a_validation_without_objects),
        cmocka_unit_test(a_run_does_not_need_its_report),
        cmocka_unit_test(threads_and_stored_activations_give_the_same_bits),
        cmocka_unit_test(killed_runs_end_the_same),
        cmocka_unit_test(other_weights_begin_a_run),
        cmocka_unit_test(judging_agrees),
        cmocka_unit_test(predictions_come_in_every_form),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, prepare, clean) ? 1 : 0;
}
