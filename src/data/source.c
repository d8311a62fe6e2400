#include "data/source.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/memory.h"

enum { CLASSES_MAX = 1000000 };

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
}

/* ---- samples ---- */

static revbifpn_status grow(rb_source *s, rb_error *err) {
    if (s->room > INT_MAX / 2) return rb_fail(err, REVBIFPN_BAD_DATA, "more than %d pictures", INT_MAX / 2);
    size_t room = s->room ? 2 * s->room : 64;
    rb_sample *samples = rb_alloc(rb_size_mul(room, sizeof *samples));
    if (!samples) return no_memory(err);
    if (s->split.count) memcpy(samples, s->split.samples, (size_t)s->split.count * sizeof *samples);
    rb_free(s->split.samples);
    s->split.samples = samples;
    s->room = room;
    return REVBIFPN_OK;
}

revbifpn_status rb_source_add(rb_source *s, const rb_sample *sample, rb_error *err) {
    revbifpn_status status = (size_t)s->split.count == s->room ? grow(s, err) : REVBIFPN_OK;
    if (status)
        rb_free(sample->path);
    else
        s->split.samples[s->split.count++] = *sample;
    return status;
}

revbifpn_status rb_source_container(rb_source *s, const char *file, const char **path, rb_error *err) {
    revbifpn_status status = rb_names_add(&s->containers, file, err);
    if (!status) *path = s->containers.items[s->containers.count - 1];
    return status;
}

/* ---- labels that are texts ---- */

/* The different texts met so far, found by a hash. */
typedef struct rb_interned {
    rb_names texts;
    int *slots; /* size: number of the text + 1; 0: free */
    size_t size;
} rb_interned;

static size_t slot_of(const rb_interned *t, const char *text, size_t length) {
    size_t at = (size_t)rb_hash(text, length) & (t->size - 1);
    for (; t->slots[at]; at = (at + 1) & (t->size - 1)) {
        const char *other = t->texts.items[t->slots[at] - 1];
        if (!strncmp(other, text, length) && !other[length]) break;
    }
    return at;
}

static revbifpn_status widen(rb_interned *t, rb_error *err) {
    rb_interned wide = {.texts = t->texts, .size = t->size ? 2 * t->size : 64};
    wide.slots = rb_alloc(rb_size_mul(wide.size, sizeof *wide.slots));
    if (!wide.slots) return no_memory(err);
    for (size_t i = 0; i < t->texts.count; i++)
        wide.slots[slot_of(&wide, t->texts.items[i], strlen(t->texts.items[i]))] = (int)i + 1;
    rb_free(t->slots);
    *t = wide;
    return REVBIFPN_OK;
}

static revbifpn_status intern(rb_interned *t, const char *text, size_t length, int *number, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    if (2 * t->texts.count >= t->size) TRY(widen(t, err));
    size_t at = slot_of(t, text, length);
    if (!t->slots[at]) {
        char copy[512];
        if (length >= sizeof copy || t->texts.count >= CLASSES_MAX)
            return rb_fail(err, REVBIFPN_BAD_DATA,
                           "more than %d different labels, or one of more than %zu bytes", CLASSES_MAX,
                           sizeof copy - 1);
        memcpy(copy, text, length);
        copy[length] = 0;
        TRY(rb_names_add(&t->texts, copy, err));
        t->slots[at] = (int)t->texts.count;
    }
    *number = t->slots[at] - 1;
fail:
    return status;
}

static void interned_free(rb_interned *t) {
    if (!t) return;
    rb_names_free(&t->texts);
    rb_free(t->slots);
    rb_free(t);
}

revbifpn_status rb_source_add_text(rb_source *s, rb_sample sample, const char *label, size_t length,
                                   rb_error *err) {
    if (!s->texts) s->texts = rb_alloc(sizeof *s->texts);
    revbifpn_status status = s->texts ? intern(s->texts, label, length, &sample.label, err) : no_memory(err);
    if (!status) return rb_source_add(s, &sample, err);
    rb_free(sample.path);
    return status;
}

/* The number that a text is, or −1. */
static int number_of(const char *text) {
    long value = 0;
    if (!*text || strlen(text) > 7 || (text[0] == '0' && text[1])) return -1;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text)) return -1;
        value = value * 10 + (*text - '0');
    }
    return value < CLASSES_MAX ? (int)value : -1;
}

/* Classes "0", "1", …, when all texts are numbers. */
static revbifpn_status number_classes(rb_source *s, rb_error *err) {
    int largest = -1;
    revbifpn_status status = REVBIFPN_OK;
    s->numbered = true;
    for (size_t i = 0; i < s->texts->texts.count; i++) {
        int number = number_of(s->texts->texts.items[i]);
        if (number < 0) s->numbered = false;
        if (number > largest) largest = number;
    }
    for (int i = 0; s->numbered && !status && i <= largest; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        status = rb_names_add(&s->classes, name, err);
    }
    return status;
}

