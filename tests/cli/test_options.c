/* The option table: defaults, every kind of value, and messages that name what would be right. */
#include "check.h"

#include "options.h"

static char message[CLI_MESSAGE];

/* Parses "a b c" as the words after `verb`; the text must outlive the result. */
static cli_parse_result parse(const char *verb, const char *line, cli_args *args) {
    static char copy[1024], *words[64];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) words[count++] = w;
    const cli_verb *found = cli_verb_find(verb);
    assert_non_null(found);
    message[0] = 0;
    return cli_parse(found, count, words, args, message);
}

static cli_args good(const char *verb, const char *line) {
    cli_args args;
    cli_parse_result result = parse(verb, line, &args);
    if (result != CLI_RUN) fail_msg("'%s %s' was refused: %s", verb, line, message);
    return args;
}

static void wrong(const char *verb, const char *line, const char *wanted) {
    cli_args args;
    cli_parse_result result = parse(verb, line, &args);
    if (result != CLI_WRONG || !strstr(message, wanted) || strchr(message, '\n'))
        fail_msg("'%s %s' gave %d '%s', wanted '%s'", verb, line, (int)result, message, wanted);
}

/* Every verb's defaults keep the table's own ranges (set_defaults asserts), and names are not taken twice. */
static void the_table_is_sound(void **state) {
    (void)state;
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        cli_args args;
        assert_non_null(v->run);
        cli_parse_result result = parse(v->name, "", &args);
        assert_true(result == CLI_RUN || strstr(message, "is missing"));
        for (int i = 0; v->options[i].name; i++) {
            const cli_option *o = &v->options[i];
            assert_true(o->help && *o->help && i < CLI_MAX_OPTIONS);
            assert_int_equal(o->kind == CLI_CHOICE, o->choices != NULL);
            for (int j = 0; j < i; j++) assert_string_not_equal(o->name, v->options[j].name);
        }
    }
}

