/* What the tests of the loader of pictures with objects share: a set, a loader, a number for a batch. */
#ifndef TESTS_DATA_DETECT_CASE_H
#define TESTS_DATA_DETECT_CASE_H

#include "objects_case.h"

#include "data/detect_loader.h"

enum { PICTURES = 17, BATCH = 4, STEPS = 14 };

/* Stored sides; picture 5 is turned by EXIF, 3 has crowd alone, 7 nothing, 9 is too flat to learn from. */
static const int sides[PICTURES][2] = {{90, 60}, {60, 90}, {64, 64}, {70, 50}, {120, 40}, {80, 50},
                                       {50, 80}, {90, 90}, {40, 77}, {99, 31}, {33, 34},  {100, 70},
                                       {75, 50}, {50, 75}, {61, 60}, {60, 61}, {128, 32}};

static inline void write_set(const char *folder, int wrong_size) {
    rb_text text = {0};
    char name[256];
    rb_text_add(
        &text,
        "{\"categories\": [{\"id\": 4, \"name\": \"a\"}, {\"id\": 9, \"name\": \"b\"}], \"images\": [");
    for (int i = 0; i < PICTURES; i++) {
        bool turned = (i == 5) != (i == wrong_size);
        snprintf(name, sizeof name, "%s/images/%d.jpg", folder, i);
        put_picture(name, sides[i][0], sides[i][1], i == 5 ? 6 : 1);
        rb_text_format(&text, "%s{\"id\": %d, \"width\": %d, \"height\": %d, \"file_name\": \"%d.jpg\"}",
                       i ? "," : "", 100 + i, sides[i][turned], sides[i][!turned], i);
    }
    rb_text_add(&text,
                "], \"annotations\": [{\"id\": 1000, \"image_id\": 103, \"category_id\": 4, \"bbox\": [1, 1, "
                "9, 9], \"iscrowd\": 1}");
    for (int i = 0; i < PICTURES; i++)
        for (int k = 0; k < 1 + i % 3 && i != 3 && i != 7; k++)
            rb_text_format(
                &text,
                ",{\"id\": %d, \"image_id\": %d, \"category_id\": %d, \"bbox\": [%d, %d.5, 20, 17], "
                "\"segmentation\": [[%d, %d, %d, %d, %d, %d]]}",
                10 * i + k + 1, 100 + i, k % 2 ? 4 : 9, 2 * k, k, 2 * k, k, 2 * k + 20, k + 3, 2 * k + 5,
                k + 17);
    rb_text_add(&text, "]}");
    assert_false(text.failed);
    snprintf(name, sizeof name, "%s/annotations/instances_train.json", folder);
    put(name, text.bytes);
    rb_text_close(&text);
}

static inline rb_detect_loader_options loader_options(const rb_objects *set, bool training, int threads) {
    return (rb_detect_loader_options){
        .pictures = &set->train,
        .batch = BATCH,
        .training = training,
        .masks = true,
        .limits = {.long_side = 150, .short_side = 100, .short_least = 60, .mirror = 0.5},
        .seed = 11,
        .threads = threads,
        .ring = threads ? 3 : 1,
        .max_bad = 3,
        .max_pixels = 1 << 20};
}

static inline rb_detect_loader *open_loader(const rb_detect_loader_options *options) {
    rb_detect_loader *loader;
    rb_error err;
    CHECK_OK(rb_detect_loader_open(&loader, options, &err), &err);
    return loader;
}

static inline rb_detect_batch next(rb_detect_loader *loader) {
    rb_detect_batch batch;
    rb_error err;
    CHECK_OK(rb_detect_loader_next(loader, &batch, &err), &err);
    return batch;
}

static inline uint64_t hash_bytes(uint64_t h, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
    return h;
}

/* A number for all that a batch says, without what is beyond its pictures. */
static inline uint64_t batch_hash(const rb_detect_batch *b) {
    uint64_t h = 0xCBF29CE484222325u ^ b->epoch ^ (uint64_t)b->index << 20 ^ (uint64_t)b->count << 40;
    size_t stride = (size_t)b->width * 3;
    h = hash_bytes(hash_bytes(h, &b->width, sizeof b->width), &b->height, sizeof b->height);
    for (int i = 0; i < b->count; i++) {
        const rb_detect_item *item = &b->items[i];
        const rb_truth *t = &item->truth;
        h = hash_bytes(h, &item->id, sizeof item->id);
        h = hash_bytes(h, item->scale, sizeof item->scale);
        h = hash_bytes(h, t->boxes, (size_t)t->count * 4 * sizeof *t->boxes);
        h = hash_bytes(h, t->labels, (size_t)t->count * sizeof *t->labels);
        for (int k = 0; k < t->count; k++)
            h = hash_bytes(h, t->masks[k].spans, t->masks[k].count * sizeof *t->masks[k].spans);
        for (int y = 0; y < t->height; y++)
            h = hash_bytes(h, b->images + ((size_t)i * (size_t)b->height + (size_t)y) * stride,
                           (size_t)t->width * 3);
    }
    return h;
}

static inline void read_hashes(const rb_detect_loader_options *options, uint64_t hashes[STEPS]) {
    rb_detect_loader *loader = open_loader(options);
    for (int i = 0; i < STEPS; i++) {
        rb_detect_batch batch = next(loader);
        hashes[i] = batch_hash(&batch);
    }
    rb_detect_loader_close(&loader);
    assert_null(loader);
}

#endif
