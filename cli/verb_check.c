/* revbifpn check: what is wrong with a data set, as text and as JSON. Exit status 4 when there are faults. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "print.h"
#include "progress.h"
#include "verbs.h"

enum { SHOWN = 20 /* findings of a kind, without --all */ };

typedef struct reporter {
    const cli_args *args;
    cli_progress progress;
    FILE *json; /* of --json, or NULL */
    FILE *classes;
    char *text, *class_text; /* of json; what goes into "classes", collected while findings are written */
    size_t size, class_size;
    bool any_finding;
    int told[REVBIFPN_FINDINGS];
} reporter;

static void show_progress(void *user, int done, int all) {
    reporter *r = user;
    cli_progress_count(&r->progress, done, all);
}

static void show_finding(void *user, const revbifpn_finding *f) {
    reporter *r = user;
    if (r->told[f->kind]++ < SHOWN || cli_given(r->args, "all")) {
        cli_progress_clear(&r->progress);
        printf("%-16s %s: %s\n", f->name, f->path, f->text);
    }
    if (!r->json) return;
    fprintf(r->json, "%s\n    {\"kind\": \"%s\", \"path\": ", r->any_finding ? "," : "", f->name);
    cli_json_string(r->json, f->path);
    fputs(", \"text\": ", r->json);
    cli_json_string(r->json, f->text);
    fputs("}", r->json);
    r->any_finding = true;
}

static void add_class(void *user, const char *name, int train, int val) {
    reporter *r = user;
    if (!r->classes) return;
    fprintf(r->classes, "%s\n    {\"name\": ", ftell(r->classes) > 0 ? "," : "");
    cli_json_string(r->classes, name);
    fprintf(r->classes, ", \"train\": %d, \"val\": %d}", train, val);
}

static void print_reals(FILE *out, const char *key, const double *values, int count) {
    fprintf(out, "  \"%s\": [", key);
    for (int i = 0; i < count; i++) {
        if (i) fputs(", ", out);
        cli_json_real(out, values[i]);
    }
    fputs("],\n", out);
}

/* The rest of the object, which began with "findings". */
static void end_json(reporter *r, const revbifpn_check_report *p) {
    FILE *out = r->json;
    fprintf(out, "\n  ],\n  \"classes\": [%s\n  ],\n", r->class_text ? r->class_text : "");
    fprintf(out, "  \"train\": %d,\n  \"val\": %d,\n  \"faults\": %d,\n", p->train, p->val, p->faults);
    fprintf(out, "  \"smallest_class\": %d,\n  \"largest_class\": %d,\n", p->smallest_class,
            p->largest_class);
    fprintf(out, "  \"min_width\": %d,\n  \"min_height\": %d,\n  \"max_width\": %d,\n  \"max_height\": %d,\n",
            p->min_width, p->min_height, p->max_width, p->max_height);
    print_reals(out, "mean_size", (double[]){p->mean_width, p->mean_height}, 2);
    fprintf(out, "  \"channels\": %d,\n", p->channels);
    print_reals(out, "mean", p->mean, p->channels);
    print_reals(out, "std", p->std, p->channels);
    fputs("  \"longer_side_from_power_of_two\": [", out);
    for (int i = 0; i < REVBIFPN_SIZE_BINS; i++) fprintf(out, "%s%d", i ? ", " : "", p->sizes[i]);
    fputs("]\n}\n", out);
}