/* What help calls a default is what other programs get from the library. */
static void defaults_are_the_librarys(void **state) {
    (void)state;
    cli_args a = good("train", "--data d");
    revbifpn_train_config t = revbifpn_default_train();
    assert_true(cli_int(&a, "epochs") == t.epochs && cli_int(&a, "batch") == t.batch);
    assert_true(cli_int(&a, "warmup-epochs") == t.warmup_epochs);
    assert_true(cli_int(&a, "checkpoint-steps") == t.checkpoint_steps);
    assert_string_equal(cli_text(&a, "tensorboard"), t.tensorboard ? "on" : "off");
    assert_true(cli_real(&a, "lr") == t.lr && cli_real(&a, "momentum") == t.momentum);
    assert_true(cli_real(&a, "weight-decay") == t.weight_decay && cli_real(&a, "smoothing") == t.smoothing);
    assert_true(cli_int(&a, "accumulate") == t.accumulate && cli_real(&a, "clip-grad") == t.clip_grad);
    assert_true(cli_get(&a, "opt-betas")->real == t.beta1 && cli_get(&a, "opt-betas")->second == t.beta2);
    assert_true(cli_real(&a, "model-ema-decay") == t.model_ema_decay && !t.model_ema && !t.model_ema_warmup);
    assert_string_equal(cli_text(&a, "opt"), "sgd");
    assert_string_equal(cli_text(&a, "sched"), "rise-fall");
    assert_string_equal(cli_text(&a, "clip-mode"), "norm");
    assert_true(t.opt == REVBIFPN_SGD && t.sched == REVBIFPN_RISE_FALL && t.clip_mode == REVBIFPN_CLIP_NORM);
    assert_true(cli_real(&a, "warmup-lr") == t.warmup_lr && cli_real(&a, "min-lr") == t.min_lr);
    assert_true(cli_real(&a, "decay-epochs") == t.decay_epochs && cli_real(&a, "decay-rate") == t.decay_rate);
    assert_true(cli_int(&a, "cooldown-epochs") == t.cooldown_epochs && !t.warmup_prefix &&
                !t.sched_on_updates);
    assert_true(t.lr_noise_from == 0 && t.lr_noise_to == 0 && cli_real(&a, "lr-noise-pct") == t.lr_noise_pct);
    assert_true(cli_real(&a, "lr-noise-std") == t.lr_noise_std && cli_real(&a, "lr-k-decay") == t.lr_k_decay);
    assert_true(cli_int(&a, "lr-cycle-limit") == t.lr_cycle_limit && !t.bce_loss && !t.bce_sum);
    assert_true(cli_real(&a, "lr-cycle-mul") == t.lr_cycle_mul && t.bce_target_thresh == 0);
    assert_true(cli_real(&a, "lr-cycle-decay") == t.lr_cycle_decay);
    assert_true(cli_get(&a, "scale")->real == t.scale_min && cli_get(&a, "scale")->second == t.scale_max);
    assert_true(cli_get(&a, "ratio")->real == t.ratio_min && cli_get(&a, "ratio")->second == t.ratio_max);
    assert_true(cli_real(&a, "hflip") == t.hflip && cli_real(&a, "crop-pct") == t.crop_pct);
    assert_true(cli_real(&a, "val-fraction") == t.val_fraction);
    assert_string_equal(cli_text(&a, "interpolation"), t.interpolation);
    assert_true(!cli_text(&a, "train-interpolation") && !*t.train_interpolation);
    assert_true(!cli_text(&a, "aa") && !*t.aa && !cli_text(&a, "color-jitter") && !*t.color_jitter);
    assert_true(cli_real(&a, "vflip") == t.vflip && cli_int(&a, "aug-repeats") == t.aug_repeats);
    assert_true(cli_real(&a, "reprob") == t.reprob && cli_int(&a, "recount") == t.recount);
    assert_true(cli_real(&a, "mixup") == t.mixup && cli_real(&a, "cutmix") == t.cutmix);
    assert_true(cli_get(&a, "cutmix-minmax")->real == t.cutmix_min &&
                cli_get(&a, "cutmix-minmax")->second == t.cutmix_max);
    assert_true(cli_real(&a, "mixup-prob") == t.mixup_prob &&
                cli_int(&a, "mixup-off-epoch") == t.mixup_off_epoch);
    assert_true(cli_real(&a, "mixup-switch-prob") == t.mixup_switch_prob);
    assert_string_equal(cli_text(&a, "remode"), t.remode);
    assert_string_equal(cli_text(&a, "mixup-mode"), t.mixup_mode);
    assert_true((uint64_t)cli_int(&a, "seed") == t.seed && cli_int(&a, "workers") == t.workers);
    assert_true((uint64_t)cli_int(&a, "max-pixels") == t.max_pixels && cli_int(&a, "max-bad") == t.max_bad);
    assert_true(cli_get(&a, "max-memory")->bytes == t.max_memory && t.activations == REVBIFPN_REVERSIBLE);
    assert_true(!t.apply_exif && !t.bn_update_double);

    a = good("val", "--data d --weights w");
    revbifpn_val_options v = revbifpn_default_val();
    assert_true(cli_int(&a, "batch") == v.batch && cli_int(&a, "workers") == v.workers);
    assert_true(cli_int(&a, "max-bad") == v.max_bad && cli_real(&a, "crop-pct") == v.crop_pct);
    assert_true((uint64_t)cli_int(&a, "max-pixels") == v.max_pixels && !v.apply_exif);

    a = good("synth", "--out d");
    revbifpn_synth_options s = revbifpn_default_synth();
    assert_true(cli_int(&a, "images") == s.train_images && cli_int(&a, "val-images") == s.val_images);
    assert_true(cli_int(&a, "classes") == s.classes && cli_get(&a, "imgsz")->integer == s.side);
    assert_true((uint64_t)cli_int(&a, "seed") == s.seed);

    a = good("bench", "");
    revbifpn_bench_options b = revbifpn_default_bench();
    assert_true(cli_int(&a, "batch") == b.batch && cli_int(&a, "steps") == b.steps && b.training);
    assert_true(cli_int(&a, "workers") == b.workers && !cli_text(&a, "data") && !b.data);
}

