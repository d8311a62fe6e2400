/* Samples out of an image folder: CLASS/… (data/dataset.h). */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/source.h"

static int by_path(const void *a, const void *b) {
    return rb_natural_compare(((const rb_sample *)a)->path, ((const rb_sample *)b)->path);
}

/* The paths change their owner. */
static revbifpn_status add_all(rb_source *s, rb_names *paths, int label, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    for (size_t i = 0; !status && i < paths->count; i++) {
        rb_sample sample = {.path = paths->items[i], .label = label};
        paths->items[i] = NULL;
        status = rb_source_add(s, &sample, err);
    }
    return status;
}

static revbifpn_status read_class(rb_source *s, const char *folder, int label, bool needs_some,
                                  rb_error *err) {
    revbifpn_status status;
    rb_names paths = {0};
    char *path = rb_path_join(folder, s->classes.items[label]);
    if (!path) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
    TRY(rb_folder_pictures(path, &paths, err));
    if (!paths.count && needs_some) {
        status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: no pictures in this class folder", path);
        goto fail;
    }
    status = add_all(s, &paths, label, err);
fail:
    rb_names_free(&paths);
    rb_free(path);
    return status;
}

revbifpn_status rb_source_read_folder(rb_source *s, const char *folder, bool needs_all, rb_error *err) {
    revbifpn_status status = rb_folder_classes(folder, &s->classes, err);
    for (size_t i = 0; !status && i < s->classes.count; i++)
        status = read_class(s, folder, (int)i, needs_all, err);
    if (!status && s->split.count)
        qsort(s->split.samples, (size_t)s->split.count, sizeof *s->split.samples, by_path);
    return status;
}

revbifpn_status rb_split_find(rb_split *split, const char *folder, rb_error *err) {
    rb_names paths = {0};
    rb_source source = {.numbered = false};
    *split = (rb_split){0};
    revbifpn_status status = rb_folder_pictures(folder, &paths, err);
    if (!status) status = add_all(&source, &paths, 0, err);
    rb_names_free(&paths);
    if (status) {
        rb_source_close(&source);
        return status;
    }
    *split = source.split;
    if (split->count) qsort(split->samples, (size_t)split->count, sizeof *split->samples, by_path);
    return REVBIFPN_OK;
}
