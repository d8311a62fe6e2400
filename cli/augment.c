#include "augment.h"

#include "print.h"

int cli_check_augmentation(const cli_args *args) {
    static const char *const erasing[] = {"remode", "recount"};
    static const char *const mixing[] = {"mixup-prob", "mixup-switch-prob", "mixup-mode", "mixup-off-epoch"};
    bool mixes = cli_given(args, "mixup") || cli_given(args, "cutmix") || cli_given(args, "cutmix-minmax");
    if (cli_given(args, "aa") && cli_given(args, "color-jitter"))
        return cli_usage(args, "--color-jitter does nothing with --aa");
    if (cli_given(args, "close-mosaic") && !cli_given(args, "mosaic"))
        return cli_usage(args, "--close-mosaic does nothing without --mosaic");
    for (int i = 0; i < 2; i++)
        if (cli_given(args, erasing[i]) && !cli_given(args, "reprob"))
            return cli_usage(args, "--%s does nothing without --reprob", erasing[i]);
    for (int i = 0; i < 4; i++)
        if (cli_given(args, mixing[i]) && !mixes)
            return cli_usage(args, "--%s does nothing without --mixup, --cutmix or --cutmix-minmax",
                             mixing[i]);
    return CLI_OK;
}

/* An option without a default, "" when it was not given. */
static const char *text_or_none(const cli_args *args, const char *name) {
    const char *text = cli_text(args, name);
    return text ? text : "";
}

void cli_augmentation(const cli_args *args, revbifpn_train_config *c) {
    c->scale_min = cli_get(args, "scale")->real;
    c->scale_max = cli_get(args, "scale")->second;
    c->ratio_min = cli_get(args, "ratio")->real;
    c->ratio_max = cli_get(args, "ratio")->second;
    c->hflip = cli_real(args, "hflip");
    c->vflip = cli_real(args, "vflip");
    c->interpolation = cli_text(args, "interpolation");
    c->train_interpolation = text_or_none(args, "train-interpolation");
    c->aa = text_or_none(args, "aa");
    c->color_jitter = text_or_none(args, "color-jitter");
    c->mosaic = cli_real(args, "mosaic");
    c->close_mosaic = (int)cli_int(args, "close-mosaic");
    c->aug_repeats = (int)cli_int(args, "aug-repeats");
    c->reprob = cli_real(args, "reprob");
    c->remode = cli_text(args, "remode");
    c->recount = (int)cli_int(args, "recount");
    c->mixup = cli_real(args, "mixup");
    c->cutmix = cli_real(args, "cutmix");
    c->cutmix_min = cli_get(args, "cutmix-minmax")->real;
    c->cutmix_max = cli_get(args, "cutmix-minmax")->second;
    c->mixup_prob = cli_real(args, "mixup-prob");
    c->mixup_switch_prob = cli_real(args, "mixup-switch-prob");
    c->mixup_mode = cli_text(args, "mixup-mode");
    c->mixup_off_epoch = (int)cli_int(args, "mixup-off-epoch");
}
