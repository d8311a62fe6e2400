/* libFuzzer target for what data sets of objects are written in: the same bytes as an XML file of VOC, as
 * labels and as data.yaml of YOLO. What is accepted must be consistent. Without libFuzzer the function runs
 * over the files named on the command line, and all their beginnings. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/objects.h"
#include "data/yolo_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/tmp/revbifpn-fuzz-XXXXXX";
static const char *const files[] = {
    "voc/Annotations/x.xml",        "labels/labels/train/x.txt", "yaml/data.yaml", /* the input */
    "voc/ImageSets/Main/train.txt", "labels/classes.txt",        "labels/images/train/x.png",
    "yaml/images/train/x.png"};
static const char *const folders[] = {
    "voc",           "voc/Annotations",  "voc/ImageSets",       "voc/ImageSets/Main",  "labels",
    "labels/labels", "labels/images",    "labels/labels/train", "labels/images/train", "yaml",
    "yaml/images",   "yaml/images/train"};

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_objects: %s\n", what);
    abort();
}

static char *inside(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void put(const char *name, const void *bytes, size_t size) {
    FILE *f = fopen(inside(name), "wb");
    insist(f && fwrite(bytes, 1, size, f) == size && !fclose(f), "cannot write the input");
}

static void remove_all(void) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(inside(files[i]));
    for (size_t i = sizeof folders / sizeof *folders; i-- > 0;) rmdir(inside(folders[i]));
    rmdir(root);
}

static void make_all(void) {
    static bool made;
    if (made) return;
    made = true;
    insist(mkdtemp(root) != NULL, "no temporary folder");
    atexit(remove_all);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        insist(!mkdir(inside(folders[i]), 0700), "no folder");
    put(files[3], "x\n", 2);
    put(files[4], "a\nb\n", 4);
    put(files[5], "", 0);
    put(files[6], "", 0);
}

static void walk(const rb_objects *set) {
    const rb_pictures *p = &set->train;
    for (int i = 0; i < set->class_count; i++) insist(set->classes[i].name != NULL, "a class");
    for (int i = 0; i < p->count; i++) {
        insist(strlen(rb_picture_path(p, i)) > 0 && p->pictures[i].first <= p->pictures[i + 1].first,
               "a picture");
        for (size_t k = p->pictures[i].first; k < p->pictures[i + 1].first; k++) {
            const rb_object *o = &p->objects[k];
            insist(o->label >= 0 && o->label < set->class_count, "an object of no class");
            insist(o->segment.offset + o->segment.size <= p->block.size, "an outline outside of the block");
            insist(o->box[0] < 1e301 && o->box[3] < 1e301, "a box that is no number");
            (void)rb_object_learns(o, &p->pictures[i]);
        }
    }
    insist(!p->count || p->pictures[p->count].first == p->object_count, "objects that no picture has");
}

/* data.yaml may name any folder of the machine; only what is made here is to be walked. */
static bool stays_inside(const char *set) {
    rb_yolo_config c;
    rb_error err = {0};
    bool inside = true;
    if (!rb_yolo_config_open(&c, set, &err)) {
        const char *const said[] = {c.path, c.split[0], c.split[1]};
        for (int i = 0; i < 3; i++) {
            const char *folder = said[i] ? said[i] : "";
            if (i > 0 && !strncmp(folder, "../", 3)) folder += 3; /* the folder of all sets */
            inside &= *folder != '/' && !strstr(folder, "..");
        }
    }
    rb_yolo_config_close(&c);
    return inside;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const sets[] = {"voc", "labels", "yaml"};
    make_all();
    for (int i = 0; i < 3; i++) {
        rb_objects set;
        rb_error err = {0};
        rb_objects_options options = {.purpose = RB_OBJECTS_ALL, .outlines = true, .max_pixels = 1 << 20};
        put(files[i], data, size);
        if (!stays_inside(inside(sets[i]))) continue;
        revbifpn_status status = rb_objects_open(&set, inside(sets[i]), &options, &err);
        insist(!status || (err.text[0] && !strchr(err.text, '\n') &&
                           (status == REVBIFPN_BAD_FILE || status == REVBIFPN_BAD_DATA ||
                            status == REVBIFPN_UNSUPPORTED)),
               err.text);
        if (!status) walk(&set);
        rb_objects_close(&set);
    }
    return 0;
}

#ifndef REVBIFPN_FUZZ
#include "seeds.h"
#endif
