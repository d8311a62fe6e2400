/* Checking data sets of objects, and writing them in another form. */
#include "objects_case.h"

#include <sys/stat.h>

#include "base/threads.h"
#include "data/check_objects.h"
#include "data/objects_write.h"

/* ---- checking ---- */

static rb_text said; /* "kind path: text" a line */

static void note(void *user, const revbifpn_object_finding *f) {
    (void)user;
    const char *slash = strrchr(f->path, '/');
    rb_text_format(&said, "%s %s: %s\n", f->name, slash ? slash + 1 : f->path, f->text);
}

static void note_class(void *user, const char *name, uint64_t train, uint64_t val) {
    (void)user;
    rb_text_format(&said, "class %s %d %d\n", name, (int)train, (int)val);
}

static revbifpn_object_check_report check_set(const char *folder, int threads) {
    rb_objects set = open_set(folder, RB_OBJECTS_ALL, true);
    revbifpn_object_check_options options = {.max_pixels = 1 << 20, .found = note, .class_count = note_class};
    revbifpn_object_check_report report;
    rb_pool *pool;
    rb_error err;
    rb_text_close(&said);
    CHECK_OK(rb_pool_open(&pool, threads, &err), &err);
    CHECK_OK(rb_check_objects(&set, &options, pool, &report, &err), &err);
    rb_pool_close(&pool);
    rb_objects_close(&set);
    return report;
}

#define IMAGE(id, w, h, name)                                                                                \
    "{\"id\": " #id ", \"width\": " #w ", \"height\": " #h ", \"file_name\": \"" name "\"}"
#define OBJECT(id, image, label, box, rest)                                                                  \
    "{\"id\": " #id ", \"image_id\": " #image ", \"category_id\": " #label ", \"bbox\": [" box "]" rest "}"
#define CATEGORIES                                                                                           \
    "{\"categories\": [{\"id\": 1, \"name\": \"a\"}, {\"id\": 2, \"name\": \"b\"}, {\"id\": 3, \"name\": "   \
    "\"c\"}], "
#define GOOD ", \"segmentation\": [[1, 1, 9, 1, 9, 9, 1, 9]]"

/* One object a line. */
/* clang-format off */
static const char faulty_train[] =
    CATEGORIES
    "\"images\": ["
    IMAGE(1, 40, 30, "1.png") ", "
    IMAGE(2, 30, 40, "2.png") ", "
    IMAGE(3, 40, 30, "gone.png") ", "
    IMAGE(4, 20, 20, "4.png") ", "
    IMAGE(5, 20, 20, "5.png") "], \"annotations\": ["
    OBJECT(10, 1, 1, "1, 1, 8, 8", GOOD) ", "
    OBJECT(11, 1, 2, "1, 1, 8, 8", GOOD) ", "
    OBJECT(12, 1, 1, "1, 1, 8, 8", GOOD) ", "
    OBJECT(13, 1, 1, "1, 1, 0, 8", GOOD) ", "
    OBJECT(14, 1, 1, "40, 1, 8, 8", GOOD) ", "
    OBJECT(15, 1, 1, "35, 1, 8, 8", GOOD) ", "
    OBJECT(16, 1, 1, "35, 1, 5.5, 8", GOOD) ", "
    OBJECT(17, 1, 1, "5, 1, 0.5, 8", GOOD) ", "
    OBJECT(18, 1, 1, "2, 1, 8, 8", ", \"segmentation\": [[1, 1, 1.1, 1, 1.1, 1.1]]") ", "
    OBJECT(19, 1, 1, "3, 1, 8, 8", ", \"segmentation\": {\"size\": [40, 30], \"counts\": [1200]}") ", "
    OBJECT(20, 1, 1, "4, 1, 8, 8", ", \"segmentation\": {\"size\": [30, 40], \"counts\": [7]}") ", "
    OBJECT(21, 1, 1, "5, 1, 8, 8", "") ", "
    OBJECT(22, 1, 1, "6, 1, 8, 8", ", \"area\": 0" GOOD) ", "
    OBJECT(23, 9, 1, "6, 1, 8, 8", GOOD) ", "
    OBJECT(24, 1, 9, "6, 1, 8, 8", GOOD) ", "
    OBJECT(25, 4, 2, "6, 1, 8, 8", GOOD) "]}";
