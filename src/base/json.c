#define _GNU_SOURCE
#include "base/json.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_number.h"
#include "base/memory.h"
#include "base/text.h"

enum { CHUNK = 1 << 18, DEEPEST = 256, LONGEST_NUMBER = 512, LONGEST_STRING = 1 << 26 };

struct rb_json {
    int fd;
    bool ended; /* nothing more comes from the file */
    revbifpn_status status;
    rb_error error;
    const char *at, *end; /* of what is in `chunk`; a zero byte stands at `end` */
    uint64_t before;      /* bytes of the file before the chunk */
    uint64_t lines;       /* line ends passed */
    int depth;
    unsigned char open[DEEPEST]; /* '{' or '[' for each level */
    bool first[DEEPEST];         /* no key or item of it has been met */
    rb_text text;                /* a string that has escapes or crosses the end of a chunk */
    char path[4096];
    char chunk[CHUNK + 1];
};

bool rb_json_is(rb_json_text slice, const char *text) {
    return slice.size == strlen(text) && !memcmp(slice.bytes, text, slice.size);
}

/* Nothing is read any more: every question meets the zero byte at the end. */
static void stop(rb_json *j, revbifpn_status status) {
    j->status = status;
    j->depth = 0;
    j->ended = true;
    j->at = j->end = j->chunk;
    j->chunk[0] = 0;
}

void rb_json_refuse(rb_json *j, const char *format, ...) {
    if (j->status) return;
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    rb_fail(&j->error, REVBIFPN_BAD_FILE, "%s: line %llu, byte %llu: %s", j->path,
            (unsigned long long)j->lines + 1,
            (unsigned long long)(j->before + (uint64_t)(j->at - j->chunk) + 1), reason);
    stop(j, REVBIFPN_BAD_FILE);
}

void rb_json_out_of_memory(rb_json *j) {
    if (j->status) return;
    rb_fail(&j->error, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", j->path);
    stop(j, REVBIFPN_OUT_OF_MEMORY);
}

bool rb_json_failed(const rb_json *j) { return j->status != REVBIFPN_OK; }

/* Brings more of the file behind what is still unread. */
static void refill(rb_json *j) {
    size_t rest = (size_t)(j->end - j->at);
    j->before += (uint64_t)(j->at - j->chunk);
    memmove(j->chunk, j->at, rest);
    while (rest < CHUNK && !j->ended) {
        ssize_t got = read(j->fd, j->chunk + rest, CHUNK - rest);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            rb_fail(&j->error, REVBIFPN_IO_FAILED, "%s: cannot read: %s", j->path, strerror(errno));
            stop(j, REVBIFPN_IO_FAILED);
            return;
        }
        j->ended = got == 0;
        rest += (size_t)got;
    }
    j->at = j->chunk;
    j->end = j->chunk + rest;
    j->chunk[rest] = 0;
}

/* The next byte that is no blank; 0 at the end of the file. A zero byte in the file is refused by all who
 * ask. */
