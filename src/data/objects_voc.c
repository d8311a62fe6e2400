/* Pascal VOC's folders: one XML file a picture, lists of names for the splits. Its corners count pixels from
 * 1 and the last one belongs to the box: x1 − 1, y1 − 1, x2, y2 here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/objects_source.h"

bool rb_objects_is_voc(const char *root) {
    return rb_has(root, "ImageSets/Main", rb_is_folder) && rb_has(root, "Annotations", rb_is_folder);
}

#ifndef REVBIFPN_EXPAT

revbifpn_status rb_objects_read_voc(rb_objects_reader *r, bool val, bool *there, rb_error *err) {
    (void)val;
    *there = false;
    return rb_fail(err, REVBIFPN_UNSUPPORTED,
                   "%s: VOC's annotations are XML, and this program was built without libexpat", r->root);
}

#else
#include <expat.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/source.h"

/* Elements that count, by where they are. */
typedef enum voc_tag {
    TAG_OTHER,
    TAG_ANNOTATION,
    TAG_SIZE,
    TAG_WIDTH,
    TAG_HEIGHT,
    TAG_FILE,
    TAG_OBJECT,
    TAG_NAME,
    TAG_DIFFICULT,
    TAG_BOX,
    TAG_XMIN,
    TAG_YMIN,
    TAG_XMAX,
    TAG_YMAX
} voc_tag;

static const struct {
    voc_tag parent, tag;
    const char *name;
} tags[] = {{TAG_OTHER, TAG_ANNOTATION, "annotation"},
            {TAG_ANNOTATION, TAG_SIZE, "size"},
            {TAG_ANNOTATION, TAG_FILE, "filename"},
            {TAG_SIZE, TAG_WIDTH, "width"},
            {TAG_SIZE, TAG_HEIGHT, "height"},
            {TAG_ANNOTATION, TAG_OBJECT, "object"},
            {TAG_OBJECT, TAG_NAME, "name"},
            {TAG_OBJECT, TAG_DIFFICULT, "difficult"},
            {TAG_OBJECT, TAG_BOX, "bndbox"},
            {TAG_BOX, TAG_XMIN, "xmin"},
            {TAG_BOX, TAG_YMIN, "ymin"},
            {TAG_BOX, TAG_XMAX, "xmax"},
            {TAG_BOX, TAG_YMAX, "ymax"}};

enum { DEEPEST = 32, TEXT = 1024, MAX_XML = 64 << 20 };

typedef struct voc_file {
    rb_objects_reader *r;
    XML_Parser parser;
    voc_tag open[DEEPEST]; /* elements that are open, outermost first */
    int depth;
    char text[TEXT]; /* of the innermost */
    size_t length;
    rb_picture picture;
    char name[TEXT]; /* of the file, as the XML has it */
    rb_object object;
    double corners[4];
    unsigned met; /* bits: name and the four corners of the object */
    bool placed;  /* the picture has been added */
    const char *path, *stem;
    revbifpn_status status;
    rb_error err;
} voc_file;

/* Keeps the first error, and has the parser stop. */
static void refuse(voc_file *f, const char *reason) {
    if (f->status) return;
    f->status = rb_fail(&f->err, REVBIFPN_BAD_FILE, "%s: line %lu: %s", f->path,
                        (unsigned long)XML_GetCurrentLineNumber(f->parser), reason);
    XML_StopParser(f->parser, XML_FALSE);
}

static void XMLCALL on_begin(void *user, const XML_Char *name, const XML_Char **attributes) {
    voc_file *f = user;
    voc_tag parent = f->depth ? f->open[f->depth - 1] : TAG_OTHER, tag = TAG_OTHER;
    (void)attributes;
    if (f->depth == DEEPEST) {
        refuse(f, "elements within elements 32 deep");
        return;
    }
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (tags[i].parent == parent && (parent != TAG_OTHER || !f->depth) && !strcmp(tags[i].name, name))
            tag = tags[i].tag;
    f->open[f->depth++] = tag;
    f->length = 0;
    if (f->depth == 1 && tag != TAG_ANNOTATION) refuse(f, "the outermost element is not <annotation>");
    if (tag == TAG_OBJECT) {
        f->object = (rb_object){0};
        f->met = 0;
    }
}