static const char faulty_val[] =
    CATEGORIES
    "\"images\": ["
    IMAGE(6, 20, 20, "6.png") "], \"annotations\": ["
    OBJECT(30, 6, 3, "1, 1, 3, 3", ", \"iscrowd\": 1") "]}";
/* clang-format on */

static void put_faulty(void) {
    rb_error err;
    put("faulty/annotations/instances_train.json", faulty_train);
    put("faulty/annotations/instances_val.json", faulty_val);
    put_picture("faulty/images/1.png", 40, 30, 1);
    put_picture("faulty/images/2.png", 40, 30, 1);
    for (int i = 4; i < 7; i++) { /* 4, 5 and 6 have the same bytes */
        char name[64];
        snprintf(name, sizeof name, "faulty/images/%d.png", i);
        put_picture(name, 20, 20, 1);
    }
    put_picture("faulty/other.png", 41, 30, 1);
    unsigned char *bytes;
    size_t size;
    CHECK_OK(rb_file_read(inside("faulty/other.png"), 1 << 20, &bytes, &size, &err), &err);
    rb_free(bytes);
}

static void faults_are_found(void **state) {
    (void)state;
    static const char want[] =
        "dangling train: 2 annotations of pictures or classes that are not listed, the first has the id 23\n"
        "empty_box 1.png: annotation 13: x 1, y 1, 0 x 8, area 0, in a picture of 40 x 30\n"
        "outside 1.png: annotation 14: x 40, y 1, 8 x 8, area 64, in a picture of 40 x 30\n"
        "cut 1.png: annotation 15: x 35, y 1, 8 x 8, area 64, in a picture of 40 x 30\n"
        "small 1.png: annotation 17: x 5, y 1, 0.5 x 8, area 4, in a picture of 40 x 30\n"
        "empty_outline 1.png: annotation 18: an outline without a pixel\n"
        "bad_outline 1.png: annotation 19: run lengths of 30 x 40 in a picture of 40 x 30\n"
        "bad_outline 1.png: annotation 20: run lengths of 7 pixels where 30 × 40 has 1200\n"
        "empty_outline 1.png: annotation 21: no outline\n"
        "empty_box 1.png: annotation 22: x 6, y 1, 8 x 8, area 0, in a picture of 40 x 30\n"
        "duplicate 1.png: annotation 12: class and box of annotation 10\n"
        "wrong_size 2.png: 40 x 30 pixels, and 30 x 40 in the annotations\n"
        "same_bytes 2.png: the same file: ROOT/faulty/images/1.png\n"
        "nothing 2.png: no objects\n"
        "unreadable gone.png: cannot open: No such file or directory\n"
        "nothing gone.png: no objects\n"
        "same_bytes 5.png: the same file: ROOT/faulty/images/4.png\n"
        "nothing 5.png: no objects\n"
        "in_both_splits 6.png: the same file is in the other split: ROOT/faulty/images/4.png\n"
        "class a 12 0\nclass b 2 0\nunused_class c: no objects in train\nclass c 0 1\n";
    put_faulty();
    for (int threads = 1; threads < 4; threads++) {
        revbifpn_object_check_report r = check_set("faulty", threads);
        char text[8192] = "", *at = text; /* the folder's name does not matter */
        for (const char *from = said.bytes; *from && at < text + sizeof text - 8;)
            if (!strncmp(from, root, strlen(root)))
                at += sprintf(at, "ROOT"), from += strlen(root);
            else
                *at++ = *from++;
        *at = 0;
        assert_string_equal(text, want);
        assert_int_equal(r.faults, 14);
        assert_int_equal(r.found[REVBIFPN_OBJECT_EMPTY_BOX], 2);
        assert_int_equal(r.found[REVBIFPN_OBJECT_NOTHING], 3);
        assert_string_equal(r.form, "COCO");
        assert_true(r.train == 5 && r.val == 1 && r.classes == 3 && r.train_objects == 14 &&
                    r.val_objects == 1);
        assert_true(r.crowds == 1 && r.outlines == 13 && r.most_objects == 9);
        assert_true(r.min_width == 20 && r.max_width == 40 && r.max_height == 30);
    }
}

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    put_faulty();
    rb_objects set = open_set("faulty", RB_OBJECTS_ALL, true);
    revbifpn_object_check_options options = {.max_pixels = 1 << 20};
    revbifpn_object_check_report report;
    rb_pool *pool;
    rb_error err = {0};
    CHECK_OK(rb_pool_open(&pool, 1, &err), &err);
    for (long n = 0;; n++) {
        rb_alloc_fail_after(n);
        revbifpn_status status = rb_check_objects(&set, &options, pool, &report, &err);
        bool pending = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        if (pending) {
            assert_true(!status && n > 20);
            break;
        }
        if (status != REVBIFPN_OUT_OF_MEMORY) fail_msg("allocation %ld: %d, '%s'", n, status, err.text);
    }
    rb_pool_close(&pool);
    rb_objects_close(&set);
}

