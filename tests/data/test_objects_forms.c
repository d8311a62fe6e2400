/* Data sets of objects in the forms of Pascal VOC and YOLO. */
#include "objects_case.h"

/* ---- Pascal VOC ---- */

#ifdef REVBIFPN_EXPAT

static const char first_xml[] =
    "<?xml version=\"1.0\"?>\n<annotation>\n<folder>x</folder><filename>other.png</filename>\n"
    "<size><width>60</width><height> 40 </height><depth>3</depth></size>\n"
    "<object><name> tv &amp; radio </name><difficult>1</difficult>\n"
    "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>10</xmax><ymax>40</ymax></bndbox>\n"
    "<part><name>head</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>6</xmax><ymax>6</ymax></bndbox></"
    "part>\n"
    "</object>\n"
    "<object><bndbox><ymax>20.5</ymax><xmax>60</xmax><ymin>010</ymin><xmin>+51</xmin></bndbox>\n"
    "<name>class10</name></object>\n</annotation>\n";
static const char second_xml[] = "<annotation><object><name>class9</name><bndbox><xmin>3</xmin><ymin>3</ymin>"
                                 "<xmax>4</xmax><ymax>4</ymax></bndbox></object></annotation>";

static void put_voc(void) {
    put("voc/ImageSets/Main/train.txt", "one\n two  1\n\nthree\n");
    put("voc/ImageSets/Main/test.txt", "four\r\n");
    put("voc/Annotations/one.xml", first_xml);
    put("voc/Annotations/two.xml", second_xml);
    put("voc/Annotations/three.xml", "<annotation/>");
    put("voc/Annotations/four.xml", second_xml);
    put("voc/JPEGImages/other.png", "");
    put_picture("voc/JPEGImages/two.jpg", 30, 20, 8);
}

static void voc_is_read(void **state) {
    (void)state;
    put_voc();
    rb_objects set = open_set("voc", RB_OBJECTS_TRAIN, false);
    assert_int_equal(set.form, RB_OBJECTS_VOC);
    assert_int_equal(set.class_count, 3); /* in natural order, and no parts of objects */
    assert_string_equal(set.classes[0].name, "class9");
    assert_string_equal(set.classes[1].name, "class10");
    assert_string_equal(set.classes[2].name, "tv & radio");
    assert_int_equal(set.classes[2].id, 3);
    assert_int_equal(set.train.count, 3);
    check_picture(&set.train, 0, "voc/JPEGImages/other.png", 60, 40, 2);
    check_picture(&set.train, 1, "voc/JPEGImages/two.jpg", 20, 30, 1);
    check_picture(&set.train, 2, "voc/JPEGImages/three.jpg", 0, 0, 0);
    check_picture(&set.val, 0, "voc/JPEGImages/four.jpg", 0, 0, 1);
    assert_int_equal(set.train.pictures[1].id, 2);
    check_box(&set.train.objects[0], 2, 0, 1, 10, 39);
    check_box(&set.train.objects[1], 1, 50, 9, 10, 11.5);
    check_box(&set.train.objects[2], 0, 2, 2, 2, 2);
    assert_true(set.train.objects[0].ignore && !set.train.objects[1].ignore);
    assert_true(set.train.objects[2].area == 4);
    rb_objects_close(&set);
    set = open_set("voc", RB_OBJECTS_EVALUATE, false); /* the same labels, though val has one class only */
    assert_int_equal(set.train.count, 0);
    assert_int_equal(set.class_count, 3);
    rb_objects_close(&set);
    put("voc/classes.txt", "tv & radio\nclass9\nunmet\nclass10\n");
    set = open_set("voc", RB_OBJECTS_TRAIN, false);
    assert_int_equal(set.class_count, 4);
    check_box(&set.train.objects[1], 3, 50, 9, 10, 11.5);
    rb_objects_close(&set);
    rb_objects_options options = options_for(RB_OBJECTS_TRAIN, true);
    refuses("voc", &options, REVBIFPN_BAD_DATA, "no outlines (masks)");
    put("voc/classes.txt", "tv & radio\nclass9\n");
    options.outlines = false;
    refuses("voc", &options, REVBIFPN_BAD_DATA,
            "one.xml: line 10: the class 'class10' is not in the folder's list of classes");
}

