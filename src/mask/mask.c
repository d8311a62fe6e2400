#include "mask/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void rb_spans_close(rb_spans *s) {
    rb_free(s->at);
    *s = (rb_spans){0};
}

void rb_spans_clear(rb_spans *s) {
    s->count = 0;
    s->failed = false;
}

void rb_spans_add(rb_spans *s, uint32_t begin, uint32_t end) {
    if (begin >= end || s->failed) return;
    if (s->count && s->at[s->count - 1].end == begin) {
        s->at[s->count - 1].end = end;
        return;
    }
    rb_span *at = s->count < s->room ? s->at : rb_grow(s->at, &s->room, s->count + 1, sizeof *at);
    s->failed = !at;
    if (!at) return;
    s->at = at;
    at[s->count++] = (rb_span){begin, end};
}

bool rb_mask_size_fits(double height, double width) {
    return height >= 1 && width >= 1 && height <= 1048576 && width <= 1048576 && height == floor(height) &&
           width == floor(width) && height * width < 2147483648.0;
}

uint32_t rb_mask_area(rb_mask m) {
    uint32_t area = 0;
    for (size_t i = 0; i < m.count; i++) area += m.spans[i].end - m.spans[i].begin;
    return area;
}

void rb_mask_box(rb_mask m, double box[4]) {
    uint32_t top = m.height, bottom = 0;
    memset(box, 0, 4 * sizeof *box);
    if (!m.count) return;
    uint32_t left = m.spans[0].begin / m.height, right = (m.spans[m.count - 1].end - 1) / m.height;
    for (size_t i = 0; i < m.count && (top || bottom + 1 < m.height); i++) {
        uint32_t first = m.spans[i].begin, last = m.spans[i].end - 1;
        uint32_t column = first / m.height, start = column * m.height;
        bool several = last - start >= m.height;
        uint32_t y0 = several ? 0 : first - start, y1 = several ? m.height - 1 : last - start;
        if (y0 < top) top = y0;
        if (y1 > bottom) bottom = y1;
    }
    box[0] = left;
    box[1] = top;
    box[2] = right - left + 1;
    box[3] = bottom - top + 1;
}

/* The first span that ends after `pixel`. */
static size_t first_after(rb_mask m, uint32_t pixel) {
    size_t low = 0, high = m.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m.spans[middle].end > pixel)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint32_t rb_mask_overlap(rb_mask a, rb_mask b) {
    uint32_t pixels = 0;
    if (!a.count || !b.count) return 0;
    size_t i = first_after(a, b.spans[0].begin), j = first_after(b, a.spans[0].begin);
    while (i < a.count && j < b.count) {
        rb_span p = a.spans[i], q = b.spans[j];
        uint32_t begin = p.begin > q.begin ? p.begin : q.begin, end = p.end < q.end ? p.end : q.end;
        pixels += begin < end ? end - begin : 0;
        i += p.end <= q.end;
        j += q.end <= p.end;
    }
    return pixels;
}

static bool boxes_overlap(const double a[4], const double b[4], double *width, double *height) {
    *width = fmin(a[0] + a[2], b[0] + b[2]) - fmax(a[0], b[0]);
    *height = fmin(a[1] + a[3], b[1] + b[3]) - fmax(a[1], b[1]);
    return *width > 0 && *height > 0;
}

double rb_box_iou(const double d[4], const double g[4], bool crowd) {
    double width, height;
    if (!boxes_overlap(d, g, &width, &height)) return 0;
    double both = width * height, area = d[2] * d[3];
    return both / (crowd ? area : area + g[2] * g[3] - both);
}

double rb_mask_iou(rb_mask d, rb_mask g, bool crowd) {
    double a[4], b[4], width, height;
    if (d.height != g.height || d.width != g.width) {
        rb_mask_box(d, a);
        rb_mask_box(g, b);
        return boxes_overlap(a, b, &width, &height) ? -1 : 0;
    }
    uint32_t both = rb_mask_overlap(d, g), area = rb_mask_area(d);
    if (!both) return 0;
    return (double)both / (double)(crowd ? area : area + rb_mask_area(g) - both);
}

static int by_begin(const void *a, const void *b) {
    uint32_t p = ((const rb_span *)a)->begin, q = ((const rb_span *)b)->begin;
    return (p > q) - (p < q);
}

void rb_spans_tidy(rb_spans *s) {
    if (s->count) qsort(s->at, s->count, sizeof *s->at, by_begin);
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (kept && s->at[i].begin <= s->at[kept - 1].end) {
            if (s->at[i].end > s->at[kept - 1].end) s->at[kept - 1].end = s->at[i].end;
        } else {
            s->at[kept++] = s->at[i];
        }
    }
    s->count = kept;
}

void rb_mask_union(rb_mask a, rb_mask b, rb_spans *out) {
    rb_spans_clear(out);
    uint32_t done = 0; /* pixels before it are decided */
    for (size_t i = 0, j = 0; i < a.count || j < b.count;) {
        bool from_a = j == b.count || (i < a.count && a.spans[i].begin <= b.spans[j].begin);
        rb_span s = from_a ? a.spans[i++] : b.spans[j++];
        rb_spans_add(out, s.begin > done ? s.begin : done, s.end);
        if (s.end > done) done = s.end;
    }
}

void rb_mask_intersection(rb_mask a, rb_mask b, rb_spans *out) {
    rb_spans_clear(out);
    for (size_t i = 0, j = 0; i < a.count && j < b.count;) {
        rb_span p = a.spans[i], q = b.spans[j];
        rb_spans_add(out, p.begin > q.begin ? p.begin : q.begin, p.end < q.end ? p.end : q.end);
        i += p.end <= q.end;
        j += q.end <= p.end;
    }
}

void rb_mask_from_pixels(const uint8_t *pixels, uint32_t height, uint32_t width, size_t stride,
                         rb_spans *out) {
    rb_spans_clear(out);
    for (uint32_t x = 0; x < width; x++)
        for (uint32_t y = 0; y < height; y++) {
            if (!pixels[y * stride + x]) continue;
            uint32_t begin = y;
            while (y < height && pixels[y * stride + x]) y++;
            rb_spans_add(out, x * height + begin, x * height + y);
        }
}

void rb_mask_to_pixels(rb_mask m, uint8_t *pixels, size_t stride) {
    for (uint32_t y = 0; y < m.height; y++) memset(pixels + y * stride, 0, m.width);
    for (size_t i = 0; i < m.count; i++)
        for (uint32_t p = m.spans[i].begin; p < m.spans[i].end; p++)
            pixels[p % m.height * stride + p / m.height] = 1;
}
