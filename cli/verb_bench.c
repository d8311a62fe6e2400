#define _DEFAULT_SOURCE
/* revbifpn bench: pictures a second and memory on this machine. */
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>

#include "print.h"
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
    printf("%s at %d × %d, batch %d, %s, %s, %d steps\n", o->model.name, o->width, o->height, o->batch,
           cli_text(args, "mode"), cli_text(args, "activations"), o->steps);
    printf("%s, %d threads, %s kernels\n", processor, revbifpn_threads(ctx), revbifpn_cpu(ctx));
    printf("  pictures a second  %.2f best, %.2f median\n", r->images_per_second_best,
           r->images_per_second_median);
    if (o->data) print_data_text(r);
    printf("  planned            %s\n", cli_bytes(r->planned_bytes));
    printf("  peak resident      %s\n", cli_bytes(r->peak_rss_bytes));
}

enum { PROFILE_ROWS = 32 };
typedef struct profile {
    revbifpn_profile_row rows[PROFILE_ROWS];
    int count;
    double seconds;
} profile;

static void add_row(void *user, const revbifpn_profile_row *row) {
    profile *p = user;
    p->seconds += row->seconds;
    if (p->count < PROFILE_ROWS) p->rows[p->count++] = *row;
}

static void print_rate(double amount, double seconds) {
    if (amount > 0 && seconds > 0)
        printf(" %9.1f", amount / seconds);
    else
        printf(" %9s", "-");
}

/* Times of the measured steps by operator. */
static void print_profile(const profile *p, int steps) {
    printf("%-20s %10s %7s %9s %9s %9s\n", "operator", "ms a step", "share", "GFLOP/s", "GB/s", "calls");
    for (int i = 0; i < p->count; i++) {
        const revbifpn_profile_row *r = &p->rows[i];
        printf("%-20s %10.2f %6.1f%%", r->name, 1e3 * r->seconds / steps, 100 * r->seconds / p->seconds);
        print_rate(r->gflops, r->seconds);
        print_rate(r->gbytes, r->seconds);
        printf(" %9" PRIu64 "\n", r->calls / (uint64_t)steps);
    }
}

static void print_profile_json(const profile *p, int steps) {
    printf(", \"profile\": [");
    for (int i = 0; i < p->count; i++) {
        const revbifpn_profile_row *r = &p->rows[i];
        printf("%s{\"operator\": \"%s\", \"seconds_per_step\": ", i ? ", " : "", r->name);
        cli_json_real(stdout, r->seconds / steps);
        printf(", \"gflop\": ");
        cli_json_real(stdout, r->gflops / steps);
        printf(", \"gbytes\": ");
        cli_json_real(stdout, r->gbytes / steps);
        printf(", \"calls\": %" PRIu64 "}", r->calls / (uint64_t)steps);
    }
    printf("]");
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
                       const revbifpn_bench_result *r, const profile *times) {
    char processor[256];
    processor_name(processor, sizeof processor);
    printf("{\"model\": ");
    cli_json_string(stdout, o->model.name);
    printf(", \"width\": %d, \"height\": %d, \"batch\": %d, \"mode\": \"%s\", \"activations\": \"%s\", "
           "\"steps\": %d",
           o->width, o->height, o->batch, cli_text(args, "mode"), cli_text(args, "activations"), o->steps);
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
    if (o->profile) print_profile_json(times, o->steps);
    printf(", \"processor\": ");
    cli_json_string(stdout, processor);
    printf(", \"threads\": %d, \"kernels\": \"%s\", \"version\": \"%s\", \"commit\": \"%s\"}\n",
           revbifpn_threads(ctx), revbifpn_cpu(ctx), revbifpn_version(), revbifpn_commit());
}

int verb_bench(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_bench_options options = revbifpn_default_bench();
    revbifpn_bench_result result;
    profile times = {.count = 0};
    int code = cli_open(args, &ctx);
    if (code) return code;
    revbifpn_status status = cli_model(args, ctx, &options.model);
    if (status == REVBIFPN_OK) {
        options.width = options.model.image_width;
        options.height = options.model.image_height;
        options.batch = (int)cli_int(args, "batch");
        options.steps = (int)cli_int(args, "steps");
        options.training = !strcmp(cli_text(args, "mode"), "train");
        options.activations =
            strcmp(cli_text(args, "activations"), "stored") ? REVBIFPN_REVERSIBLE : REVBIFPN_STORED;
        options.data = cli_text(args, "data");
        options.workers = (int)cli_int(args, "workers");
        if (cli_given(args, "profile")) options.profile = add_row;
        options.user = &times;
        status = revbifpn_bench(ctx, &options, &result);
    }
    if (status != REVBIFPN_OK)
        code = cli_report(args, ctx, status);
    else if (cli_given(args, "json"))
        print_json(args, ctx, &options, &result, &times);
    else
        print_text(args, ctx, &options, &result);
    if (!code && options.profile && !cli_given(args, "json")) print_profile(&times, options.steps);
    revbifpn_close(&ctx);
    return code;
}