static void XMLCALL on_text(void *user, const XML_Char *text, int length) {
    voc_file *f = user;
    voc_tag tag = f->depth ? f->open[f->depth - 1] : TAG_OTHER;
    if (tag == TAG_OTHER || tag == TAG_ANNOTATION || tag == TAG_SIZE || tag == TAG_OBJECT || tag == TAG_BOX)
        return;
    if ((size_t)length >= TEXT - f->length) {
        refuse(f, "a text of more than 1000 bytes");
        return;
    }
    memcpy(f->text + f->length, text, (size_t)length);
    f->length += (size_t)length;
}

static double number(voc_file *f) {
    double value = 0;
    const char *end = rb_number_take(f->text, &value);
    if (!end || *end) refuse(f, "a number is expected");
    return value;
}

static uint32_t side(voc_file *f) {
    double value = number(f);
    if (value >= 0 && value <= 1 << 20) return (uint32_t)value;
    refuse(f, "a side that no picture has");
    return 0;
}

/* The text without blanks around it. */
static const char *trimmed(voc_file *f) {
    char *text = f->text + strspn(f->text, " \t\r\n");
    for (size_t n = strlen(text); n && strchr(" \t\r\n", text[n - 1]); n--) text[n - 1] = 0;
    return text;
}

static void end_object(voc_file *f) {
    rb_object *o = &f->object;
    if (f->met != 31) {
        refuse(f,
               f->met & 1 ? "an object without all four corners of its bndbox" : "an object without a name");
        return;
    }
    o->box[0] = f->corners[0] - 1;
    o->box[1] = f->corners[1] - 1;
    o->box[2] = f->corners[2] - o->box[0];
    o->box[3] = f->corners[3] - o->box[1];
    o->area = o->box[2] * o->box[3];
    f->status = rb_pictures_add_object(f->r, o, &f->err);
}

static void end_name(voc_file *f) {
    const char *name = trimmed(f);
    f->met |= 1;
    if (!*name) {
        refuse(f, "an object whose name is empty");
        return;
    }
    f->status = rb_classes_label(f->r, name, &f->object.label, &f->err);
    if (f->status)
        rb_fail_prefix(&f->err, "%s: line %lu: ", f->path,
                       (unsigned long)XML_GetCurrentLineNumber(f->parser));
}

static void XMLCALL on_end(void *user, const XML_Char *name) {
    voc_file *f = user;
    voc_tag tag = f->open[--f->depth];
    (void)name;
    f->text[f->length] = 0;
    if (f->status) return;
    switch (tag) {
    case TAG_WIDTH: f->picture.width = side(f); break;
    case TAG_HEIGHT: f->picture.height = side(f); break;
    case TAG_FILE: strcpy(f->name, trimmed(f)); break;
    case TAG_NAME: end_name(f); break;
    case TAG_DIFFICULT: f->object.ignore = number(f) != 0; break;
    case TAG_XMIN:
    case TAG_YMIN:
    case TAG_XMAX:
    case TAG_YMAX:
        f->corners[tag - TAG_XMIN] = number(f);
        f->met |= 2u << (tag - TAG_XMIN);
        break;
    case TAG_OBJECT: end_object(f); break;
    default: break;
    }
    f->length = 0;
    if (f->status) XML_StopParser(f->parser, XML_FALSE);
}

