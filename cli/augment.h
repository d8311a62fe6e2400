/* The augmentation options of `train`. */
#ifndef REVBIFPN_CLI_AUGMENT_H
#define REVBIFPN_CLI_AUGMENT_H

#include <revbifpn.h>

#include "options.h"

/* CLI_OK, or the exit status after a line about an option that would do nothing. */
int cli_check_augmentation(const cli_args *args);
void cli_augmentation(const cli_args *args, revbifpn_train_config *config);

#endif
