#include "profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

void cli_profile_add(void *user, const revbifpn_profile_row *row) {
    cli_profile *p = user;
    if (p->count == p->capacity) {
        int capacity = p->capacity ? 2 * p->capacity : 64;
        revbifpn_profile_row *rows = realloc(p->rows, (size_t)capacity * sizeof *rows);
        if (!rows) {
            p->incomplete = true;
            return;
        }
        p->rows = rows;
        p->capacity = capacity;
    }
    p->rows[p->count++] = *row;
}

void cli_profile_close(cli_profile *p) {
    free(p->rows);
    *p = (cli_profile){0};
}

/* The sum of the rows of a kind, named as the whole. */
static revbifpn_profile_row whole_step(const cli_profile *p, revbifpn_profile_kind kind) {
    revbifpn_profile_row sum = {.kind = kind, .name = "step", .direction = ""};
    for (int i = 0; i < p->count; i++) {
        const revbifpn_profile_row *r = &p->rows[i];
        if (r->kind != kind) continue;
        sum.seconds += r->seconds;
        sum.rest_seconds += r->rest_seconds;
        sum.gflops += r->gflops;
        sum.gbytes += r->gbytes;
        sum.floor_seconds += r->floor_seconds;
        sum.calls += r->calls;
    }
    return sum;
}

static void print_ratio(FILE *out, double amount, double of, const char *unit) {
    if (amount > 0 && of > 0)
        fprintf(out, " %7.1f%s", amount / of, unit);
    else
        fprintf(out, " %7s%*s", "-", (int)strlen(unit), "");
}

static void print_row(FILE *out, const revbifpn_profile_row *r, double whole, int steps) {
    fprintf(out, "%-40s %-8s %9.2f", r->name, r->direction, 1e3 * r->seconds / steps);
    print_ratio(out, 100 * r->seconds, whole, "%");
    print_ratio(out, r->gflops, r->seconds, "");
    print_ratio(out, r->gbytes, r->seconds, "");
    print_ratio(out, 100 * r->floor_seconds, r->seconds, "%");
    fprintf(out, " %7" PRIu64 "\n", r->calls / (uint64_t)steps);
}

static void print_table(FILE *out, const cli_profile *p, revbifpn_profile_kind kind, const char *title,
                        int steps) {
    revbifpn_profile_row whole = whole_step(p, kind);
    fprintf(out, "\n%-49s %9s %8s %7s %7s %8s %7s\n", title, "ms", "share", "GFLOP/s", "GB/s", "floor",
            "calls");
    for (int i = 0; i < p->count; i++)
        if (p->rows[i].kind == kind) print_row(out, &p->rows[i], whole.seconds, steps);
    print_row(out, &whole, whole.seconds, steps);
}

void cli_print_profile(FILE *out, const cli_profile *p, const revbifpn_bench_result *result, int steps) {
    fprintf(out,
            "  peaks              %.0f GFLOP/s, %.0f GB/s; floor: the least time at these, in the time\n",
            result->peak_gflops, result->peak_gbytes);
    print_table(out, p, REVBIFPN_PROFILE_OPERATOR, "operator, a step", steps);
    print_table(out, p, REVBIFPN_PROFILE_OPERATION, "operation, a step", steps);
}

static void json_member(FILE *out, const char *name, double number) {
    fprintf(out, ", \"%s\": ", name);
    cli_json_real(out, number);
}

static void json_row(FILE *out, const revbifpn_profile_row *r, int steps) {
    bool operation = r->kind == REVBIFPN_PROFILE_OPERATION;
    fprintf(out, "{\"%s\": ", operation ? "operation" : "operator");
    cli_json_string(out, r->name);
    if (operation) {
        fprintf(out, ", \"direction\": ");
        cli_json_string(out, r->direction);
        json_member(out, "rest_seconds_per_step", r->rest_seconds / steps);
    }
    json_member(out, "seconds_per_step", r->seconds / steps);
    json_member(out, "gflop", r->gflops / steps);
    json_member(out, "gbytes", r->gbytes / steps);
    json_member(out, "floor_seconds", r->floor_seconds / steps);
    fprintf(out, ", \"calls\": %" PRIu64 "}", r->calls / (uint64_t)steps);
}

static void json_rows(FILE *out, const cli_profile *p, revbifpn_profile_kind kind, const char *name,
                      int steps) {
    const char *before = "";
    fprintf(out, ", \"%s\": [", name);
    for (int i = 0; i < p->count; i++) {
        if (p->rows[i].kind != kind) continue;
        fputs(before, out);
        json_row(out, &p->rows[i], steps);
        before = ", ";
    }
    fprintf(out, "]");
}

void cli_json_profile(FILE *out, const cli_profile *p, const revbifpn_bench_result *result, int steps) {
    fprintf(out, ", \"peak\": {\"gflops\": ");
    cli_json_real(out, result->peak_gflops);
    json_member(out, "gbytes", result->peak_gbytes);
    fprintf(out, "}");
    json_rows(out, p, REVBIFPN_PROFILE_OPERATOR, "profile", steps);
    json_rows(out, p, REVBIFPN_PROFILE_OPERATION, "operations", steps);
}
