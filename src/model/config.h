/* Which networks there are: the published S0 … S6, the rules every configuration must keep, and comparison.
 */
#ifndef RB_MODEL_CONFIG_H
#define RB_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* The published network of that name: "s0" … "s6", in any case, also as "revbifpn_s0". 1000 classes, neck,
 * published image size. Another name: BAD_ARGUMENT with the nearest right one. */
revbifpn_status rb_config_named(const char *name, revbifpn_model_config *out, rb_error *err) RB_CHECKED;

/* BAD_ARGUMENT when the configuration breaks a rule; the text names the field, as config.json does, and says
 * what would be right. */
revbifpn_status rb_config_check(const revbifpn_model_config *config, rb_error *err) RB_CHECKED;

/* True when weights of one fit the other: all that shapes a tensor is equal; name, image size and the dropout
 * rates may differ. Else `difference` (may be NULL) gets the first field that differs and both values,
 * "classes: 10 and 100". */
bool rb_config_equal_architecture(const revbifpn_model_config *a, const revbifpn_model_config *b,
                                  char *difference, size_t size);

/* A detector of that backbone with the numbers of MMDetection's HRNet configurations (spec 2.1). */
revbifpn_detector_config rb_config_detector(const revbifpn_model_config *backbone, int classes, bool masks);

#endif
