#define _GNU_SOURCE
#include "io/events.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/memory.h"
#include "base/text.h"

enum { BINS = 30, FILES_MAX = 1000, HOST = 64 };

struct rb_events {
    FILE *stream;
    char path[4096];
    double wall; /* time of the last event: no later one is earlier, also when the clock is set back */
    rb_text value, summary, event; /* messages in the making: one value, all of them, the event around */
};

/* ---- checksums ---- */

uint32_t rb_crc32c(const void *bytes, size_t size) {
    const uint8_t *p = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

uint32_t rb_crc32c_masked(const void *bytes, size_t size) {
    uint32_t crc = rb_crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- protocol buffers ---- */

typedef enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 } wire;

static void put_varint(rb_text *t, uint64_t number) {
    uint8_t bytes[10];
    size_t size = 0;
    do {
        bytes[size++] = (uint8_t)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
        number >>= 7;
    } while (number);
    rb_text_add_bytes(t, bytes, size);
}

static void put_key(rb_text *t, int field, wire type) { put_varint(t, (uint64_t)field << 3 | type); }

static void put_number(rb_text *t, int field, uint64_t number) {
    put_key(t, field, VARINT);
    put_varint(t, number);
}

static void put_little_endian(rb_text *t, uint64_t bits, int bytes) {
    uint8_t out[8];
    for (int i = 0; i < bytes; i++) out[i] = (uint8_t)(bits >> 8 * i);
    rb_text_add_bytes(t, out, (size_t)bytes);
}

static void put_raw_double(rb_text *t, double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    put_little_endian(t, bits, 8);
}

static void put_double(rb_text *t, int field, double number) {
    put_key(t, field, FIXED64);
    put_raw_double(t, number);
}

static void put_float(rb_text *t, int field, float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    put_key(t, field, FIXED32);
    put_little_endian(t, bits, 4);
}

static void put_bytes(rb_text *t, int field, const void *bytes, size_t size) {
    put_key(t, field, BYTES);
    put_varint(t, size);
    rb_text_add_bytes(t, bytes, size);
}

static void put_message(rb_text *t, int field, const rb_text *message) {
    put_bytes(t, field, message->bytes, message->size);
    t->failed = t->failed || message->failed;
}

/* ---- records ---- */

static revbifpn_status put_record(rb_events *e, const rb_text *message, rb_error *err) {
    revbifpn_status status = rb_text_check(message, "an event", err);
    if (status != REVBIFPN_OK) return status;
    uint8_t head[12], tail[4];
    for (int i = 0; i < 8; i++) head[i] = (uint8_t)((uint64_t)message->size >> 8 * i);
    uint32_t crc = rb_crc32c_masked(head, 8);
    for (int i = 0; i < 4; i++) head[8 + i] = (uint8_t)(crc >> 8 * i);
    crc = rb_crc32c_masked(message->bytes, message->size);
    for (int i = 0; i < 4; i++) tail[i] = (uint8_t)(crc >> 8 * i);
    if (!rb_file_fails() && fwrite(head, 1, sizeof head, e->stream) == sizeof head &&
        fwrite(message->bytes, 1, message->size, e->stream) == message->size &&
        fwrite(tail, 1, sizeof tail, e->stream) == sizeof tail)
        return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot write: %s", e->path, strerror(errno));
}

/* Event: wall_time = 1, step = 2, then one of file_version = 3, summary = 5, session_log = 7. */
static void begin_event(rb_events *e, int64_t step) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    rb_text_clear(&e->event);
    double wall = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    if (wall > e->wall) e->wall = wall;
    put_double(&e->event, 1, e->wall);
    put_number(&e->event, 2, (uint64_t)step);
}

revbifpn_status rb_events_write(rb_events *e, int64_t step, rb_error *err) {
    if (!e->summary.size && !e->summary.failed) return REVBIFPN_OK;
    begin_event(e, step);
    put_message(&e->event, 5, &e->summary);
    rb_text_clear(&e->summary);
    return put_record(e, &e->event, err);
}

revbifpn_status rb_events_flush(rb_events *e, rb_error *err) {
    if (!rb_file_fails() && !fflush(e->stream)) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot write: %s", e->path, strerror(errno));
}

/* ---- values: Summary.value = 1, each with tag = 1 and its content ---- */

static void begin_value(rb_events *e, const char *tag) {
    rb_text_clear(&e->value);
    put_bytes(&e->value, 1, tag, strlen(tag));
}

static void end_value(rb_events *e) { put_message(&e->summary, 1, &e->value); }

void rb_events_scalar(rb_events *e, const char *tag, double value) {
    begin_value(e, tag);
    put_float(&e->value, 2, (float)value);
    end_value(e);
}

