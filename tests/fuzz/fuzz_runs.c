/* libFuzzer target for run lengths as strings: two bytes of size, then the string. What is accepted must be a
 * mask in its one form, and survive encoding. Without libFuzzer the function runs over the files named on the
 * command line, and all their beginnings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_runs: %s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rb_spans spans = {0}, again = {0};
    rb_text text = {0};
    rb_error err = {0};
    if (size < 2) return 0;
    uint32_t height = data[0] + 1u, width = data[1] + 1u;
    revbifpn_status status = rb_runs_decode((const char *)data + 2, size - 2, height, width, &spans, &err);
    insist(!status || (status == REVBIFPN_BAD_FILE && err.text[0]), err.text);
    if (!status) {
        rb_mask mask = {height, width, spans.at, spans.count};
        uint32_t at = 0, area = 0;
        double box[4];
        for (size_t i = 0; i < spans.count; i++) {
            insist(spans.at[i].begin < spans.at[i].end && (!i || at < spans.at[i].begin),
                   "spans that are no mask");
            at = spans.at[i].end;
            area += at - spans.at[i].begin;
        }
        insist(at <= height * width && area == rb_mask_area(mask), "pixels outside the picture");
        rb_mask_box(mask, box);
        insist(box[0] >= 0 && box[0] + box[2] <= width && box[1] >= 0 && box[1] + box[3] <= height,
               "a box outside");
        insist(!area == (rb_mask_iou(mask, mask, false) != 1), "a mask that does not overlap itself");
        rb_runs_encode(mask, &text);
        insist(!rb_runs_decode(text.bytes, text.size, height, width, &again, &err), "cannot be read again");
        insist(again.count == spans.count, "another mask when read again");
        insist(!spans.count || !memcmp(again.at, spans.at, spans.count * sizeof *spans.at), "other spans");
    }
    rb_spans_close(&spans);
    rb_spans_close(&again);
    rb_text_close(&text);
    return 0;
}

#ifndef REVBIFPN_FUZZ
#include "seeds.h"
#endif
