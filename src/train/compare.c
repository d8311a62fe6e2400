#include "train/compare.h"

#include <string.h>

#include "io/steps.h"

enum { PATH = 4096 };

/* One of the two runs: the next step that it has. */
typedef struct side {
    char steps[PATH], tensors[PATH];
    rb_steps_reader reader;
    rb_step_record record;
    bool more;
} side;

static revbifpn_status open_side(side *s, const char *folder, rb_error *err) {
    revbifpn_status status;
    if (snprintf(s->steps, PATH, "%s/steps.jsonl", folder) >= PATH ||
        snprintf(s->tensors, PATH, "%s/tensors.hash", folder) >= PATH)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", folder);
    TRY(rb_steps_open(&s->reader, s->steps, err));
    if (!s->reader.stream)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s holds no steps of a run (no steps.jsonl)", folder);
    return rb_steps_next(&s->reader, &s->record, &s->more, err);
fail:
    return status;
}

static int order(const rb_step_record *a, const rb_step_record *b) {
    return a->epoch != b->epoch ? (a->epoch > b->epoch) - (a->epoch < b->epoch)
                                : (a->step > b->step) - (a->step < b->step);
}

/* The first thing of a step that differs, in the order in which it comes about; NULL: nothing. */
static const char *first_difference(const rb_step_record *a, const rb_step_record *b) {
    bool hashed = a->hashed && b->hashed;
    if (memcmp(&a->lr, &b->lr, sizeof a->lr)) return "learning rate";
    if (memcmp(&a->loss, &b->loss, sizeof a->loss)) return "loss";
    if (hashed && a->gradients != b->gradients) return "gradients";
    if (a->grid != b->grid) return "grid";
    if (hashed && a->weights != b->weights) return "weights";
    return NULL;
}

/* Reads on to the record of a step; `found` false when the file has none. */
static revbifpn_status find_hashes(rb_hashes_reader *r, const char *path, int epoch, int step, bool *found,
                                   rb_error *err) {
    revbifpn_status status;
    *found = false;
    TRY(rb_hashes_open(r, path, err));
    for (bool more = true; more && !*found;) {
        TRY(rb_hashes_next(r, &more, err));
        *found = more && r->epoch == epoch && r->step == step;
    }
fail:
    return status;
}

/* Names the first tensor, gradients before weights, and counts them. Runs without tensors.hash have none. */
static revbifpn_status name_tensor(const side *a, const side *b, revbifpn_run_difference *out,
                                   rb_error *err) {
    revbifpn_status status;
    rb_hashes_reader x = {0}, y = {0};
    bool in_a, in_b;
    TRY(find_hashes(&x, a->tensors, out->epoch, out->step, &in_a, err));
    TRY(find_hashes(&y, b->tensors, out->epoch, out->step, &in_b, err));
    if (!in_a || !in_b) goto fail;
    out->compared = x.count < y.count ? x.count : y.count;
    for (int i = 0; i < out->compared; i++) {
        bool same = !strcmp(x.names[i], y.names[i]) && x.hashes[i] == y.hashes[i];
        if (!same && !out->tensors++) snprintf(out->tensor, sizeof out->tensor, "%s", x.names[i]);
    }
fail:
    rb_hashes_close(&x);
    rb_hashes_close(&y);
    return status;
}

/* Reads both in step until something differs or one ends. */
static revbifpn_status walk(side *a, side *b, revbifpn_run_difference *out, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    while (a->more || b->more) {
        int which = !a->more ? 1 : !b->more ? -1 : order(&a->record, &b->record);
        if (which) {
            side *alone = which < 0 ? a : b;
            ++*(which < 0 ? &out->only_a : &out->only_b);
            TRY(rb_steps_next(&alone->reader, &alone->record, &alone->more, err));
            continue;
        }
        const char *what = first_difference(&a->record, &b->record);
        if (what) {
            snprintf(out->what, sizeof out->what, "%s", what);
            out->epoch = a->record.epoch;
            out->step = a->record.step;
            return name_tensor(a, b, out, err);
        }
        out->steps++;
        out->hashed += a->record.hashed && b->record.hashed;
        TRY(rb_steps_next(&a->reader, &a->record, &a->more, err));
        TRY(rb_steps_next(&b->reader, &b->record, &b->more, err));
    }
fail:
    return status;
}

revbifpn_status rb_run_compare(const char *a, const char *b, revbifpn_run_difference *out, rb_error *err) {
    revbifpn_status status;
    side sides[2] = {{.more = false}, {.more = false}};
    *out = (revbifpn_run_difference){0};
    TRY(open_side(&sides[0], a, err));
    TRY(open_side(&sides[1], b, err));
    status = walk(&sides[0], &sides[1], out, err);
fail:
    rb_steps_close(&sides[0].reader);
    rb_steps_close(&sides[1].reader);
    return status;
}
