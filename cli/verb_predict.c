/* revbifpn predict: the most probable classes of pictures, as text, JSON or CSV; and, when folders are named
 * for them, the pictures with their labels, the maps of the pyramid, and what the answer depends on. A
 * picture that cannot be read costs one line on stderr; the others go on. */
#include <stdlib.h>
#include <string.h>

#include "detector.h"
#include "outputs.h"
#include "print.h"
#include "sources.h"
#include "verbs.h"

enum { LINES = 5 };

typedef enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV } format;

typedef struct predictor {
    const cli_args *args;
    revbifpn *ctx;
    revbifpn_model *model;
    revbifpn_prediction *best;
    format format;
    const char *pictures, *features, *saliency; /* folders; NULL: not wanted */
    int topk, found, failed;
    bool told;             /* what was wrong with this picture, already */
    revbifpn_status fatal; /* not about one picture: the run ends */
} predictor;

/* ---- what is printed ---- */

static void print_text(const predictor *p, const char *path) {
    printf("%s:", path);
    for (int i = 0; i < p->found; i++)
        printf("%s %s %.4f", i ? "," : "", p->best[i].name, p->best[i].probability);
    printf("\n");
}

static void print_json(const predictor *p, const char *path) {
    printf("{\"file\": ");
    cli_json_string(stdout, path);
    printf(", \"predictions\": [");
    for (int i = 0; i < p->found; i++) {
        printf("%s{\"class\": ", i ? ", " : "");
        cli_json_string(stdout, p->best[i].name);
        printf(", \"probability\": ");
        cli_json_real(stdout, p->best[i].probability);
        printf("}");
    }
    printf("]}\n");
}

static void print_csv(const predictor *p, const char *path) {
    for (int i = 0; i < p->found; i++) {
        cli_csv_field(path);
        printf(",%d,", i + 1);
        cli_csv_field(p->best[i].name);
        printf(",%.6g\n", p->best[i].probability);
    }
}

/* ---- what is written ---- */

static revbifpn_status output_path(predictor *p, const char *folder, const char *name, const char *ending,
                                   char path[CLI_OUTPUT_PATH]) {
    p->told = !cli_output_path(p->args, folder, name, ending, path);
    return p->told ? REVBIFPN_IO_FAILED : REVBIFPN_OK;
}

static revbifpn_status save_picture(predictor *p, const char *name, revbifpn_image *image) {
    char path[CLI_OUTPUT_PATH], text[LINES][200];
    const char *lines[LINES];
    int count = p->found < LINES ? p->found : LINES;
    for (int i = 0; i < count; i++) {
        snprintf(text[i], sizeof text[i], "%5.1f %% %s", 100 * p->best[i].probability, p->best[i].name);
        lines[i] = text[i];
    }
    revbifpn_status status = output_path(p, p->pictures, name, ".png", path);
    if (status == REVBIFPN_OK) status = revbifpn_image_annotate(p->ctx, image, lines, count);
    return status == REVBIFPN_OK ? revbifpn_image_write_png(p->ctx, path, image) : status;
}

static revbifpn_status save_features(predictor *p, const char *name, const revbifpn_image *image) {
    revbifpn_map maps[REVBIFPN_MAX_STREAMS];
    int count;
    revbifpn_status status = revbifpn_features(p->model, image, maps, &count);
    for (int i = 0; i < count; i++) {
        char path[CLI_OUTPUT_PATH], ending[32];
        snprintf(ending, sizeof ending, ".map%d.npy", i);
        if (status == REVBIFPN_OK) status = output_path(p, p->features, name, ending, path);
        if (status == REVBIFPN_OK) status = revbifpn_map_write_npy(p->ctx, path, &maps[i]);
        revbifpn_map_free(&maps[i]);
    }
    return status;
}

static revbifpn_status save_saliency(predictor *p, const char *name, const revbifpn_image *image) {
    char path[CLI_OUTPUT_PATH];
    int index;
    revbifpn_image picture;
    revbifpn_status status = output_path(p, p->saliency, name, ".png", path);
    if (status != REVBIFPN_OK) return status;
    status = revbifpn_saliency(p->model, image, &index, NULL, &picture);
    if (status == REVBIFPN_OK) status = revbifpn_image_write_png(p->ctx, path, &picture);
    revbifpn_image_free(&picture);
    return status;
}

/* ---- one picture ---- */

