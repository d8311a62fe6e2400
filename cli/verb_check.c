/* revbifpn check: what is wrong with a data set, as text and as JSON. Exit status 4 when there are faults. */
#include "findings.h"
#include "verbs.h"

static void show_progress(void *user, int done, int all) { cli_findings_progress(user, done, all); }

/* ---- pictures with a class ---- */

static void show_finding(void *user, const revbifpn_finding *f) {
    cli_findings_add(user, (int)f->kind, f->name, f->path, f->text);
}

static void add_class(void *user, const char *name, int train, int val) {
    FILE *out = cli_findings_class(user, name);
    if (out) fprintf(out, ", \"train\": %d, \"val\": %d}", train, val);
}

static void print_reals(FILE *out, const char *key, const double *values, int count) {
    fprintf(out, "  \"%s\": [", key);
    for (int i = 0; i < count; i++) {
        if (i) fputs(", ", out);
        cli_json_real(out, values[i]);
    }
    fputs("],\n", out);
}

/* The rest of the object, after what was found. */
static void end_json(cli_findings *f, const revbifpn_check_report *p) {
    FILE *out = cli_findings_end(f);
    if (!out) return;
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

static void print_text(const revbifpn_check_report *p) {
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

static int check_pictures(cli_findings *f, revbifpn *ctx) {
    const cli_args *args = f->args;
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
    options.user = f;
    revbifpn_status status = revbifpn_check(ctx, &options, &report);
    cli_progress_clear(&f->progress);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    cli_findings_hidden(f);
    print_text(&report);
    end_json(f, &report);
    int code = cli_findings_write(f, ctx);
    return !code && report.faults ? CLI_FAULTS : code;
}

/* ---- pictures with objects ---- */

static void show_object_finding(void *user, const revbifpn_object_finding *f) {
    cli_findings_add(user, (int)f->kind, f->name, f->path, f->text);
}

static void add_object_class(void *user, const char *name, uint64_t train, uint64_t val) {
    FILE *out = cli_findings_class(user, name);
    if (out)
        fprintf(out, ", \"train\": %llu, \"val\": %llu}", (unsigned long long)train, (unsigned long long)val);
}

static void end_objects_json(cli_findings *f, const revbifpn_object_check_report *p) {
    FILE *out = cli_findings_end(f);
    if (!out) return;
    fprintf(out, "  \"form\": \"%s\",\n  \"train\": %d,\n  \"val\": %d,\n", p->form, p->train, p->val);
    fprintf(out, "  \"train_objects\": %llu,\n  \"val_objects\": %llu,\n  \"crowds\": %llu,\n",
            (unsigned long long)p->train_objects, (unsigned long long)p->val_objects,
            (unsigned long long)p->crowds);
    fprintf(out, "  \"outlines\": %llu,\n  \"most_objects\": %d,\n  \"faults\": %llu,\n",
            (unsigned long long)p->outlines, p->most_objects, (unsigned long long)p->faults);
    fprintf(out,
            "  \"min_width\": %d,\n  \"min_height\": %d,\n  \"max_width\": %d,\n  \"max_height\": %d\n}\n",
            p->min_width, p->min_height, p->max_width, p->max_height);
}

static void print_objects(const revbifpn_object_check_report *p) {
    printf("%s: %d pictures with %llu objects for training, %d with %llu for validation, %d classes\n",
           p->form, p->train, (unsigned long long)p->train_objects, p->val,
           (unsigned long long)p->val_objects, p->classes);
    printf("%llu outlines, %llu crowds, at most %d objects to learn in a picture\n",
           (unsigned long long)p->outlines, (unsigned long long)p->crowds, p->most_objects);
    printf("size %d … %d × %d … %d\n%llu faults\n", p->min_width, p->max_width, p->min_height, p->max_height,
           (unsigned long long)p->faults);
}

static int check_objects(cli_findings *f, revbifpn *ctx) {
    static const char *const of_classes[] = {"val-data", "channels", "bits", "min-side", "huge-pixels"};
    revbifpn_object_check_report report;
    revbifpn_object_check_options options = revbifpn_default_object_check();
    for (int i = 0; i < 5; i++)
        if (cli_given(f->args, of_classes[i]))
            return cli_usage(f->args, "--%s does nothing for a data set of objects", of_classes[i]);
    options.data = cli_text(f->args, "data");
    options.max_pixels = (uint64_t)cli_int(f->args, "max-pixels");
    options.progress = show_progress;
    options.found = show_object_finding;
    options.class_count = add_object_class;
    options.user = f;
    revbifpn_status status = revbifpn_check_objects(ctx, &options, &report);
    cli_progress_clear(&f->progress);
    if (status != REVBIFPN_OK) return cli_report(f->args, ctx, status);
    cli_findings_hidden(f);
    print_objects(&report);
    end_objects_json(f, &report);
    int code = cli_findings_write(f, ctx);
    return !code && report.faults ? CLI_FAULTS : code;
}

int verb_check(const cli_args *args) {
    revbifpn *ctx = NULL;
    cli_findings f = {0};
    int code = cli_open(args, &ctx);
    if (code) return code;
    code = cli_findings_open(&f, args);
    if (!code) {
        cli_progress_open(&f.progress, cli_text(args, "progress"));
        code = (revbifpn_is_objects(cli_text(args, "data")) ? check_objects : check_pictures)(&f, ctx);
    }
    cli_findings_close(&f);
    revbifpn_close(&ctx);
    return code;
}
