#include "eval/topk.h"

#include <math.h>
#include <stdbool.h>

/* Does class a come before class b? */
static bool before(const float *scores, int a, int b) {
    float x = isnan(scores[a]) ? -INFINITY : scores[a], y = isnan(scores[b]) ? -INFINITY : scores[b];
    return x > y || (x == y && a < b);
}

int rb_rank_of(const float *scores, int classes, int label) {
    int rank = 0;
    for (int c = 0; c < classes; c++) rank += c != label && before(scores, c, label);
    return rank;
}

void rb_top_k(const float *scores, int classes, int k, int *best) {
    int filled = 0;
    for (int c = 0; c < classes; c++) {
        int at = filled;
        while (at > 0 && before(scores, c, best[at - 1])) at--;
        if (at == k) continue;
        if (filled < k) filled++;
        for (int i = filled - 1; i > at; i--) best[i] = best[i - 1];
        best[at] = c;
    }
}
