#define _DEFAULT_SOURCE
/* revbifpn bench: pictures a second and memory on this machine. */
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>

#include "detector.h"
#include "print.h"
#include "profile.h"
#include "verbs.h"

/* The first "model name" of /proc/cpuinfo, or the machine's kind. */
static void processor_name(char *name, size_t size) {
    struct utsname system;
    char line[512];
    snprintf(name, size, "%s", uname(&system) ? "unknown" : system.machine);
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(name, size, "%s", colon[1] == ' ' ? colon + 2 : colon + 1);
        break;
    }
    if (f) fclose(f);
}

static void print_data_text(const revbifpn_bench_result *r) {
    printf(
        "  … fed from files   %.2f best, %.2f median; a step takes %.3f × the time, %.1f ms of it waiting\n",
        r->data_images_per_second_best, r->data_images_per_second_median, r->data_time_ratio,
        1e3 * r->data_wait_seconds);
    printf("  processor time     %.2f ms a picture in a step, %.2f ms to prepare one\n",
           1e3 * r->step_cpu_seconds, 1e3 * r->preparing_cpu_seconds);
}

static void print_text(const cli_args *args, const revbifpn *ctx, const revbifpn_bench_options *o,
                       const revbifpn_bench_result *r) {
    char processor[256];
    processor_name(processor, sizeof processor);
    const char *task = o->detector ? cli_text(args, "task") : "";
    printf("%s%s%s at %d × %d, batch %d, %s, %s, %d steps\n", task, *task ? " with " : "", o->model.name,
           o->width, o->height, o->batch, cli_text(args, "mode"), cli_text(args, "activations"), o->steps);
    printf("%s, %d threads, %s kernels\n", processor, revbifpn_threads(ctx), revbifpn_cpu(ctx));
    printf("  pictures a second  %.2f best, %.2f median\n", r->images_per_second_best,
           r->images_per_second_median);
    if (o->data) print_data_text(r);
    printf("  planned            %s\n", cli_bytes(r->planned_bytes));
    printf("  peak resident      %s\n", cli_bytes(r->peak_rss_bytes));
}

static void print_data_json(const revbifpn_bench_options *o, const revbifpn_bench_result *r) {
    const struct {
        const char *name;
        double value;
    } rows[] = {{"images_per_second_best", r->data_images_per_second_best},
                {"images_per_second_median", r->data_images_per_second_median},
                {"time_ratio", r->data_time_ratio},
                {"wait_seconds_per_step", r->data_wait_seconds},
                {"preparing_cpu_seconds_per_image", r->preparing_cpu_seconds}};
    printf(", \"data\": {\"workers\": %d", o->workers);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        printf(", \"%s\": ", rows[i].name);
        cli_json_real(stdout, rows[i].value);
    }
    printf("}");
}

static void print_json(const cli_args *args, const revbifpn *ctx, const revbifpn_bench_options *o,
                       const revbifpn_bench_result *r, const cli_profile *profile) {
    char processor[256];
    processor_name(processor, sizeof processor);
    printf("{\"model\": ");
    cli_json_string(stdout, o->model.name);
    printf(", \"task\": \"%s\", \"width\": %d, \"height\": %d, \"batch\": %d, \"mode\": \"%s\", "
           "\"activations\": \"%s\", "
           "\"steps\": %d",
           cli_text(args, "task"), o->width, o->height, o->batch, cli_text(args, "mode"),
           cli_text(args, "activations"), o->steps);
    printf(", \"images_per_second_best\": ");
    cli_json_real(stdout, r->images_per_second_best);
    printf(", \"images_per_second_median\": ");
    cli_json_real(stdout, r->images_per_second_median);
    printf(", \"planned_bytes\": %" PRIu64 ", \"peak_rss_bytes\": %" PRIu64, r->planned_bytes,
           r->peak_rss_bytes);
    printf(", \"arena_planned_bytes\": %" PRIu64 ", \"arena_high_bytes\": %" PRIu64
           ", \"allocations_after_first_step\": %" PRIu64,
           r->arena_planned_bytes, r->arena_high_bytes, r->allocations_after_first_step);
    printf(", \"step_cpu_seconds_per_image\": ");
    cli_json_real(stdout, r->step_cpu_seconds);
    if (o->data) print_data_json(o, r);
    if (o->profile) cli_json_profile(stdout, profile, r, o->steps);
    printf(", \"processor\": ");
    cli_json_string(stdout, processor);
    printf(", \"threads\": %d, \"kernels\": \"%s\", \"version\": \"%s\", \"commit\": \"%s\"}\n",
           revbifpn_threads(ctx), revbifpn_cpu(ctx), revbifpn_version(), revbifpn_commit());
}

static int print(const cli_args *args, const revbifpn *ctx, const revbifpn_bench_options *o,
                 const revbifpn_bench_result *r, const cli_profile *profile) {
    if (profile->incomplete) {
        fprintf(stderr, "revbifpn bench: out of memory for the profile\n");
        return CLI_FAILED;
    }
    if (cli_given(args, "json"))
        print_json(args, ctx, o, r, profile);
    else
        print_text(args, ctx, o, r);
    if (o->profile && !cli_given(args, "json")) cli_print_profile(stdout, profile, r, o->steps);
    return CLI_OK;
}

int verb_bench(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_bench_options options = revbifpn_default_bench();
    revbifpn_bench_result result;
    cli_profile profile = {0};
    int code = cli_open(args, &ctx);
    if (code) return code;
    revbifpn_detector_config detector;
    bool detects = cli_detects(args);
    revbifpn_status status =
        detects ? cli_detector(args, ctx, &detector) : cli_model(args, ctx, &options.model);
    if (status == REVBIFPN_OK && detects) {
        options.detector = &detector;
        options.model = detector.backbone;
    }
    if (status == REVBIFPN_OK) {
        options.width = options.model.image_width;
        options.height = options.model.image_height;
        options.batch = (int)cli_int(args, "batch");
        options.steps = (int)cli_int(args, "steps");
        options.training = !strcmp(cli_text(args, "mode"), "train");
        options.activations =
            strcmp(cli_text(args, "activations"), "stored") ? REVBIFPN_REVERSIBLE : REVBIFPN_STORED;
        options.precision = strcmp(cli_text(args, "precision"), "bf16") ? REVBIFPN_FLOAT32 : REVBIFPN_BF16;
        options.data = cli_text(args, "data");
        options.workers = (int)cli_int(args, "workers");
        if (cli_given(args, "profile")) options.profile = cli_profile_add;
        options.user = &profile;
        status = revbifpn_bench(ctx, &options, &result);
    }
    if (status != REVBIFPN_OK)
        code = cli_report(args, ctx, status);
    else
        code = print(args, ctx, &options, &result, &profile);
    cli_profile_close(&profile);
    revbifpn_close(&ctx);
    return code;
}
