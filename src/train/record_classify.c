/* What the report shows of a classifier: batches as the network sees them, mistakes, confusion. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/topk.h"
#include "train/environment.h"
#include "train/task.h"

/* ---- a batch as the network sees it ---- */

/* What picture i should be: its label, or the two largest of its soft targets. */
static void set_targets(const rb_trainer *t, const rb_batch *b, int i, rb_seen *seen) {
    seen->label = b->labels[i];
    seen->other = -1;
    seen->share = 1;
    if (!t->classify.prepare.soft) return;
    int classes = t->classify.data.classes, best[2];
    const float *soft = t->classify.prepare.soft + (size_t)i * (size_t)classes;
    rb_top_k(soft, classes, 2, best);
    double low = soft[best[1]], first = soft[best[0]];
    for (int c = 0; c < classes; c++) low = fmin(low, soft[c]); /* what smoothing gives every class */
    double second = soft[best[1]] - low;
    first -= low;
    seen->label = best[0];
    if (second < 0.005 * first) return;
    seen->other = best[1];
    seen->share = first / (first + second);
}

/* A normalised value in units of 1/largest. */
static int unnormalised(float value, float mean, float std, float largest) {
    float v = rintf(largest * (value * std + mean));
    return (int)(v <= 0 ? 0 : v >= largest ? largest : v);
}

/* floats: height,width,channels as the network saw them → a picture to look at; `words`: room for as many,
 * NULL for 8-bit RGB. */
static void to_picture(const rb_images *images, const float *floats, uint16_t *words, rb_image *picture) {
    int channels = images->shape.c;
    size_t count = (size_t)picture->width * (size_t)picture->height * (size_t)channels;
    for (size_t i = 0; i < count; i++) {
        size_t c = i % (size_t)channels;
        int v = unnormalised(floats[i], images->mean[c], images->std[c], words ? 65535 : 255);
        if (words)
            words[i] = (uint16_t)v;
        else
            picture->pixels[i] = (uint8_t)v;
    }
    rb_raster raster = {picture->width, picture->height, channels, words};
    if (words) rb_raster_show(&raster, picture->pixels);
}

revbifpn_status rb_record_batch(rb_trainer *t, const rb_batch *b, const rb_images *images, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    rb_collection *c = &t->record.collection;
    rb_image picture = {0};
    size_t count = (size_t)b->height * (size_t)b->width * (size_t)images->shape.c;
    float *floats = rb_alloc(count * sizeof *floats);
    uint16_t *words = images->words ? rb_alloc(count * sizeof *words) : NULL;
    if (!floats || (images->words && !words)) {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the pictures of the report");
        goto fail;
    }
    TRY(rb_image_alloc(&picture, b->width, b->height, err));
    rb_pass pass = {.exec = &t->step.exec, .err = err, .k = t->step.k};
    for (c->seen_count = 0; c->seen_count < images->shape.n && c->seen_count < RB_SEEN; c->seen_count++) {
        rb_seen *seen = &c->seen[c->seen_count];
        rb_model_seen(t->model, &pass, images, c->seen_count, floats);
        to_picture(images, floats, words, &picture);
        TRY(rb_thumb_take(seen->thumb, &picture, err));
        set_targets(t, b, c->seen_count, seen);
    }
fail:
    rb_image_free(&picture);
    rb_free(words);
    rb_free(floats);
    return status;
}

revbifpn_status rb_record_judged(void *user, const rb_judgement *j, rb_error *err) {
    rb_trainer *t = user;
    rb_image picture = {j->width, j->height, (uint8_t *)j->pixels}, shown = {0};
    if (j->words && j->label != j->predicted) { /* of the others no picture is kept */
        rb_raster raster = {j->width, j->height, j->channels, (uint16_t *)j->words};
        revbifpn_status status = rb_image_alloc(&shown, j->width, j->height, err);
        if (status != REVBIFPN_OK) return status;
        rb_raster_show(&raster, shown.pixels);
        picture = shown;
    }
    revbifpn_status status = rb_collection_add(&t->record.collection, j->label, j->predicted, j->probability,
                                               j->path, &picture, err);
    rb_image_free(&shown);
    return status;
}

static revbifpn_status write_report(rb_trainer *t, rb_error *err) {
    revbifpn_status status;
    rb_facts arguments = {0}, environment = {0};
    const revbifpn_model_config *c = &t->args.model;
    char path[4096], summary[512];
    snprintf(summary, sizeof summary,
             "%s at %d × %d, %d classes, %d training and %d validation pictures, %zu parameters", c->name,
             c->image_width, c->image_height, c->classes, t->classify.data.train.count,
             t->classify.data.val.count, t->model->params.parameters);
    rb_report report = {.collection = &t->record.collection, .classes = t->classify.data.class_names};
    TRY(rb_record_page(t, summary, &arguments, &environment, &report.page, err));
    status = rb_report_write(&report, rb_run_file(&t->run, "report.html", path), err);
fail:
    rb_facts_close(&arguments);
    rb_facts_close(&environment);
    return status;
}

revbifpn_status rb_record_classify(rb_trainer *t, const revbifpn_report *r, rb_error *err) {
    (void)r;
    return rb_record_excuse(t, write_report(t, err), err);
}
