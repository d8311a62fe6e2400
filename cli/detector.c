#include "detector.h"

#include <stdlib.h>
#include <string.h>

#include "print.h"

enum { WIDTH = 1344, HEIGHT = 800, LONG_SIDE = 1333, SHORT_SIDE = 800, MOST = 16384 };

bool cli_detects(const cli_args *args) { return strcmp(cli_text(args, "task"), "classify") != 0; }

revbifpn_status cli_detector(const cli_args *args, revbifpn *ctx, revbifpn_detector_config *out) {
    *out = revbifpn_default_detector_config();
    revbifpn_status status = cli_model(args, ctx, &out->backbone);
    if (status != REVBIFPN_OK) return status;
    if (!cli_get(args, "imgsz")->set) {
        out->backbone.image_width = WIDTH;
        out->backbone.image_height = HEIGHT;
    }
    if (cli_given(args, "classes")) out->classes = (int)cli_int(args, "classes");
    out->masks = !strcmp(cli_text(args, "task"), "segment");
    out->channels = (int)cli_int(args, "fpn");
    out->features = (int)cli_int(args, "fc");
    return REVBIFPN_OK;
}

revbifpn_task cli_task(const cli_args *args) {
    const char *task = cli_text(args, "task");
    return !strcmp(task, "detect")    ? REVBIFPN_DETECT
           : !strcmp(task, "segment") ? REVBIFPN_SEGMENT
                                      : REVBIFPN_CLASSIFY;
}

/* "A..B": two numbers, which the library judges. */
static bool read_range(const char *text, double *low, double *high) {
    char first[40], *end;
    const char *dots = strstr(text, "..");
    size_t length = dots ? (size_t)(dots - text) : 0;
    if (!length || length >= sizeof first || !dots[2]) return false;
    memcpy(first, text, length);
    first[length] = 0;
    *low = strtod(first, &end);
    if (*end) return false;
    *high = strtod(dots + 2, &end);
    return !*end;
}

int cli_detector_run(const cli_args *args, revbifpn_train_config *c) {
    const cli_value *size = cli_get(args, "imgsz");
    const char *scales = cli_text(args, "scales"), *jitter = cli_text(args, "scale-jitter");
    int width = size->set ? size->width : LONG_SIDE, height = size->set ? size->height : SHORT_SIDE;
    c->task = cli_task(args);
    c->fpn = (int)cli_int(args, "fpn");
    c->fc = (int)cli_int(args, "fc");
    if (!c->task) {
        static const char *const own[] = {"scales", "scale-jitter", "mosaic"};
        for (int i = 0; i < 3; i++)
            if (cli_given(args, own[i]))
                return cli_usage(args, "--%s is for --task detect and segment", own[i]);
        return CLI_OK;
    }
    c->long_side = width > height ? width : height;
    c->short_side = width > height ? height : width;
    char rest;
    if (scales && (sscanf(scales, "%d..%d%c", &c->scale_low, &c->scale_high, &rest) != 2 ||
                   c->scale_low < 32 || c->scale_high < c->scale_low || c->scale_high > MOST))
        return cli_usage(args, "--scales '%.40s': two rising numbers in 32 … %d, for instance 480..800",
                         scales, MOST);
    if (jitter && !read_range(jitter, &c->scale_jitter_low, &c->scale_jitter_high))
        return cli_usage(args, "--scale-jitter '%.40s': two rising factors, for instance 0.5..1.5", jitter);
    return CLI_OK;
}

const char *cli_task_name(revbifpn_task task) {
    static const char *const names[] = {"classify", "detect", "segment"};
    return names[task];
}

int cli_weights_task(const cli_args *args, revbifpn *ctx, revbifpn_task *out) {
    const char *path = cli_text(args, "weights"), *task = cli_text(args, "task");
    revbifpn_status status = revbifpn_weights_task(ctx, path, out);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    if (task && strcmp(task, cli_task_name(*out)) != 0)
        return cli_usage(args, "--task %s: %s was trained to %s", task, path, cli_task_name(*out));
    return CLI_OK;
}

int cli_load_detector(const cli_args *args, revbifpn *ctx, revbifpn_detector **out) {
    const cli_value *size = cli_get(args, "imgsz");
    revbifpn_status status = revbifpn_detector_load(ctx, cli_text(args, "weights"), out);
    if (status == REVBIFPN_OK && size->set) {
        int longer = size->width > size->height ? size->width : size->height;
        status = revbifpn_detector_limits(*out, longer, size->width + size->height - longer);
    }
    return status == REVBIFPN_OK ? CLI_OK : cli_report(args, ctx, status);
}

void cli_detector_input(const revbifpn_detector *detector, int *width, int *height) {
    const revbifpn_detector_config *c = revbifpn_detector_configuration(detector);
    *width = (c->long_side + 31) / 32 * 32;
    *height = (c->short_side + 31) / 32 * 32;
}
