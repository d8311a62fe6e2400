#define _GNU_SOURCE
#include "io/steps.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "io/little_endian.h"

int rb_step_record_write(const rb_step_record *r, char text[RB_STEP_TEXT]) {
    int end = snprintf(text, RB_STEP_TEXT,
                       "{\"epoch\": %d, \"step\": %d, \"lr\": %.17g, \"loss\": %.17g, \"grid\": %d", r->epoch,
                       r->step, r->lr, r->loss, r->grid);
    if (r->hashed)
        end += snprintf(text + end, RB_STEP_TEXT - (size_t)end,
                        ", \"gradients\": \"%016" PRIx64 "\", \"weights\": \"%016" PRIx64 "\"", r->gradients,
                        r->weights);
    return end + snprintf(text + end, RB_STEP_TEXT - (size_t)end, "}\n");
}

/* Only what rb_step_record_write writes: the record, written again, must give the line. */
static bool read_record(const char *text, rb_step_record *r) {
    char again[RB_STEP_TEXT];
    *r = (rb_step_record){0};
    int found = sscanf(
        text,
        "{\"epoch\": %d, \"step\": %d, \"lr\": %lf, \"loss\": %lf, \"grid\": %d, \"gradients\": \"%" SCNx64
        "\", \"weights\": \"%" SCNx64 "\"}",
        &r->epoch, &r->step, &r->lr, &r->loss, &r->grid, &r->gradients, &r->weights);
    r->hashed = found == 7;
    if ((found != 5 && found != 7) || r->epoch < 1 || r->step < 1 || !isfinite(r->lr) || !isfinite(r->loss))
        return false;
    rb_step_record_write(r, again);
    return !strcmp(again, text);
}

static revbifpn_status open_stream(const char *path, FILE **stream, rb_error *err) {
    *stream = fopen(path, "rbe");
    if (*stream || errno == ENOENT) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot open: %s", path, strerror(errno));
}

revbifpn_status rb_steps_open(rb_steps_reader *r, const char *path, rb_error *err) {
    *r = (rb_steps_reader){.path = path};
    return open_stream(path, &r->stream, err);
}

revbifpn_status rb_steps_next(rb_steps_reader *r, rb_step_record *record, bool *more, rb_error *err) {
    char text[RB_STEP_TEXT];
    *more = false;
    if (!r->stream || !fgets(text, sizeof text, r->stream)) {
        if (!r->stream || !ferror(r->stream)) return REVBIFPN_OK;
        return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot read: %s", r->path, strerror(errno));
    }
    size_t length = strlen(text);
    bool whole = length && text[length - 1] == '\n';
    if (!whole && feof(r->stream)) return REVBIFPN_OK;
    r->line++;
    if (!whole || !read_record(text, record))
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s:%d: not the line of a step", r->path, r->line);
    r->read += length;
    *more = true;
    return REVBIFPN_OK;
}

void rb_steps_close(rb_steps_reader *r) {
    if (r->stream) fclose(r->stream);
    *r = (rb_steps_reader){0};
}

/* ---- tensors.hash ---- */

static revbifpn_status wrong(const rb_hashes_reader *r, const char *why, rb_error *err) {
    return rb_fail(err, REVBIFPN_BAD_FILE, "%s: %s", r->path, why);
}

/* One line without its newline; false when there is none or it is too long. */
static bool read_line(rb_hashes_reader *r, char *text, int size) {
    if (!fgets(text, size, r->stream)) return false;
    size_t length = strlen(text);
    r->read += length;
    if (!length || text[length - 1] != '\n') return false;
    text[length - 1] = 0;
    return true;
}

revbifpn_status rb_hashes_open(rb_hashes_reader *r, const char *path, rb_error *err) {
    char line[144];
    *r = (rb_hashes_reader){.path = path};
    revbifpn_status status = open_stream(path, &r->stream, err);
    if (status || !r->stream) return status;
    if (!read_line(r, line, sizeof line) || sscanf(line, "revbifpn tensor hashes 1 %d", &r->count) != 1 ||
        r->count < 1 || r->count > RB_HASHES_MAX)
        return wrong(r, "does not begin as tensor hashes do", err);
    r->names = rb_alloc((size_t)r->count * sizeof *r->names);
    r->hashes = rb_alloc((size_t)r->count * sizeof *r->hashes);
    if (!r->names || !r->hashes)
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %d tensors", path, r->count);
    for (int i = 0; i < r->count; i++)
        if (!read_line(r, r->names[i], sizeof r->names[i])) return wrong(r, "the names end too early", err);
    return REVBIFPN_OK;
}

revbifpn_status rb_hashes_next(rb_hashes_reader *r, bool *more, rb_error *err) {
    unsigned char head[8];
    size_t count = (size_t)r->count;
    *more = r->stream && fread(head, sizeof head, 1, r->stream) == 1 &&
            fread(r->hashes, sizeof *r->hashes, count, r->stream) == count;
    if (!*more) {
        if (!r->stream || !ferror(r->stream)) return REVBIFPN_OK;
        return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot read: %s", r->path, strerror(errno));
    }
    r->epoch = (int)(rb_le32(head) & INT32_MAX);
    r->step = (int)(rb_le32(head + 4) & INT32_MAX);
    for (size_t i = 0; i < count; i++) r->hashes[i] = rb_le64((const unsigned char *)&r->hashes[i]);
    r->read += sizeof head + count * sizeof *r->hashes;
    return REVBIFPN_OK;
}

void rb_hashes_close(rb_hashes_reader *r) {
    if (r->stream) fclose(r->stream);
    rb_free(r->names);
    rb_free(r->hashes);
    *r = (rb_hashes_reader){0};
}
