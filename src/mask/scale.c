#include "mask/scale.h"

#include "base/memory.h"

void rb_mask_scale_close(rb_mask_scale *s) {
    rb_free(s->column);
    rb_free(s->row);
    *s = (rb_mask_scale){0};
}

revbifpn_status rb_mask_scale_set(rb_mask_scale *s, uint32_t height, uint32_t width, const rb_mask_change *c,
                                  int (*source)(int n, int m, int i), rb_error *err) {
    uint32_t *column = rb_grow(s->column, &s->column_room, c->part_width, sizeof *column);
    if (column) s->column = column;
    uint32_t *row = rb_grow(s->row, &s->row_room, (size_t)height + 1, sizeof *row);
    if (row) s->row = row;
    if (!column || !row) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for resizing masks");
    for (uint32_t x = 0; x < c->part_width; x++)
        column[x] = (uint32_t)source((int)width, (int)c->width, (int)(c->left + x));
    uint32_t next = 0; /* rows up to here are known */
    for (uint32_t y = 0; y < c->part_height; y++)
        for (uint32_t from = (uint32_t)source((int)height, (int)c->height, (int)(c->top + y)); next <= from;
             next++)
            row[next] = y;
    for (; next <= height; next++) row[next] = c->part_height;
    s->height = height;
    s->width = width;
    s->change = *c;
    return REVBIFPN_OK;
}

/* The first column of the part whose source is `from` or a later one. */
static uint32_t first_column(const rb_mask_scale *s, uint32_t from) {
    uint32_t low = 0, high = s->change.part_width;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->column[middle] >= from)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void rb_mask_scale_run(const rb_mask_scale *s, rb_mask m, rb_spans *out) {
    rb_spans_clear(out);
    if (!m.count) return;
    const rb_mask_change *c = &s->change;
    uint32_t h = s->height, left = first_column(s, m.spans[0].begin / h),
             right = first_column(s, (m.spans[m.count - 1].end - 1) / h + 1);
    size_t i = 0;
    for (uint32_t k = 0; k < right - left; k++) { /* result columns from left to right */
        uint32_t x = c->mirror ? right - 1 - k : left + k, to = c->mirror ? c->part_width - 1 - x : x;
        uint32_t begin = s->column[x] * h, end = begin + h, at = (c->x + to) * c->to_height + c->y;
        while (i < m.count && m.spans[i].end <= begin) i++;
        while (i > 0 && m.spans[i - 1].end > begin) i--;
        for (size_t j = i; j < m.count && m.spans[j].begin < end; j++) {
            uint32_t first = m.spans[j].begin > begin ? m.spans[j].begin - begin : 0;
            uint32_t last = m.spans[j].end < end ? m.spans[j].end - begin : h;
            rb_spans_add(out, at + s->row[first], at + s->row[last]);
        }
    }
}
