#include "train/run_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/args.h"

enum { TEXT_LIMIT = 64 << 20, LINE_LIMIT = 1400 };

/* The first line: epoch,lr,train_loss, the loss's parts, the metrics, grid, and with an average
 * weights_METRIC for each. */
static void header_of(const rb_run_folder *run, char line[LINE_LIMIT]) {
    int end = snprintf(line, LINE_LIMIT, "epoch,lr,train_loss,%s%s%s,grid", run->parts,
                       *run->parts ? "," : "", run->metrics);
    for (const char *name = run->metrics; run->average && *name; name += *name == ',') {
        int length = (int)strcspn(name, ",");
        end += snprintf(line + end, (size_t)(LINE_LIMIT - end), ",weights_%.*s", length, name);
        name += length;
    }
    snprintf(line + end, (size_t)(LINE_LIMIT - end), "\n");
}

const char *rb_run_file(const rb_run_folder *run, const char *name, char path[4096]) {
    snprintf(path, 4096, "%s/%s", run->path, name);
    return path;
}

static revbifpn_status set_path(rb_run_folder *run, const char *path, rb_error *err) {
    *run = (rb_run_folder){0};
    if (!*path || strlen(path) >= sizeof run->path)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "'%.64s': not a usable name for a run folder", path);
    snprintf(run->path, sizeof run->path, "%s", path);
    return REVBIFPN_OK;
}

revbifpn_status rb_run_save_args(const rb_run_folder *run, const revbifpn_train_config *args, rb_error *err) {
    revbifpn_status status;
    char file[4096], *json = NULL;
    TRY(rb_args_to_json(args, &json, err));
    status = rb_file_replace(rb_run_file(run, "args.json", file), json, strlen(json), err);
fail:
    rb_free(json);
    return status;
}

revbifpn_status rb_run_create(rb_run_folder *run, const char *path, const revbifpn_train_config *args,
                              const char *parts, const char *metrics, rb_error *err) {
    revbifpn_status status;
    char file[4096];
    TRY(set_path(run, path, err));
    run->average = args->model_ema;
    run->parts = parts;
    run->metrics = metrics;
    rb_run_file(run, "args.json", file);
    if (!access(file, F_OK))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT,
                       "%s holds a run already: --resume it, or choose another --out", path);
    TRY(rb_folder_make(rb_run_file(run, "weights", file), err));
    TRY(rb_run_save_args(run, args, err));
    status = rb_run_rewind_results(run, 0, err);
fail:
    return status;
}

revbifpn_status rb_run_read_args(rb_run_folder *run, const char *path, revbifpn_train_config *args,
                                 char **strings, rb_error *err) {
    revbifpn_status status;
    char file[4096];
    unsigned char *json = NULL;
    size_t size;
    TRY(set_path(run, path, err));
    rb_run_file(run, "args.json", file);
    if (access(file, F_OK))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s holds no run (no args.json)", path);
    TRY(rb_file_read(file, TEXT_LIMIT, &json, &size, err));
    TRY(rb_args_from_json(file, (const char *)json, size, args, strings, err));
    run->average = args->model_ema;
fail:
    rb_free(json);
    return status;
}

revbifpn_status rb_run_reopen(rb_run_folder *run, const char *path, revbifpn_train_config *args,
                              char **strings, rb_error *err) {
    char folder[4096];
    revbifpn_status status = rb_run_read_args(run, path, args, strings, err);
    if (status != REVBIFPN_OK) return status;
    return rb_folder_make(rb_run_file(run, "weights", folder), err);
}

void rb_run_close(rb_run_folder *run) {
    rb_free(run->results);
    run->results = NULL;
}

static revbifpn_status set_results(rb_run_folder *run, char *text, rb_error *err) {
    char file[4096];
    if (!text) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for results.csv");
    rb_free(run->results);
    run->results = text;
    return rb_file_replace(rb_run_file(run, "results.csv", file), text, strlen(text), err);
}

/* Length of the part of `text` with the header and the first `rows` rows. */
static size_t length_of_rows(const char *text, int rows) {
    const char *p = text;
    for (int line = 0; line <= rows; line++) {
        const char *end = strchr(p, '\n');
        if (!end) break;
        p = end + 1;
    }
    return (size_t)(p - text);
}

/* Rows after the header in the first `length` bytes. */
static int rows_in(const char *text, size_t length) {
    int lines = 0;
    for (size_t i = 0; i < length; i++) lines += text[i] == '\n';
    return lines - 1;
}

