#include "data/objects_source.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/host.h"
#include "base/json_number.h"
#include "base/memory.h"
#include "image/image.h"

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures and objects");
}

/* ---- classes ---- */

revbifpn_status rb_classes_add(rb_classes *c, int64_t id, const char *name, rb_error *err) {
    if (c->count == INT16_MAX) return rb_fail(err, REVBIFPN_BAD_DATA, "more than %d classes", INT16_MAX);
    rb_object_class *grown = rb_grow(c->at, &c->room, c->count + 1, sizeof *grown);
    if (!grown) return no_memory(err);
    c->at = grown;
    char *copy = rb_copy_text(name);
    if (!copy) return no_memory(err);
    grown[c->count++] = (rb_object_class){.id = id, .name = copy};
    return REVBIFPN_OK;
}

void rb_classes_close(rb_classes *c) {
    for (size_t i = 0; i < c->count; i++) rb_free(c->at[i].name);
    rb_free(c->at);
    *c = (rb_classes){0};
}

int rb_classes_find(const rb_classes *c, const char *name) {
    for (size_t i = 0; i < c->count; i++)
        if (!strcmp(c->at[i].name, name)) return (int)i;
    return -1;
}

revbifpn_status rb_classes_label(rb_objects_reader *r, const char *name, int32_t *label, rb_error *err) {
    *label = rb_classes_find(r->classes, name);
    if (*label >= 0) return REVBIFPN_OK;
    if (r->fixed) return rb_fail(err, REVBIFPN_BAD_DATA, "the class '%.200s' is not in %s", name, r->known);
    *label = (int32_t)r->classes->count;
    return rb_classes_add(r->classes, (int64_t)r->classes->count + 1, name, err);
}

revbifpn_status rb_classes_check(const rb_classes *c, const char *from, rb_error *err) {
    for (size_t i = 0; i < c->count; i++)
        if (rb_classes_find(c, c->at[i].name) != (int)i)
            return rb_fail(err, REVBIFPN_BAD_DATA, "%s: two classes are called '%.200s'", from,
                           c->at[i].name);
    return REVBIFPN_OK;
}

/* ---- pictures and objects ---- */

revbifpn_status rb_pictures_add(rb_objects_reader *r, const rb_picture *picture, const char *path,
                                rb_error *err) {
    rb_pictures *p = r->pictures;
    revbifpn_status status = rb_host_stop_asked(path, err);
    if (status) return status;
    if (p->count == INT_MAX / 2) return rb_fail(err, REVBIFPN_BAD_DATA, "more than %d pictures", INT_MAX / 2);
    rb_picture *grown = rb_grow(p->pictures, &r->picture_room, (size_t)p->count + 2, sizeof *grown);
    if (!grown) return no_memory(err);
    p->pictures = grown;
    grown[p->count] = *picture;
    grown[p->count].path = p->text.size;
    grown[p->count].first = p->object_count;
    rb_text_add_bytes(&p->text, path, strlen(path) + 1);
    if (p->text.failed) return no_memory(err);
    p->count++;
    if (!picture->id) grown[p->count - 1].id = p->count;
    grown[p->count] = (rb_picture){.first = p->object_count};
    return REVBIFPN_OK;
}

revbifpn_status rb_pictures_add_object(rb_objects_reader *r, const rb_object *object, rb_error *err) {
    rb_pictures *p = r->pictures;
    rb_object *grown = rb_grow(p->objects, &r->object_room, p->object_count + 1, sizeof *grown);
    if (!grown) return no_memory(err);
    p->objects = grown;
    grown[p->object_count++] = *object;
    p->pictures[p->count].first = p->object_count;
    p->outlines |= object->segment.form != RB_SEGMENT_NONE;
    return REVBIFPN_OK;
}

revbifpn_status rb_pictures_measure(const rb_objects_reader *r, const char *path, rb_picture *picture,
                                    rb_error *err) {
    int width = 0, height = 0;
    rb_decode_options decode = {.max_pixels = r->options->max_pixels, .apply_exif = true};
    rb_error why;
    revbifpn_status status = rb_image_measure(path, &decode, &width, &height, &why);
    if (status == REVBIFPN_OUT_OF_MEMORY) return rb_fail(err, status, "%s", why.text);
    picture->width = (uint32_t)width;
    picture->height = (uint32_t)height;
    return REVBIFPN_OK;
}

/* ---- numbers ---- */

const char *rb_number_take(const char *text, double *value) {
    char plain[64] = "0"; /* which a point needs before it */
    text += strspn(text, " \t\r\n");
    bool negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    while (*text == '0' && text[1] >= '0' && text[1] <= '9') text++;
    size_t size = strspn(text, "0123456789.eE+-"), before = *text == '.';
    if (size > sizeof plain - 2) return NULL;
    memcpy(plain + before, text, size);
    if (rb_json_number_parse(plain, value) != before + size || !(*value < 1e300)) return NULL;
    if (negative) *value = -*value;
    text += size;
    return text + strspn(text, " \t\r\n");
}

/* ---- files ---- */

char *rb_copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = rb_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

bool rb_is_file(const char *path) {
    struct stat info;
    return !stat(path, &info) && S_ISREG(info.st_mode);
}

bool rb_has(const char *root, const char *name, bool (*is)(const char *path)) {
    char path[8192];
    return snprintf(path, sizeof path, "%s/%s", root, name) < (int)sizeof path && is(path);
}

revbifpn_status rb_look_for(const char *root, const char *name, bool (*is)(const char *path), char **path,
                            rb_error *err) {
    *path = rb_path_join(root, name);
    if (!*path) return no_memory(err);
    if (is(*path)) return REVBIFPN_OK;
    rb_free(*path);
    *path = NULL;
    return REVBIFPN_OK;
}
