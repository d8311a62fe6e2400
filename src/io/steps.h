/* steps.jsonl of a run folder: one JSON object a line and step,
 *
 *   {"epoch": 1, "step": 3, "lr": 0.02, "loss": 1.75, "grid": 22, "gradients": "9a…", "weights": "07…"}
 *
 * epoch and step counted from 1, numbers with all their digits, hashes as 16 hexadecimal digits (absent
 * without hashes). No times: equal runs give equal files. And tensors.hash: the hash of every tensor at every
 * step,
 *
 *   revbifpn tensor hashes 1 N       (a line)
 *   NAME                             (N lines; "gradient NAME" or "weight NAME")
 *   epoch, step, N hashes            (records, little endian; 4, 4 and 8 bytes each) */
#ifndef RB_IO_STEPS_H
#define RB_IO_STEPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

typedef struct rb_step_record {
    int epoch, step, grid;
    double lr, loss;
    bool hashed;
    uint64_t gradients, weights;
} rb_step_record;

enum { RB_STEP_TEXT = 256 };
/* With the newline; returns its length. */
int rb_step_record_write(const rb_step_record *record, char text[RB_STEP_TEXT]);

/* Reads a steps.jsonl from its beginning. A last line without newline, as of a run that is being written, is
 * taken as not there. */
typedef struct rb_steps_reader {
    FILE *stream; /* NULL: no such file, no steps */
    const char *path;
    int line;
    uint64_t read; /* bytes of the lines given so far */
} rb_steps_reader;
/* `path` stays the caller's. A missing file is an empty one. */
revbifpn_status rb_steps_open(rb_steps_reader *r, const char *path, rb_error *err) RB_CHECKED;
/* *more = false at the end. BAD_FILE naming the line. */
revbifpn_status rb_steps_next(rb_steps_reader *r, rb_step_record *record, bool *more,
                              rb_error *err) RB_CHECKED;
void rb_steps_close(rb_steps_reader *r);

/* An open tensors.hash. */
typedef struct rb_hashes_reader {
    FILE *stream; /* NULL: no such file */
    const char *path;
    int count; /* N */
    char (*names)[144];
    uint64_t *hashes; /* count: of the record read last */
    int epoch, step;  /* of it */
    uint64_t read;    /* bytes of header and records so far */
} rb_hashes_reader;
enum { RB_HASHES_MAX = 1 << 20 };
revbifpn_status rb_hashes_open(rb_hashes_reader *r, const char *path, rb_error *err) RB_CHECKED;
/* The next record; *more = false at the end, where half a record is taken as not there. */
revbifpn_status rb_hashes_next(rb_hashes_reader *r, bool *more, rb_error *err) RB_CHECKED;
void rb_hashes_close(rb_hashes_reader *r);

#endif
