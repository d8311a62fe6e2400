/* Prints the logits of a picture, one class a line, as index, value and name:
 *
 *     logits WEIGHTS PICTURE
 *
 * WEIGHTS may be a .pth of PyTorch, the published ones among them, or safetensors. The picture is prepared as
 * the weights say; revbifpn_predict_file would go on to probabilities.
 */
#include <revbifpn.h>
#include <stdio.h>
#include <stdlib.h>

static revbifpn_status run(revbifpn_model *model, const char *picture, float *input, float *logits) {
    const revbifpn_model_config *c = revbifpn_model_configuration(model);
    revbifpn_status status = revbifpn_input_read(model, picture, input);
    if (status != REVBIFPN_OK) return status;
    return revbifpn_run(model, input, 1, c->image_width, c->image_height, 0, &logits);
}

static void print(const revbifpn_model *model, const float *logits) {
    for (int i = 0; i < revbifpn_model_configuration(model)->classes; i++) {
        const char *name = revbifpn_model_class(model, i); /* published weights have no names */
        printf("%d %.9g%s%s\n", i, (double)logits[i], name ? " " : "", name ? name : "");
    }
}

/* 0, or 1 after a line that says why. */
static int say_logits(const revbifpn *ctx, revbifpn_model *model, const char *picture) {
    const revbifpn_model_config *c = revbifpn_model_configuration(model);
    if (c->classes < 1) {
        fprintf(stderr, "logits: this network ends at its maps\n");
        return 1;
    }
    size_t pixels = (size_t)c->image_width * (size_t)c->image_height; /* of each channel */
    float *input = (float *)malloc((size_t)c->input_channels * pixels * sizeof *input);
    float *logits = (float *)malloc((size_t)c->classes * sizeof *logits);
    int failed = !input || !logits || run(model, picture, input, logits);
    if (failed)
        fprintf(stderr, "logits: %s\n", input && logits ? revbifpn_message(ctx) : "out of memory");
    else
        print(model, logits);
    free(input);
    free(logits);
    return failed;
}

int main(int argc, char **argv) {
    revbifpn *ctx = NULL;
    revbifpn_model *model = NULL;
    if (argc < 3) {
        fprintf(stderr, "usage: logits WEIGHTS PICTURE\n");
        return 2;
    }
    int failed = revbifpn_open(&ctx, NULL) || revbifpn_model_load(ctx, argv[1], &model);
    if (failed)
        fprintf(stderr, "logits: %s\n", revbifpn_message(ctx));
    else
        failed = say_logits(ctx, model, argv[2]);
    revbifpn_model_free(&model);
    revbifpn_close(&ctx);
    return failed;
}
