/* The JSON parts of a weights file's metadata: class names, preprocessing, a detector's numbers. */
#ifndef RB_IO_WEIGHTS_JSON_H
#define RB_IO_WEIGHTS_JSON_H

#include "io/weights.h"

/* Texts are freed with rb_free. */
revbifpn_status rb_classes_to_json(const rb_weights_info *info, char **text, rb_error *err) RB_CHECKED;
revbifpn_status rb_classes_from_json(const char *path, const char *text, rb_weights_info *info,
                                     rb_error *err) RB_CHECKED;
revbifpn_status rb_preprocess_to_json(const rb_preprocess *p, int channels, char **text,
                                      rb_error *err) RB_CHECKED;
revbifpn_status rb_preprocess_from_json(const char *path, const char *text, int channels, rb_preprocess *p,
                                        rb_error *err) RB_CHECKED;

/* How a detector's pictures are prepared, for other programs: limits of the sides, mean and deviation; padded
 * right and below, with zeros after normalisation. */
revbifpn_status rb_detector_preprocess_to_json(const rb_weights_info *info, char **text,
                                               rb_error *err) RB_CHECKED;

/* A detector's numbers; its backbone is the file's "config". */
revbifpn_status rb_detector_to_json(const revbifpn_detector_config *d, char **text, rb_error *err) RB_CHECKED;
revbifpn_status rb_detector_from_json(const char *path, const char *text,
                                      const revbifpn_model_config *backbone, revbifpn_detector_config *out,
                                      rb_error *err) RB_CHECKED;

#endif