/* ---- writing ---- */

/* clang-format off */
static const char source_train[] =
    "{\"categories\": [{\"id\": 7, \"name\": \"it's a 'b\\\\ \\\"<&\"}, {\"id\": 9, \"name\": \"zebra\"}], "
    "\"images\": ["
    IMAGE(40, 50, 40, "sub/x.png") ", "
    IMAGE(31, 60, 40, "y.z.jpg") ", "
    IMAGE(50, 60, 40, "gone.jpg") "], \"annotations\": ["
    OBJECT(3, 40, 9, "0.1, 2.25, 20, 30.5", ", \"area\": 300.5, \"segmentation\": [[1, 1, 20.5, 1, 20, 30, 3, 28], "
           "[30, 3, 40, 3, 40, 12, 30.25, 12], [10, 32, 14, 32, 14, 38, 10, 38]]") ", "
    OBJECT(4, 40, 7, "10, 10, 30, 40", ", \"segmentation\": {\"size\": [40, 50], \"counts\": \"RRc06j0J\"}") ", "
    OBJECT(5, 40, 7, "3, 3, 9, 9", ", \"iscrowd\": 1, \"segmentation\": [[1, 1, 9, 1, 9, 9]]") ", "
    OBJECT(6, 40, 7, "4, 4, 9, 9", ", \"ignore\": 1, \"segmentation\": [[1, 1, 9, 1, 9, 9]]") ", "
    OBJECT(8, 31, 9, "5, 6, 7, 8", ", \"segmentation\": [[5, 6, 12, 6, 12, 14, 5, 14]]") "]}";
static const char source_val[] =
    "{\"categories\": [{\"id\": 7, \"name\": \"it's a 'b\\\\ \\\"<&\"}, {\"id\": 9, \"name\": \"zebra\"}], "
    "\"images\": ["
    IMAGE(60, 30, 30, "x.png") "], \"annotations\": ["
    OBJECT(12, 60, 9, "5, 6, 7, 8", "") "]}";
/* clang-format on */

/* A run of five pixels in each of two columns: the string above. */
static void put_source(void) {
    rb_text runs = {0};
    rb_run_writer writer = {0};
    const int64_t lengths[] = {410, 5, 35, 5, 1545};
    for (int i = 0; i < 5; i++) rb_runs_add(&writer, lengths[i], &runs);
    char text[4096];
    const char *hole = strstr(source_train, "RRc06j0J");
    snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - source_train), source_train, runs.bytes, hole + 8);
    assert_null(strchr(runs.bytes, '\\'));
    put("from/annotations/instances_train.json", text);
    put("from/annotations/instances_val.json", source_val);
    put_picture("from/images/sub/x.png", 50, 40, 1);
    put_picture("from/images/y.z.jpg", 60, 40, 1);
    put_picture("from/images/x.png", 30, 30, 1);
    rb_text_close(&runs);
}

static rb_objects_write_report write_as(const char *from, const char *to, rb_objects_form form,
                                        bool outlines) {
    rb_objects set = open_set(from, RB_OBJECTS_ALL, outlines);
    rb_objects_write_options options = {.form = form, .outlines = outlines};
    rb_objects_write_report report;
    rb_error err;
    CHECK_OK(rb_objects_write(&set, inside(to), &options, &report, &err), &err);
    rb_objects_close(&set);
    return report;
}

static void check_mask(const rb_pictures *a, const rb_pictures *b, int picture, const rb_object *x,
                       const rb_object *y) {
    rb_segment_room rooms[2] = {0};
    rb_mask masks[2];
    rb_error err;
    const rb_picture *p = &a->pictures[picture];
    CHECK_OK(rb_segment_draw(&x->segment, a->block.bytes, p->height, p->width, &rooms[0], &masks[0], &err),
             &err);
    CHECK_OK(rb_segment_draw(&y->segment, b->block.bytes, p->height, p->width, &rooms[1], &masks[1], &err),
             &err);
    assert_int_equal(masks[0].count, masks[1].count);
    if (masks[0].count) assert_memory_equal(masks[0].spans, masks[1].spans, masks[0].count * sizeof(rb_span));
    rb_segment_room_close(&rooms[0]);
    rb_segment_room_close(&rooms[1]);
}

