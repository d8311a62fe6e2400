/* The tables of `bench --profile`: where the time of a step goes, by operator and by operation. */
#ifndef REVBIFPN_CLI_PROFILE_H
#define REVBIFPN_CLI_PROFILE_H

#include <revbifpn.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct cli_profile {
    revbifpn_profile_row *rows; /* owned */
    int count, capacity;
    bool incomplete; /* there was no memory for some rows */
} cli_profile;

/* A revbifpn_bench_options.profile, for a user pointer to a cli_profile that began as zeros. */
void cli_profile_add(void *user, const revbifpn_profile_row *row);
void cli_profile_close(cli_profile *profile);

/* Both tables, per step of `steps`, each with a line for the whole step. */
void cli_print_profile(FILE *out, const cli_profile *profile, const revbifpn_bench_result *result, int steps);
/* Members "peak", "profile" (by operator) and "operations" of an object that is being written. */
void cli_json_profile(FILE *out, const cli_profile *profile, const revbifpn_bench_result *result, int steps);

#endif
