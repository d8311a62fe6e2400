#include "data/yolo_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/objects_source.h"
#include "data/source.h"

void rb_yolo_config_close(rb_yolo_config *c) {
    rb_free(c->file);
    rb_free(c->path);
    rb_free(c->split[0]);
    rb_free(c->split[1]);
    rb_names_free(&c->names);
    *c = (rb_yolo_config){0};
}

static revbifpn_status take_name(void *user, char *line, long number, rb_error *err) {
    (void)number;
    return rb_names_add(user, line, err);
}

static revbifpn_status read_class_list(rb_yolo_config *c, const char *root, rb_error *err) {
    char *path;
    revbifpn_status status = rb_look_for(root, "classes.txt", rb_is_file, &path, err);
    if (!status && path) status = rb_source_lines(path, take_name, &c->names, err);
    rb_free(path);
    return status;
}

#ifdef REVBIFPN_YAML
#include <yaml.h>

/* Events of a file one by one; `now` is the current one. */
typedef struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t now;
    bool held; /* `now` is to be deleted */
    const char *path;
    revbifpn_status status;
    rb_error *err;
} yaml_reader;

static void refuse(yaml_reader *y, const char *reason) {
    if (y->status) return;
    size_t line = (y->held ? y->now.start_mark.line : y->parser.problem_mark.line) + 1;
    y->status = rb_fail(y->err, REVBIFPN_BAD_FILE, "%s: line %zu: %s", y->path, line, reason);
}

/* The kind of the next event; YAML_NO_EVENT after a failure. */
static yaml_event_type_t next(yaml_reader *y) {
    if (y->held) yaml_event_delete(&y->now);
    y->held = false;
    if (y->status) return YAML_NO_EVENT;
    if (!yaml_parser_parse(&y->parser, &y->now)) {
        refuse(y, y->parser.problem ? y->parser.problem : "not YAML");
        return YAML_NO_EVENT;
    }
    y->held = true;
    return y->now.type;
}

static const char *scalar(const yaml_reader *y) { return (const char *)y->now.data.scalar.value; }

/* Passes over the value that the current event begins. */
static void skip(yaml_reader *y) {
    int depth = 0;
    for (yaml_event_type_t type = y->now.type; !y->status; type = next(y)) {
        depth += type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
        depth -= type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
        if (!depth) return;
    }
}

static char *copy(yaml_reader *y, char *old) {
    rb_free(old);
    char *text = rb_copy_text(scalar(y));
    if (!text) y->status = rb_fail(y->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", y->path);
    return text;
}

/* "names": a list, or a mapping from the numbers 0, 1, … in their order. */
static void read_names(yaml_reader *y, rb_yolo_config *c) {
    bool numbered = y->now.type == YAML_MAPPING_START_EVENT;
    rb_names_free(&c->names);
    if (!numbered && y->now.type != YAML_SEQUENCE_START_EVENT) {
        refuse(y, "names: a list is expected");
        return;
    }
    for (yaml_event_type_t type; (type = next(y)) == YAML_SCALAR_EVENT;) {
        if (numbered) {
            char *end;
            unsigned long number = strtoul(scalar(y), &end, 10);
            if (*end || end == scalar(y) || number != c->names.count)
                refuse(y, "names: the numbers 0, 1, 2 … in order are expected");
            if (next(y) != YAML_SCALAR_EVENT) break;
        }
        y->status = rb_names_add(&c->names, scalar(y), y->err);
    }
    bool ended = y->held && y->now.type == (numbered ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT);
    if (!ended) refuse(y, "names: texts are expected");
}

static void read_value(yaml_reader *y, rb_yolo_config *c, const char *key) {
    char **into = !strcmp(key, "path")    ? &c->path
                  : !strcmp(key, "train") ? &c->split[0]
                  : !strcmp(key, "val")   ? &c->split[1]
                                          : NULL;
    if (!strcmp(key, "names")) {
        read_names(y, c);
    } else if (into && y->now.type == YAML_SCALAR_EVENT) {
        *into = copy(y, *into);
    } else if (into) {
        refuse(y, "one folder is expected");
    } else {
        skip(y);
    }
}

static void read_top(yaml_reader *y, rb_yolo_config *c) {
    while (next(y) == YAML_STREAM_START_EVENT || (y->held && y->now.type == YAML_DOCUMENT_START_EVENT)) {
    }
    if (!y->status && y->now.type != YAML_MAPPING_START_EVENT) refuse(y, "no mapping: this is no data.yaml");
    while (!y->status && next(y) == YAML_SCALAR_EVENT) {
        char key[64];
        snprintf(key, sizeof key, "%s", scalar(y));
        next(y);
        if (!y->status) read_value(y, c, key);
    }
    if (!y->status && y->now.type != YAML_MAPPING_END_EVENT) refuse(y, "keys that are texts are expected");
}

static revbifpn_status read_yaml(rb_yolo_config *c, rb_error *err) {
    enum { MAX_YAML = 16 << 20 };
    unsigned char *bytes;
    size_t size;
    revbifpn_status status = rb_file_read(c->file, MAX_YAML, &bytes, &size, err);
    if (status) return status;
    yaml_reader y = {.path = c->file, .err = err};
    if (yaml_parser_initialize(&y.parser)) {
        yaml_parser_set_input_string(&y.parser, bytes, size);
        read_top(&y, c);
        if (y.held) yaml_event_delete(&y.now);
        yaml_parser_delete(&y.parser);
    } else {
        y.status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", c->file);
    }
    rb_free(bytes);
    return y.status;
}

#else

static revbifpn_status read_yaml(rb_yolo_config *c, rb_error *err) {
    if (c->names.count) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_UNSUPPORTED,
                   "%s: this program was built without libyaml; put the names of the classes into "
                   "classes.txt beside it, one a line",
                   c->file);
}

#endif

revbifpn_status rb_yolo_config_open(rb_yolo_config *c, const char *root, rb_error *err) {
    revbifpn_status status;
    *c = (rb_yolo_config){0};
    if (rb_is_file(root)) {
        c->file = rb_copy_text(root);
        return c->file ? read_yaml(c, err) : rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", root);
    }
    TRY(read_class_list(c, root, err));
    TRY(rb_look_for(root, "data.yaml", rb_is_file, &c->file, err));
    if (!c->file) TRY(rb_look_for(root, "data.yml", rb_is_file, &c->file, err));
    if (c->file) TRY(read_yaml(c, err));
fail:
    return status;
}
