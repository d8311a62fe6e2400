/* The values of --recipe (docs/recipes.md says why). Rates are for a number of pictures a step, and follow
 * --batch × --accumulate. */
#include <string.h>

#include "detector.h"
#include "layers.h"
#include "print.h"

typedef struct setting {
    const char *option, *value;
} setting;

/* All networks on ImageNet-sized sets; the rate is 0.016 for 256 pictures a step. */
static const setting imagenet[] = {{"opt", "rmsproptf"},
                                   {"weight-decay", "1e-5"},
                                   {"accumulate", "32"},
                                   {"sched", "step"},
                                   {"decay-epochs", "2.4"},
                                   {"decay-rate", "0.97"},
                                   {"warmup-epochs", "5"},
                                   {"warmup-lr", "1e-6"},
                                   {"smoothing", "0.1"},
                                   {"scale", "0.08,1"},
                                   {"train-interpolation", "random"},
                                   {"bn-update", "double"},
                                   {"model-ema", NULL},
                                   {NULL, NULL}};
/* … and by network: larger ones see stronger augmentation, for fewer epochs. */
static const setting imagenet_of[][6] = {
    {{"epochs", "450"}, {"aa", "rand-m9-mstd0.5"}, {"reprob", "0.2"}},
    {{"epochs", "450"}, {"aa", "rand-m9-mstd0.5"}, {"reprob", "0.2"}},
    {{"epochs", "450"}, {"aa", "rand-m9-mstd0.5"}, {"reprob", "0.2"}},
    {{"epochs", "400"}, {"aa", "rand-m9-mstd0.5-inc1"}, {"reprob", "0.2"}, {"mixup", "0.1"}},
    {{"epochs", "350"}, {"aa", "rand-m9-mstd0.5-inc1"}, {"reprob", "0.25"}, {"mixup", "0.2"}},
    {{"epochs", "350"}, {"aa", "rand-m9-mstd0.5-inc1"}, {"reprob", "0.25"}, {"mixup", "0.2"}},
    {{"epochs", "350"},
     {"aa", "rand-m9-n3-mstd0.5-inc1"},
     {"reprob", "0.3"},
     {"mixup", "0.2"},
     {"cutmix", "0.2"}}};
/* To see that an implementation learns: 0.1 for 256 pictures a step. */
static const setting quick[] = {
    {"opt", "sgd"},         {"weight-decay", "2e-5"},  {"sched", "cosine"}, {"epochs", "100"},
    {"warmup-epochs", "5"}, {"warmup-lr", "1e-6"},     {"min-lr", "1e-5"},  {"smoothing", "0.1"},
    {"scale", "0.08,1"},    {"aa", "rand-m7-mstd0.5"}, {NULL, NULL}};
/* Some hundred to some thousand pictures. From trained weights: 0.02 for 32 pictures a step, a tenth of it
 * where there is something to lose; from nothing: 0.1 everywhere (--backbone-lr-scale means nothing without
 * --weights). */
static const setting finetune[] = {
    {"opt", "sgd"},      {"weight-decay", "1e-4"},  {"sched", "cosine"},          {"sched-on-updates", NULL},
    {"epochs", "30"},    {"warmup-epochs", "2"},    {"warmup-lr", "1e-5"},        {"smoothing", "0.1"},
    {"scale", "0.35,1"}, {"aa", "rand-m5-mstd0.5"}, {"backbone-lr-scale", "0.1"}, {"clip-grad", "1"},
    {NULL, NULL}};

/* MMDetection's schedules for detectors: 0.02 for 16 pictures a step. Norms that have learned stand still in
 * small batches; those of a network that begins from nothing have no statistics to stand on. */
static const setting once[] = {{"opt", "momentum"},    {"weight-decay", "1e-4"},
                               {"decay-all", NULL},    {"sched", "milestones"},
                               {"epochs", "12"},       {"milestones", "8,11"},
                               {"warmup-epochs", "0"}, {"warmup-steps", "500"},
                               {"batch", "2"},         {NULL, NULL}};
static const setting twice[] = {{"epochs", "24"}, {"milestones", "16,22"}, {NULL, NULL}};
enum { NORM_BATCH = 16 };

/* Only what nobody has said. */
static int set(cli_args *args, const char *option, const char *value) {
    char message[CLI_MESSAGE];
    if (cli_set(args, option, strlen(option), value, CLI_RECIPE, message)) return CLI_OK;
    return cli_usage(args, "recipe: %s", message);
}

static int set_all(cli_args *args, const setting *settings) {
    int code = CLI_OK;
    bool jitter = cli_given(args, "color-jitter"); /* asked for instead of a policy */
    for (; !code && settings->option; settings++)
        if (!jitter || strcmp(settings->option, "aa") != 0)
            code = set(args, settings->option, settings->value);
    return code;
}

static double pictures_a_step(const cli_args *args) {
    return (double)cli_int(args, "batch") * (double)cli_int(args, "accumulate");
}

static int set_rate(cli_args *args, double rate, double pictures, cli_layers *layers) {
    snprintf(layers->rate, sizeof layers->rate, "%.6g", rate * pictures_a_step(args) / pictures);
    return set(args, "lr", layers->rate);
}

/* The average looks back over as many pictures whatever the step; ε is of rmsproptf alone. */
static int apply_imagenet(cli_args *args, cli_layers *layers) {
    const char *model = cli_text(args, "model");
    size_t length = strlen(model), variants = sizeof imagenet_of / sizeof *imagenet_of;
    size_t variant = length > 1 && model[length - 2] == 's' ? (size_t)(model[length - 1] - '0') : 0;
    int code = set_all(args, imagenet);
    if (!code) code = set_all(args, imagenet_of[variant < variants ? variant : 0]);
    if (!code) code = set_rate(args, 0.016, 256, layers);
    if (!code && !strcmp(cli_text(args, "opt"), "rmsproptf")) code = set(args, "opt-eps", "1e-3");
    double decay = 1 - 1e-4 * pictures_a_step(args) / 768;
    snprintf(layers->average, sizeof layers->average, "%.9g", decay > 0 ? decay : 0);
    return code ? code : set(args, "model-ema-decay", layers->average);
}

static int apply_detector(cli_args *args, const char *name, cli_layers *layers) {
    int code = name && !strcmp(name, "2x") ? set_all(args, twice) : CLI_OK;
    if (name && strcmp(name, "1x") != 0 && strcmp(name, "2x") != 0)
        return cli_usage(args, "--recipe %s is for classifiers; detectors have 1x and 2x", name);
    if (!code) code = set_all(args, once);
    bool learned = cli_given(args, "weights");
    if (!code && learned && cli_int(args, "batch") < NORM_BATCH) code = set(args, "bn-eval", NULL);
    return code ? code : set_rate(args, 0.02, 16, layers);
}

int cli_apply_recipe(cli_args *args, cli_layers *layers) {
    const char *name = cli_text(args, "recipe");
    int code = CLI_OK;
    if (cli_detects(args)) return apply_detector(args, name, layers);
    if (!name) return CLI_OK;
    if (*name == '1' || *name == '2')
        return cli_usage(args, "--recipe %s is for detectors: --task detect or segment", name);
    if (!strcmp(name, "imagenet")) return apply_imagenet(args, layers);
    code = set_all(args, *name == 's' ? quick : finetune);
    if (code) return code;
    if (*name == 's') return set_rate(args, 0.1, 256, layers);
    return set_rate(args, cli_given(args, "weights") ? 0.02 : 0.1, 32, layers);
}
