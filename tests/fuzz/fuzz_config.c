/* libFuzzer target for JSON from outside: the same bytes as the configuration of a network, as args.json of a
 * run, as config.json beside weights, as class names and preprocessing, as steps.jsonl and tensors.hash. What
 * is taken can be written, and is then read as the same. Without libFuzzer the function runs over the files
 * named on the command line, and all their beginnings. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/args.h"
#include "io/card.h"
#include "io/config.h"
#include "io/steps.h"
#include "io/weights_json.h"
#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_config: %s\n", what);
    abort();
}

static void insist_told(revbifpn_status status, const rb_error *err) {
    insist(!status || (status == REVBIFPN_BAD_FILE && err->text[0] && !strchr(err->text, '\n')), err->text);
}

static void as_network(const char *text, size_t size) {
    rb_error err = {0};
    revbifpn_model_config config, again;
    char *written = NULL;
    revbifpn_status status = rb_config_from_json("config.json", text, size, &config, &err);
    insist_told(status, &err);
    if (status) return;
    insist(!rb_config_check(&config, &err), err.text);
    insist(!rb_config_to_json(&config, &written, &err), err.text);
    insist(!rb_config_from_json("written", written, strlen(written), &again, &err), err.text);
    insist(!memcmp(&config, &again, sizeof config), "another network after writing it");
    rb_free(written);
}

static void differ(void *user, const char *name, const char *old, const char *new) {
    (void)user, (void)old, (void)new;
    insist(0, name);
}

static void as_arguments(const char *text, size_t size) {
    rb_error err = {0};
    revbifpn_train_config args, again;
    char *strings, *strings_again, *written = NULL;
    revbifpn_status status = rb_args_from_json("args.json", text, size, &args, &strings, &err);
    insist_told(status, &err);
    insist(!status == (strings != NULL), "status and result differ");
    if (status) return;
    insist(!rb_args_to_json(&args, &written, &err), err.text);
    insist(!rb_args_from_json("written", written, strlen(written), &again, &strings_again, &err), err.text);
    insist(!rb_args_compare(&args, &again, differ, NULL, &err), err.text);
    rb_free(written);
    rb_free(strings_again);
    rb_free(strings);
}

static char folder[] = "/tmp/revbifpn-fuzz-XXXXXX", weights[64], card[64];

static void remove_folder(void) { rmdir(folder); }

/* config.json lies beside the weights, so this one lies in a folder. */
static void as_card(const char *text, size_t size) {
    rb_error err = {0};
    rb_weights_info info = {0};
    bool found = false;
    if (!weights[0]) {
        insist(mkdtemp(folder) && !atexit(remove_folder), "cannot make a folder");
        snprintf(weights, sizeof weights, "%s/w.pth", folder);
        snprintf(card, sizeof card, "%s/config.json", folder);
    }
    FILE *f = fopen(card, "wbe");
    insist(f && fwrite(text, 1, size, f) == size && !fclose(f), "cannot write the input");
    revbifpn_status status = rb_card_read(weights, &found, &info, &err);
    insist_told(status, &err);
    insist(!found || !rb_config_check(&info.config, &err), err.text);
    insist(!info.class_count || info.class_count == info.config.classes, "another number of classes");
    rb_weights_info_close(&info);
    unlink(card);
}

static void as_metadata(const char *text) {
    rb_error err = {0};
    rb_weights_info info = {.config = {.classes = 2}};
    rb_preprocess p;
    insist_told(rb_classes_from_json("weights", text, &info, &err), &err);
    insist(!info.class_count || info.class_count == 2, "another number of classes");
    rb_weights_info_close(&info);
    revbifpn_status status = rb_preprocess_from_json("weights", text, 3, &p, &err);
    insist_told(status, &err);
    insist(status || (p.crop_pct > 0 && p.crop_pct <= 1), "crop_pct out of range");
}

/* Records of steps, and of hashes. */
static void as_steps(const char *text, size_t size) {
    rb_error err = {0};
    rb_steps_reader steps;
    rb_hashes_reader hashes;
    rb_step_record record;
    char file[64];
    bool more = true;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    insist(fd >= 0 && write(fd, text, size) == (ssize_t)size, "cannot write the input");
    snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
    insist(!rb_steps_open(&steps, file, &err), err.text);
    while (more) {
        revbifpn_status status = rb_steps_next(&steps, &record, &more, &err);
        insist_told(status, &err);
        if (status) break;
        insist(steps.read <= size && (!more || (record.epoch > 0 && record.step > 0)), "a wrong step");
    }
    rb_steps_close(&steps);
    revbifpn_status status = rb_hashes_open(&hashes, file, &err);
    insist_told(status, &err);
    for (more = !status; more;) {
        status = rb_hashes_next(&hashes, &more, &err);
        insist_told(status, &err);
        if (status) break;
        insist(hashes.read <= size, "more hashes than bytes");
    }
    rb_hashes_close(&hashes);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    insist(text != NULL, "out of memory");
    if (size) memcpy(text, data, size);
    text[size] = 0;
    as_network((const char *)data, size);
    as_arguments((const char *)data, size);
    as_card((const char *)data, size);
    as_metadata(text);
    as_steps(text, size);
    free(text);
    return 0;
}

#ifndef REVBIFPN_FUZZ
#include "seeds.h"
#endif
