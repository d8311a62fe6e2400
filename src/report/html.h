/* Writing HTML: escaped text, pictures as data URIs, numbers for people. */
#ifndef RB_REPORT_HTML_H
#define RB_REPORT_HTML_H

#include "base/text.h"
#include "image/image.h"

/* `string` as text or as the value of a quoted attribute: & < > " ' become references, control characters and
 * bytes that are not UTF-8 become U+FFFD. */
void rb_html_text(rb_text *out, const char *string);
void rb_base64(rb_text *out, const void *bytes, size_t size);
/* <img> with the picture as a JPEG inside; `alt` is escaped. OUT_OF_MEMORY. */
revbifpn_status rb_html_picture(rb_text *out, const rb_image *image, const char *alt,
                                rb_error *err) RB_CHECKED;
/* The same of a JPEG of that size. */
void rb_html_jpeg(rb_text *out, int width, int height, const uint8_t *jpeg, size_t size, const char *alt);
/* "1.34 GiB" */
void rb_html_bytes(rb_text *out, uint64_t bytes);

#endif
