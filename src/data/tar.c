#define _GNU_SOURCE
#include "data/tar.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The places of a header's fields. */
enum {
    NAME_AT = 0,
    NAME_SIZE = 100,
    MODE_AT = 100,
    UID_AT = 108,
    GID_AT = 116,
    SIZE_AT = 124,
    SIZE_SIZE = 12,
    MTIME_AT = 136,
    SUM_AT = 148,
    SUM_SIZE = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_SIZE = 155,
    EXTRA_MAX = 65536 /* a pax header or a long name; what a path needs is far below */
};

static revbifpn_status bad(const rb_tar *tar, rb_error *err, const char *reason) {
    return rb_fail(err, REVBIFPN_BAD_FILE, "%s: tar, byte %llu: %s", tar->path, (unsigned long long)tar->at,
                   reason);
}

revbifpn_status rb_tar_open(rb_tar *tar, const char *path, rb_error *err) {
    struct stat info;
    *tar = (rb_tar){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (tar->fd < 0 || fstat(tar->fd, &info))
        return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return rb_fail(err, REVBIFPN_BAD_FILE, "%s: not a regular file", path);
    tar->size = (uint64_t)info.st_size;
    return REVBIFPN_OK;
}

void rb_tar_close(rb_tar *tar) {
    if (tar->fd >= 0) close(tar->fd);
    tar->fd = -1;
}

revbifpn_status rb_tar_read(const rb_tar *tar, uint64_t offset, void *bytes, size_t size, rb_error *err) {
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(tar->fd, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot read: %s", tar->path, strerror(errno));
        if (!got) return rb_fail(err, REVBIFPN_BAD_FILE, "%s: shrank while it was read", tar->path);
        done += (size_t)got;
    }
    return REVBIFPN_OK;
}

/* ---- the fields of a header ---- */

/* Octal digits between blanks, or with the highest bit set a number of base 256; false for anything else. */
static bool read_number(const uint8_t *field, size_t size, uint64_t *value) {
    size_t i = 0;
    *value = 0;
    if (field[0] & 0x80) {
        *value = field[0] & 0x7f;
        for (i = 1; i < size; i++) {
            if (*value >> 55) return false;
            *value = *value << 8 | field[i];
        }
        return true;
    }
    while (i < size && field[i] == ' ') i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) *value = *value << 3 | (field[i] - '0');
    while (i < size && (field[i] == ' ' || !field[i])) i++;
    return i == size;
}

/* Counted with blanks in the place of the sum itself; old programs added signed bytes. */
static bool sum_is_right(const uint8_t *block) {
    uint64_t stored;
    int64_t plain = 0, sign = 0;
    for (int i = 0; i < RB_TAR_BLOCK; i++) {
        bool blank = i >= SUM_AT && i < SUM_AT + SUM_SIZE;
        plain += blank ? ' ' : block[i];
        sign += blank ? ' ' : (int8_t)block[i];
    }
    return read_number(block + SUM_AT, SUM_SIZE, &stored) &&
           ((int64_t)stored == plain || (int64_t)stored == sign);
}

static void read_name(const uint8_t *block, char name[RB_TAR_NAME]) {
    bool posix = !memcmp(block + MAGIC_AT, "ustar", 6); /* with its zero: GNU's has a blank and no prefix */
    int prefix = posix ? (int)strnlen((const char *)block + PREFIX_AT, PREFIX_SIZE) : 0;
    int length = (int)strnlen((const char *)block + NAME_AT, NAME_SIZE);
    snprintf(name, RB_TAR_NAME, "%.*s%s%.*s", prefix, (const char *)block + PREFIX_AT, prefix ? "/" : "",
             length, (const char *)block + NAME_AT);
}

/* ---- pax headers and long names ---- */

/* What goes before a header and changes it. */
typedef struct extra {
    char name[RB_TAR_NAME]; /* "": none */
    bool has_size;
    uint64_t size;
} extra;

static bool take_record(const char *key, size_t key_size, const char *value, size_t size, extra *x) {
    if (key_size == 4 && !memcmp(key, "path", 4)) {
        if (!size || size >= RB_TAR_NAME || memchr(value, 0, size)) return false;
        memcpy(x->name, value, size);
        x->name[size] = 0;
    } else if (key_size == 4 && !memcmp(key, "size", 4)) {
        x->has_size = size > 0;
        x->size = 0;
        for (size_t i = 0; i < size; i++) {
            if (value[i] < '0' || value[i] > '9' || x->size > UINT64_MAX / 20) return false;
            x->size = x->size * 10 + (uint64_t)(value[i] - '0');
        }
        return x->has_size;
    }
    return !(key_size >= 10 && !memcmp(key, "GNU.sparse", 10));
}

/* Records "LENGTH key=value\n", LENGTH counting all of the record. */
static bool read_pax(const char *text, size_t size, extra *x) {
    for (size_t at = 0; at < size;) {
        size_t length = 0, i = at;
        for (; i < size && text[i] >= '0' && text[i] <= '9' && length < EXTRA_MAX; i++)
            length = length * 10 + (size_t)(text[i] - '0');
        if (i == at || i >= size || text[i] != ' ' || length > size - at || length < i - at + 3) return false;
        const char *key = text + i + 1, *end = text + at + length - 1;
        const char *equals = memchr(key, '=', (size_t)(end - key));
        if (*end != '\n' || !equals) return false;
        if (!take_record(key, (size_t)(equals - key), equals + 1, (size_t)(end - equals - 1), x))
            return false;
        at += length;
    }
    return true;
}