/* Everything that both forms hold is the same; `exact`: numbers and ids, too. */
static void check_equal(const rb_objects *a, const rb_objects *b, bool exact) {
    assert_int_equal(a->class_count, b->class_count);
    for (int i = 0; i < a->class_count; i++) assert_string_equal(a->classes[i].name, b->classes[i].name);
    for (int val = 0; val < 2; val++) {
        const rb_pictures *p = val ? &a->val : &a->train, *q = val ? &b->val : &b->train;
        assert_int_equal(p->count, q->count);
        assert_int_equal(p->object_count, q->object_count);
        for (int i = 0; i < p->count; i++) {
            assert_int_equal(p->pictures[i].width, q->pictures[i].width);
            assert_int_equal(p->pictures[i + 1].first, q->pictures[i + 1].first);
            if (exact) assert_int_equal(p->pictures[i].id, q->pictures[i].id);
            for (size_t k = p->pictures[i].first; k < p->pictures[i + 1].first; k++) {
                const rb_object *x = &p->objects[k], *y = &q->objects[k];
                check_box(y, x->label, x->box[0], x->box[1], x->box[2], x->box[3]);
                if (!exact) continue;
                assert_true(x->area == y->area && x->id == y->id && x->crowd == y->crowd &&
                            x->ignore == y->ignore);
                assert_memory_equal(x->box, y->box, sizeof x->box);
                assert_int_equal(x->segment.form, y->segment.form);
                check_mask(p, q, i, x, y);
            }
        }
    }
}

static void coco_stays_what_it_is(void **state) {
    (void)state;
    put_source();
    rb_objects_write_report r = write_as("from", "coco", RB_OBJECTS_COCO, true);
    assert_true(r.pictures == 4 && r.missing == 1 && r.objects == 6 && r.left_out == 0);
    rb_objects a = open_set("from", RB_OBJECTS_ALL, true), b = open_set("coco", RB_OBJECTS_ALL, true);
    check_equal(&a, &b, true);
    check_picture(&b.train, 1, "coco/images/2_x.png", 50, 40, 4); /* two files were called x.png */
    check_picture(&b.val, 0, "coco/images/4_x.png", 30, 30, 1);
    check_picture(&b.train, 0, "coco/images/y.z.jpg", 60, 40, 1);
    struct stat first, second;
    assert_int_equal(stat(inside("from/images/x.png"), &first), 0);
    assert_int_equal(stat(inside("coco/images/4_x.png"), &second), 0);
    assert_int_equal(first.st_size, second.st_size);
    rb_objects_close(&a);
    rb_objects_close(&b);
}

static void there_and_back_through_voc(void **state) {
    (void)state;
#ifndef REVBIFPN_EXPAT
    print_message("built without libexpat: not tested\n");
    skip();
#else
    put_source();
    rb_objects_write_report r = write_as("from", "voc", RB_OBJECTS_VOC, false);
    assert_true(r.pictures == 4 && r.missing == 1 && r.objects == 6);
    rb_objects a = open_set("from", RB_OBJECTS_ALL, false), b = open_set("voc", RB_OBJECTS_ALL, false);
    check_equal(&a, &b, false);
    const rb_object *o = b.train.objects + b.train.pictures[1].first;
    assert_true(!o[0].ignore && !o[1].ignore && o[2].ignore && o[3].ignore); /* a crowd, too */
    write_as("voc", "coco-of-voc", RB_OBJECTS_COCO, false);
    rb_objects c = open_set("coco-of-voc", RB_OBJECTS_ALL, false);
    check_equal(&a, &c, false);
    assert_int_equal(c.train.pictures[2].id, 3);
    assert_int_equal(c.val.pictures[0].id, 4);
    assert_int_equal(c.val.objects[0].id, 6);
    rb_objects_close(&a);
    rb_objects_close(&b);
    rb_objects_close(&c);
#endif
}