static void both_ways_of_writing_a_value(void **state) {
    (void)state;
    cli_args a = good("plan", "--batch 7 --model=s3 --json");
    assert_int_equal(cli_int(&a, "batch"), 7);
    assert_string_equal(cli_text(&a, "model"), "s3");
    assert_true(cli_given(&a, "json") && !cli_given(&a, "infer"));
    a = good("plan", "--batch 7 --batch=8");
    assert_int_equal(cli_int(&a, "batch"), 8);
    a = good("plan", "");
    assert_true(!cli_given(&a, "batch") && cli_int(&a, "batch") == 1);
    assert_string_equal(cli_text(&a, "activations"), "reversible");
    assert_null(cli_text(&a, "cpu"));
    a = good("predict", "--source=--odd=name --weights w"); /* only = can give a value that begins with -- */
    assert_string_equal(cli_text(&a, "source"), "--odd=name");
}

static void kinds_of_values(void **state) {
    (void)state;
    cli_args a = good("train", "--data d --imgsz 96 --scale 0.5,0.75 --lr 1e-3 --max-memory 4G");
    assert_true(cli_get(&a, "imgsz")->width == 96 && cli_get(&a, "imgsz")->height == 96);
    assert_true(cli_get(&a, "scale")->real == 0.5 && cli_get(&a, "scale")->second == 0.75);
    assert_true(cli_real(&a, "lr") == 1e-3);
    assert_true(cli_get(&a, "max-memory")->bytes == (uint64_t)4 << 30);
    a = good("train", "--data d --imgsz 320x64 --max-memory 1.5K");
    assert_true(cli_get(&a, "imgsz")->width == 320 && cli_get(&a, "imgsz")->height == 64);
    assert_true(cli_get(&a, "max-memory")->bytes == 1536);
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {{"0", 0},
                 {"17", 17},
                 {"512M", 512u << 20},
                 {"512m", 512u << 20},
                 {"2GiB", (uint64_t)2 << 30},
                 {"2GB", (uint64_t)2 << 30},
                 {"1T", (uint64_t)1 << 40}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char line[64];
        snprintf(line, sizeof line, "--data d --max-memory %s", sizes[i].text);
        a = good("train", line);
        assert_true(cli_get(&a, "max-memory")->bytes == sizes[i].bytes);
    }
}

static void wrong_words_are_told_the_nearest(void **state) {
    (void)state;
    wrong("train", "--dta d", "the nearest is --data");
    wrong("train", "--data d --wieght-decay 1", "the nearest is --weight-decay");
    wrong("train", "--data d --weight-d 1", "the nearest is --weight-decay");
    wrong("train", "--data d --img 96", "the nearest is --imgsz");
    wrong("train", "--data d --batch-size 4", "the nearest is --batch");
    wrong("plan", "-batch 4", "--batch");
    wrong("plan", "s3", "'s3' is not an option");
    wrong("plan", "--", "'--' is not an option");
    wrong("plan", "--=3", "is not an option");
    wrong("plan", "--activations store", "the nearest is 'stored'");
    wrong("plan", "--activations revers", "the nearest is 'reversible'");
    wrong("plan", "--cpu=sse", "ref|avx2|avx512");
    char long_line[600] = "--";
    memset(long_line + 2, 'x', 500);
    wrong("plan", long_line, "the nearest is --");
}

