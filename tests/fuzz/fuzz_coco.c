/* libFuzzer target for COCO's files: the same bytes as annotations and as results, whose outlines are drawn.
 * What is accepted must be consistent. Without libFuzzer the function runs over the files named on the
 * command line, and all their beginnings. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "eval/coco_eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_coco: %s\n", what);
    abort();
}

static bool opened(revbifpn_status status, const rb_error *err) {
    insist(!status || (status == REVBIFPN_BAD_FILE && err->text[0] && !strchr(err->text, '\n')), err->text);
    return !status;
}

static void draw(const rb_segment *segment, const rb_text *block, uint32_t height, uint32_t width) {
    rb_segment_room room = {0};
    rb_mask mask;
    rb_error err = {0};
    insist(segment->offset <= block->size && segment->size <= block->size - segment->offset,
           "bytes outside the block");
    /* pictures that say they are huge cost what they say */
    if ((uint64_t)height * width < 1 << 16 &&
        opened(rb_segment_draw(segment, block->bytes, height, width, &room, &mask, &err), &err))
        for (size_t i = 0; i < mask.count; i++)
            insist(mask.spans[i].begin < mask.spans[i].end && mask.spans[i].end <= mask.height * mask.width &&
                       (!i || mask.spans[i - 1].end < mask.spans[i].begin),
                   "spans that are no mask");
    rb_segment_room_close(&room);
}

static void walk(const rb_coco *c) {
    for (size_t i = 0; i < c->image_count; i++) {
        insist(rb_coco_find_image(c, c->images[i].id) == (int64_t)i, "an image is not found");
        insist(c->images[i].first <= c->images[i + 1].first, "objects that run backwards");
        insist(memchr(c->text.bytes + c->images[i].file_name, 0, c->text.size - c->images[i].file_name) !=
                   NULL,
               "a name without end");
        for (size_t k = c->images[i].first; k < c->images[i + 1].first; k++) {
            const rb_coco_object *o = &c->objects[k];
            insist(o->image == (int64_t)i && o->category >= 0 && o->category < (int64_t)c->category_count,
                   "an object of nothing");
            draw(&o->segment, &c->block, c->images[i].height, c->images[i].width);
        }
    }
    insist(c->images[c->image_count].first == c->object_count, "objects that no image has");
}

/* One image and one category, whatever the results say. */
static void evaluate(const rb_coco_results *results, rb_pool *pool) {
    rb_coco_image images[2] = {{.id = 1, .width = 40, .height = 30}, {.first = 1}};
    rb_coco_category category = {.id = 1};
    rb_coco_object object = {.box = {1, 1, 20, 20}, .area = 400, .has_box = true, .has_area = true};
    rb_coco truth = {.images = images,
                     .categories = &category,
                     .objects = &object,
                     .image_count = 1,
                     .category_count = 1,
                     .object_count = 1};
    rb_coco_options options = rb_coco_default_options();
    rb_coco_score score;
    rb_error err = {0};
    for (size_t i = 0; i < results->count; i++) results->at[i].image = results->at[i].category = 0;
    if (!opened(rb_coco_evaluate(&truth, results, &options, (rb_coco_paths){"gt", "dt"}, pool, &score, NULL,
                                 &err),
                &err))
        return;
    insist(score.ap[0] >= 0 && score.ap[0] <= 1 && score.ar[0] >= 0 && score.ar[0] <= 1,
           "a score beyond 0 … 1");
}

static void as_results(const char *path, bool masks) {
    static rb_pool *pool;
    rb_error err = {0};
    rb_coco_results results;
    if (!pool) insist(!rb_pool_open(&pool, 1, &err), err.text);
    if (!opened(rb_coco_results_open(&results, path, masks, &err), &err)) return;
    bool small = true; /* boxes of masks that say they are huge */
    for (size_t i = 0; i < results.count; i++)
        if (!results.at[i].has_box) {
            const rb_segment *s = &results.at[i].segment;
            small &= (uint64_t)s->height * s->width < 1 << 16;
            draw(s, &results.block, s->form == RB_SEGMENT_RUNS ? s->height : 30,
                 s->form == RB_SEGMENT_RUNS ? s->width : 40);
        }
    if (small) evaluate(&results, pool);
    rb_coco_results_close(&results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    rb_coco coco;
    rb_error err = {0};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    insist(fd >= 0 && write(fd, data, size) == (ssize_t)size, "cannot write the input");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int segments = 0; segments < 2; segments++)
        if (opened(rb_coco_open(&coco, path, segments, &err), &err)) {
            walk(&coco);
            rb_coco_close(&coco);
        }
    as_results(path, false);
    as_results(path, true);
    close(fd);
    return 0;
}

#ifndef REVBIFPN_FUZZ
#include "seeds.h"
#endif
