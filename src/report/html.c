#include "report/html.h"

#include <string.h>

#include "base/memory.h"

enum { QUALITY = 85 };

/* Bytes of the UTF-8 character at p (shortest form, no surrogates), or 0. */
static size_t utf8_length(const unsigned char *p) {
    if (p[0] < 0x80) return 1;
    size_t n = p[0] >= 0xf0 && p[0] < 0xf5   ? 4
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static const char *reference(unsigned char c) {
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return (c < 0x20 && c != '\n') || c == 0x7f ? "\xef\xbf\xbd" : NULL;
    }
}

void rb_html_text(rb_text *out, const char *string) {
    for (const unsigned char *p = (const unsigned char *)string; *p;) {
        size_t n = utf8_length(p);
        const char *instead = n == 1 ? reference(*p) : n ? NULL : "\xef\xbf\xbd";
        if (instead)
            rb_text_add(out, instead);
        else
            rb_text_add_bytes(out, p, n);
        p += n ? n : 1;
    }
}

void rb_base64(rb_text *out, const void *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)p[i] << 16;
        if (left > 1) group |= (uint32_t)p[i + 1] << 8;
        if (left > 2) group |= p[i + 2];
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63],
                        digits[group & 63]};
        if (left < 3) four[3] = '=';
        if (left < 2) four[2] = '=';
        rb_text_add_bytes(out, four, 4);
    }
}

void rb_html_jpeg(rb_text *out, int width, int height, const uint8_t *jpeg, size_t size, const char *alt) {
    rb_text_format(out, "<img width=\"%d\" height=\"%d\" alt=\"", width, height);
    rb_html_text(out, alt);
    rb_text_add(out, "\" src=\"data:image/jpeg;base64,");
    rb_base64(out, jpeg, size);
    rb_text_add(out, "\">");
}

revbifpn_status rb_html_picture(rb_text *out, const rb_image *image, const char *alt, rb_error *err) {
    uint8_t *jpeg;
    size_t size;
    revbifpn_status status = rb_image_encode_jpeg(image, QUALITY, &jpeg, &size, err);
    if (status != REVBIFPN_OK) return status;
    rb_html_jpeg(out, image->width, image->height, jpeg, size, alt);
    rb_free(jpeg);
    return REVBIFPN_OK;
}

void rb_html_bytes(rb_text *out, uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1023.5 && unit < 6) value /= 1024, unit++;
    rb_text_format(out, "%.*f %s", !unit || value >= 99.95 ? 0 : value < 9.995 ? 2 : 1, value, units[unit]);
}