static void wrong_xml_is_told(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"<annotation>\n<object>", "one.xml: line 2: no element found"},
        {"<annotation>\n<size>\n<width>x</width></size></annotation>",
         "one.xml: line 3: a number is expected"},
        {"<annotation><size><width>-3</width></size></annotation>", "a side that no picture has"},
        {"<annotation><object><name>a</name></object></annotation>", "without all four corners"},
        {"<annotation><object><bndbox/></object></annotation>", "an object without a name"},
        {"<annotation><object><name> </name></object></annotation>", "whose name is empty"},
        {"<html></html>", "the outermost element is not <annotation>"},
        {"", "no element found"},
    };
    rb_objects_options options = options_for(RB_OBJECTS_ALL, false);
    put("xml/ImageSets/Main/trainval.txt", "one\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("xml/Annotations/one.xml", cases[i].text);
        refuses("xml", &options, REVBIFPN_BAD_FILE, cases[i].part);
    }
    char deep[64 * 8] = "<annotation>";
    for (int i = 0; i < 40; i++) strcat(deep, "<deep>");
    put("xml/Annotations/one.xml", deep);
    refuses("xml", &options, REVBIFPN_BAD_FILE, "32 deep");
    put("xml/ImageSets/Main/trainval.txt", "gone\n");
    refuses("xml", &options, REVBIFPN_IO_FAILED, "trainval.txt: line 1: ");
}

#else

static void voc_is_read(void **state) {
    (void)state;
    put("voc/ImageSets/Main/train.txt", "one\n");
    put("voc/Annotations/one.xml", "<annotation/>");
    rb_objects_options options = options_for(RB_OBJECTS_ALL, false);
    refuses("voc", &options, REVBIFPN_UNSUPPORTED, "built without libexpat");
}

static void wrong_xml_is_told(void **state) {
    (void)state;
    print_message("built without libexpat: not tested\n");
    skip();
}

#endif

/* ---- YOLO ---- */

static void put_yolo(void) {
    put_picture("yolo/images/train/2.jpg", 100, 50, 1);
    put_picture("yolo/images/train/10.jpg", 100, 50, 6);
    put_picture("yolo/images/train/sub/1.png", 20, 20, 1);
    put("yolo/images/train/sub/9.png", "no picture");
    put_picture("yolo/images/val/v.png", 20, 20, 1);
    put("yolo/labels/train/2.txt", "0 0.5 0.5 0.3 0.4\n1\t0.1 0.1 0.9 0.1 0.9 0.6 .1 .6  \r\n\n");
    put("yolo/labels/train/sub/1.txt", "2 0 0 1 1");
    put("yolo/labels/train/sub/9.txt", "2 0.5 0.5 1 1\n");
    put("yolo/classes.txt", "a\nb b\nc\n");
}

static void yolo_is_read(void **state) {
    (void)state;
    put_yolo();
    rb_objects set = open_set("yolo", RB_OBJECTS_ALL, true);
    assert_int_equal(set.form, RB_OBJECTS_YOLO);
    assert_int_equal(set.class_count, 3);
    assert_string_equal(set.classes[1].name, "b b");
    assert_int_equal(set.train.count, 4);
    check_picture(&set.train, 0, "yolo/images/train/2.jpg", 100, 50, 2); /* in natural order */
    check_picture(&set.train, 1, "yolo/images/train/10.jpg", 50, 100, 0);
    check_picture(&set.train, 2, "yolo/images/train/sub/1.png", 20, 20, 1);
    check_picture(&set.train, 3, "yolo/images/train/sub/9.png", 0, 0, 1);
    check_picture(&set.val, 0, "yolo/images/val/v.png", 20, 20, 0);
    const rb_object *o = set.train.objects;
    check_box(&o[0], 0, 35, 15, 30, 20);
    check_box(&o[1], 1, 10, 5, 80, 25);
    check_box(&o[2], 2, -10, -10, 20, 20);
    assert_true(o[1].area > 1999.9 && o[1].area < 2000.1);
    assert_int_equal(o[0].segment.form, RB_SEGMENT_NONE);
    rb_segment_room room = {0};
    rb_mask mask;
    rb_error err;
    CHECK_OK(rb_segment_draw(&o[1].segment, set.train.block.bytes, 50, 100, &room, &mask, &err), &err);
    assert_int_equal(rb_mask_area(mask), 2000);
    double box[4];
    rb_mask_box(mask, box);
    assert_true(box[0] == 10 && box[1] == 5 && box[2] == 80 && box[3] == 25);
    rb_segment_room_close(&room);
    rb_objects_close(&set);
    static const char *const names[] = {"c", "b b", "a"};
    rb_objects_options options = options_for(RB_OBJECTS_ALL, false);
    options.class_names = names;
    options.classes = 3;
    CHECK_OK(rb_objects_open(&set, inside("yolo"), &options, &err), &err);
    check_box(&set.train.objects[0], 2, 35, 15, 30, 20);
    assert_false(set.train.outlines);
    rb_objects_close(&set);
}

