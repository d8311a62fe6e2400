#include "resume.h"

#include <stdlib.h>
#include <string.h>

#include "detector.h"
#include "print.h"

/* These hold for the rest of the run, not for all of it. */
static const char changeable[] = " resume data val-data epochs workers max-memory threads cpu progress ";

/* Arguments whose option has another name. */
static const struct {
    const char *argument, *option;
} names[] = {
    {"scale_min", "scale"},
    {"scale_max", "scale"},
    {"ratio_min", "ratio"},
    {"ratio_max", "ratio"},
    {"beta1", "opt-betas"},
    {"beta2", "opt-betas"},
    {"lr_noise_from", "lr-noise"},
    {"lr_noise_to", "lr-noise"},
    {"cutmix_min", "cutmix-minmax"},
    {"cutmix_max", "cutmix-minmax"},
    {"apply_exif", "exif"},
    {"bn_update_double", "bn-update"},
    {"model.image_width", "imgsz"},
    {"model.image_height", "imgsz"},
    {"model.classes", "classes"},
    {"model.drop", "drop"},
    {"model.drop_path", "drop-path"},
    {"scale_low", "scales"},
    {"long_side", "imgsz"},
    {"short_side", "imgsz"},
    {"scale_high", "scales"},
    {"scale_jitter_low", "scale-jitter"},
    {"scale_jitter_high", "scale-jitter"},
};

static void option_name(const char *argument, char name[80]) {
    snprintf(name, 80, "%s", argument);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
    if (!strncmp(argument, "model.", 6)) strcpy(name, "model");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(argument, names[i].argument)) snprintf(name, 80, "%s", names[i].option);
}

static bool is_changeable(const char *option) {
    char word[90];
    snprintf(word, sizeof word, " %s ", option);
    return strstr(changeable, word) != NULL;
}

bool cli_resume_repeats(const cli_args *args) {
    for (int i = 0; args->verb->options[i].name; i++)
        if (args->values[i].given && !is_changeable(args->verb->options[i].name)) return true;
    return false;
}

void cli_resume_task(cli_args *args, revbifpn *ctx) {
    char path[4400], message[CLI_MESSAGE];
    revbifpn_task task;
    if (cli_given(args, "task")) return;
    snprintf(path, sizeof path, "%.4300s/checkpoint.safetensors", cli_text(args, "resume"));
    if (revbifpn_weights_task(ctx, path, &task) == REVBIFPN_OK)
        cli_set(args, "task", strlen("task"), cli_task_name(task), CLI_FILE, message);
}

/* The run's value as it would be typed: args.json has choices and flags as numbers. */
static void typed(const cli_option *o, const char *value, char text[80]) {
    snprintf(text, 80, "%s", *value ? value : "nothing");
    if (o->kind == CLI_FLAG) snprintf(text, 80, "%s", strcmp(value, "0") ? "on" : "off");
    if (o->kind != CLI_CHOICE || value[strspn(value, "0123456789")] || !*value) return;
    const char *choice = o->choices;
    for (int left = atoi(value); left > 0 && (choice = strchr(choice, '|')); left--) choice++;
    if (choice) snprintf(text, 80, "%.*s", (int)strcspn(choice, "|"), choice);
}

typedef struct differences {
    const cli_args *args;
    char text[900];
    int count;
} differences;

static void add_difference(void *user, const char *argument, const char *old, const char *new) {
    differences *d = user;
    char name[80], was[80], is[80], before[100];
    option_name(argument, name);
    snprintf(before, sizeof before, "--%s is ", name);
    if (is_changeable(name) || strstr(d->text, before)) return;
    for (int i = 0; d->args->verb->options[i].name; i++) {
        const cli_option *o = &d->args->verb->options[i];
        if (strcmp(o->name, name) || !d->args->values[i].given) continue;
        typed(o, old, was);
        typed(o, new, is);
        size_t used = strlen(d->text);
        snprintf(d->text + used, sizeof d->text - used, "%s%s%s, now %s", d->count++ ? "; " : "", before, was,
                 is);
    }
}

int cli_check_resume(const cli_args *args, revbifpn *ctx, const revbifpn_train_config *config) {
    differences d = {.args = args};
    revbifpn_status status = revbifpn_train_differences(ctx, config, add_difference, &d);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    if (!d.count) return CLI_OK;
    return cli_usage(args, "%s: this cannot change in a resumed run: %s", config->out, d.text);
}
