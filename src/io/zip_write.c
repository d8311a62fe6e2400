#include "io/zip_write.h"

#include <string.h>

#include "io/little_endian.h"

enum { ALIGNMENT = 64, LOCAL_BYTES = 30, VERSION_64 = 45 };

static void put_number(rb_text *t, uint64_t value, int bytes) {
    unsigned char b[8];
    rb_put_le(b, value, bytes);
    rb_text_add_bytes(t, b, (size_t)bytes);
}

/* A field of 32 bits, or all ones: its value is then in the zip64 field. */
static bool passes_32(uint64_t value) { return value >= UINT32_MAX; }
static void put_32(rb_text *t, uint64_t value) { put_number(t, passes_32(value) ? UINT32_MAX : value, 4); }

static uint32_t crc32_of(const unsigned char *bytes, size_t size) {
    static const uint32_t half[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                      0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                      0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t table[256], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = half[i & 15];
        table[i] = c >> 4 ^ half[(c ^ i >> 4) & 15];
    }
    for (size_t i = 0; i < size; i++) crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
    return ~crc;
}

static revbifpn_status put_out(rb_zip_writer *z, const void *bytes, size_t size, rb_error *err) {
    z->at += size;
    return rb_file_write(&z->file, bytes, size, err);
}

/* What local header and directory have in common. */
static void put_common(rb_text *t, const char *name, uint32_t crc, uint64_t size, bool wide, size_t extra) {
    put_number(t, wide ? VERSION_64 : 0, 2); /* version needed; 0 as PyTorch has it */
    put_number(t, 0x0800, 2);                /* names are UTF-8 */
    put_number(t, 0, 2);                     /* stored */
    put_number(t, 0, 4);                     /* no time: equal input gives equal bytes */
    put_number(t, crc, 4);
    put_32(t, size);
    put_32(t, size);
    put_number(t, strlen(name), 2);
    put_number(t, extra, 2);
}

/* The local header. The extra field "FB" fills up to the alignment, as PyTorch does it; a zip64 field comes
 * before it. */
static void put_local(rb_text *t, uint64_t begin, const char *name, uint32_t crc, uint64_t size) {
    bool wide = passes_32(size);
    size_t wide_bytes = wide ? 4 + 8 + 8 : 0;
    uint64_t behind = begin + LOCAL_BYTES + strlen(name) + wide_bytes + 4;
    size_t fill = (size_t)((ALIGNMENT - behind % ALIGNMENT) % ALIGNMENT);
    rb_text_add(t, "PK\3\4");
    put_common(t, name, crc, size, wide, wide_bytes + 4 + fill);
    rb_text_add(t, name);
    if (wide) {
        put_number(t, 1, 2);
        put_number(t, 16, 2);
        put_number(t, size, 8);
        put_number(t, size, 8);
    }
    rb_text_add(t, "FB");
    put_number(t, fill, 2);
    for (size_t i = 0; i < fill; i++) rb_text_add(t, "Z");
}

/* The record of the directory; its zip64 field has only what does not fit elsewhere. */
static void put_record(rb_text *t, uint64_t begin, const char *name, uint32_t crc, uint64_t size) {
    size_t numbers = (passes_32(size) ? 2u : 0u) + (passes_32(begin) ? 1u : 0u);
    rb_text_add_bytes(t, "PK\1\2\0\0", 6);
    put_common(t, name, crc, size, numbers != 0, numbers ? 4 + 8 * numbers : 0);
    put_number(t, 0, 2 + 2 + 2); /* comment, disk, attributes */
    put_number(t, 0, 4);
    put_32(t, begin);
    rb_text_add(t, name);
    if (!numbers) return;
    put_number(t, 1, 2);
    put_number(t, 8 * numbers, 2);
    if (passes_32(size)) put_number(t, size, 8), put_number(t, size, 8);
    if (passes_32(begin)) put_number(t, begin, 8);
}

/* Where the directory lies; when that does not fit, once more in 64 bits before. */
static void put_end(rb_text *t, uint64_t begin, uint64_t size, uint64_t entries) {
    bool many = entries >= UINT16_MAX;
    if (many || passes_32(begin) || passes_32(size)) {
        rb_text_add(t, "PK\6\6");
        put_number(t, 56 - 12, 8); /* bytes of this record that follow */
        put_number(t, VERSION_64, 2);
        put_number(t, VERSION_64, 2);
        put_number(t, 0, 8); /* disks */
        put_number(t, entries, 8);
        put_number(t, entries, 8);
        put_number(t, size, 8);
        put_number(t, begin, 8);
        rb_text_add(t, "PK\6\7");
        put_number(t, 0, 4);
        put_number(t, begin + size, 8); /* where that record begins */
        put_number(t, 1, 4);
    }
    rb_text_add_bytes(t, "PK\5\6\0\0\0\0", 8);
    put_number(t, many ? UINT16_MAX : entries, 2);
    put_number(t, many ? UINT16_MAX : entries, 2);
    put_32(t, size);
    put_32(t, begin);
    put_number(t, 0, 2);
}

revbifpn_status rb_zip_begin_entry(rb_zip_writer *z, const char *name, uint32_t crc, uint64_t size,
                                   rb_error *err) {
    revbifpn_status status;
    rb_text local = {.size = 0};
    put_local(&local, z->at, name, crc, size);
    put_record(&z->directory, z->at, name, crc, size);
    z->entries++;
    TRY(rb_text_check(&local, z->file.path, err));
    TRY(rb_text_check(&z->directory, z->file.path, err));
    status = put_out(z, local.bytes, local.size, err);
fail:
    rb_text_close(&local);
    return status;
}

revbifpn_status rb_zip_add(rb_zip_writer *z, const char *name, const void *data, size_t size, rb_error *err) {
    revbifpn_status status = rb_zip_begin_entry(z, name, crc32_of(data, size), size, err);
    if (status || !size) return status;
    return put_out(z, data, size, err);
}

revbifpn_status rb_zip_end(rb_zip_writer *z, rb_error *err) {
    revbifpn_status status;
    rb_text end = {.size = 0};
    put_end(&end, z->at, z->directory.size, z->entries);
    TRY(rb_text_check(&end, z->file.path, err));
    if (z->directory.size) TRY(put_out(z, z->directory.bytes, z->directory.size, err));
    TRY(put_out(z, end.bytes, end.size, err));
    status = rb_file_commit(&z->file, err);
fail:
    rb_text_close(&end);
    return status;
}

void rb_zip_abandon(rb_zip_writer *z) {
    rb_file_abandon(&z->file);
    rb_text_close(&z->directory);
}
