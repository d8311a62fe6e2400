/* COCO's run lengths as text. A run is written as its difference from the run two before it (the first three
 * as they are), five bits a character from the lowest, bit 5 telling that more follows, the last one's bit 4
 * being the sign; 48 is added to make a character. */
#include "mask/mask.h"

void rb_runs_add(rb_run_writer *w, int64_t run, rb_text *out) {
    int64_t value = w->count > 2 ? run - w->last[0] : run;
    char bytes[16];
    size_t size = 0;
    bool more;
    do {
        int64_t low = value & 31;
        value >>= 5; /* of a negative number: gcc and clang shift its sign in */
        more = value != (low & 16 ? -1 : 0);
        bytes[size++] = (char)(48 + (low | (more ? 32 : 0)));
    } while (more);
    rb_text_add_bytes(out, bytes, size);
    w->last[0] = w->last[1];
    w->last[1] = run;
    w->count++;
}

void rb_runs_encode(rb_mask m, rb_text *out) {
    rb_run_writer w = {0};
    uint32_t at = 0, all = m.height * m.width;
    for (size_t i = 0; i < m.count; i++) {
        rb_runs_add(&w, m.spans[i].begin - at, out);
        rb_runs_add(&w, m.spans[i].end - m.spans[i].begin, out);
        at = m.spans[i].end;
    }
    if (at < all || !m.count) rb_runs_add(&w, all - at, out);
}

enum { LAST_SHIFT = 35 }; /* eight characters are 40 bits: more than any run or difference takes */

/* One number of the string from `at` on: the character after it, or NULL with a reason. */
static const char *take_number(const char *at, const char *end, int64_t *value, const char **why) {
    uint64_t bits = 0;
    for (int shift = 0;; shift += 5) {
        if (at == end) return *why = "the run lengths end inside a number", NULL;
        unsigned c = (unsigned)(unsigned char)*at++ - 48;
        if (c > 63) return *why = "a character that run lengths do not have", NULL;
        if (shift > LAST_SHIFT) return *why = "a run length of more than 40 bits", NULL;
        bits |= (uint64_t)(c & 31) << shift;
        if (c & 32) continue;
        if (c & 16) bits |= ~(uint64_t)0 << (shift + 5);
        *value = (int64_t)bits;
        return at;
    }
}

revbifpn_status rb_runs_decode(const char *string, size_t size, uint32_t height, uint32_t width,
                               rb_spans *out, rb_error *err) {
    int64_t before[2] = {0, 0}, at = 0, all = (int64_t)height * width, run;
    const char *end = string + size, *why = NULL;
    rb_spans_clear(out);
    for (size_t i = 0; string < end; i++) {
        string = take_number(string, end, &run, &why);
        if (!string) return rb_fail(err, REVBIFPN_BAD_FILE, "%s", why);
        if (i > 2) run += before[0];
        if (run < 0) return rb_fail(err, REVBIFPN_BAD_FILE, "a negative run length");
        if (run > all - at)
            return rb_fail(err, REVBIFPN_BAD_FILE, "run lengths of more than the %lld pixels of %u × %u",
                           (long long)all, height, width);
        if (i & 1) rb_spans_add(out, (uint32_t)at, (uint32_t)(at + run));
        at += run;
        before[0] = before[1];
        before[1] = run;
    }
    if (at != all)
        return rb_fail(err, REVBIFPN_BAD_FILE, "run lengths of %lld pixels where %u × %u has %lld",
                       (long long)at, height, width, (long long)all);
    if (out->failed) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for a mask");
    return REVBIFPN_OK;
}
