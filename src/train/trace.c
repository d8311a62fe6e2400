#include "train/trace.h"

#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/memory.h"
#include "io/little_endian.h"

enum { HEAD = 8, NAME_LINE = 160 };

revbifpn_status rb_trace_open(rb_trace *t, const rb_params *params, revbifpn_hash mode, rb_error *err) {
    *t = (rb_trace){.mode = mode, .params = params};
    t->steps = t->tensor_file = rb_append_closed();
    if (mode == REVBIFPN_HASH_NONE) return REVBIFPN_OK;
    t->trained = rb_alloc((size_t)params->count * sizeof *t->trained);
    for (int i = 0; t->trained && i < params->count; i++)
        if (params->list[i].kind == RB_PARAM_TRAINED) t->trained[t->gradients++] = i;
    t->tensors = t->gradients + params->count;
    t->hashes = rb_alloc((size_t)t->tensors * sizeof *t->hashes);
    t->record = rb_alloc(HEAD + (size_t)t->tensors * sizeof *t->hashes);
    if (t->trained && t->hashes && t->record) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the hashes of %d tensors", params->count);
}

void rb_trace_close(rb_trace *t) {
    if (!t->params) return; /* never opened */
    rb_append_close(&t->steps);
    rb_append_close(&t->tensor_file);
    rb_free(t->trained);
    rb_free(t->hashes);
    rb_free(t->record);
    *t = (rb_trace){0};
}

/* ---- the files ---- */

/* The place itself, where a run that lost nothing has its last step. */
static bool is_last(const rb_trace *t, int epoch, int step, const rb_progress *place) {
    if (place->step) return epoch == place->epoch + 1 && step == place->step;
    return epoch == place->epoch && (!epoch || step == t->steps_of_epoch);
}

static revbifpn_status lost(const char *path, rb_error *err) {
    return rb_fail(err, REVBIFPN_BAD_FILE,
                   "%s: ends before the step of the checkpoint; removed, the run goes on without", path);
}

static bool is_before(int epoch, int step, const rb_progress *place) {
    return epoch <= place->epoch || (epoch == place->epoch + 1 && step <= place->step);
}

/* *keep = bytes of the lines before `place`. */
static revbifpn_status steps_to_keep(const rb_trace *t, const char *path, const rb_progress *place,
                                     uint64_t *keep, rb_error *err) {
    revbifpn_status status;
    rb_steps_reader r = {0};
    rb_step_record record, last = {0};
    bool more;
    *keep = 0;
    TRY(rb_steps_open(&r, path, err));
    for (;;) {
        TRY(rb_steps_next(&r, &record, &more, err));
        if (!more || !is_before(record.epoch, record.step, place)) break;
        *keep = r.read;
        last = record;
    }
    if (r.stream && !is_last(t, last.epoch, last.step, place)) status = lost(path, err);
fail:
    rb_steps_close(&r);
    return status;
}

static void tensor_name(const rb_trace *t, int i, char line[NAME_LINE]) {
    bool gradient = i < t->gradients;
    const rb_param *p = &t->params->list[gradient ? t->trained[i] : i - t->gradients];
    snprintf(line, NAME_LINE, "%s %s", gradient ? "gradient" : "weight", p->name);
}

/* The same of tensors.hash, whose tensors must be those of this run; 0 when there is no file. */
static revbifpn_status hashes_to_keep(const rb_trace *t, const char *path, const rb_progress *place,
                                      uint64_t *keep, rb_error *err) {
    revbifpn_status status;
    rb_hashes_reader r = {0};
    bool more, same;
    int epoch = 0, step = 0;
    *keep = 0;
    TRY(rb_hashes_open(&r, path, err));
    same = !r.stream || r.count == t->tensors;
    for (int i = 0; r.stream && same && i < r.count; i++) {
        char line[NAME_LINE];
        tensor_name(t, i, line);
        same = !strcmp(line, r.names[i]);
    }
    if (!same) status = rb_fail(err, REVBIFPN_BAD_FILE, "%s: of another network than this run", path);
    *keep = r.read;
    while (!status) {
        TRY(rb_hashes_next(&r, &more, err));
        if (!more || !is_before(r.epoch, r.step, place)) break;
        *keep = r.read;
        epoch = r.epoch, step = r.step;
    }
    if (!status && r.stream && !is_last(t, epoch, step, place)) status = lost(path, err);
fail:
    rb_hashes_close(&r);
    return status;
}

