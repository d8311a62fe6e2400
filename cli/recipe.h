/* The options of a training recipe: optimizer, schedule, loss. */
#ifndef REVBIFPN_CLI_RECIPE_H
#define REVBIFPN_CLI_RECIPE_H

#include <revbifpn.h>

#include "options.h"

/* CLI_OK, or the exit status after a line about an option that the chosen optimizer, schedule or loss would
 * ignore. What only a named recipe has set goes back to its default instead. */
int cli_check_recipe(cli_args *args);
void cli_recipe(const cli_args *args, revbifpn_train_config *config);
/* --opt */
revbifpn_optimizer cli_optimizer(const cli_args *args);

#endif
