/* Times each kernel alone on the calls of a training step, and races the convolutions against another library
 * where the program was built with one: race MODEL:SIDE:BATCH [threads [rounds [filter]]]. One JSON object a
 * line; a line with "version" first.
 *
 * The sides take turns: in each round every side pauses (so that the threads of the one before are asleep),
 * runs once to warm up, then for a few milliseconds. Plain results are compared before anything is timed: a
 * line with "differ" instead of times when they are further apart than rounding takes them. `filter` is part
 * of a line's "call", for instance "depthwise forward" or "56x56". */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ours.h"
#include "theirs.h"

enum { SIDES_MAX = 8, ROUNDS_MAX = 64 };
static const double SAMPLE_SECONDS = 4e-3;
/* Of the largest value: chains of 10^5 random float32 terms come to 10^-5, an error of a layout to 1. */
static const double TOLERANCE = 1e-4;

typedef struct side {
    const char *name;
    void (*run)(void *self);
    void *self;
    const char *kernel; /* the library's name for it, or NULL */
    int repeats;
    double seconds[ROUNDS_MAX];
} side;

typedef struct race {
    ours o;
    call *c;
    char text[128];
    side sides[SIDES_MAX];
    int count, rounds;
    theirs *opened[2][3]; /* by layout and pass */
    double differ;        /* largest relative difference of a plain result */
} race;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void add_side(race *r, const char *name, void (*run)(void *), void *self, const char *kernel) {
    r->sides[r->count++] = (side){.name = name, .run = run, .self = self, .kernel = kernel, .repeats = 1};
}

/* Largest difference, of the largest value of b. */
static double difference(const float *a, const float *b, size_t count) {
    double largest = 0, apart = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) return INFINITY;
        largest = fmax(largest, fabs((double)b[i]));
        apart = fmax(apart, fabs((double)a[i] - (double)b[i]));
    }
    return largest > 0 ? apart / largest : apart;
}

/* Our plain result of that pass against theirs. */
static void compare(race *r, theirs *t, theirs_pass pass) {
    size_t weights = call_weights(r->c);
    size_t counts[] = {rb_elements(call_result(r->c)), rb_elements(r->c->shape), weights};
    const float *result[] = {r->o.dst, r->o.d_src, r->o.d_wgt};
    float *other = rb_alloc(counts[pass] * sizeof *other);
    if (!other) exit(1);
    memset(r->o.d_wgt, 0, weights * sizeof *r->o.d_wgt); /* it is added to */
    ours_plain(&r->o);
    theirs_run(t);
    theirs_result(t, other);
    r->differ = fmax(r->differ, difference(result[pass], other, counts[pass]));
    rb_free(other);
}

static void open_theirs(race *r) {
    static const char *const names[2][3] = {{"nhwc", "nhwc data", "nhwc weights"},
                                            {"any", "any data", "any weights"}};
    for (int any = 0; any < 2; any++)
        for (int pass = 0; pass < 3; pass++) {
            if (r->c->backward != (pass != THEIRS_FORWARD)) continue;
            theirs *t = theirs_open(r->c, (theirs_pass)pass, any, r->o.plain, r->o.wgt, r->o.d_dst);
            r->opened[any][pass] = t;
            if (!t) continue;
            compare(r, t, (theirs_pass)pass);
            add_side(r, names[any][pass], theirs_run, t, theirs_kernel(t));
        }
}

static void close_theirs(race *r) {
    for (int any = 0; any < 2; any++)
        for (int pass = 0; pass < 3; pass++) theirs_close(r->opened[any][pass]);
}

static void take_turns(race *r) {
    for (int round = 0; round < r->rounds; round++)
        for (int i = 0; i < r->count; i++) {
            side *s = &r->sides[i];
            struct timespec pause = {.tv_nsec = 2000000};
            nanosleep(&pause, NULL);
            double start = now();
            s->run(s->self);
            double once = now() - start;
            if (!round) s->repeats = once > SAMPLE_SECONDS ? 1 : 1 + (int)(SAMPLE_SECONDS / once);
            start = now();
            for (int k = 0; k < s->repeats; k++) s->run(s->self);
            s->seconds[round] = (now() - start) / s->repeats;
        }
}

static void print_sides(const race *r) {
    printf(", \"sides\": {");
    for (int i = 0; i < r->count; i++) {
        const side *s = &r->sides[i];
        printf("%s\"%s\": {\"seconds\": [", i ? ", " : "", s->name);
        for (int k = 0; k < r->rounds; k++) printf("%s%.4g", k ? ", " : "", s->seconds[k]);
        printf("]");
        if (s->kernel) printf(", \"kernel\": \"%s\"", s->kernel);
        printf("}");
    }
    printf("}");
}

