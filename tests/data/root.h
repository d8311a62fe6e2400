/* A folder of the test program's own, and paths inside it. */
#ifndef TESTS_DATA_ROOT_H
#define TESTS_DATA_ROOT_H

#include "check.h"

static char root[4096];

static inline int make_root(void **state) {
    (void)state;
    make_folder(root);
    return 0;
}

static inline int remove_root(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

static inline const char *inside(const char *name) {
    static char paths[4][8192];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, 8192, "%s/%s", root, name);
    return path;
}

#endif
