/* A shard: a tar archive in the WebDataset layout, and the index that says where its pictures lie.
 *
 * Files that follow each other under one key (the name up to the first dot behind the last slash) are one
 * sample: KEY.jpg (or .jpeg .png .webp .gif .bmp .tif .tiff) its picture, KEY.cls its label as text, or
 * KEY.json an object whose "cls", "label", "class" or "class_name" (the first there is) is a number or a
 * text. Other files, hidden ones and samples without a picture are passed over.
 *
 * The index is made once, by walking the headers, and kept beside the shard as SHARD.tar.index. It is taken
 * again as long as size and time of change of the shard are those it was made from; a wrong or damaged one is
 * made anew, and where it cannot be written nothing is kept. It has one form, in memory as on disk, all
 * numbers little-endian: "RBSHARD1"; 64 bits each of size, seconds and nanoseconds of the shard and the
 * number of pictures; for each picture 64 bits of offset and size, 32 of the lengths of name and label, then
 * these two; at the end 64 bits of XXH3 over all before. */
#ifndef RB_DATA_SHARD_H
#define RB_DATA_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rb_shard_index {
    unsigned char *bytes; /* owned */
    size_t size, room;
    uint64_t count; /* pictures */
} rb_shard_index;

typedef struct rb_shard_entry {
    uint64_t offset, size;    /* of the picture in the shard */
    const char *name, *label; /* in the index, without an end mark: KEY.jpg; text of the label */
    size_t name_length, label_length;
} rb_shard_entry;

/* The index of that shard, read or made. BAD_FILE (the shard is no tar archive, is cut off, a picture has no
 * label, …), IO_FAILED, OUT_OF_MEMORY. */
revbifpn_status rb_shard_index_open(rb_shard_index *index, const char *shard, rb_error *err) RB_CHECKED;
void rb_shard_index_close(rb_shard_index *index);
/* Entry after entry; *at begins with 0. False at the end. */
bool rb_shard_index_next(const rb_shard_index *index, size_t *at, rb_shard_entry *entry);

/* The two halves, for the tests. Making: walks the shard. Checking: whether these bytes are an index, whole
 * and consistent; whether of this shard is another question. */
revbifpn_status rb_shard_index_make(rb_shard_index *index, const char *shard, rb_error *err) RB_CHECKED;
bool rb_shard_index_check(rb_shard_index *index);

/* The label in the JSON text of a sample, as text; false when there is none. Only src/data/ calls it. */
enum { RB_LABEL_BYTES = 256 };
bool rb_shard_json_label(const char *text, size_t size, char label[RB_LABEL_BYTES]);

#endif
