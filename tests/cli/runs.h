/* What the tests of whole runs share: the command with a formatted line; picture sets and a network small
 * enough that a run takes a fraction of a second; run folders compared. */
#ifndef RB_TESTS_CLI_RUNS_H
#define RB_TESTS_CLI_RUNS_H

#include "check.h"
#include "command.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "data/synth.h"

/* snprintf that fails the test when the text is cut. */
static inline void __attribute__((format(printf, 3, 4)))
put(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < size);
}

/* ---- the command ---- */

/* Runs the command to its end. */
static inline command_result __attribute__((format(printf, 1, 2))) command(const char *format, ...) {
    char line[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return command_run(line);
}

/* … and wants exit status 0. */
static inline void __attribute__((format(printf, 1, 2))) command_works(const char *format, ...) {
    char line[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    command_result r = command("%s", line);
    if (r.code) fail_msg("'%s': exit %d: %s", line, r.code, r.err);
    command_forget(&r);
}

/* Wants this exit status and one line on stderr that contains `text`. */
static inline void __attribute__((format(printf, 3, 4)))
command_refuses(int code, const char *text, const char *format, ...) {
    char line[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    command_result r = command("%s", line);
    size_t length = strlen(r.err);
    if (r.code != code || !strstr(r.err, text) || !length || strchr(r.err, '\n') != r.err + length - 1)
        fail_msg("'%s': exit %d, stderr '%s'; wanted %d and one line with '%s'", line, r.code, r.err, code,
                 text);
    command_forget(&r);
}

/* ---- files ---- */

static inline const char *path_of(char path[4200], const char *folder, const char *name) {
    put(path, 4200, "%s/%s", folder, name);
    return path;
}

static inline bool has_file(const char *folder, const char *name) {
    char path[4200];
    return !access(path_of(path, folder, name), F_OK);
}

/* The whole file with a zero after it; freed by the caller. NULL when it is not there. */
static inline char *file_bytes(const char *path, size_t *size) {
    FILE *f = fopen(path, "rbe");
    *size = 0;
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = calloc(1, *size + 1);
    assert_non_null(bytes);
    assert_true(fread(bytes, 1, *size, f) == *size);
    fclose(f);
    return bytes;
}

static inline void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wbe");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) fail_msg("cannot write %s", path);
}

static inline void write_text(const char *path, const char *text) { write_bytes(path, text, strlen(text)); }

static inline void assert_same_file(const char *a, const char *b) {
    size_t size_a = 0, size_b = 0;
    char *bytes_a = file_bytes(a, &size_a), *bytes_b = file_bytes(b, &size_b);
    if (!bytes_a || !bytes_b) fail_msg("%s is not there", bytes_a ? b : a);
    if (size_a != size_b || memcmp(bytes_a, bytes_b, size_a)) fail_msg("%s and %s differ", a, b);
    free(bytes_a);
    free(bytes_b);
}

/* cp -r FROM TO; TO is made new. */
static inline void copy_tree(const char *from, const char *to) {
    char line[8500];
    put(line, sizeof line, "rm -rf '%s' && cp -r '%s' '%s'", to, from, to);
    assert_int_equal(system(line), 0);
}

/* ---- runs ---- */

/* A picture set FOLDER/{train,val}/{circle,square,…}/0001.jpg … */
static inline void make_set(const char *folder, int classes, int train, int val, int side) {
    rb_error err = {0};
    rb_synth_options options = {
        .images_train = train, .images_val = val, .classes = classes, .side = side, .seed = 5};
    CHECK_OK(rb_synth_classify(folder, &options, NULL, NULL, &err), &err);
}

/* A network of two streams for 32 × 32 pictures, with everything that the large ones have. */
static inline void make_tiny_network(const char *path) {
    write_text(path, "{\"base\": \"s0\", \"name\": \"tiny\", \"streams\": 2, \"widths\": [48, 48],"
                     " \"expansions\": [1, 2], \"squeeze_ratios\": [0, 0.25], \"blocks_per_level\": 1,"
                     " \"extension_levels\": 1, \"head_widths\": [48, 48], \"head_expansions\": [1, 2],"
                     " \"fc_features\": 32, \"drop\": 0.1, \"drop_path\": 0.1,"
                     " \"image_width\": 32, \"image_height\": 32}\n");
}

/* What equal runs have equal. */
static inline void assert_same_run(const char *a, const char *b) {
    static const char *const names[] = {"weights/last.safetensors", "weights/best.safetensors", "results.csv",
                                        "steps.jsonl"};
    char path_a[4200], path_b[4200];
    for (int i = 0; i < 4; i++) assert_same_file(path_of(path_a, a, names[i]), path_of(path_b, b, names[i]));
}

static inline void pause_ms(double ms) {
    struct timespec t = {.tv_sec = (time_t)(ms / 1e3),
                         .tv_nsec = (long)((ms - 1e3 * (double)(time_t)(ms / 1e3)) * 1e6)};
    nanosleep(&t, NULL);
}

static inline double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

#endif
