/* args.json of a run folder: every argument of a training run as it was resolved. */
#ifndef RB_IO_ARGS_H
#define RB_IO_ARGS_H

#include "base/status.h"

/* *text = the arguments as JSON, keys in a fixed order; freed with rb_free. */
revbifpn_status rb_args_to_json(const revbifpn_train_config *args, char **text, rb_error *err) RB_CHECKED;

/* Calls `visit` for each argument but the network, in the order of args.json, its value as JSON; a failure
 * ends it. */
revbifpn_status rb_args_each(const revbifpn_train_config *args,
                             revbifpn_status (*visit)(void *user, const char *key, const char *value,
                                                      rb_error *err),
                             void *user, rb_error *err) RB_CHECKED;

/* Reads them back. `path` is what errors call the file. The strings of *args point into *strings, one block
 * that the caller frees with rb_free. Missing, unknown and wrongly typed keys are errors that name them. */
revbifpn_status rb_args_from_json(const char *path, const char *json, size_t size,
                                  revbifpn_train_config *args, char **strings, rb_error *err) RB_CHECKED;

/* A name as in args.json ("lr", "model.drop") and two values of it, of which texts hold for the call. */
typedef void rb_args_visit(void *user, const char *name, const char *old, const char *new);
/* Visits each argument that `b` has otherwise than `a`, in the order of args.json. */
revbifpn_status rb_args_compare(const revbifpn_train_config *a, const revbifpn_train_config *b,
                                rb_args_visit *visit, void *user, rb_error *err) RB_CHECKED;

#endif