static char next(rb_json *j) {
    for (;;) {
        while (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t')
            j->lines += *j->at++ == '\n';
        if (j->at < j->end || j->ended) return *j->at;
        refill(j);
    }
}

static void expected(rb_json *j, const char *what) {
    char c = next(j);
    if (j->at == j->end)
        rb_json_refuse(j, "the file ends where %s is expected", what);
    else if (c == 'N' || c == 'I')
        rb_json_refuse(j, "NaN and Infinity are no JSON; %s is expected", what);
    else if (isprint((unsigned char)c))
        rb_json_refuse(j, "'%c' where %s is expected", c, what);
    else
        rb_json_refuse(j, "byte 0x%02x where %s is expected", (unsigned)(unsigned char)c, what);
}

rb_json_kind rb_json_peek(rb_json *j) {
    char c = next(j);
    if (c == '{') return RB_JSON_OBJECT;
    if (c == '[') return RB_JSON_ARRAY;
    if (c == '"') return RB_JSON_STRING;
    if (c == '-' || (c >= '0' && c <= '9')) return RB_JSON_NUMBER;
    if (c == 't' || c == 'f') return RB_JSON_BOOL;
    if (c == 'n') return RB_JSON_NULL;
    expected(j, "a value");
    return RB_JSON_NONE;
}

static bool enter(rb_json *j, char open, const char *what) {
    if (next(j) != open) return expected(j, what), false;
    if (j->depth == DEEPEST) return rb_json_refuse(j, "nested more than %d deep", DEEPEST), false;
    j->at++;
    j->open[j->depth] = (unsigned char)open;
    j->first[j->depth++] = true;
    return true;
}

bool rb_json_object(rb_json *j) { return enter(j, '{', "an object"); }
bool rb_json_array(rb_json *j) { return enter(j, '[', "an array"); }

/* Whether the innermost object or array goes on; takes the comma, or the end. */
static bool goes_on(rb_json *j, char close) {
    if (j->status) return false;
    bool *first = &j->first[j->depth - 1];
    char c = next(j);
    if (c == close) {
        j->at++;
        j->depth--;
        return false;
    }
    if (!*first && c != ',') return expected(j, close == ']' ? "',' or ']'" : "',' or '}'"), false;
    if (!*first) j->at++;
    *first = false;
    return true;
}

bool rb_json_next_item(rb_json *j) {
    if (!goes_on(j, ']')) return false;
    return rb_json_peek(j) != RB_JSON_NONE;
}

bool rb_json_next_key(rb_json *j, rb_json_text *key) {
    *key = (rb_json_text){0};
    if (!goes_on(j, '}')) return false;
    if (next(j) != '"') return expected(j, "a key in quotes"), false;
    *key = rb_json_string(j);
    if (*j->at != ':' &&
        key->bytes != j->text.bytes) { /* the blanks before it may move what is in the chunk */
        rb_text_clear(&j->text);
        rb_text_add_bytes(&j->text, key->bytes, key->size);
        if (j->text.failed) return rb_json_out_of_memory(j), false;
        key->bytes = j->text.bytes;
    }
    if (next(j) != ':') return expected(j, "':'"), false;
    j->at++;
    return true;
}

/* Four digits of an escape; −1 when they are none. */
static int escape_unit(rb_json *j) {
    int unit = 0;
    if (j->end - j->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = *j->at++;
        if (!isxdigit((unsigned char)c)) return -1;
        unit = unit * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return unit;
}

static void add_code_point(rb_text *t, unsigned c) {
    char bytes[4];
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; c >>= 6) bytes[i] = (char)(0x80 | (c & 0x3f));
    bytes[0] = (char)(lead[size] | c);
    rb_text_add_bytes(t, bytes, size);
}

/* What stands behind a backslash. Half a surrogate pair becomes U+FFFD. */
static void escape(rb_json *j) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (j->end - j->at < 16 && !j->ended) refill(j);
    const char *name = *j->at ? strchr(names, *j->at) : NULL;
    if (name) {
        j->at++;
        rb_text_add_bytes(&j->text, &values[name - names], 1);
        return;
    }
    if (*j->at != 'u') return rb_json_refuse(j, "no such escape in a string");
    j->at++;
    int unit = escape_unit(j), low;
    if (unit < 0) return rb_json_refuse(j, "\\u wants four hexadecimal digits");
    unsigned point = (unsigned)unit;
    if (unit >= 0xd800 && unit < 0xe000) {
        point = 0xfffd;
        const char *back = j->at;
        if (unit < 0xdc00 && j->at[0] == '\\' && j->at[1] == 'u') {
            j->at += 2;
            low = escape_unit(j);
            if (low >= 0xdc00 && low < 0xe000)
                point = 0x10000u + ((unsigned)(unit - 0xd800) << 10) + (unsigned)(low - 0xdc00);
            else
                j->at = back;
        }
    }
    add_code_point(&j->text, point);
}

/* From j->at to what ends a run of plain characters: a quote, a backslash, or what may not be in a string. */
static const char *plain_end(const char *at) {
    while (*at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) at++;
    return at;
}

/* The rest of a string, `at` behind its opening quote, through j->text. */
static rb_json_text gathered(rb_json *j) {
    rb_text_clear(&j->text);
    while (!j->status) {
        const char *stop_at = plain_end(j->at);
        rb_text_add_bytes(&j->text, j->at, (size_t)(stop_at - j->at));
        j->at = stop_at;
        if (j->text.failed) {
            rb_json_out_of_memory(j);
        } else if (j->text.size > LONGEST_STRING) {
            rb_json_refuse(j, "a string of more than %d bytes", LONGEST_STRING);
        } else if (*j->at == '"') {
            j->at++;
            return (rb_json_text){j->text.bytes, j->text.size};
        } else if (*j->at == '\\') {
            j->at++;
            escape(j);
        } else if (j->at < j->end) {
            rb_json_refuse(j, "byte 0x%02x in a string", (unsigned)(unsigned char)*j->at);
        } else if (j->ended) {
            rb_json_refuse(j, "the file ends inside a string");
        } else {
            refill(j);
        }
    }
    return (rb_json_text){"", 0};
}

