/* TensorBoard's event files. A file is a row of records: length (8 bytes), masked CRC32C of the length, a
 * message Event (protocol buffers), masked CRC32C of the message. Every process that works on a run begins a
 * file of its own; what earlier files say of `first` and later steps is void, which a message SessionLog
 * tells TensorBoard. */
#ifndef RB_IO_EVENTS_H
#define RB_IO_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rb_events rb_events;

/* Begins FOLDER/events.out.tfevents.SECONDS.NUMBER.HOST; *events is NULL after a failure. IO_FAILED,
 * OUT_OF_MEMORY. */
revbifpn_status rb_events_open(rb_events **events, const char *folder, int64_t first,
                               rb_error *err) RB_CHECKED;
void rb_events_close(rb_events **events);

/* Adds a value to the event that is being made. */
void rb_events_scalar(rb_events *events, const char *tag, double value);
/* An RGB picture, encoded as JPEG or PNG. */
void rb_events_image(rb_events *events, const char *tag, int width, int height, const void *bytes,
                     size_t size);
/* Of those of the values that are finite, in bins of equal width; nothing when there are none. */
void rb_events_histogram(rb_events *events, const char *tag, const float *values, size_t count);
/* Writes the event with what was added since the last one; nothing when that is nothing. IO_FAILED,
 * OUT_OF_MEMORY. */
revbifpn_status rb_events_write(rb_events *events, int64_t step, rb_error *err) RB_CHECKED;
/* What has been written can be read by others from now on. */
revbifpn_status rb_events_flush(rb_events *events, rb_error *err) RB_CHECKED;

/* CRC32C (Castagnoli), and as the files have it: rotated right by 15 bits, plus 0xa282ead8. */
uint32_t rb_crc32c(const void *bytes, size_t size);
uint32_t rb_crc32c_masked(const void *bytes, size_t size);

#endif
