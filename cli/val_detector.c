/* revbifpn val of a detector: COCO's twelve numbers of boxes, and of masks, and each class. */
#include <stdlib.h>

#include "coco.h"
#include "detector.h"
#include "print.h"
#include "progress.h"

/* What is said of the classes, of boxes and of masks: it comes before the means and is printed after. */
typedef struct listing {
    cli_progress progress;
    bool json;
    char *text[2];
    size_t size[2];
    FILE *out[2];
    int count[2];
} listing;

static void count(void *user, int done, int all) {
    cli_progress_count(&((listing *)user)->progress, done, all);
}

static void note(void *user, const char *line) { cli_progress_note(&((listing *)user)->progress, line); }

static void add_class(void *user, int masks, const revbifpn_coco_class *c) {
    listing *l = user;
    FILE *out = l->out[masks];
    if (l->json && l->count[masks]++) fputc(',', out);
    (l->json ? cli_coco_class_json : cli_coco_class)(out, c);
}

static bool open_listing(listing *l) {
    for (int i = 0; i < 2; i++) l->out[i] = open_memstream(&l->text[i], &l->size[i]);
    return l->out[0] && l->out[1];
}

static bool close_listing(listing *l) {
    bool whole = true;
    for (int i = 0; i < 2; i++) whole &= l->out[i] && !fclose(l->out[i]) && l->text[i];
    return whole;
}

static void print_kind(const listing *l, int kind, const double *stats) {
    static const char *const titles[] = {"boxes", "masks"};
    if (l->json) {
        printf("%s\"%s\": {\"stats\": ", kind ? ", " : "", kind ? "segm" : "bbox");
        cli_coco_json(stdout, stats);
        printf(", \"per_class\": [%s]}", l->text[kind]);
        return;
    }
    printf("%s%s\n", kind ? "\n" : "", titles[kind]);
    cli_coco_lines(stats);
    printf("\n" CLI_COCO_CLASSES "%s", l->text[kind]);
}

static void print_all(const listing *l, const revbifpn_metrics *m, bool masks) {
    if (l->json) printf("{");
    print_kind(l, 0, m->boxes);
    if (masks) print_kind(l, 1, m->masks);
    if (l->json)
        printf(", \"images\": %d, \"bad_files\": %d}\n", m->images, m->bad_files);
    else if (m->bad_files)
        printf("%d of %d pictures could not be used\n", m->bad_files, m->bad_files + m->images);
}

int cli_judge_detector(const cli_args *args, revbifpn *ctx) {
    revbifpn_detector *detector = NULL;
    revbifpn_metrics metrics;
    listing l = {.json = cli_given(args, "json")};
    revbifpn_detector_val_options options = revbifpn_default_detector_val();
    if (cli_given(args, "val-data") || cli_given(args, "val-fraction") || cli_int(args, "batch") > 1)
        return cli_usage(args, "--val-data, --val-fraction and --batch are for classifiers");
    int code = cli_load_detector(args, ctx, &detector);
    options.data = cli_text(args, "data");
    options.results = cli_text(args, "results");
    options.workers = (int)cli_int(args, "workers");
    options.max_bad = (int)cli_int(args, "max-bad");
    options.max_pixels = (uint64_t)cli_int(args, "max-pixels");
    options.progress = count;
    options.note = note;
    options.class_stats = add_class;
    options.user = &l;
    if (!code && !open_listing(&l)) code = cli_report(args, NULL, REVBIFPN_OUT_OF_MEMORY);
    if (!code) {
        cli_progress_open(&l.progress, cli_text(args, "progress"));
        revbifpn_status status = revbifpn_evaluate_detector(detector, &options, &metrics);
        cli_progress_clear(&l.progress);
        bool whole = close_listing(&l);
        if (status != REVBIFPN_OK)
            code = cli_report(args, ctx, status);
        else if (!whole)
            code = cli_report(args, NULL, REVBIFPN_OUT_OF_MEMORY);
        else
            print_all(&l, &metrics, revbifpn_detector_configuration(detector)->masks);
    }
    for (int i = 0; i < 2; i++) free(l.text[i]);
    revbifpn_detector_free(&detector);
    return code;
}