rb_json_text rb_json_string(rb_json *j) {
    if (next(j) != '"') return expected(j, "a string"), (rb_json_text){"", 0};
    j->at++;
    const char *begin = j->at, *end = plain_end(begin);
    if (*end != '"') return gathered(j);
    j->at = end + 1;
    return (rb_json_text){begin, (size_t)(end - begin)};
}

double rb_json_number(rb_json *j) {
    char c = next(j);
    if (c != '-' && (c < '0' || c > '9')) return expected(j, "a number"), 0;
    if (j->end - j->at < LONGEST_NUMBER && !j->ended) refill(j);
    double value;
    size_t size = rb_json_number_parse(j->at, &value);
    if (!size || size >= LONGEST_NUMBER) return rb_json_refuse(j, "not a number"), 0;
    if (!(value - value == 0)) return rb_json_refuse(j, "a number too large for a double"), 0;
    j->at += size;
    return value;
}

int64_t rb_json_integer(rb_json *j) {
    double value = rb_json_number(j);
    if (!(value >= -9007199254740992.0 && value <= 9007199254740992.0) || value != (double)(int64_t)value)
        return rb_json_refuse(j, "%.17g where a whole number is expected", value), 0;
    return (int64_t)value;
}

static bool take_word(rb_json *j, const char *word) {
    size_t size = strlen(word);
    (void)next(j);
    if (j->end - j->at < 16 && !j->ended) refill(j);
    if (strncmp(j->at, word, size)) return false;
    j->at += size;
    return true;
}

bool rb_json_flag(rb_json *j) {
    if (rb_json_peek(j) == RB_JSON_NUMBER) return rb_json_number(j) != 0;
    if (take_word(j, "true")) return true;
    if (!take_word(j, "false")) expected(j, "true or false");
    return false;
}

/* Levels are counted instead of called, so that no depth of a file is depth of the stack. */
void rb_json_skip(rb_json *j) {
    int base = j->depth;
    rb_json_text key;
    do {
        switch (rb_json_peek(j)) {
        case RB_JSON_NONE: return;
        case RB_JSON_OBJECT: (void)rb_json_object(j); break;
        case RB_JSON_ARRAY: (void)rb_json_array(j); break;
        case RB_JSON_STRING: (void)rb_json_string(j); break;
        case RB_JSON_NUMBER: (void)rb_json_number(j); break;
        case RB_JSON_BOOL: (void)rb_json_flag(j); break;
        case RB_JSON_NULL:
            if (!take_word(j, "null")) expected(j, "null");
            break;
        }
        while (j->depth > base &&
               !(j->open[j->depth - 1] == '{' ? rb_json_next_key(j, &key) : rb_json_next_item(j)))
            continue;
    } while (j->depth > base);
}

revbifpn_status rb_json_open(rb_json **out, const char *path, rb_error *err) {
    *out = NULL;
    struct stat info;
    if (strlen(path) >= sizeof(*out)->path)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%.64s…: path too long", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info)) {
        int reason = errno;
        if (fd >= 0) close(fd);
        return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot open: %s", path, strerror(reason));
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return rb_fail(err, REVBIFPN_BAD_FILE, "%s: not a regular file", path);
    }
    rb_json *j = rb_alloc(sizeof *j);
    if (!j) {
        close(fd);
        return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory", path);
    }
    j->fd = fd;
    snprintf(j->path, sizeof j->path, "%s", path);
    j->at = j->end = j->chunk;
    *out = j;
    return REVBIFPN_OK;
}

void rb_json_close(rb_json **json) {
    if (!*json) return;
    close((*json)->fd);
    rb_text_close(&(*json)->text);
    rb_free(*json);
    *json = NULL;
}

revbifpn_status rb_json_finish(rb_json *j, rb_error *err) {
    if (!j->status) {
        (void)next(j);
        if (j->at < j->end) expected(j, "the end of the file");
    }
    if (j->status && err) *err = j->error;
    return j->status;
}
