/* What may be said beside --resume. */
#ifndef REVBIFPN_CLI_RESUME_H
#define REVBIFPN_CLI_RESUME_H

#include <revbifpn.h>

#include "options.h"

/* Whether an option was typed that a resumed run takes from its own arguments: those then have to agree. */
bool cli_resume_repeats(const cli_args *args);
/* The run's task as if --task had been typed, when it was not: other options are read by it. A run without a
 * checkpoint leaves the options as they are. */
void cli_resume_task(cli_args *args, revbifpn *ctx);
/* `config` has the options as for a new run, `out` the run's folder. CLI_USAGE with one line that names every
 * option typed otherwise than the run was started with, the run's value and the new one. */
int cli_check_resume(const cli_args *args, revbifpn *ctx, const revbifpn_train_config *config);

#endif
