/* What a YOLO data set says of itself: data.yaml, or classes.txt. Only src/data/ and its fuzz target
 * include this. */
#ifndef RB_DATA_YOLO_CONFIG_H
#define RB_DATA_YOLO_CONFIG_H

#include "data/folder.h"

typedef struct rb_yolo_config {
    char *file;     /* the .yaml file; NULL: there is none. All of it is owned */
    char *path;     /* "path": what `split` is relative to; NULL: the file's folder */
    char *split[2]; /* "train" and "val" as written; NULL: not said */
    rb_names names; /* by class; empty: not said */
} rb_yolo_config;

/* Of the folder, or of the .yaml file, `root`. Neither file there: all empty. BAD_FILE naming file, line and
 * reason; UNSUPPORTED for a .yaml file without libyaml, unless classes.txt has the names. */
revbifpn_status rb_yolo_config_open(rb_yolo_config *config, const char *root, rb_error *err) RB_CHECKED;
void rb_yolo_config_close(rb_yolo_config *config);

#endif
