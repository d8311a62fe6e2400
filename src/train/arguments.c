/* The arguments of a run: copied, checked. */
#include <string.h>

#include "train/setup.h"

revbifpn_status rb_train_copy_args(rb_trainer *t, const revbifpn_train_config *config, rb_error *err) {
    const char *texts[3] = {config->data, config->interpolation, config->out};
    size_t size = 0;
    for (int i = 0; i < 3; i++) size += (texts[i] ? strlen(texts[i]) : 0) + 1;
    char *strings = rb_alloc(size), *next = strings;
    if (!strings) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the arguments");
    for (int i = 0; i < 3; i++) {
        size_t length = texts[i] ? strlen(texts[i]) + 1 : 1;
        texts[i] = texts[i] ? memcpy(next, texts[i], length) : next;
        next += length;
    }
    t->args = *config;
    t->args.data = texts[0];
    t->args.interpolation = texts[1];
    t->args.out = texts[2];
    rb_free(t->strings);
    t->strings = strings;
    return REVBIFPN_OK;
}

typedef struct range {
    const char *name;
    double value, low, high;
} range;

revbifpn_status rb_train_check(const revbifpn_train_config *a, rb_error *err) {
    const range ranges[] = {
        {"epochs", a->epochs, 1, 1e6},
        {"batch", a->batch, 1, 65536},
        {"warmup-epochs", a->warmup_epochs, 0, 1e6},
        {"checkpoint-steps", a->checkpoint_steps, 0, 1e9},
        {"lr", a->lr, 0, 1e6},
        {"momentum", a->momentum, 0, 0.9999999},
        {"weight-decay", a->weight_decay, 0, 1},
        {"smoothing", a->smoothing, 0, 0.9999999},
        {"val-fraction", a->val_fraction, 0, 0.9},
        {"crop-pct", a->crop_pct, 0.01, 1},
        {"workers", a->workers, 0, 256},
        {"max-bad", a->max_bad, 0, 1e9},
    };
    if (!*a->data) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "data: no folder named");
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= ranges[i].low && ranges[i].value <= ranges[i].high))
            return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "%s %g: from %g to %g", ranges[i].name,
                           ranges[i].value, ranges[i].low, ranges[i].high);
    if (!a->max_pixels) return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "max-pixels 0: at least 1");
    return REVBIFPN_OK;
}