static revbifpn_status write_names(rb_trace *t, rb_error *err) {
    revbifpn_status status;
    char line[NAME_LINE + 1];
    snprintf(line, sizeof line, "revbifpn tensor hashes 1 %d\n", t->tensors);
    TRY(rb_append(&t->tensor_file, line, strlen(line), err));
    for (int i = 0; i < t->tensors; i++) {
        tensor_name(t, i, line);
        strcat(line, "\n");
        TRY(rb_append(&t->tensor_file, line, strlen(line), err));
    }
fail:
    return status;
}

revbifpn_status rb_trace_begin(rb_trace *t, const rb_run_folder *run, const rb_progress *place,
                               int steps_of_epoch, rb_error *err) {
    revbifpn_status status;
    char path[4096];
    uint64_t keep;
    t->steps_of_epoch = steps_of_epoch;
    rb_run_file(run, "steps.jsonl", path);
    TRY(steps_to_keep(t, path, place, &keep, err));
    TRY(rb_append_open(&t->steps, path, keep, err));
    if (t->mode != REVBIFPN_HASH_TENSOR) return REVBIFPN_OK;
    rb_run_file(run, "tensors.hash", path);
    bool nothing = !place->epoch && !place->step; /* a kill may have left half of the names */
    if (nothing) unlink(path);
    TRY(hashes_to_keep(t, path, place, &keep, err));
    TRY(rb_append_open(&t->tensor_file, path, keep, err));
    return keep ? REVBIFPN_OK : write_names(t, err);
fail:
    return status;
}

/* ---- the hashes ---- */

static uint64_t hash_of(const rb_params *p, const rb_param *tensor, bool gradient) {
    if (gradient) return rb_hash(p->gradient + tensor->offset, tensor->count * sizeof(float));
    switch (tensor->kind) {
    case RB_PARAM_TRAINED: return rb_hash(p->weight + tensor->offset, tensor->count * sizeof(float));
    case RB_PARAM_RUNNING: return rb_hash(p->statistics + tensor->offset, tensor->count * sizeof(float));
    case RB_PARAM_COUNTER: break;
    }
    return rb_hash(p->counter + tensor->offset, tensor->count * sizeof(int64_t));
}

static void gradient_task(void *arg, int task, int thread) {
    rb_trace *t = arg;
    (void)thread;
    t->hashes[task] = hash_of(t->params, &t->params->list[t->trained[task]], true);
}

static void weight_task(void *arg, int task, int thread) {
    rb_trace *t = arg;
    (void)thread;
    t->hashes[t->gradients + task] = hash_of(t->params, &t->params->list[task], false);
}

void rb_trace_gradients(rb_trace *t, rb_pool *pool) {
    if (t->hashes) rb_pool_run(pool, t->gradients, gradient_task, t);
}

/* The record of tensors.hash; hashes are little endian there, and hashed so. */
static void fill_record(rb_trace *t, rb_step_record *r) {
    rb_put_le(t->record, (uint64_t)r->epoch, 4);
    rb_put_le(t->record + 4, (uint64_t)r->step, 4);
    for (int i = 0; i < t->tensors; i++) rb_put_le(t->record + HEAD + 8 * (size_t)i, t->hashes[i], 8);
    size_t gradients = 8 * (size_t)t->gradients;
    r->hashed = true;
    r->gradients = rb_hash(t->record + HEAD, gradients);
    r->weights = rb_hash(t->record + HEAD + gradients, 8 * (size_t)t->tensors - gradients);
}

revbifpn_status rb_trace_step(rb_trace *t, rb_pool *pool, rb_step_record *r, rb_error *err) {
    revbifpn_status status;
    char text[RB_STEP_TEXT];
    if (t->hashes) {
        rb_pool_run(pool, t->params->count, weight_task, t);
        fill_record(t, r);
    }
    int length = rb_step_record_write(r, text);
    if (t->mode == REVBIFPN_HASH_TENSOR)
        TRY(rb_append(&t->tensor_file, t->record, HEAD + 8 * (size_t)t->tensors, err));
    return rb_append(&t->steps, text, (size_t)length, err);
fail:
    return status;
}

revbifpn_status rb_trace_sync(rb_trace *t, rb_error *err) {
    revbifpn_status status;
    if (t->mode == REVBIFPN_HASH_TENSOR) TRY(rb_append_sync(&t->tensor_file, err));
    return rb_append_sync(&t->steps, err);
fail:
    return status;
}