static void wrong_values_are_told_the_range(void **state) {
    (void)state;
    wrong("plan", "--batch 0", "must be 1 … 65536; the nearest is 1");
    wrong("plan", "--batch 70000", "the nearest is 65536");
    wrong("plan", "--batch 99999999999999999999", "the nearest is 65536");
    wrong("plan", "--batch -3", "--batch is -3");
    wrong("plan", "--batch 2.5", "not a whole number");
    wrong("plan", "--batch 5x", "not a whole number");
    wrong("plan", "--batch= 5", "is empty");
    wrong("train", "--data d --lr nan", "not a number");
    wrong("train", "--data d --lr inf", "not a number");
    wrong("train", "--data d --lr -1", "must be 0 … 1000; the nearest is 0");
    wrong("train", "--data d --smoothing 1", "the nearest is 0.99");
    wrong("train", "--data d --scale 0.5", "pair of numbers");
    wrong("train", "--data d --scale 0.5,", "pair of numbers");
    wrong("train", "--data d --scale 0.5,0.6,0.7", "pair of numbers");
    wrong("train", "--data d --scale 1,0.5", "did you mean 0.5,1?");
    wrong("train", "--data d --scale 0.5,2", "the nearest is 0.5,1");
    wrong("train", "--data d --imgsz 32x", "not a size");
    wrong("train", "--data d --imgsz x32", "not a size");
    wrong("train", "--data d --imgsz 32x32x3", "not a size");
    wrong("train", "--data d --imgsz -32", "not a size");
    wrong("train", "--data d --imgsz 0", "each side must be 1 … 65536");
    wrong("train", "--data d --imgsz 99999999999999999999", "each side must be");
    wrong("train", "--data d --max-memory 4X", "not a size of memory");
    wrong("train", "--data d --max-memory -4G", "not a size of memory");
    wrong("train", "--data d --max-memory 1e300", "not a size of memory");
    wrong("train", "--data d --max-memory 4Gx", "not a size of memory");
    wrong("train", "--data d --max-memory nan", "not a size of memory");
}

static void missing_and_superfluous_values(void **state) {
    (void)state;
    wrong("plan", "--batch", "--batch needs a value");
    wrong("plan", "--batch --json", "--batch needs a value");
    wrong("plan", "--model=", "is empty");
    wrong("plan", "--json=yes", "--json takes no value");
    wrong("val", "--data d", "--weights FILE is missing");
    wrong("predict", "--weights w", "--source FILE|DIR|GLOB|- is missing");
    cli_args args;
    assert_int_equal(parse("val", "--data d --help", &args), CLI_HELP);
    assert_int_equal(parse("val", "--wrong -h", &args), CLI_HELP);
}

static void edit_distances(void **state) {
    (void)state;
    assert_int_equal(cli_edit_distance("", ""), 0);
    assert_int_equal(cli_edit_distance("abc", ""), 3);
    assert_int_equal(cli_edit_distance("train", "trian"), 1);
    assert_int_equal(cli_edit_distance("train", "TRAIN"), 0);
    assert_int_equal(cli_edit_distance("kitten", "sitting"), 3);
}

/* Help names every option of the verb and keeps within 100 columns. */
static void help_is_complete_and_narrow(void **state) {
    (void)state;
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        assert_non_null(out);
        cli_help_verb(out, v);
        fclose(out);
        for (const cli_option *o = v->options; o->name; o++) {
            char wanted[80];
            snprintf(wanted, sizeof wanted, "\n  --%s ", o->name);
            if (!strstr(text, wanted)) fail_msg("%s --help has no --%s", v->name, o->name);
        }
        int column = 0;
        for (const char *p = text; *p; p++) {
            column = *p == '\n' ? 0 : column + (((unsigned char)*p & 0xc0) != 0x80);
            if (column > 100) fail_msg("%s --help: a line is wider than 100 columns", v->name);
        }
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(defaults_are_the_librarys),
        cmocka_unit_test(both_ways_of_writing_a_value),
        cmocka_unit_test(kinds_of_values),
        cmocka_unit_test(wrong_words_are_told_the_nearest),
        cmocka_unit_test(wrong_values_are_told_the_range),
        cmocka_unit_test(missing_and_superfluous_values),
        cmocka_unit_test(edit_distances),
        cmocka_unit_test(help_is_complete_and_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
