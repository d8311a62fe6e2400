#define _GNU_SOURCE
#include "check.h"

#include <ftw.h>
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

void check_ok(revbifpn_status status, const rb_error *error, const char *what, const char *file, int line) {
    if (status == REVBIFPN_OK) return;
    print_error("%s:%d: %s failed with status %d: %s\n", file, line, what, (int)status,
                error ? error->text : "");
    _fail(file, line);
}

static void diff_add(rb_diff *d, double a, double b, size_t i, double *error, double *norm) {
    double delta = fabs(a - b);
    if (!isfinite(a) || !isfinite(b)) delta = INFINITY;
    if (!(delta <= d->max_abs)) {
        d->max_abs = delta;
        d->worst = i;
    }
    *error += delta * delta;
    *norm += b * b;
}

static void diff_finish(rb_diff *d, double error, double norm) {
    d->rel_l2 = error == 0 ? 0 : norm > 0 ? sqrt(error / norm) : INFINITY;
}

rb_diff rb_diff_f32(const float *a, const float *b, size_t count) {
    rb_diff d = {.equal_bits = !memcmp(a, b, count * sizeof *a)};
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) diff_add(&d, a[i], b[i], i, &error, &norm);
    diff_finish(&d, error, norm);
    return d;
}

rb_diff rb_diff_f32_f64(const float *a, const double *b, size_t count) {
    rb_diff d = {0};
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) diff_add(&d, a[i], b[i], i, &error, &norm);
    diff_finish(&d, error, norm);
    return d;
}

static const char *existing(const char *root, const char *relative) {
    static char paths[8][4096];
    static int next;
    char *path = paths[next++ % 8];
    if (snprintf(path, sizeof paths[0], "%s/%s", root, relative) >= (int)sizeof paths[0]) return NULL;
    return access(path, R_OK) ? NULL : path;
}

static const char *source_root(void) {
    const char *root = getenv("REVBIFPN_SOURCE");
    return root ? root : ".";
}

const char *source_path(const char *relative) { return existing(source_root(), relative); }

const char *shared_path(const char *relative) {
    char root[4096];
    const char *given = getenv("REVBIFPN_SHARED");
    snprintf(root, sizeof root, "%s%s", given ? given : source_root(), given ? "" : "/../shared");
    return existing(root, relative);
}

const char *command_path(void) {
    const char *build = getenv("REVBIFPN_BUILD");
    return existing(build ? build : "build", "revbifpn");
}

bool command_is_missing(void) {
    if (command_path()) return false;
    fprintf(stderr, "build/revbifpn is not there\n");
    return true;
}

void make_folder(char path[4096]) {
    const char *root = getenv("TMPDIR");
    snprintf(path, 4096, "%s/revbifpn-test-XXXXXX", root ? root : "/tmp");
    if (!mkdtemp(path)) fail_msg("cannot make a temporary folder");
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info, (void)type, (void)at;
    return remove(path);
}

void remove_folder(const char *path) { nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

void skip_all(const char *why) {
    printf("SKIPPED: %s\n", why);
    exit(77);
}

void check_same_files(const char *a, const char *b) {
    rb_error err;
    unsigned char *x, *y;
    size_t x_size, y_size;
    CHECK_OK(rb_file_read(a, SIZE_MAX / 2, &x, &x_size, &err), &err);
    CHECK_OK(rb_file_read(b, SIZE_MAX / 2, &y, &y_size, &err), &err);
    bool same = x_size == y_size && !memcmp(x, y, x_size);
    rb_free(x);
    rb_free(y);
    if (!same) fail_msg("%s and %s differ", a, b);
}
