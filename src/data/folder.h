/* Walking folders for the data set reader. Only src/data/ includes this. */
#ifndef RB_DATA_FOLDER_H
#define RB_DATA_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* A growing list of owned strings. */
typedef struct rb_names {
    char **items;
    size_t count, room;
} rb_names;

/* Copies `name` into the list. */
revbifpn_status rb_names_add(rb_names *names, const char *name, rb_error *err) RB_CHECKED;
void rb_names_free(rb_names *names);

/* "a/b"; NULL when out of memory; freed with rb_free. */
char *rb_path_join(const char *a, const char *b);
bool rb_is_folder(const char *path);

/* Names of the folders directly in `folder`, in natural order, without hidden ones. */
revbifpn_status rb_folder_classes(const char *folder, rb_names *names, rb_error *err) RB_CHECKED;
/* Paths of all pictures below `folder`, in no particular order. */
revbifpn_status rb_folder_pictures(const char *folder, rb_names *paths, rb_error *err) RB_CHECKED;

#endif
