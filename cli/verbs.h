/* One function per verb, each in cli/verb_NAME.c: the exit status of the command. */
#ifndef REVBIFPN_CLI_VERBS_H
#define REVBIFPN_CLI_VERBS_H

#include "options.h"

int verb_train(const cli_args *args);
int verb_eval(const cli_args *args);
int verb_val(const cli_args *args);
int verb_predict(const cli_args *args);
int verb_check(const cli_args *args);
int verb_convert(const cli_args *args);
int verb_export(const cli_args *args);
int verb_plan(const cli_args *args);
int verb_inspect(const cli_args *args);
int verb_bench(const cli_args *args);
int verb_diff(const cli_args *args);
int verb_synth(const cli_args *args);

#endif