static void print_text(const reporter *r, const revbifpn_check_report *p) {
    int hidden = 0;
    for (int i = 0; i < REVBIFPN_FINDINGS; i++)
        if (r->told[i] > SHOWN && !cli_given(r->args, "all")) hidden += r->told[i] - SHOWN;
    if (hidden) printf("… and %d more of these kinds (--all shows them)\n", hidden);
    printf("%d pictures for training and %d for validation, %d classes of %d … %d\n", p->train, p->val,
           p->classes, p->smallest_class, p->largest_class);
    printf("size %d … %d × %d … %d, mean %.1f × %.1f\n", p->min_width, p->max_width, p->min_height,
           p->max_height, p->mean_width, p->mean_height);
    for (int i = 0; i < REVBIFPN_SIZE_BINS; i++)
        if (p->sizes[i]) printf("  longer side %5d … %5d: %d\n", 1 << i, (2 << i) - 1, p->sizes[i]);
    for (int i = 0; i < p->channels; i++) printf("%s%.4f", i ? ", " : "mean ", p->mean[i]);
    for (int i = 0; i < p->channels; i++) printf("%s%.4f", i ? ", " : "; deviation ", p->std[i]);
    printf("%s%d faults\n", p->channels ? "\n" : "", p->faults);
}

static int cannot_write(const reporter *r, int reason) {
    fprintf(stderr, "revbifpn check: %s: cannot write: %s\n", cli_text(r->args, "json"), strerror(reason));
    return CLI_FAILED;
}

/* The object is collected in memory: the file appears whole, at the end. That its folder is there is asked
 * before the pictures are read. */
static int open_json(reporter *r) {
    const char *path = cli_text(r->args, "json");
    if (!path) return CLI_OK;
    const char *slash = strrchr(path, '/');
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    if (access(folder, F_OK)) return cannot_write(r, errno);
    r->json = open_memstream(&r->text, &r->size);
    r->classes = open_memstream(&r->class_text, &r->class_size);
    if (!r->json || !r->classes) return cannot_write(r, errno);
    fputs("{\n  \"findings\": [", r->json);
    return CLI_OK;
}

/* Closes a stream in memory; false when that is out. */
static bool close_text(FILE **stream) {
    bool lost = *stream && ferror(*stream);
    if (*stream && fclose(*stream)) lost = true;
    *stream = NULL;
    return !lost;
}

static int write_json(reporter *r, revbifpn *ctx, const revbifpn_check_report *p) {
    if (!r->json) return CLI_OK;
    bool whole = close_text(&r->classes);
    end_json(r, p);
    if (!close_text(&r->json) || !whole) return cannot_write(r, ENOMEM);
    revbifpn_status status = revbifpn_file_write(ctx, cli_text(r->args, "json"), r->text, r->size);
    return status == REVBIFPN_OK ? CLI_OK : cli_report(r->args, ctx, status);
}

static void close_reporter(reporter *r) {
    (void)close_text(&r->json);
    (void)close_text(&r->classes);
    free(r->text);
    free(r->class_text);
}

int verb_check(const cli_args *args) {
    revbifpn *ctx = NULL;
    reporter r = {.args = args};
    revbifpn_check_report report;
    revbifpn_check_options options = revbifpn_default_check();
    options.data = cli_text(args, "data");
    options.val_data = cli_text(args, "val-data");
    options.min_side = (int)cli_int(args, "min-side");
    options.huge_pixels = (uint64_t)cli_int(args, "huge-pixels");
    options.max_pixels = (uint64_t)cli_int(args, "max-pixels");
    options.channels = (int)cli_int(args, "channels");
    options.bits = cli_bits(args);
    options.progress = show_progress;
    options.found = show_finding;
    options.class_count = add_class;
    options.user = &r;
    int code = cli_open(args, &ctx);
    if (code) return code;
    code = open_json(&r);
    if (!code) {
        cli_progress_open(&r.progress, cli_text(args, "progress"));
        revbifpn_status status = revbifpn_check(ctx, &options, &report);
        cli_progress_clear(&r.progress);
        if (status != REVBIFPN_OK) {
            code = cli_report(args, ctx, status);
        } else {
            print_text(&r, &report);
            code = write_json(&r, ctx, &report);
        }
        if (!code && report.faults) code = CLI_FAULTS;
    }
    close_reporter(&r);
    revbifpn_close(&ctx);
    return code;
}