static int natural(const void *a, const void *b) {
    return rb_natural_compare(*(char *const *)a, *(char *const *)b);
}

static revbifpn_status name_classes(rb_source *s, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    for (size_t i = 0; !status && i < s->texts->texts.count; i++)
        status = rb_names_add(&s->classes, s->texts->texts.items[i], err);
    if (s->classes.count) qsort(s->classes.items, s->classes.count, sizeof *s->classes.items, natural);
    return status;
}

static revbifpn_status take_class(void *user, char *line, long number, rb_error *err) {
    rb_names *names = user;
    if (number > CLASSES_MAX) return rb_fail(err, REVBIFPN_BAD_DATA, "more than %d classes", CLASSES_MAX);
    return rb_names_add(names, line, err);
}

static int name_of(const rb_interned *names, const char *text) {
    return names->size ? names->slots[slot_of(names, text, strlen(text))] - 1 : -1;
}

/* New numbers for the texts, then for the samples. `places`: a text that is a number is a place among the
 * classes; where all are, none is looked up by name. */
static revbifpn_status relabel(rb_source *s, const char *path, bool places, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    rb_interned *texts = s->texts, classes = {.size = 0};
    int *map = rb_alloc(rb_size_mul(texts->texts.count, sizeof *map)), label;
    if (!map) return no_memory(err);
    for (size_t i = 0; !s->numbered && i < s->classes.count; i++) { /* of two equal names the first counts */
        TRY(intern(&classes, s->classes.items[i], strlen(s->classes.items[i]), &label, err));
        if (label != (int)i) {
            status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: the class '%.200s' is there twice", path,
                             s->classes.items[i]);
            goto fail;
        }
    }
    for (size_t i = 0; i < texts->texts.count; i++) {
        const char *text = texts->texts.items[i];
        int number = places ? number_of(text) : -1; /* never a name, lest "1" be one or the other */
        if (number >= 0)
            map[i] = (size_t)number < s->classes.count ? number : -1;
        else
            map[i] = name_of(&classes, text);
        if (map[i] >= 0) continue;
        status =
            rb_fail(err, REVBIFPN_BAD_DATA, "%s: the label '%.200s' is not in its class list", path, text);
        goto fail;
    }
    for (int i = 0; i < s->split.count; i++) s->split.samples[i].label = map[s->split.samples[i].label];
fail:
    rb_names_free(&classes.texts);
    rb_free(classes.slots);
    rb_free(map);
    return status;
}

revbifpn_status rb_source_finish(rb_source *s, const char *path, const char *class_list, rb_error *err) {
    revbifpn_status status;
    if (!s->texts) return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no pictures in it", path);
    if (class_list)
        TRY(rb_source_lines(class_list, take_class, &s->classes, err));
    else
        TRY(number_classes(s, err));
    if (!class_list && !s->numbered) TRY(name_classes(s, err));
    TRY(relabel(s, path, class_list || s->numbered, err));
    interned_free(s->texts);
    s->texts = NULL;
fail:
    return status;
}

/* ---- the readers ---- */

rb_source_kind rb_source_kind_of(const char *path) {
    struct stat info;
    size_t length = strlen(path);
    bool is_tar = length > 4 && !strcmp(path + length - 4, ".tar");
    if (stat(path, &info)) return strchr(path, '{') ? RB_SOURCE_SHARDS : RB_SOURCE_FOLDER;
    if (S_ISDIR(info.st_mode)) return rb_folder_has(path, ".tar") ? RB_SOURCE_SHARDS : RB_SOURCE_FOLDER;
    return is_tar ? RB_SOURCE_SHARDS : RB_SOURCE_LIST;
}

revbifpn_status rb_source_read(rb_source *s, const rb_source_place *place, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    switch (place->kind) {
    case RB_SOURCE_FOLDER: return rb_source_read_folder(s, place->path, place->needs_all, err);
    case RB_SOURCE_CIFAR: return rb_source_read_cifar(s, place->path, place->validation, err);
    case RB_SOURCE_SHARDS: status = rb_source_read_shards(s, place->path, err); break;
    case RB_SOURCE_LIST: status = rb_source_read_list(s, place->path, err); break;
    }
    return status ? status : rb_source_finish(s, place->path, place->class_list, err);
}

revbifpn_status rb_source_classes(rb_source *s, const rb_source_place *place, rb_error *err) {
    if (place->kind == RB_SOURCE_FOLDER) return rb_folder_classes(place->path, &s->classes, err);
    return rb_source_read(s, place, err);
}

void rb_source_close(rb_source *s) {
    interned_free(s->texts);
    rb_names_free(&s->classes);
    rb_names_free(&s->containers);
    rb_split_close(&s->split);
    *s = (rb_source){0};
}
