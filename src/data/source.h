/* Where pictures can come from, behind one interface: the readers that find the samples and classes of one
 * part of a data set (a split, or the whole). Only src/data/ includes this.
 *
 *     folder      CLASS/…                                    natural order of path
 *     shards      a folder with .tar files, one such file,   natural order of the name in the shard
 *                 or a pattern shard-{000..099}.tar          (then of the shard)
 *     list        a file, lines "path label"                 as listed
 *     CIFAR-10    a folder with data_batch_1.bin … and       as stored
 *                 test_batch.bin (the binary version)
 *
 * The label of a sample of shards and lists is a text. Where there is a file classes.txt (one name a line, in
 * the order of the labels) a number is a place in it, from 0, and any other text one of its names. Without
 * it, texts that are all numbers are places in a list that nobody has given: classes are called "0", "1", …
 * up to the largest; else they are the names of the classes, which come in natural order. */
#ifndef RB_DATA_SOURCE_H
#define RB_DATA_SOURCE_H

#include <stdbool.h>

#include "data/dataset.h"
#include "data/folder.h"

typedef enum rb_source_kind {
    RB_SOURCE_FOLDER,
    RB_SOURCE_SHARDS,
    RB_SOURCE_LIST,
    RB_SOURCE_CIFAR
} rb_source_kind;

/* One part: what to read. */
typedef struct rb_source_place {
    rb_source_kind kind;
    const char *path;
    const char *class_list; /* classes.txt, or NULL */
    bool validation;        /* CIFAR-10: the test file */
    bool needs_all;         /* folder: one of a class without pictures is an error */
} rb_source_place;

/* What was found there. */
typedef struct rb_source {
    rb_names classes; /* by the labels of the samples */
    bool numbered;    /* labels are places in a list that is not here; `classes` are numbers */
    rb_split split;
    size_t room; /* samples that `split` has room for */
    rb_names containers;
    struct rb_interned *texts; /* while labels are still texts */
} rb_source;

/* What lies at `path`, which need not exist: a pattern does not. Never CIFAR-10. */
rb_source_kind rb_source_kind_of(const char *path);
/* BAD_DATA, BAD_FILE, IO_FAILED naming file, line and reason; OUT_OF_MEMORY. Zero the struct first; close it
 * also after a failure. */
revbifpn_status rb_source_read(rb_source *source, const rb_source_place *place, rb_error *err) RB_CHECKED;
/* The classes alone; of a folder without looking for pictures. */
revbifpn_status rb_source_classes(rb_source *source, const rb_source_place *place, rb_error *err) RB_CHECKED;
void rb_source_close(rb_source *source);

/* ---- for the readers ---- */

/* Takes over sample->path, also when it fails. */
revbifpn_status rb_source_add(rb_source *source, const rb_sample *sample, rb_error *err) RB_CHECKED;
/* The same with a label that is a text; rb_source_finish makes numbers of them. */
revbifpn_status rb_source_add_text(rb_source *source, rb_sample sample, const char *label, size_t length,
                                   rb_error *err) RB_CHECKED;
/* Notes a file that samples are parts of; *path is the copy they may point to. */
revbifpn_status rb_source_container(rb_source *source, const char *file, const char **path,
                                    rb_error *err) RB_CHECKED;
/* Labels of texts, as told above. `class_list` may be NULL. */
revbifpn_status rb_source_finish(rb_source *source, const char *path, const char *class_list,
                                 rb_error *err) RB_CHECKED;

revbifpn_status rb_source_read_folder(rb_source *source, const char *folder, bool needs_all,
                                      rb_error *err) RB_CHECKED;
revbifpn_status rb_source_read_shards(rb_source *source, const char *path, rb_error *err) RB_CHECKED;
revbifpn_status rb_source_read_list(rb_source *source, const char *path, rb_error *err) RB_CHECKED;
revbifpn_status rb_source_read_cifar(rb_source *source, const char *folder, bool validation,
                                     rb_error *err) RB_CHECKED;
/* The lines of a text file: of at most 4096 bytes each, without end of line and blanks before it, empty ones
 * left out. Calls take(user, line, number) until it fails. */
revbifpn_status rb_source_lines(const char *path,
                                revbifpn_status (*take)(void *user, char *line, long number, rb_error *err),
                                void *user, rb_error *err) RB_CHECKED;

/* Whether a folder has files whose name ends so. */
bool rb_folder_has(const char *folder, const char *ending);

#endif
