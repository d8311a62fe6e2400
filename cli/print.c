#include "print.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

int cli_open(const cli_args *args, revbifpn **out) { return cli_open_watched(args, NULL, out); }

int cli_open_watched(const cli_args *args, int (*stop)(void *user), revbifpn **out) {
    revbifpn_options options = revbifpn_default_options();
    options.threads = (int)cli_int(args, "threads");
    options.cpu = cli_text(args, "cpu");
    options.stop = stop;
    revbifpn_status status = revbifpn_open(out, &options);
    if (status == REVBIFPN_OK) return CLI_OK;
    int code = cli_report(args, *out, status);
    revbifpn_close(out);
    return code;
}

int cli_report(const cli_args *args, const revbifpn *ctx, revbifpn_status status) {
    fprintf(stderr, "revbifpn %s: %s\n", args->verb->name, ctx ? revbifpn_message(ctx) : "out of memory");
    switch (status) {
    case REVBIFPN_OK: return CLI_OK;
    case REVBIFPN_BAD_ARGUMENT: return CLI_USAGE;
    case REVBIFPN_DOES_NOT_FIT: return CLI_DOES_NOT_FIT;
    case REVBIFPN_STOPPED: return CLI_STOPPED;
    default: return CLI_FAILED;
    }
}

int cli_usage(const cli_args *args, const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "revbifpn %s: ", args->verb->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (revbifpn %s --help)\n", args->verb->name);
    return CLI_USAGE;
}

revbifpn_status cli_model(const cli_args *args, revbifpn *ctx, revbifpn_model_config *out) {
    revbifpn_status status = revbifpn_config(ctx, cli_text(args, "model"), out);
    if (status != REVBIFPN_OK) return status;
    const cli_value *size = cli_get(args, "imgsz");
    if (size->set) {
        out->image_width = size->width;
        out->image_height = size->height;
    }
    if (cli_given(args, "channels")) out->input_channels = (int)cli_int(args, "channels");
    if (cli_given(args, "classes")) out->classes = (int)cli_int(args, "classes");
    return REVBIFPN_OK;
}

int cli_bits(const cli_args *args) {
    const char *bits = cli_text(args, "bits");
    return !bits ? 0 : strcmp(bits, "16") ? 8 : 16;
}

revbifpn_status cli_prepare(const cli_args *args, revbifpn_model *model) {
    const cli_value *size = cli_get(args, "imgsz");
    return revbifpn_model_prepare(model, size->width, size->height, cli_real(args, "crop-pct"),
                                  cli_text(args, "interpolation"));
}

static int output_error; /* of the first flush that failed */

bool cli_flush(void) {
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return true;
    if (!output_error) output_error = errno ? errno : EIO;
    return false;
}

int cli_finish(const cli_args *args, int code) {
    if (cli_flush()) return code;
    fprintf(stderr, "revbifpn %s: cannot write the output: %s\n", args->verb->name, strerror(output_error));
    return code == CLI_OK ? CLI_FAILED : code;
}

static char *ring(void) {
    static char texts[8][32];
    static unsigned next;
    return texts[next++ % 8];
}

/* Three significant digits and a unit. */
static const char *scaled(uint64_t number, double step, const char *const *units) {
    char *text = ring();
    double value = (double)number;
    int unit = 0;
    while (value >= step - 0.5 && units[unit + 1]) value /= step, unit++;
    if (!unit)
        snprintf(text, 32, "%" PRIu64 "%s%s", number, *units[0] ? " " : "", units[0]);
    else
        snprintf(text, 32, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
    return text;
}

const char *cli_count(uint64_t number) {
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", NULL};
    return scaled(number, 1000, units);
}

const char *cli_bytes(uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL};
    return scaled(bytes, 1024, units);
}

const char *cli_time(double seconds) {
    char *text = ring();
    if (!(seconds >= 0 && seconds < 1e7)) return "?";
    int s = (int)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, 32, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%d:%02d", s / 60, s % 60);
    return text;
}

/* Bytes of the UTF-8 character at p (shortest form, no surrogates), or 0. */
static int utf8_length(const unsigned char *p) {
    if (p[0] < 0x80) return 1;
    int n = p[0] >= 0xf0 && p[0] < 0xf5   ? 4
            : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
            : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                                          : 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

void cli_json_string(FILE *out, const char *text) {
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        int n = utf8_length(p);
        if (!n)
            fputs("\\ufffd", out);
        else if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(out, "\\u%04x", *p);
        else
            fwrite(p, 1, (size_t)n, out);
        p += n ? n : 1;
    }
    fputc('"', out);
}

void cli_json_real(FILE *out, double number) {
    if (isfinite(number))
        fprintf(out, "%.10g", number);
    else
        fputs("null", out);
}

typedef struct memory_row {
    const char *key, *text;
    uint64_t bytes;
} memory_row;

enum { MEMORY_ROWS = 8 };

static void memory_rows(const revbifpn_memory *m, memory_row rows[MEMORY_ROWS]) {
    const memory_row all[MEMORY_ROWS] = {
        {"weights_bytes", "weights", m->weights_bytes},
        {"gradient_bytes", "gradients", m->gradient_bytes},
        {"optimizer_bytes", "optimizer", m->optimizer_bytes},
        {"kept_bytes", "kept (state, statistics)", m->kept_bytes},
        {"scratch_bytes", "scratch", m->scratch_bytes},
        {"activation_bytes", "activations in all", m->activation_bytes},
        {"activation_bytes_per_sample", "one more sample adds", m->activation_bytes_per_sample},
        {"total_bytes", "total", m->total_bytes},
    };
    memcpy(rows, all, sizeof all);
}

void cli_print_memory(FILE *out, const revbifpn_memory *memory) {
    memory_row rows[MEMORY_ROWS];
    memory_rows(memory, rows);
    for (int i = 0; i < MEMORY_ROWS; i++)
        fprintf(out, "  %-26s %10s  %15" PRIu64 " bytes\n", rows[i].text, cli_bytes(rows[i].bytes),
                rows[i].bytes);
}

void cli_json_memory(FILE *out, const revbifpn_memory *memory) {
    memory_row rows[MEMORY_ROWS];
    memory_rows(memory, rows);
    for (int i = 0; i < MEMORY_ROWS; i++)
        fprintf(out, "%s\"%s\": %" PRIu64, i ? ", " : "", rows[i].key, rows[i].bytes);
}
