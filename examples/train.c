/* Trains S0 on a folder of pictures, keeps the best weights, and asks them about one picture:
 *
 *     train PICTURES RUN PICTURE [EPOCHS [SIDE]]
 *
 * PICTURES holds train/CLASS/ and val/CLASS/ (or whatever else `revbifpn train --data` reads). RUN becomes
 * the run folder: weights, results.csv, report.html, checkpoints. Called again with the same RUN, it goes on
 * where it was.
 */
#include <revbifpn.h>
#include <stdio.h>
#include <stdlib.h>

static revbifpn_status configure(revbifpn *ctx, char **words, int count, revbifpn_train_config *c) {
    revbifpn_status status = revbifpn_config(ctx, "s0", &c->model);
    if (status != REVBIFPN_OK) return status;
    c->model.classes = 0; /* as many as the data has */
    c->data = words[1];
    c->out = words[2];
    if (count > 4) c->epochs = atoi(words[4]);
    if (count > 5) c->model.image_width = c->model.image_height = atoi(words[5]);
    return REVBIFPN_OK;
}

static int holds_run(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/args.json", folder);
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

/* Steps until there are no more. The caller could leave at any of them and go on another day. */
static revbifpn_status train(revbifpn_trainer *trainer) {
    revbifpn_report report;
    revbifpn_status status;
    printf("memory of a step: %llu bytes\n",
           (unsigned long long)revbifpn_trainer_memory(trainer)->total_bytes);
    while ((status = revbifpn_trainer_step(trainer, &report)) == REVBIFPN_OK)
        if (report.epoch_done)
            printf("epoch %d of %d: loss %.4f, top-1 %.4f%s\n", report.epoch, report.epochs, report.mean_loss,
                   report.val.top1, report.improved ? ", best so far" : "");
    return status == REVBIFPN_STOPPED && report.finished ? REVBIFPN_OK : status;
}

static revbifpn_status ask(revbifpn *ctx, const char *run, const char *picture) {
    char weights[4096];
    revbifpn_model *model = NULL;
    revbifpn_prediction best;
    int found = 0;
    snprintf(weights, sizeof weights, "%s/weights/best.safetensors", run);
    revbifpn_status status = revbifpn_model_load(ctx, weights, &model);
    if (status == REVBIFPN_OK) status = revbifpn_predict_file(model, picture, &best, 1, &found);
    if (status == REVBIFPN_OK) printf("%s: %s, %.4f\n", picture, best.name, best.probability);
    revbifpn_model_free(&model);
    return status;
}

int main(int argc, char **argv) {
    revbifpn *ctx = NULL;
    revbifpn_trainer *trainer = NULL;
    revbifpn_train_config config = revbifpn_default_train();
    if (argc < 4) {
        fprintf(stderr, "usage: train PICTURES RUN PICTURE [EPOCHS [SIDE]]\n");
        return 2;
    }
    int failed = revbifpn_open(&ctx, NULL) || configure(ctx, argv, argc, &config) ||
                 revbifpn_trainer_open(ctx, &config, holds_run(config.out), &trainer) || train(trainer);
    revbifpn_trainer_close(&trainer);
    failed = failed || ask(ctx, config.out, argv[3]);
    if (failed) fprintf(stderr, "train: %s\n", revbifpn_message(ctx));
    revbifpn_close(&ctx);
    return failed;
}
