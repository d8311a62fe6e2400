/* revbifpn predict: the most probable classes of pictures. A picture that cannot be read costs one line on
 * stderr; the others go on. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
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

static bool is_picture_name(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (!strcasecmp(dot, endings[i])) return name[0] != '.';
    return false;
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

static int predict_folder(predictor *p, char *path) {
    char *const roots[] = {path, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (!tree) return cli_report(p->args, NULL, REVBIFPN_OUT_OF_MEMORY);
    for (FTSENT *entry; p->fatal == REVBIFPN_OK && (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_F && is_picture_name(entry->fts_name)) {
            predict_one(p, entry->fts_path);
        } else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
            fprintf(stderr, "revbifpn predict: %s: %s\n", entry->fts_path, strerror(entry->fts_errno));
            p->failed++;
        }
    }
    fts_close(tree);
    if (p->seen || p->failed) return CLI_OK;
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
    if (S_ISDIR(info.st_mode)) {
        char *copy = strdup(source); /* fts wants it writable */
        size_t length = copy ? strlen(copy) : 0;
        while (length > 1 && copy[length - 1] == '/') copy[--length] = 0;
        code = copy ? predict_folder(p, copy) : cli_report(p->args, NULL, REVBIFPN_OUT_OF_MEMORY);
        free(copy);
    } else {
        predict_one(p, source);
    }
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
        code = status == REVBIFPN_OK ? predict_source(&p) : cli_report(args, p.ctx, status);
    }
    free(p.best);
    revbifpn_model_free(&p.model);
    revbifpn_close(&p.ctx);
    return code;
}
