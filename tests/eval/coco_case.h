/* A small set of annotations and results in memory, written as files, and COCO's rules once more, in the
 * plainest form: every number of every threshold, area and limit by loops, nothing shared. */
#ifndef TESTS_EVAL_COCO_CASE_H
#define TESTS_EVAL_COCO_CASE_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASE_OBJECTS = 400, CASE_IMAGES = 8, CASE_CATEGORIES = 4 };

typedef struct case_box {
    int image, category; /* 0 …; ids are one more */
    double box[4], area, score;
    bool crowd;
} case_box;
typedef struct coco_case {
    int images, categories, objects, detections;
    case_box object[CASE_OBJECTS], detection[CASE_OBJECTS];
} coco_case;

static inline void case_write(const coco_case *c, const char *gt, const char *dt) {
    FILE *f = fopen(gt, "w");
    fprintf(f, "{\"annotations\": [");
    for (int i = 0; i < c->objects; i++) {
        const case_box *o = &c->object[i];
        fprintf(f,
                "%s\n{\"id\": %d, \"image_id\": %d, \"category_id\": %d, \"iscrowd\": %d, \"area\": %.17g, ",
                i ? "," : "", i + 1, o->image + 1, o->category + 1, o->crowd, o->area);
        fprintf(f, "\"bbox\": [%.17g, %.17g, %.17g, %.17g]}", o->box[0], o->box[1], o->box[2], o->box[3]);
    }
    fprintf(f, "], \"images\": [");
    for (int i = c->images; i > 0; i--)
        fprintf(f, "{\"id\": %d, \"width\": 300, \"height\": 200}%s", i, i > 1 ? "," : "");
    fprintf(f, "], \"categories\": [");
    for (int i = 0; i < c->categories; i++)
        fprintf(f, "%s{\"name\": \"c\", \"id\": %d}", i ? "," : "", i + 1);
    fprintf(f, "]}\n");
    fclose(f);
    f = fopen(dt, "w");
    fprintf(f, "[");
    for (int i = 0; i < c->detections; i++) {
        const case_box *d = &c->detection[i];
        fprintf(f, "%s\n{\"image_id\": %d, \"category_id\": %d, \"score\": %.17g, ", i ? "," : "",
                d->image + 1, d->category + 1, d->score);
        fprintf(f, "\"bbox\": [%.17g, %.17g, %.17g, %.17g]}", d->box[0], d->box[1], d->box[2], d->box[3]);
    }
    fprintf(f, "]\n");
    fclose(f);
}

static double case_iou(const case_box *d, const case_box *g) {
    double w = fmin(d->box[0] + d->box[2], g->box[0] + g->box[2]) - fmax(d->box[0], g->box[0]);
    double h = fmin(d->box[1] + d->box[3], g->box[1] + g->box[3]) - fmax(d->box[1], g->box[1]);
    if (w <= 0 || h <= 0) return 0;
    double area = d->box[2] * d->box[3];
    return w * h / (g->crowd ? area : area + g->box[2] * g->box[3] - w * h);
}

/* One detection as the precision curve sees it. */
typedef struct case_hit {
    double score;
    bool matched, ignored;
} case_hit;

/* Detections of an image and category by falling score, the first of equal ones first: indices, n of them. */
static int case_order(const coco_case *c, int image, int category, int *list) {
    int n = 0;
    for (int i = 0; i < c->detections; i++) {
        if (c->detection[i].image != image || c->detection[i].category != category) continue;
        int k = n++;
        for (; k && c->detection[list[k - 1]].score < c->detection[i].score; k--) list[k] = list[k - 1];
        list[k] = i;
    }
    return n;
}

static bool case_ignored(const case_box *g, const double area[2]) {
    return g->crowd || g->area < area[0] || g->area > area[1];
}

/* The best object for a detection: among those that count, then among the ignored. */
static int case_best(const coco_case *c, const case_box *d, double threshold, const double area[2],
                     const bool *taken) {
    int best = -1;
    for (int ignored = 0; ignored < 2 && best < 0; ignored++) {
        double iou = fmin(threshold, 1 - 1e-10);
        for (int k = 0; k < c->objects; k++) {
            const case_box *g = &c->object[k];
            if (g->image != d->image || g->category != d->category || case_ignored(g, area) != ignored)
                continue;
            if ((taken[k] && !g->crowd) || case_iou(d, g) < iou) continue;
            iou = case_iou(d, g);
            best = k;
        }
    }
    return best;
}

