#include "ops/profile.h"

#include <assert.h>
#include <time.h>

const char *rb_profile_name(rb_profile_op op) {
    static const char *const names[RB_PROFILE_OPS] = {
        "pointwise forward",  "pointwise backward",
        "depthwise forward",  "depthwise backward",
        "activation sums",    "norm sums",
        "norm store",         "norm coefficients",
        "squeeze pool",       "squeeze gate",
        "squeeze backward",   "state add",
        "upsample backward",  "stem",
        "3x3 convolution",    "roi align forward",
        "roi align backward", "float maps",
        "mask targets",       "copy",
        "linear bias",        "loss",
        "finite check",       "gradient clipping",
        "optimizer update",
    };
    return names[op];
}

double rb_profile_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

revbifpn_status rb_profile_open(rb_profile *p, const rb_peak *peak, int capacity, rb_error *err) {
    *p = (rb_profile){.peak = *peak, .capacity = capacity};
    p->operations = rb_alloc((size_t)capacity * sizeof *p->operations);
    if (p->operations) return REVBIFPN_OK;
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the profile");
}

void rb_profile_close(rb_profile *p) {
    rb_free(p->operations);
    p->operations = NULL;
}

void rb_profile_begin(rb_profile *p) {
    p->current = 0;
    p->entered = rb_profile_now();
}

/* The time since the last call of this function goes to the current operation. */
void rb_profile_end(rb_profile *p) {
    double now = rb_profile_now();
    p->operations[p->current].elapsed += now - p->entered;
    p->entered = now;
}

static bool same(rb_operation a, rb_operation b) {
    return a.part == b.part && a.op == b.op && a.stream == b.stream && a.backward == b.backward;
}

/* Steps repeat the same order, so the one sought is as a rule the current one or the next. */
static int place_of(rb_profile *p, rb_operation operation) {
    for (int i = 0; i < p->count; i++) {
        int at = (p->current + i) % p->count;
        if (same(p->operations[at].operation, operation)) return at;
    }
    assert(p->count < p->capacity);
    p->operations[p->count].operation = operation;
    return p->count++;
}

void rb_exec_enter(rb_exec *x, rb_operation operation) {
    if (!x->profile) return;
    if (x->profile->count) rb_profile_end(x->profile);
    x->profile->current = place_of(x->profile, operation);
}

static void add(rb_profile_row *row, double seconds, double flops, double bytes, double floor) {
    row->seconds += seconds;
    row->flops += flops;
    row->bytes += bytes;
    row->floor += floor;
    row->calls++;
}

void rb_profile_add(rb_profile *p, rb_profile_op op, double seconds, double flops, double bytes) {
    double compute = flops / p->peak.flops, move = bytes / p->peak.read;
    double floor = compute > move ? compute : move;
    add(&p->operators[op], seconds, flops, bytes, floor);
    add(&p->operations[p->current].row, seconds, flops, bytes, floor);
}
