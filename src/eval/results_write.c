/* COCO's result files, as every evaluator of it reads them. */
#include "base/file.h"
#include "eval/detections.h"

/* Runs of a mask hold no character that JSON escapes but the backslash. */
static void add_runs(rb_text *out, const char *runs, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (runs[i] == '\\') rb_text_add(out, "\\");
        rb_text_add_bytes(out, runs + i, 1);
    }
}

static void add_result(rb_text *out, const rb_detect_scores *s, size_t i, const rb_objects *set,
                       const rb_pictures *pictures) {
    const rb_coco_result *r = &s->box_results.at[i];
    rb_text_format(out,
                   "%s{\"image_id\": %lld, \"category_id\": %lld, \"bbox\": [%.9g, %.9g, %.9g, %.9g], "
                   "\"score\": %.9g",
                   i ? ",\n" : "[", (long long)pictures->pictures[r->image].id,
                   (long long)set->classes[r->category].id, r->box[0], r->box[1], r->box[2], r->box[3],
                   r->score);
    if (i < s->mask_results.count) {
        const rb_segment *m = &s->mask_results.at[i].segment;
        rb_text_format(out, ", \"segmentation\": {\"size\": [%u, %u], \"counts\": \"", m->height, m->width);
        add_runs(out, s->mask_results.block.bytes + m->offset, m->size);
        rb_text_add(out, "\"}");
    }
    rb_text_add(out, "}");
}

revbifpn_status rb_detect_results_write(const char *path, const rb_detect_scores *s, const rb_objects *set,
                                        const rb_pictures *pictures, rb_error *err) {
    revbifpn_status status;
    rb_file_writer writer = {0};
    rb_text line = {0};
    TRY(rb_file_begin(&writer, path, err));
    if (!s->box_results.count) TRY(rb_file_write(&writer, "[", 1, err));
    for (size_t i = 0; i < s->box_results.count; i++) {
        rb_text_clear(&line);
        add_result(&line, s, i, set, pictures);
        TRY(rb_text_check(&line, path, err));
        TRY(rb_file_write(&writer, line.bytes, line.size, err));
    }
    TRY(rb_file_write(&writer, "]\n", 2, err));
    status = rb_file_commit(&writer, err);
fail:
    rb_file_abandon(&writer);
    rb_text_close(&line);
    return status;
}