static int case_match(const coco_case *c, int category, double threshold, const double area[2], int limit,
                      case_hit *hits) {
    int count = 0, list[CASE_OBJECTS];
    bool taken[CASE_OBJECTS] = {false};
    for (int image = 0; image < c->images; image++) {
        int n = case_order(c, image, category, list);
        for (int i = 0; i < n && i < limit; i++) {
            const case_box *d = &c->detection[list[i]];
            int g = case_best(c, d, threshold, area, taken);
            double size = d->box[2] * d->box[3];
            bool outside = size < area[0] || size > area[1];
            hits[count++] =
                (case_hit){d->score, g >= 0, g >= 0 ? case_ignored(&c->object[g], area) : outside};
            if (g >= 0) taken[g] = true;
        }
    }
    for (int i = 1; i < count; i++) /* insertion keeps the order of equal scores */
        for (int k = i; k && hits[k - 1].score < hits[k].score; k--) {
            case_hit swap = hits[k];
            hits[k] = hits[k - 1];
            hits[k - 1] = swap;
        }
    return count;
}

/* AP and recall of one category, threshold, area and limit; false when it has no objects there. */
static bool case_curve(const coco_case *c, int category, double threshold, const double area[2], int limit,
                       double *ap, double *recall) {
    case_hit hits[CASE_OBJECTS];
    double rc[CASE_OBJECTS], pr[CASE_OBJECTS], sum = 0;
    int all = 0, tp = 0, fp = 0, n = case_match(c, category, threshold, area, limit, hits);
    for (int k = 0; k < c->objects; k++)
        all += c->object[k].category == category && !case_ignored(&c->object[k], area);
    if (!all) return false;
    for (int i = 0; i < n; i++) {
        tp += hits[i].matched && !hits[i].ignored;
        fp += !hits[i].matched && !hits[i].ignored;
        rc[i] = (double)tp / all;
        pr[i] = tp / (tp + fp + 2.220446049250313e-16);
    }
    for (int r = 0; r < 101; r++) {
        int i = 0;
        double best = 0;
        while (i < n && rc[i] < r * 0.01) i++;
        for (; i < n; i++) best = fmax(best, pr[i]);
        sum += best;
    }
    *ap = sum / 101;
    *recall = n ? rc[n - 1] : 0;
    return true;
}

/* A mean over categories and thresholds t0 … t1, or −1. */
static double case_mean(const coco_case *c, bool want_recall, int t0, int t1, int area, int limit) {
    static const double areas[4][2] = {{0, 1e10}, {0, 1024}, {1024, 9216}, {9216, 1e10}};
    double sum = 0, ap, recall;
    int count = 0;
    for (int k = 0; k < c->categories; k++)
        for (int t = t0; t <= t1; t++) {
            double threshold = t == 9 ? 0.95 : 0.5 + t * ((0.95 - 0.5) / 9);
            if (!case_curve(c, k, threshold, areas[area], limit, &ap, &recall)) continue;
            sum += want_recall ? recall : ap;
            count++;
        }
    return count ? sum / count : -1;
}

static inline void case_stats(const coco_case *c, double stats[12]) {
    const double s[12] = {case_mean(c, false, 0, 9, 0, 100), case_mean(c, false, 0, 0, 0, 100),
                          case_mean(c, false, 5, 5, 0, 100), case_mean(c, false, 0, 9, 1, 100),
                          case_mean(c, false, 0, 9, 2, 100), case_mean(c, false, 0, 9, 3, 100),
                          case_mean(c, true, 0, 9, 0, 1),    case_mean(c, true, 0, 9, 0, 10),
                          case_mean(c, true, 0, 9, 0, 100),  case_mean(c, true, 0, 9, 1, 100),
                          case_mean(c, true, 0, 9, 2, 100),  case_mean(c, true, 0, 9, 3, 100)};
    memcpy(stats, s, sizeof s);
}

#endif
