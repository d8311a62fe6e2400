/* Detectors as the options name them. */
#ifndef REVBIFPN_CLI_DETECTOR_H
#define REVBIFPN_CLI_DETECTOR_H

#include <revbifpn.h>

#include "options.h"

/* Whether --task names one. */
bool cli_detects(const cli_args *args);
/* The detector of --task, --model, --channels, --classes, --fpn and --fc. Its picture is --imgsz or 1344 ×
 * 800, COCO's usual one padded: in out->backbone. */
revbifpn_status cli_detector(const cli_args *args, revbifpn *ctx, revbifpn_detector_config *out);

revbifpn_task cli_task(const cli_args *args);
/* The word for it on the command line. */
const char *cli_task_name(revbifpn_task task);
/* What --task, --fpn, --fc, --imgsz, --scales and --scale-jitter say of a run that trains one; its data names
 * the classes. BAD_ARGUMENT is told on stderr: CLI_OK or CLI_USAGE. */
int cli_detector_run(const cli_args *args, revbifpn_train_config *config);

/* What --weights are for, which must be --task where that is given. CLI_OK, or the status after a line. */
int cli_weights_task(const cli_args *args, revbifpn *ctx, revbifpn_task *out);
/* Loads --weights, with --imgsz as limits of the sides. CLI_OK, or the status after a line. */
int cli_load_detector(const cli_args *args, revbifpn *ctx, revbifpn_detector **out);
/* The input of its ONNX file: the limits rounded up to multiples of 32, wide. */
void cli_detector_input(const revbifpn_detector *detector, int *width, int *height);

/* val_detector.c, predict_detector.c, export_detector.c: the verbs, once a context is open. */
int cli_judge_detector(const cli_args *args, revbifpn *ctx);
int cli_predict_detector(const cli_args *args, revbifpn *ctx);
int cli_export_detector(const cli_args *args, revbifpn *ctx);

#endif
