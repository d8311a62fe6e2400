#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a file holds may be quoted: its line ends and other control codes are shown as '?'. */
static void keep_one_line(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 32 || *text == 127) *text = '?';
}

revbifpn_status rb_fail(rb_error *err, revbifpn_status status, const char *format, ...) {
    if (!err) return status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    keep_one_line(err->text);
    err->status = status;
    return status;
}

revbifpn_status rb_fail_prefix(rb_error *err, const char *format, ...) {
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text)
        snprintf(err->text + used, sizeof err->text - (size_t)used, "%s", old);
    keep_one_line(err->text);
    return err->status;
}
