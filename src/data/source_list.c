/* Samples out of a list file: lines "path label". The label is what follows the last blank or, where there is
 * a tab, the last tab; a path that does not begin with a slash is relative to the folder of the list. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/host.h"
#include "base/memory.h"
#include "data/source.h"

enum { LINE = 4096 };

static revbifpn_status read_lines(FILE *f, const char *path,
                                  revbifpn_status (*take)(void *user, char *line, long number, rb_error *err),
                                  void *user, rb_error *err) {
    char line[LINE + 2];
    revbifpn_status status = REVBIFPN_OK;
    for (long number = 1; !status; number++) {
        size_t length = 0;
        int c;
        while ((c = getc(f)) != EOF && c != '\n' && c && length <= LINE) line[length++] = (char)c;
        revbifpn_status stopped = rb_host_stop_asked(path, err);
        if (stopped) return stopped;
        if (!c || length > LINE)
            return rb_fail(err, REVBIFPN_BAD_DATA, "%s: line %ld: %s", path, number,
                           c ? "longer than 4096 bytes" : "a zero byte: not a text");
        while (length && isspace((unsigned char)line[length - 1])) length--;
        line[length] = 0;
        if (length) status = take(user, line, number, err);
        if (status) rb_fail_prefix(err, "%s: line %ld: ", path, number);
        if (c == EOF) break;
    }
    if (!status && ferror(f))
        status = rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot read: %s", path, strerror(errno));
    return status;
}

revbifpn_status rb_source_lines(const char *path,
                                revbifpn_status (*take)(void *user, char *line, long number, rb_error *err),
                                void *user, rb_error *err) {
    struct stat info;
    if (!stat(path, &info) && !S_ISREG(info.st_mode)) /* a pipe would be waited for */
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: not a regular file", path);
    FILE *f = fopen(path, "rbe");
    if (!f) return rb_fail(err, REVBIFPN_IO_FAILED, "%s: cannot open: %s", path, strerror(errno));
    revbifpn_status status = read_lines(f, path, take, user, err);
    fclose(f);
    return status;
}

typedef struct reader {
    rb_source *source;
    char *folder; /* of the list, with its slash; "" : the current one */
} reader;

static revbifpn_status take_line(void *user, char *line, long number, rb_error *err) {
    reader *r = user;
    (void)number;
    char *blank = strrchr(line, '\t');
    if (!blank) blank = strrchr(line, ' ');
    if (!blank || blank == line) return rb_fail(err, REVBIFPN_BAD_DATA, "no label after the path");
    const char *label = blank + 1;
    while (blank > line && isspace((unsigned char)blank[-1])) blank--;
    *blank = 0;
    while (isspace((unsigned char)*label)) label++;
    while (isspace((unsigned char)*line)) line++;
    if (!*line || !*label) return rb_fail(err, REVBIFPN_BAD_DATA, "no path before the label");
    size_t size = strlen(r->folder) + strlen(line) + 1;
    rb_sample sample = {.path = rb_alloc(size)};
    if (!sample.path) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
    snprintf(sample.path, size, "%s%s", *line == '/' ? "" : r->folder, line);
    return rb_source_add_text(r->source, sample, label, strlen(label), err);
}

revbifpn_status rb_source_read_list(rb_source *source, const char *path, rb_error *err) {
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    reader r = {.source = source, .folder = rb_alloc(length + 1)};
    if (!r.folder) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
    memcpy(r.folder, path, length);
    revbifpn_status status = rb_source_lines(path, take_line, &r, err);
    rb_free(r.folder);
    return status;
}