static void yolo_holds_polygons(void **state) {
    (void)state;
#ifndef REVBIFPN_YAML
    print_message("built without libyaml: not tested\n");
    skip();
#else
    put_source();
    rb_objects_write_report r = write_as("from", "yolo", RB_OBJECTS_YOLO, true);
    assert_true(r.pictures == 4 && r.objects == 4 && r.left_out == 2 && r.outlines_dropped == 2);
    rb_objects a = open_set("from", RB_OBJECTS_ALL, true), b = open_set("yolo", RB_OBJECTS_ALL, true);
    assert_int_equal(b.form, RB_OBJECTS_YOLO);
    assert_string_equal(b.classes[0].name, a.classes[0].name);
    assert_int_equal(b.train.count, 2); /* the missing one is gone */
    check_picture(&b.train, 0, "yolo/images/train/2_x.png", 50, 40, 2);
    check_picture(&b.train, 1, "yolo/images/train/y.z.jpg", 60, 40, 1);
    const rb_object *from = a.train.objects + a.train.pictures[1].first;
    check_mask(&a.train, &b.train, 1, &from[0], &b.train.objects[0]); /* all three polygons */
    assert_int_equal(b.train.objects[1].segment.form, RB_SEGMENT_NONE);
    const double *box = b.train.objects[1].box; /* clipped to the picture */
    assert_true(box[0] > 9.999999 && box[0] < 10.000001 && box[3] > 29.999999 && box[3] < 30.000001);
    check_mask(&a.train, &b.train, 0, &a.train.objects[0], &b.train.objects[2]);
    rb_objects_close(&a);
    rb_objects_close(&b);
#endif
}

static void what_cannot_be_written(void **state) {
    (void)state;
    put_source();
    rb_objects set = open_set("from", RB_OBJECTS_ALL, true);
    rb_objects_write_options options = {.form = RB_OBJECTS_VOC, .outlines = true};
    rb_objects_write_report report;
    rb_error err;
    assert_int_equal(rb_objects_write(&set, inside("new"), &options, &report, &err), REVBIFPN_UNSUPPORTED);
    options.outlines = false;
    assert_int_equal(rb_objects_write(&set, inside("from"), &options, &report, &err), REVBIFPN_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "from: not empty"));
    set.classes[0].name[0] = '\n';
    assert_int_equal(rb_objects_write(&set, inside("new"), &options, &report, &err), REVBIFPN_BAD_DATA);
    set.classes[0].name[0] = 'i';
    options = (rb_objects_write_options){.form = RB_OBJECTS_YOLO, .outlines = true};
    for (long n = 0;; n++) {
        char name[64];
        snprintf(name, sizeof name, "memory-%ld", n);
        rb_alloc_fail_after(n);
        revbifpn_status status = rb_objects_write(&set, inside(name), &options, &report, &err);
        bool pending = rb_alloc_fail_pending();
        rb_alloc_fail_after(-1);
        if (pending) {
            assert_true(!status && n > 10);
            break;
        }
        if (status != REVBIFPN_OUT_OF_MEMORY) fail_msg("allocation %ld: %d, '%s'", n, status, err.text);
    }
    rb_objects_close(&set);
}

static void real_sets_stay_what_they_are(void **state) {
    (void)state;
    static const char *const names[] = {"data/microcontrollers", "data/nuclei"};
    if (!shared_path(names[0])) {
        print_message("the real data sets are not here: not converted\n");
        skip();
    }
    for (int i = 0; i < 2; i++) {
        rb_objects a, b;
        rb_error err;
        rb_objects_options open = options_for(RB_OBJECTS_ALL, true);
        rb_objects_write_options options = {.form = RB_OBJECTS_COCO, .outlines = true};
        rb_objects_write_report report;
        const char *out = i ? "real-1" : "real-0";
        CHECK_OK(rb_objects_open(&a, shared_path(names[i]), &open, &err), &err);
        CHECK_OK(rb_objects_write(&a, inside(out), &options, &report, &err), &err);
        assert_int_equal(report.missing, 0);
        b = open_set(out, RB_OBJECTS_ALL, true);
        check_equal(&a, &b, true);
        rb_objects_close(&a);
        rb_objects_close(&b);
    }
}

static int close_all(void **state) {
    rb_text_close(&said);
    return remove_root(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_found),
        cmocka_unit_test(coco_stays_what_it_is),
        cmocka_unit_test(there_and_back_through_voc),
        cmocka_unit_test(yolo_holds_polygons),
        cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(real_sets_stay_what_they_are),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, make_root, close_all);
}