/* Without room for the output nothing more is predicted; cli_finish tells. */
static revbifpn_status print_prediction(predictor *p, const char *path) {
    static void (*const print[])(const predictor *, const char *) = {print_text, print_json, print_csv};
    print[p->format](p, path);
    if (cli_flush()) return REVBIFPN_OK;
    p->told = true;
    return p->fatal = REVBIFPN_IO_FAILED;
}

/* The annotated picture comes last: writing on it changes it. */
static revbifpn_status predict_image(predictor *p, const char *path, const char *name,
                                     revbifpn_image *image) {
    revbifpn_status status = revbifpn_predict(p->model, image, p->best, p->topk, &p->found);
    if (status != REVBIFPN_OK) return status;
    status = print_prediction(p, path);
    if (status == REVBIFPN_OK && p->features) status = save_features(p, name, image);
    if (status == REVBIFPN_OK && p->saliency) status = save_saliency(p, name, image);
    if (status == REVBIFPN_OK && p->pictures) status = save_picture(p, name, image);
    if (status == REVBIFPN_IO_FAILED && !p->told) p->fatal = status; /* the next would find no room either */
    return status;
}

static int predict_one(void *user, const char *path, const char *name) {
    predictor *p = user;
    revbifpn_image image = {0};
    p->told = false;
    revbifpn_status status = revbifpn_model_image(p->model, path, &image);
    if (status == REVBIFPN_OK) status = predict_image(p, path, name, &image);
    revbifpn_image_free(&image);
    if (status == REVBIFPN_OK) return 0;
    p->failed++;
    if (!p->told) cli_report(p->args, p->ctx, status);
    if (status == REVBIFPN_OUT_OF_MEMORY) p->fatal = status;
    return p->fatal != REVBIFPN_OK;
}

/* ---- the run ---- */

static int read_format(predictor *p) {
    const char *name = cli_given(p->args, "json") ? "json" : cli_text(p->args, "format");
    if (!strcmp(name, "coco") || !strcmp(name, "yolo"))
        return cli_usage(p->args, "--format %s is for detectors", name);
    p->format = !strcmp(name, "json") ? FORMAT_JSON : !strcmp(name, "csv") ? FORMAT_CSV : FORMAT_TEXT;
    return cli_given(p->args, "conf") ? cli_usage(p->args, "--conf is for detectors") : CLI_OK;
}

static int make_folders(predictor *p) {
    int code = cli_output_folder(p->args, "save-pictures", &p->pictures);
    if (code == CLI_OK) code = cli_output_folder(p->args, "features", &p->features);
    return code == CLI_OK ? cli_output_folder(p->args, "saliency", &p->saliency) : code;
}

static int predict_sources(predictor *p) {
    cli_sources sources = {.args = p->args, .ctx = p->ctx, .visit = predict_one, .user = p};
    revbifpn_status status = revbifpn_model_load(p->ctx, cli_text(p->args, "weights"), &p->model);
    if (status == REVBIFPN_OK) status = cli_prepare(p->args, p->model);
    if (status != REVBIFPN_OK) return cli_report(p->args, p->ctx, status);
    if (p->format == FORMAT_CSV) printf("file,rank,class,probability\n");
    int code = cli_visit_sources(&sources, cli_text(p->args, "source"));
    return code ? code : p->failed ? CLI_FAILED : CLI_OK;
}

static int predict_classes(const cli_args *args, revbifpn *ctx) {
    predictor p = {.args = args, .ctx = ctx, .topk = (int)cli_int(args, "topk")};
    int code = read_format(&p);
    if (!code) code = make_folders(&p);
    p.best = calloc((size_t)p.topk, sizeof *p.best);
    if (!p.best) code = cli_report(args, NULL, REVBIFPN_OUT_OF_MEMORY);
    if (!code) code = predict_sources(&p);
    free(p.best);
    revbifpn_model_free(&p.model);
    return code;
}

int verb_predict(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_task task;
    if (cli_given(args, "json") && cli_given(args, "format") && strcmp(cli_text(args, "format"), "json") != 0)
        return cli_usage(args, "--json and --format %s exclude each other", cli_text(args, "format"));
    int code = cli_open(args, &ctx);
    if (code) return code;
    code = cli_weights_task(args, ctx, &task);
    if (!code) code = task ? cli_predict_detector(args, ctx) : predict_classes(args, ctx);
    revbifpn_close(&ctx);
    return code;
}