static void print_line(const race *r) {
    const call *c = r->c;
    static const char *const loads[] = {"fixed", "map", "act"};
    printf(
        "{\"call\": \"%s\", \"kind\": \"%s\", \"backward\": %s, \"n\": %d, \"h\": %d, \"w\": %d, \"c\": %d, "
        "\"oc\": %d, \"kernel\": %d, \"stride\": %d, \"factor\": %d, \"load\": \"%s%s\", \"ld\": %d, "
        "\"calls\": %d, \"gflop\": %.6g, \"gbytes\": %.6g",
        r->text, call_name(c), c->backward ? "true" : "false", c->shape.n, c->shape.h, c->shape.w, c->shape.c,
        c->oc, c->kernel, c->stride, c->factor, loads[c->load], c->gate ? " gate" : "", c->ld, c->count,
        1e-9 * call_flops(c), 1e-9 * call_bytes(c));
    if (theirs_version() && c->kind <= CALL_DEPTHWISE)
        printf(", \"%s\": %.2g", r->differ <= TOLERANCE ? "difference" : "differ",
               isfinite(r->differ) ? r->differ : 1e9);
    if (r->differ <= TOLERANCE) print_sides(r);
    printf("}\n");
    fflush(stdout);
}

static void describe(race *r) {
    static const char *const loads[] = {"fixed", "map", "act"};
    const call *c = r->c;
    bool convolution = c->kind <= CALL_DEPTHWISE;
    int at = snprintf(r->text, sizeof r->text, "%s%s %dx%d %d", call_name(c),
                      !convolution  ? ""
                      : c->backward ? " backward"
                                    : " forward",
                      c->shape.h, c->shape.w, c->shape.c);
    char *end = r->text + at;
    size_t left = sizeof r->text - (size_t)at;
    if (c->kind == CALL_POINTWISE)
        snprintf(end, left, "->%d %s%s", c->oc, loads[c->load], c->gate ? " gate" : "");
    else if (convolution)
        snprintf(end, left, " kernel %d stride %d %s", c->kernel, c->stride, loads[c->load]);
    else if (c->factor > 1)
        snprintf(end, left, " by %d", c->factor);
    at = (int)strlen(r->text);
    if (c->ld > c->shape.c) snprintf(r->text + at, sizeof r->text - (size_t)at, " of %d", c->ld);
}

static void race_call(race *r, call *c, const char *filter) {
    r->c = c;
    r->count = 0;
    r->differ = 0;
    memset(r->opened, 0, sizeof r->opened);
    describe(r);
    if (filter && !strstr(r->text, filter)) return;
    ours_open(&r->o, c);
    add_side(r, "ours", ours_fused, &r->o, NULL);
    if (c->kind <= CALL_DEPTHWISE) {
        add_side(r, "plain", ours_plain, &r->o, NULL);
        if (c->backward) {
            add_side(r, "plain data", ours_plain_data, &r->o, NULL);
            add_side(r, "plain weights", ours_plain_weights, &r->o, NULL);
        }
        open_theirs(r);
    }
    if (r->differ <= TOLERANCE) take_turns(r);
    print_line(r);
    close_theirs(r);
    ours_close(&r->o);
}

/* Microseconds of a call of theirs that has next to nothing to do; 0 where there is no library. */
static double idle_call(void) {
    enum { CALLS = 1000 };
    call c = {.kind = CALL_POINTWISE, .shape = {1, 1, 1, 16}, .oc = 16, .kernel = 1, .stride = 1};
    float zero[256] = {0};
    theirs *t = theirs_open(&c, THEIRS_FORWARD, false, zero, zero, zero);
    if (!t) return 0;
    for (int i = 0; i < CALLS; i++) theirs_run(t);
    double start = now();
    for (int i = 0; i < CALLS; i++) theirs_run(t);
    double seconds = now() - start;
    theirs_close(t);
    return 1e6 * seconds / CALLS;
}

int main(int argc, char **argv) {
    static race r;
    static calls all;
    char model[32] = "";
    int pixels = 0, batch = 0, threads = argc > 2 ? atoi(argv[2]) : rb_usable_processors();
    rb_error err;
    r.rounds = argc > 3 ? atoi(argv[3]) : 7;
    if (argc < 2 || sscanf(argv[1], "%31[^:]:%d:%d", model, &pixels, &batch) != 3 || threads < 1 ||
        r.rounds < 1 || r.rounds > ROUNDS_MAX || rb_pool_open(&r.o.pool, threads, &err)) {
        fprintf(stderr, "usage: race MODEL:SIDE:BATCH [threads [rounds, at most %d [filter]]]\n", ROUNDS_MAX);
        return 2;
    }
    rb_ops_fill(&r.o.ops, rb_cpu_detect());
    calls_of(&all, model, pixels, batch, r.o.pool);
    printf("{\"version\": \"%s\", \"kernels\": \"%s\", \"threads\": %d, \"rounds\": %d, \"idle_us\": %.2f}\n",
           theirs_version() ? theirs_version() : "", rb_cpu_name(r.o.ops.level), threads, r.rounds,
           idle_call());
    for (int i = 0; i < all.count; i++) race_call(&r, &all.item[i], argc > 4 ? argv[4] : NULL);
    rb_pool_close(&r.o.pool);
    return 0;
}