static void wrong_labels_are_told(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"0 0.5 0.5 0.2\n", "labels/train/x.txt: line 1: 4 numbers"},
        {"0 .5 .5 .1 .1\n0 0.5 0.5 0.2 0.2 0.9", "labels/train/x.txt: line 2: 6 numbers"},
        {"0 .1 .1 .2 .2 .3 .3 .4", "8 numbers"},
        {"0 0.5 0.5 0.2 x", "'x' is no number"},
        {"0 0.5 0.5 0.2 nan", "'nan' is no number"},
        {"3 0.5 0.5 0.2 0.2", "class 3; the 3 classes are 0 … 2"},
        {"-1 0.5 0.5 0.2 0.2", "class -1"},
        {"0.5 0.5 0.5 0.2 0.2", "class 0.5"},
        {"0 50 0.5 0.2 0.2", "50 is no share of a side"},
    };
    rb_objects_options options = options_for(RB_OBJECTS_ALL, true);
    put_picture("labels/images/train/x.png", 20, 20, 1);
    put("labels/classes.txt", "a\nb\nc\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("labels/labels/train/x.txt", cases[i].text);
        refuses("labels", &options, REVBIFPN_BAD_FILE, cases[i].part);
    }
    put("unnamed/images/x", "");
    put("unnamed/labels/x", "");
    refuses("unnamed", &options, REVBIFPN_BAD_DATA, "no names of classes, in data.yaml or classes.txt");
}

#ifdef REVBIFPN_YAML

static void yaml_says_where_and_what(void **state) {
    (void)state;
    static const char *const texts[] = {
        "train: ../train/images\nval: ../valid/images\n\nnc: 2\nnames: ['x y', z]\nroboflow:\n  a: [1, {b: "
        "c}]\n",
        "# with a folder\npath: ../robo\ntrain: train/images\nval: valid/images\nnames:\n  0: x y\n  1: z\n"};
    put_picture("robo/train/images/a.png", 20, 20, 1);
    put_picture("robo/valid/images/b.png", 20, 20, 1);
    put("robo/train/labels/a.txt", "1 .5 .5 .5 .5\n");
    rb_objects_options options = options_for(RB_OBJECTS_TRAIN, false);
    for (int i = 0; i < 4; i++) {
        rb_objects set;
        rb_error err = {0};
        put("robo/data.yaml", texts[i % 2]);
        CHECK_OK(rb_objects_open(&set, inside(i < 2 ? "robo" : "robo/data.yaml"), &options, &err), &err);
        assert_int_equal(set.class_count, 2);
        assert_string_equal(set.classes[0].name, "x y");
        assert_int_equal(set.train.count, 1);
        assert_int_equal(set.val.count, 1);
        check_box(&set.train.objects[0], 1, 5, 5, 10, 10);
        rb_objects_close(&set);
    }
}

static void wrong_yaml_is_told(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
        revbifpn_status status;
    } cases[] = {
        {"names: [a\n", "data.yaml: line ", REVBIFPN_BAD_FILE},
        {"- a\n", "data.yaml: line 1: no mapping", REVBIFPN_BAD_FILE},
        {"a: 1\nnames: 7\n", "data.yaml: line 2: names: a list is expected", REVBIFPN_BAD_FILE},
        {"names:\n  0: a\n  2: b\n", "data.yaml: line 3: names: the numbers 0, 1, 2", REVBIFPN_BAD_FILE},
        {"names: [[a]]\n", "names: texts are expected", REVBIFPN_BAD_FILE},
        {"train: [a, b]\nnames: [a]\n", "data.yaml: line 1: one folder is expected", REVBIFPN_BAD_FILE},
        {"train: a\n", "no names of classes", REVBIFPN_BAD_DATA},
        {"names: [a, b, a]\n", "two classes are called 'a'", REVBIFPN_BAD_DATA},
        {"names: [a]\ntrain: list.txt\n", "data.yaml: list.txt: a list of pictures", REVBIFPN_UNSUPPORTED},
        {"names: [a]\n", "yaml: no images/train in it", REVBIFPN_BAD_DATA},
        {"", "data.yaml: line 1: no mapping", REVBIFPN_BAD_FILE},
    };
    rb_objects_options options = options_for(RB_OBJECTS_TRAIN, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("yaml/data.yaml", cases[i].text);
        refuses("yaml", &options, cases[i].status, cases[i].part);
    }
}

#else

static void yaml_says_where_and_what(void **state) {
    (void)state;
    put("yaml/data.yaml", "names: [a]\n");
    rb_objects_options options = options_for(RB_OBJECTS_ALL, false);
    refuses("yaml", &options, REVBIFPN_UNSUPPORTED, "built without libyaml");
}

static void wrong_yaml_is_told(void **state) {
    (void)state;
    print_message("built without libyaml: not tested\n");
    skip();
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voc_is_read),
        cmocka_unit_test(wrong_xml_is_told),
        cmocka_unit_test(yolo_is_read),
        cmocka_unit_test(wrong_labels_are_told),
        cmocka_unit_test(yaml_says_where_and_what),
        cmocka_unit_test(wrong_yaml_is_told),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