revbifpn_status rb_run_rewind_results(rb_run_folder *run, int epochs, rb_error *err) {
    char file[4096];
    unsigned char *old = NULL;
    size_t size = 0;
    char header[LINE_LIMIT];
    const char *text = header;
    header_of(run, header);
    rb_run_file(run, "results.csv", file);
    revbifpn_status status = epochs > 0 ? rb_file_read(file, TEXT_LIMIT, &old, &size, err) : REVBIFPN_OK;
    if (status == REVBIFPN_OUT_OF_MEMORY) return status; /* a lost file is written anew */
    if (old) text = (const char *)old;
    bool other = old && strncmp(text, header, strlen(header)); /* cut within the header, or not ours */
    size_t keep = length_of_rows(text, epochs);
    if (other || (old && rows_in(text, keep) != epochs)) {
        rb_free(old);
        return rb_fail(
            err, REVBIFPN_BAD_FILE,
            "%s: does not have the %d epochs of the checkpoint; removed, the run goes on without them", file,
            epochs);
    }
    char *kept = rb_alloc(keep + 1);
    if (kept) memcpy(kept, text, keep);
    rb_free(old);
    return set_results(run, kept, err);
}

revbifpn_status rb_run_add_result(rb_run_folder *run, const rb_epoch_result *row, rb_error *err) {
    char line[LINE_LIMIT];
    size_t size = sizeof line - 2; /* of the end of the line */
    int end = snprintf(line, size, "%d,%.9g,%.9g", row->epoch, row->lr, row->train_loss);
    for (int i = 0; i < row->parts; i++)
        end += snprintf(line + end, size - (size_t)end, ",%.9g", row->part[i]);
    for (int i = 0; i < row->metrics; i++)
        end += snprintf(line + end, size - (size_t)end, ",%.9g", row->judged[i]);
    end += snprintf(line + end, size - (size_t)end, ",%d", row->grid);
    for (int i = 0; run->average && i < row->metrics; i++)
        end += snprintf(line + end, size - (size_t)end, ",%.9g", row->weights[i]);
    strcpy(line + end, "\n");
    char *text = rb_alloc(strlen(run->results) + strlen(line) + 1);
    if (text) strcat(strcpy(text, run->results), line);
    return set_results(run, text, err);
}

void rb_run_best_name(int epoch, char name[RB_RUN_BEST_NAME]) {
    snprintf(name, RB_RUN_BEST_NAME, "best.epoch%d", epoch);
}

revbifpn_status rb_run_keep_best(const rb_run_folder *run, int epochs, rb_error *err) {
    char name[RB_RUN_BEST_NAME], file[64], waiting[4096], best[4096];
    rb_run_best_name(epochs + 1, name);
    snprintf(file, sizeof file, "weights/%s.safetensors", name);
    unlink(rb_run_file(run, file, waiting));
    rb_run_best_name(epochs, name);
    snprintf(file, sizeof file, "weights/%s.safetensors", name);
    if (access(rb_run_file(run, file, waiting), F_OK)) return REVBIFPN_OK;
    return rb_file_rename(waiting, rb_run_file(run, "weights/best.safetensors", best), err);
}

void rb_progress_to_text(const rb_progress *p, char text[RB_PROGRESS_TEXT]) {
    int end = snprintf(text, RB_PROGRESS_TEXT, "epoch %d step %d pictures %d loss_sum %a best_top1 %a",
                       p->epoch, p->step, p->pictures, p->loss_sum, p->best_score);
    bool parts = false;
    for (int i = 0; i < RB_PARTS; i++) parts |= p->parts[i] != 0;
    if (!parts) return;
    end += snprintf(text + end, (size_t)(RB_PROGRESS_TEXT - end), " parts");
    for (int i = 0; i < RB_PARTS; i++)
        end += snprintf(text + end, (size_t)(RB_PROGRESS_TEXT - end), " %a", p->parts[i]);
}

bool rb_progress_from_text(const char *text, rb_progress *p) {
    int end = 0;
    int read = sscanf(text, "epoch %d step %d pictures %d loss_sum %la best_top1 %la%n", &p->epoch, &p->step,
                      &p->pictures, &p->loss_sum, &p->best_score, &end);
    memset(p->parts, 0, sizeof p->parts);
    if (read != 5 || p->epoch < 0 || p->step < 0) return false;
    double *q = p->parts;
    return !text[end] ||
           sscanf(text + end, " parts %la %la %la %la %la", &q[0], &q[1], &q[2], &q[3], &q[4]) == 5;
}