static revbifpn_status read_extra(const rb_tar *tar, uint8_t type, uint64_t offset, uint64_t size, extra *x,
                                  rb_error *err) {
    char text[EXTRA_MAX];
    if (size > sizeof text) return bad(tar, err, "a header for a long name that is itself too long");
    revbifpn_status status = rb_tar_read(tar, offset, text, size, err);
    if (status) return status;
    if (type == 'x') return read_pax(text, size, x) ? REVBIFPN_OK : bad(tar, err, "a wrong pax header");
    size_t length = strnlen(text, size);
    if (!length || length >= RB_TAR_NAME) return bad(tar, err, "a name that is too long, or empty");
    memcpy(x->name, text, length);
    x->name[length] = 0;
    return REVBIFPN_OK;
}

/* ---- from header to header ---- */

static bool is_regular(uint8_t type) { return type == '0' || !type || type == '7'; }

/* The header at tar->at; *end at the mark. */
static revbifpn_status read_header(const rb_tar *tar, uint8_t block[RB_TAR_BLOCK], bool *end, rb_error *err) {
    static const uint8_t zeros[RB_TAR_BLOCK];
    *end = false;
    if (tar->at >= tar->size || tar->size - tar->at < RB_TAR_BLOCK)
        return bad(tar, err, "cut off: the end mark is missing");
    revbifpn_status status = rb_tar_read(tar, tar->at, block, RB_TAR_BLOCK, err);
    if (status) return status;
    *end = !memcmp(block, zeros, sizeof zeros);
    if (*end || sum_is_right(block)) return REVBIFPN_OK;
    return bad(tar, err, "not the header of a file: its checksum is wrong");
}

/* Whether the content lies within the archive, its padding included; moves to the next header. */
static revbifpn_status pass_content(rb_tar *tar, uint64_t offset, uint64_t size, rb_error *err) {
    uint64_t left = tar->size - offset;
    if (size > left || (size + RB_TAR_BLOCK - 1) / RB_TAR_BLOCK * RB_TAR_BLOCK > left)
        return bad(tar, err, "cut off: the content of this file is not all there");
    tar->at = offset + (size + RB_TAR_BLOCK - 1) / RB_TAR_BLOCK * RB_TAR_BLOCK;
    return REVBIFPN_OK;
}

revbifpn_status rb_tar_next(rb_tar *tar, rb_tar_member *member, bool *found, rb_error *err) {
    extra x = {.name = ""};
    *found = false;
    for (;;) {
        uint8_t block[RB_TAR_BLOCK];
        bool end;
        uint64_t size, offset = tar->at + RB_TAR_BLOCK;
        revbifpn_status status = read_header(tar, block, &end, err);
        if (status || end) return status;
        uint8_t type = block[TYPE_AT];
        if (!read_number(block + SIZE_AT, SIZE_SIZE, &size)) return bad(tar, err, "a size that is no number");
        if (type == 'S') return bad(tar, err, "a sparse file");
        bool changes = type == 'x' || type == 'L';
        if (!changes && x.has_size) size = x.size;
        if (!changes && type >= '1' && type <= '6') size = 0; /* links and special files have no content */
        if (size <= tar->size - offset && changes) {
            status = read_extra(tar, type, offset, size, &x, err);
            if (status) return status;
        }
        read_name(block, member->name);
        status = pass_content(tar, offset, size, err);
        if (status) return status;
        if (is_regular(type)) {
            if (x.name[0]) memcpy(member->name, x.name, sizeof x.name);
            member->offset = offset;
            member->size = size;
            *found = true;
            return REVBIFPN_OK;
        }
        if (!changes && type != 'g' && type != 'K') x = (extra){.name = ""};
    }
}

/* ---- writing ---- */

static void put_octal(uint8_t *field, int digits, uint64_t value) {
    for (int i = digits - 1; i >= 0; i--, value >>= 3) field[i] = (uint8_t)('0' + (value & 7));
}

void rb_tar_header(const char *name, uint64_t size, uint8_t block[RB_TAR_BLOCK]) {
    size_t length = strlen(name);
    unsigned sum = 0;
    assert(length <= NAME_SIZE && size < (uint64_t)1 << 33);
    memset(block, 0, RB_TAR_BLOCK);
    memcpy(block + NAME_AT, name, length);
    put_octal(block + MODE_AT, 7, 0644);
    put_octal(block + UID_AT, 7, 0);
    put_octal(block + GID_AT, 7, 0);
    put_octal(block + SIZE_AT, 11, size);
    put_octal(block + MTIME_AT, 11, 0);
    memset(block + SUM_AT, ' ', SUM_SIZE);
    block[TYPE_AT] = '0';
    memcpy(block + MAGIC_AT,
           "ustar\0"
           "00",
           8);
    for (int i = 0; i < RB_TAR_BLOCK; i++) sum += block[i];
    put_octal(block + SUM_AT, 6, sum);
    block[SUM_AT + 6] = 0;
}
