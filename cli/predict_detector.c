/* revbifpn predict of a detector: boxes, masks, labels and scores as text, JSON, CSV, COCO's results or
 * YOLO's lines; and, when a folder is named for them, the pictures with all that drawn in. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "detector.h"
#include "outputs.h"
#include "print.h"
#include "sources.h"

typedef struct predictor {
    const cli_args *args;
    revbifpn *ctx;
    revbifpn_detector *detector;
    const revbifpn_detection *at;
    int found, pictures, failed, written; /* written: results of COCO's list */
    const char *format, *folder;
    bool stopped; /* the output has no room */
} predictor;

static void print_text(const predictor *p, const char *path, const revbifpn_image *image) {
    (void)image;
    printf("%s: %d found\n", path, p->found);
    for (int i = 0; i < p->found; i++) {
        const revbifpn_detection *d = &p->at[i];
        printf("  %-20s %.3f  %.1f %.1f %.1f %.1f\n", d->name, d->score, d->x1, d->y1, d->x2, d->y2);
    }
}

static void print_runs(const revbifpn_detection *d, const revbifpn_image *image) {
    printf(", \"segmentation\": {\"size\": [%d, %d], \"counts\": ", image->height, image->width);
    cli_json_string(stdout, d->mask);
    printf("}");
}

static void print_json(const predictor *p, const char *path, const revbifpn_image *image) {
    printf("{\"file\": ");
    cli_json_string(stdout, path);
    printf(", \"width\": %d, \"height\": %d, \"detections\": [", image->width, image->height);
    for (int i = 0; i < p->found; i++) {
        const revbifpn_detection *d = &p->at[i];
        printf("%s{\"class\": ", i ? ", " : "");
        cli_json_string(stdout, d->name);
        printf(", \"label\": %d, \"score\": %.9g, \"box\": [%.9g, %.9g, %.9g, %.9g]", d->label, d->score,
               d->x1, d->y1, d->x2, d->y2);
        if (d->mask) print_runs(d, image);
        printf("}");
    }
    printf("]}\n");
}

/* Pictures have no id here: their number, with the file beside it. Categories are labels from 1, as the
 * other tools that write such lists count. */
static void print_coco(predictor *p, const char *path, const revbifpn_image *image) {
    for (int i = 0; i < p->found; i++) {
        const revbifpn_detection *d = &p->at[i];
        printf("%s{\"image_id\": %d, \"file_name\": ", p->written++ ? ",\n" : "", p->pictures);
        cli_json_string(stdout, path);
        printf(", \"category_id\": %d, \"bbox\": [%.9g, %.9g, %.9g, %.9g], \"score\": %.9g", d->label + 1,
               d->x1, d->y1, d->x2 - d->x1, d->y2 - d->y1, d->score);
        if (d->mask) print_runs(d, image);
        printf("}");
    }
}

static void print_csv(const predictor *p, const char *path) {
    for (int i = 0; i < p->found; i++) {
        const revbifpn_detection *d = &p->at[i];
        cli_csv_field(path);
        putchar(',');
        cli_csv_field(d->name);
        printf(",%.6g,%.6g,%.6g,%.6g,%.6g\n", d->score, d->x1, d->y1, d->x2, d->y2);
    }
}

/* class, centre and size as parts of the picture, score: what `labels/NAME.txt` holds. */
static void print_yolo(const predictor *p, const char *path, const revbifpn_image *image) {
    double w = image->width, h = image->height;
    printf("# %s\n", path);
    for (int i = 0; i < p->found; i++) {
        const revbifpn_detection *d = &p->at[i];
        printf("%d %.6f %.6f %.6f %.6f %.6f\n", d->label, (d->x1 + d->x2) / 2 / w, (d->y1 + d->y2) / 2 / h,
               (d->x2 - d->x1) / w, (d->y2 - d->y1) / h, d->score);
    }
}

static void print_found(predictor *p, const char *path, const revbifpn_image *image) {
    switch (*p->format == 'c' ? p->format[1] : *p->format) {
    case 'j': print_json(p, path, image); break;
    case 's': print_csv(p, path); break;
    case 'o': print_coco(p, path, image); break;
    case 'y': print_yolo(p, path, image); break;
    default: print_text(p, path, image);
    }
}

static revbifpn_status save_picture(const predictor *p, const char *name, revbifpn_image *image, bool *told) {
    char path[CLI_OUTPUT_PATH];
    *told = !cli_output_path(p->args, p->folder, name, ".png", path);
    if (*told) return REVBIFPN_IO_FAILED;
    revbifpn_status status = revbifpn_image_draw(p->ctx, image, p->at, p->found);
    return status == REVBIFPN_OK ? revbifpn_image_write_png(p->ctx, path, image) : status;
}

/* Detections are in order of score. */
static void leave_out_unlikely(predictor *p, double least) {
    while (p->found && p->at[p->found - 1].score < least) p->found--;
}

static int predict_one(void *user, const char *path, const char *name) {
    predictor *p = user;
    revbifpn_image image = {0};
    bool told = false;
    revbifpn_status status = revbifpn_image_read(p->ctx, path, &image);
    if (status == REVBIFPN_OK) status = revbifpn_detect(p->detector, &image, &p->at, &p->found);
    if (status == REVBIFPN_OK) {
        leave_out_unlikely(p, cli_real(p->args, "conf"));
        p->pictures++;
        print_found(p, path, &image);
        p->stopped = !cli_flush();
        if (p->folder && !p->stopped) status = save_picture(p, name, &image, &told);
    }
    revbifpn_image_free(&image);
    if (status != REVBIFPN_OK) {
        p->failed++;
        if (!told) cli_report(p->args, p->ctx, status);
    }
    return p->stopped || status == REVBIFPN_OUT_OF_MEMORY || status == REVBIFPN_IO_FAILED;
}

int cli_predict_detector(const cli_args *args, revbifpn *ctx) {
    predictor p = {
        .args = args, .ctx = ctx, .format = cli_given(args, "json") ? "json" : cli_text(args, "format")};
    cli_sources sources = {.args = args, .ctx = ctx, .visit = predict_one, .user = &p};
    if (cli_given(args, "features") || cli_given(args, "saliency") || cli_given(args, "topk"))
        return cli_usage(args, "--topk, --features and --saliency are for classifiers");
    int code = cli_output_folder(args, "save-pictures", &p.folder);
    if (!code) code = cli_load_detector(args, ctx, &p.detector);
    if (!code && !strcmp(p.format, "csv")) printf("file,class,score,x1,y1,x2,y2\n");
    if (!code && !strcmp(p.format, "coco")) printf("[");
    if (!code) code = cli_visit_sources(&sources, cli_text(args, "source"));
    if (!strcmp(p.format, "coco") && p.detector) printf("]\n");
    revbifpn_detector_free(&p.detector);
    return code ? code : p.failed ? CLI_FAILED : CLI_OK;
}