/* Image: height = 1, width = 2, colorspace = 3 (3: RGB), encoded_image_string = 4. */
void rb_events_image(rb_events *e, const char *tag, int width, int height, const void *bytes, size_t size) {
    rb_text image = {0};
    put_number(&image, 1, (uint64_t)height);
    put_number(&image, 2, (uint64_t)width);
    put_number(&image, 3, 3);
    put_bytes(&image, 4, bytes, size);
    begin_value(e, tag);
    put_message(&e->value, 4, &image);
    end_value(e);
    rb_text_close(&image);
}

typedef struct histogram {
    double min, max, sum, squares;
    uint64_t count, bins[BINS];
} histogram;

static void fill_bins(histogram *h, const float *values, size_t count) {
    double width = (h->max - h->min) / BINS;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) continue;
        int bin = width > 0 ? (int)(((double)values[i] - h->min) / width) : 0;
        h->bins[bin < BINS ? bin : BINS - 1]++;
    }
}

static histogram count_values(const float *values, size_t count) {
    histogram h = {.min = INFINITY, .max = -INFINITY};
    for (size_t i = 0; i < count; i++) {
        double v = values[i];
        if (!isfinite(v)) continue;
        h.min = fmin(h.min, v);
        h.max = fmax(h.max, v);
        h.sum += v;
        h.squares += v * v;
        h.count++;
    }
    if (h.count) fill_bins(&h, values, count);
    return h;
}

/* HistogramProto: min = 1, max = 2, num = 3, sum = 4, sum_squares = 5, bucket_limit = 6, bucket = 7. */
void rb_events_histogram(rb_events *e, const char *tag, const float *values, size_t count) {
    histogram h = count_values(values, count);
    rb_text histo = {0};
    int bins = h.max > h.min ? BINS : 1;
    if (!h.count) return;
    put_double(&histo, 1, h.min);
    put_double(&histo, 2, h.max);
    put_double(&histo, 3, (double)h.count);
    put_double(&histo, 4, h.sum);
    put_double(&histo, 5, h.squares);
    put_key(&histo, 6, BYTES);
    put_varint(&histo, (uint64_t)bins * 8);
    for (int i = 1; i <= bins; i++)
        put_raw_double(&histo, i == bins ? h.max : h.min + (h.max - h.min) * i / BINS);
    put_key(&histo, 7, BYTES);
    put_varint(&histo, (uint64_t)bins * 8);
    for (int i = 0; i < bins; i++) put_raw_double(&histo, (double)h.bins[i]);
    begin_value(e, tag);
    put_message(&e->value, 5, &histo);
    end_value(e);
    rb_text_close(&histo);
}

/* ---- the file ---- */

/* A name that is not there yet and sorts behind those of earlier files: TensorBoard reads them in that order.
 */
static revbifpn_status create_file(rb_events *e, const char *folder, rb_error *err) {
    char host[HOST] = "";
    if (gethostname(host, sizeof host - 1)) host[0] = 0;
    for (char *p = host; *p; p++)
        if (*p == '/') *p = '-';
    for (int number = 0; number < FILES_MAX; number++) {
        int length = snprintf(e->path, sizeof e->path, "%s/events.out.tfevents.%010lld.%03d.%s", folder,
                              (long long)time(NULL), number, *host ? host : "host");
        if (length < 0 || (size_t)length >= sizeof e->path)
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", folder);
        int fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno == EEXIST) continue;
        e->stream = fd < 0 ? NULL : fdopen(fd, "wb");
        if (e->stream) return REVBIFPN_OK;
        if (fd >= 0) close(fd);
        break;
    }
    return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot create: %s", e->path, strerror(errno));
}

/* The version that every file begins with, then the start of a session (SessionLog: status = 1, START = 1).
 */
static revbifpn_status begin_file(rb_events *e, int64_t first, rb_error *err) {
    static const char version[] = "brain.Event:2";
    revbifpn_status status;
    begin_event(e, 0);
    put_bytes(&e->event, 3, version, sizeof version - 1);
    TRY(put_record(e, &e->event, err));
    begin_event(e, first);
    put_number(&e->value, 1, 1);
    put_message(&e->event, 7, &e->value);
    TRY(put_record(e, &e->event, err));
    return rb_events_flush(e, err);
fail:
    return status;
}

revbifpn_status rb_events_open(rb_events **events, const char *folder, int64_t first, rb_error *err) {
    revbifpn_status status;
    rb_events *e = *events = rb_alloc(sizeof *e);
    if (!e) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the events of %s", folder);
    TRY(create_file(e, folder, err));
    TRY(begin_file(e, first, err));
    return REVBIFPN_OK;
fail:
    rb_events_close(events);
    return status;
}

void rb_events_close(rb_events **events) {
    rb_events *e = *events;
    if (!e) return;
    if (e->stream) fclose(e->stream);
    rb_text_close(&e->value);
    rb_text_close(&e->summary);
    rb_text_close(&e->event);
    rb_free(e);
    *events = NULL;
}