static void parse(voc_file *f, const unsigned char *bytes, size_t size) {
    XML_ParserReset(f->parser, NULL);
    XML_SetUserData(f->parser, f);
    XML_SetElementHandler(f->parser, on_begin, on_end);
    XML_SetCharacterDataHandler(f->parser, on_text);
    f->depth = 0;
    f->status = REVBIFPN_OK;
    f->name[0] = 0;
    if (XML_Parse(f->parser, (const char *)bytes, (int)size, XML_TRUE) != XML_STATUS_ERROR || f->status)
        return;
    enum XML_Error code = XML_GetErrorCode(f->parser);
    f->status = rb_fail(&f->err, code == XML_ERROR_NO_MEMORY ? REVBIFPN_OUT_OF_MEMORY : REVBIFPN_BAD_FILE,
                        "%s: line %lu: %s", f->path, (unsigned long)XML_GetCurrentLineNumber(f->parser),
                        XML_ErrorString(code));
}

/* JPEGImages/STEM with the first extension that is there, or the name that the XML has; where neither is, the
 * usual one, which will be missed when the picture is wanted. */
static void find_file(const voc_file *f, char path[8192]) {
    static const char *const extensions[] = {".jpg", ".jpeg", ".png",  ".JPG", ".JPEG",
                                             ".PNG", ".bmp",  ".webp", ".tif", ".tiff"};
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        snprintf(path, 8192, "%s/JPEGImages/%s%s", f->r->root, f->stem, extensions[i]);
        if (rb_is_file(path)) return;
    }
    snprintf(path, 8192, "%s/JPEGImages/%s", f->r->root, f->name);
    if (!f->name[0] || !rb_is_file(path)) snprintf(path, 8192, "%s/JPEGImages/%s.jpg", f->r->root, f->stem);
}

/* The picture comes first in the list, but its path and size are known when the XML has been read. */
static revbifpn_status take_file(voc_file *f, rb_error *err) {
    char path[8192];
    unsigned char *bytes;
    size_t size;
    rb_pictures *p = f->r->pictures;
    revbifpn_status status = rb_file_read(f->path, MAX_XML, &bytes, &size, err);
    if (status) return status;
    f->picture = (rb_picture){0};
    status = rb_pictures_add(f->r, &f->picture, "", err);
    if (!status) parse(f, bytes, size);
    rb_free(bytes);
    if (status) return status;
    if (f->status) return rb_fail(err, f->status, "%s", f->err.text);
    find_file(f, path);
    if (!f->picture.width || !f->picture.height) status = rb_pictures_measure(f->r, path, &f->picture, err);
    rb_picture *picture = &p->pictures[p->count - 1];
    picture->width = f->picture.width;
    picture->height = f->picture.height;
    picture->path = p->text.size;
    rb_text_add_bytes(&p->text, path, strlen(path) + 1);
    return status ? status : rb_text_check(&p->text, "the list of pictures", err);
}

/* "NAME", or "NAME 1" as the lists of single classes have it. */
static revbifpn_status take_line(void *user, char *line, long line_number, rb_error *err) {
    voc_file *f = user;
    char path[8192];
    (void)line_number;
    line += strspn(line, " \t");
    line[strcspn(line, " \t")] = 0;
    snprintf(path, sizeof path, "%s/Annotations/%s.xml", f->r->root, line);
    f->path = path;
    f->stem = line;
    return take_file(f, err);
}

revbifpn_status rb_objects_read_voc(rb_objects_reader *r, bool val, bool *there, rb_error *err) {
    static const char *const lists[2][2] = {{"ImageSets/Main/train.txt", "ImageSets/Main/trainval.txt"},
                                            {"ImageSets/Main/val.txt", "ImageSets/Main/test.txt"}};
    revbifpn_status status;
    char *list = NULL;
    voc_file *f = NULL;
    TRY(rb_look_for(r->root, lists[val][0], rb_is_file, &list, err));
    if (!list) TRY(rb_look_for(r->root, lists[val][1], rb_is_file, &list, err));
    *there = list != NULL;
    if (!list) goto fail;
    f = rb_alloc(sizeof *f);
    if (f) f->parser = XML_ParserCreate(NULL);
    if (f && f->parser) {
        f->r = r;
        status = rb_source_lines(list, take_line, f, err);
    } else {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", list);
    }
fail:
    if (f && f->parser) XML_ParserFree(f->parser);
    rb_free(f);
    rb_free(list);
    return status;
}

#endif
