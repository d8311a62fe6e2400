/* The mean and deviation that a run normalises its pictures by. */
#include <math.h>
#include <stdlib.h>

#include "train/setup.h"

/* `text`: one number for all channels, or one for each; "": as they are. Numbers above `low` and up to 1. */
static revbifpn_status read_numbers(const char *option, const char *text, int channels, double low,
                                    float *out, rb_error *err) {
    int count = 0;
    for (const char *at = text; *text; at++) {
        char *end;
        double value = strtod(at, &end);
        if (end == at || !(value >= low && value <= 1) || (*end && *end != ',') ||
            count == RB_IMAGE_CHANNELS_MAX)
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s '%.100s': numbers in %g … 1, separated by commas",
                           option, text, low);
        out[count++] = (float)value;
        at = end;
        if (!*end) break;
    }
    if (!count) return REVBIFPN_OK;
    if (count != 1 && count != channels)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s: %d numbers for pictures of %d channels", option,
                       count, channels);
    for (int i = count; i < channels; i++) out[i] = out[i - count];
    return REVBIFPN_OK;
}

revbifpn_status rb_train_statistics(const revbifpn_train_config *args, rb_preprocess *out, rb_error *err) {
    int channels = args->model.input_channels;
    for (int i = 0; channels != 3 && i < channels; i++) { /* ImageNet's say nothing of other channels */
        out->mean[i] = 0.5f;
        out->std[i] = 0.25f;
    }
    revbifpn_status status = read_numbers("mean", args->mean, channels, 0, out->mean, err);
    return status ? status : read_numbers("std", args->std, channels, 1e-4, out->std, err);
}
