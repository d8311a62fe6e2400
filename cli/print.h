/* What the verbs share: opening a context, the network that the options name, readable numbers, JSON. */
#ifndef REVBIFPN_CLI_PRINT_H
#define REVBIFPN_CLI_PRINT_H

#include <revbifpn.h>

#include "options.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_DOES_NOT_FIT = 3, CLI_FAULTS = 4, CLI_STOPPED = 75 };
#define CLI_EXIT_TEXT                                                                                        \
    "0 done, 1 failed, 2 wrong option or value, 3 does not fit into --max-memory, 4 check found faults, 75 " \
    "stopped by a signal."

/* Opens a context with --threads and --cpu. Failing, it prints why, and *out is NULL. */
int cli_open(const cli_args *args, revbifpn **out);
/* The same, asking `stop` while data sets are read. */
int cli_open_watched(const cli_args *args, int (*stop)(void *user), revbifpn **out);
/* Prints the context's message as one line on stderr; returns the exit status that belongs to `status`. */
int cli_report(const cli_args *args, const revbifpn *ctx, revbifpn_status status);
/* A wrong combination of options: one line on stderr; returns CLI_USAGE. */
int cli_usage(const cli_args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The network of --model with --imgsz, --channels and --classes applied. */
revbifpn_status cli_model(const cli_args *args, revbifpn *ctx, revbifpn_model_config *out);
/* --bits: 8, 16, or 0 when it was not given. */
int cli_bits(const cli_args *args);
/* --imgsz, --crop-pct and --interpolation: how trained weights look at pictures. */
revbifpn_status cli_prepare(const cli_args *args, revbifpn_model *model);
/* Flushes stdout; false when that failed now or before. */
bool cli_flush(void);
/* CLI_FAILED with a line on stderr when something written to stdout was lost (full disk), else `code`. */
int cli_finish(const cli_args *args, int code);

/* "3.42 M", "845": for people. The texts live in a ring of eight. */
const char *cli_count(uint64_t number);
/* "1.34 GiB" */
const char *cli_bytes(uint64_t bytes);
/* "1:02:03" or "2:03" */
const char *cli_time(double seconds);

/* A JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
void cli_json_string(FILE *out, const char *text);
/* A JSON number; null when it is not finite. */
void cli_json_real(FILE *out, double number);

void cli_print_memory(FILE *out, const revbifpn_memory *memory);
void cli_json_memory(FILE *out, const revbifpn_memory *memory);

#endif
