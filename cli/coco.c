#include "coco.h"

#include "print.h"

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

void cli_coco_lines(const double *stats) {
    for (int i = 0; i < REVBIFPN_COCO_STATS; i++)
        printf(" %-18s %s @[ IoU=%-9s | area=%6s | maxDets=%3d ] = %0.3f\n", lines[i].title, lines[i].kind,
               lines[i].iou, lines[i].area, lines[i].limit, stats[i]);
}

void cli_coco_json(FILE *out, const double *stats) {
    fputc('[', out);
    for (int i = 0; i < REVBIFPN_COCO_STATS; i++) fprintf(out, "%s%.17g", i ? ", " : "", stats[i]);
    fputc(']', out);
}

void cli_coco_class(FILE *out, const revbifpn_coco_class *c) {
    const double *s = c->stats;
    fprintf(out, "%9lld  %8llu  %9.3f  %6.3f  %6.3f  %6.3f  %s\n", (long long)c->id,
            (unsigned long long)c->objects, s[REVBIFPN_COCO_AP], s[REVBIFPN_COCO_AP50], s[REVBIFPN_COCO_AP75],
            s[REVBIFPN_COCO_AR100], c->name);
}

void cli_coco_class_json(FILE *out, const revbifpn_coco_class *c) {
    fprintf(out, "\n  {\"id\": %lld, \"name\": ", (long long)c->id);
    cli_json_string(out, c->name);
    fprintf(out, ", \"objects\": %llu, \"detections\": %llu, \"stats\": ", (unsigned long long)c->objects,
            (unsigned long long)c->detections);
    cli_coco_json(out, c->stats);
    fputc('}', out);
}
