/* What `revbifpn check --json FILE` writes, read back: mean and deviation of the channels. */
#ifndef RB_IO_STATS_H
#define RB_IO_STATS_H

#include "base/status.h"

enum { RB_STATS_TEXT = 2048, RB_STATS_CHANNELS = 64 };

/* "0.485,0.456,0.406" each, all digits kept. BAD_FILE naming file and key; IO_FAILED; OUT_OF_MEMORY. */
revbifpn_status rb_stats_read(const char *path, char mean[RB_STATS_TEXT], char std[RB_STATS_TEXT],
                              rb_error *err) RB_CHECKED;

#endif
