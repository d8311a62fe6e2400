/* revbifpn predict: the most probable classes of pictures. A picture that cannot be read costs one line on
 * stderr; the others go on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "print.h"
#include "verbs.h"

typedef struct predictor {
    const cli_args *args;
    revbifpn *ctx;
    revbifpn_model *model;
    revbifpn_prediction *best;
    int topk, seen, failed;
    revbifpn_status fatal; /* not about one picture: the run ends */
} predictor;

static void print_text(const char *path, const revbifpn_prediction *best, int found) {
    printf("%s:", path);
    for (int i = 0; i < found; i++) printf("%s %s %.4f", i ? "," : "", best[i].name, best[i].probability);
    printf("\n");
}

static void print_json(const char *path, const revbifpn_prediction *best, int found) {
    printf("{\"file\": ");
    cli_json_string(stdout, path);
    printf(", \"predictions\": [");
    for (int i = 0; i < found; i++) {
        printf("%s{\"class\": ", i ? ", " : "");
        cli_json_string(stdout, best[i].name);
        printf(", \"probability\": ");
        cli_json_real(stdout, best[i].probability);
        printf("}");
    }
    printf("]}\n");
}

static void predict_one(predictor *p, const char *path) {
    int found = 0;
    p->seen++;
    revbifpn_status status = revbifpn_predict_file(p->model, path, p->best, p->topk, &found);
    if (status != REVBIFPN_OK) {
        p->failed++;
        cli_report(p->args, p->ctx, status);
        if (status == REVBIFPN_OUT_OF_MEMORY) p->fatal = status;
    } else if (cli_given(p->args, "json")) {
        print_json(path, p->best, found);
    } else {
        print_text(path, p->best, found);
    }
    fflush(stdout);
}

static int visit(void *user, const char *path) {
    predictor *p = user;
    predict_one(p, path);
    return p->fatal != REVBIFPN_OK;
}

static int predict_folder(predictor *p, const char *path) {
    revbifpn_status status = revbifpn_find_pictures(p->ctx, path, visit, p);
    if (status != REVBIFPN_OK) return cli_report(p->args, p->ctx, status);
    if (p->seen) return CLI_OK;
    fprintf(stderr, "revbifpn predict: %s: no picture in this folder (jpg, png, webp, gif, bmp)\n", path);
    return CLI_FAILED;
}

static int predict_source(predictor *p) {
    const char *source = cli_text(p->args, "source");
    struct stat info;
    int code = CLI_OK;
    if (stat(source, &info)) {
        fprintf(stderr, "revbifpn predict: %s: %s\n", source, strerror(errno));
        return CLI_FAILED;
    }
    if (S_ISDIR(info.st_mode))
        code = predict_folder(p, source);
    else
        predict_one(p, source);
    return code ? code : p->failed ? CLI_FAILED : CLI_OK;
}

int verb_predict(const cli_args *args) {
    predictor p = {.args = args, .topk = (int)cli_int(args, "topk")};
    int code = cli_open(args, &p.ctx);
    if (code) return code;
    p.best = calloc((size_t)p.topk, sizeof *p.best);
    if (!p.best) {
        code = cli_report(args, NULL, REVBIFPN_OUT_OF_MEMORY);
    } else {
        revbifpn_status status = revbifpn_model_load(p.ctx, cli_text(args, "weights"), &p.model);
        if (status == REVBIFPN_OK) status = cli_prepare(args, p.model);
        code = status == REVBIFPN_OK ? predict_source(&p) : cli_report(args, p.ctx, status);
    }
    free(p.best);
    revbifpn_model_free(&p.model);
    revbifpn_close(&p.ctx);
    return code;
}
