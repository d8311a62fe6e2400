/* revbifpn eval: COCO's twelve numbers for a file of results. */
#include <stdlib.h>
#include <string.h>

#include "print.h"
#include "verbs.h"

/* As COCO's own evaluator prints them: people compare by eye. */
typedef struct line {
    const char *title, *kind, *iou, *area;
    int limit;
} line;
static const line lines[REVBIFPN_COCO_STATS] = {
    {"Average Precision", "(AP)", "0.50:0.95", "all", 100},
    {"Average Precision", "(AP)", "0.50", "all", 100},
    {"Average Precision", "(AP)", "0.75", "all", 100},
    {"Average Precision", "(AP)", "0.50:0.95", "small", 100},
    {"Average Precision", "(AP)", "0.50:0.95", "medium", 100},
    {"Average Precision", "(AP)", "0.50:0.95", "large", 100},
    {"Average Recall", "(AR)", "0.50:0.95", "all", 1},
    {"Average Recall", "(AR)", "0.50:0.95", "all", 10},
    {"Average Recall", "(AR)", "0.50:0.95", "all", 100},
    {"Average Recall", "(AR)", "0.50:0.95", "small", 100},
    {"Average Recall", "(AR)", "0.50:0.95", "medium", 100},
    {"Average Recall", "(AR)", "0.50:0.95", "large", 100},
};

/* Categories come before the means; they are printed after. */
typedef struct listing {
    FILE *out;
    bool json, some;
} listing;

/* More digits than cli_json_real: results are compared to 1e-12. */
static void json_stats(FILE *out, const double *stats) {
    fputc('[', out);
    for (int i = 0; i < REVBIFPN_COCO_STATS; i++) fprintf(out, "%s%.17g", i ? ", " : "", stats[i]);
    fputc(']', out);
}

static void add_class(void *user, const revbifpn_coco_class *c) {
    listing *l = user;
    if (!l->json) {
        const double *s = c->stats;
        fprintf(l->out, "%9lld  %8llu  %9.3f  %6.3f  %6.3f  %6.3f  %s\n", (long long)c->id,
                (unsigned long long)c->objects, s[REVBIFPN_COCO_AP], s[REVBIFPN_COCO_AP50],
                s[REVBIFPN_COCO_AP75], s[REVBIFPN_COCO_AR100], c->name);
        return;
    }
    fprintf(l->out, "%s\n  {\"id\": %lld, \"name\": ", l->some ? "," : "", (long long)c->id);
    cli_json_string(l->out, c->name);
    fprintf(l->out, ", \"objects\": %llu, \"detections\": %llu, \"stats\": ", (unsigned long long)c->objects,
            (unsigned long long)c->detections);
    json_stats(l->out, c->stats);
    fputc('}', l->out);
    l->some = true;
}

static void print_text(const revbifpn_coco_report *r, const char *classes) {
    for (int i = 0; i < REVBIFPN_COCO_STATS; i++)
        printf(" %-18s %s @[ IoU=%-9s | area=%6s | maxDets=%3d ] = %0.3f\n", lines[i].title, lines[i].kind,
               lines[i].iou, lines[i].area, lines[i].limit, r->stats[i]);
    if (*classes) printf("\n category   objects         AP    AP50    AP75      AR  name\n%s", classes);
}

static void print_json(const revbifpn_coco_report *r, const char *type, const char *classes) {
    printf("{\"type\": \"%s\", \"stats\": ", type);
    json_stats(stdout, r->stats);
    printf(", \"images\": %llu, \"categories\": %llu, \"objects\": %llu, \"detections\": %llu, "
           "\"objects_left_out\": %llu, \"detections_left_out\": %llu",
           (unsigned long long)r->images, (unsigned long long)r->categories, (unsigned long long)r->objects,
           (unsigned long long)r->detections, (unsigned long long)r->objects_left_out,
           (unsigned long long)r->detections_left_out);
    if (*classes) printf(", \"per_class\": [%s]", classes);
    printf("}\n");
}

/* What silently counts for nothing elsewhere. */
static void print_left_out(const revbifpn_coco_report *r) {
    if (r->objects_left_out)
        fprintf(stderr,
                "revbifpn eval: %llu annotations of images or categories that the file does not list are "
                "left out\n",
                (unsigned long long)r->objects_left_out);
    if (r->detections_left_out)
        fprintf(stderr,
                "revbifpn eval: %llu results of categories that the annotations do not list are left out\n",
                (unsigned long long)r->detections_left_out);
}

int verb_eval(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_coco_report report;
    revbifpn_coco_options options = revbifpn_default_coco();
    const char *type = cli_text(args, "type");
    char *classes = NULL;
    size_t size = 0;
    listing l = {.json = cli_given(args, "json")};
    int code = cli_open(args, &ctx);
    if (code) return code;
    options.gt = cli_text(args, "gt");
    options.dt = cli_text(args, "dt");
    options.masks = !strcmp(type, "segm");
    if (cli_given(args, "per-class")) {
        l.out = open_memstream(&classes, &size);
        options.class_stats = l.out ? add_class : NULL;
        options.user = &l;
    }
    revbifpn_status status = revbifpn_eval_coco(ctx, &options, &report);
    bool lost = cli_given(args, "per-class") && (!l.out || fclose(l.out));
    if (status != REVBIFPN_OK) {
        code = cli_report(args, ctx, status);
    } else if (lost) {
        fprintf(stderr, "revbifpn eval: out of memory for the categories\n");
        code = CLI_FAILED;
    } else {
        print_left_out(&report);
        if (l.json)
            print_json(&report, type, classes ? classes : "");
        else
            print_text(&report, classes ? classes : "");
    }
    free(classes);
    revbifpn_close(&ctx);
    return code;
}
