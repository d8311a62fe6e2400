#define _GNU_SOURCE
#include "data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/host.h"
#include "base/memory.h"
#include "data/dataset.h"

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
}

static revbifpn_status grow(rb_names *names, rb_error *err) {
    size_t room = names->room ? 2 * names->room : 64;
    char **items = rb_alloc(rb_size_mul(room, sizeof *items));
    if (!items) return no_memory(err);
    if (names->count) memcpy(items, names->items, names->count * sizeof *items);
    rb_free(names->items);
    names->items = items;
    names->room = room;
    return REVBIFPN_OK;
}

revbifpn_status rb_names_add(rb_names *names, const char *name, rb_error *err) {
    revbifpn_status status = names->count == names->room ? grow(names, err) : REVBIFPN_OK;
    if (status) return status;
    size_t size = strlen(name) + 1;
    char *copy = rb_alloc(size);
    if (!copy) return no_memory(err);
    memcpy(copy, name, size);
    names->items[names->count++] = copy;
    return REVBIFPN_OK;
}

void rb_names_free(rb_names *names) {
    for (size_t i = 0; i < names->count; i++) rb_free(names->items[i]);
    rb_free(names->items);
    *names = (rb_names){0};
}

char *rb_path_join(const char *a, const char *b) {
    size_t length = strlen(a), size = length + strlen(b) + 2;
    const char *between = length && a[length - 1] == '/' ? "" : "/";
    char *path = rb_alloc(size);
    if (path) snprintf(path, size, "%s%s%s", a, between, b);
    return path;
}

bool rb_is_folder(const char *path) {
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static bool is_picture(const char *name) {
    static const char *const extensions[] = {".jpg", ".jpeg", ".png", ".webp",
                                             ".gif", ".bmp",  ".tif", ".tiff"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof extensions / sizeof *extensions; i++)
        if (!strcasecmp(dot, extensions[i])) return true;
    return false;
}

/* The folders from the class folder down to the current one: a link back to one of them would never end. */
typedef struct chain {
    const struct chain *parent;
    dev_t device;
    ino_t inode;
} chain;

static bool is_inside_itself(const chain *here) {
    for (const chain *up = here->parent; up; up = up->parent)
        if (up->device == here->device && up->inode == here->inode) return true;
    return false;
}

static revbifpn_status open_failed(const char *folder, rb_error *err) {
    revbifpn_status status = errno == ENOENT || errno == ENOTDIR ? REVBIFPN_BAD_DATA : REVBIFPN_IO_FAILED;
    return rb_fail(err, status, "%s: cannot read the folder: %s", folder, strerror(errno));
}

static revbifpn_status walk(const char *folder, const chain *parent, rb_names *paths, rb_error *err);

/* One entry of a folder: a picture is listed, a folder walked. What vanished or is neither is passed over. */
static revbifpn_status visit(const char *path, const char *name, const chain *here, rb_names *paths,
                             rb_error *err) {
    struct stat info;
    if (stat(path, &info)) return REVBIFPN_OK;
    if (S_ISDIR(info.st_mode)) return walk(path, here, paths, err);
    return S_ISREG(info.st_mode) && is_picture(name) ? rb_names_add(paths, path, err) : REVBIFPN_OK;
}

static revbifpn_status walk(const char *folder, const chain *parent, rb_names *paths, rb_error *err) {
    struct stat info;
    DIR *stream = opendir(folder);
    if (!stream || fstat(dirfd(stream), &info)) {
        revbifpn_status status = open_failed(folder, err);
        if (stream) closedir(stream);
        return status;
    }
    chain here = {.parent = parent, .device = info.st_dev, .inode = info.st_ino};
    revbifpn_status status = REVBIFPN_OK;
    for (struct dirent *entry; !status && !is_inside_itself(&here) && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.') continue;
        status = rb_host_stop_asked(folder, err);
        if (status) break;
        char *path = rb_path_join(folder, entry->d_name);
        status = path ? visit(path, entry->d_name, &here, paths, err) : no_memory(err);
        rb_free(path);
    }
    closedir(stream);
    return status;
}

revbifpn_status rb_folder_pictures(const char *folder, rb_names *paths, rb_error *err) {
    return walk(folder, NULL, paths, err);
}

static int natural(const void *a, const void *b) {
    return rb_natural_compare(*(char *const *)a, *(char *const *)b);
}

revbifpn_status rb_folder_classes(const char *folder, rb_names *names, rb_error *err) {
    DIR *stream = opendir(folder);
    if (!stream) return open_failed(folder, err);
    revbifpn_status status = REVBIFPN_OK;
    for (struct dirent *entry; !status && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.') continue;
        char *path = rb_path_join(folder, entry->d_name);
        if (!path)
            status = no_memory(err);
        else if (rb_is_folder(path))
            status = rb_names_add(names, entry->d_name, err);
        rb_free(path);
    }
    closedir(stream);
    if (names->count) qsort(names->items, names->count, sizeof *names->items, natural);
    return status;
}
