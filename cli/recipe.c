#include "recipe.h"

#include <assert.h>
#include <string.h>

#include "detector.h"
#include "print.h"

/* The place of an option's value among its choices. */
static int choice(const cli_args *args, const char *name) {
    const char *value = cli_text(args, name), *at = NULL;
    int place = 0;
    for (int i = 0; args->verb->options[i].name; i++)
        if (!strcmp(args->verb->options[i].name, name)) at = args->verb->options[i].choices;
    assert(at && value);
    for (size_t length; (length = strcspn(at, "|")) != strlen(value) || strncmp(at, value, length); place++)
        at += length + 1;
    return place;
}

/* The choices are in the order of the library's enumerations. */
revbifpn_optimizer cli_optimizer(const cli_args *args) { return (revbifpn_optimizer)choice(args, "opt"); }

/* An option that means something only with some values of another one. */
typedef struct rule {
    const char *option, *other, *values; /* values between blanks; "" : the other must be given */
} rule;

static const rule rules[] = {
    {"opt-eps", "opt", " rmsproptf adamw lamb lambc "},
    {"opt-betas", "opt", " adamw lamb lambc "},
    {"momentum", "opt", " sgd momentum rmsproptf "},
    {"clip-mode", "clip-grad", ""},
    {"model-ema-decay", "model-ema", ""},
    {"model-ema-warmup", "model-ema", ""},
    {"bce-target-thresh", "bce-loss", ""},
    {"bce-sum", "bce-loss", ""},
    {"warmup-lr", "sched", " cosine step poly constant milestones "},
    {"warmup-prefix", "sched", " cosine step poly constant milestones "},
    {"sched-on-updates", "sched", " cosine step poly constant milestones "},
    {"min-lr", "sched", " cosine poly "},
    {"cooldown-epochs", "sched", " cosine poly "},
    {"lr-k-decay", "sched", " cosine poly "},
    {"lr-cycle-limit", "sched", " cosine poly "},
    {"lr-cycle-mul", "lr-cycle-limit", ""},
    {"lr-cycle-decay", "lr-cycle-limit", ""},
    {"decay-epochs", "sched", " step "},
    {"decay-rate", "sched", " step poly milestones "},
    {"milestones", "sched", " milestones "},
    {"warmup-ratio", "warmup-steps", ""},
    {"lr-noise-pct", "lr-noise", ""},
    {"lr-noise-std", "lr-noise", ""},
    {"freeze", "weights", ""},
    {"backbone-lr-scale", "weights", ""},
};

static bool has_meaning(const cli_args *args, const rule *r) {
    char word[64];
    if (!*r->values) return cli_given(args, r->other);
    snprintf(word, sizeof word, " %s ", cli_text(args, r->other));
    return strstr(r->values, word) != NULL;
}

int cli_check_recipe(cli_args *args) {
    if (cli_given(args, "bn-eval") && !cli_given(args, "weights") && !cli_detects(args))
        return cli_usage(args, "--bn-eval does nothing without --weights");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const rule *r = &rules[i];
        if (!cli_given(args, r->option) || has_meaning(args, r)) continue;
        if (cli_get(args, r->option)->origin == CLI_RECIPE)
            cli_unset(args, r->option);
        else if (!*r->values)
            return cli_usage(args, "--%s does nothing without --%s", r->option, r->other);
        else
            return cli_usage(args, "--%s does nothing with --%s %s; it is for%s", r->option, r->other,
                             cli_text(args, r->other), r->values);
    }
    return CLI_OK;
}

static void read_optimizer(const cli_args *args, revbifpn_train_config *c) {
    c->opt = cli_optimizer(args);
    c->momentum = cli_real(args, "momentum");
    c->weight_decay = cli_real(args, "weight-decay");
    c->decay_all = cli_given(args, "decay-all");
    if (cli_given(args, "opt-eps")) c->opt_eps = cli_real(args, "opt-eps");
    c->beta1 = cli_get(args, "opt-betas")->real;
    c->beta2 = cli_get(args, "opt-betas")->second;
    c->clip_grad = cli_real(args, "clip-grad");
    c->clip_mode = (revbifpn_clip_mode)choice(args, "clip-mode");
    c->accumulate = (int)cli_int(args, "accumulate");
    c->model_ema = cli_given(args, "model-ema");
    c->model_ema_decay = cli_real(args, "model-ema-decay");
    c->model_ema_warmup = cli_given(args, "model-ema-warmup");
}

static void read_schedule(const cli_args *args, revbifpn_train_config *c) {
    c->lr = cli_real(args, "lr");
    c->sched = (revbifpn_schedule)choice(args, "sched");
    c->warmup_epochs = (int)cli_int(args, "warmup-epochs");
    c->warmup_lr = cli_real(args, "warmup-lr");
    c->milestones = cli_text(args, "milestones");
    c->warmup_steps = (int)cli_int(args, "warmup-steps");
    c->warmup_ratio = cli_real(args, "warmup-ratio");
    c->warmup_prefix = cli_given(args, "warmup-prefix");
    c->min_lr = cli_real(args, "min-lr");
    c->decay_epochs = cli_real(args, "decay-epochs");
    c->decay_rate = cli_real(args, "decay-rate");
    c->cooldown_epochs = (int)cli_int(args, "cooldown-epochs");
    c->sched_on_updates = cli_given(args, "sched-on-updates");
    c->lr_noise_from = cli_given(args, "lr-noise") ? cli_get(args, "lr-noise")->real : 0;
    c->lr_noise_to = cli_given(args, "lr-noise") ? cli_get(args, "lr-noise")->second : 0;
    c->lr_noise_pct = cli_real(args, "lr-noise-pct");
    c->lr_noise_std = cli_real(args, "lr-noise-std");
    c->lr_cycle_limit = (int)cli_int(args, "lr-cycle-limit");
    c->lr_cycle_mul = cli_real(args, "lr-cycle-mul");
    c->lr_cycle_decay = cli_real(args, "lr-cycle-decay");
    c->lr_k_decay = cli_real(args, "lr-k-decay");
}

void cli_recipe(const cli_args *args, revbifpn_train_config *c) {
    read_optimizer(args, c);
    read_schedule(args, c);
    c->smoothing = cli_real(args, "smoothing");
    c->bce_loss = cli_given(args, "bce-loss");
    c->bce_sum = cli_given(args, "bce-sum");
    c->weights = cli_text(args, "weights");
    c->freeze = cli_text(args, "freeze");
    c->backbone_lr_scale = cli_real(args, "backbone-lr-scale");
    c->bn_eval = cli_given(args, "bn-eval");
    c->norm_affine = (revbifpn_norm_affine)choice(args, "norm-affine");
    c->recipe = cli_text(args, "recipe");
    c->bce_target_thresh = cli_real(args, "bce-target-thresh");
}
