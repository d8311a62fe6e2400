/* Shows that the network is reversible: runs a picture up to the pyramid, keeps nothing else, inverts the
 * network and writes the picture that comes back.
 *
 *     recover PICTURE OUT.png [WEIGHTS.safetensors]
 *
 * Without weights a network with random ones is used: the inversion does not depend on what the weights are.
 */
#include <revbifpn.h>
#include <stdio.h>
#include <string.h>

static int report(revbifpn *ctx) {
    fprintf(stderr, "recover: %s\n", revbifpn_message(ctx));
    return 1;
}

static int recover(revbifpn *ctx, const char *in, const char *out, const char *weights) {
    revbifpn_model *model = NULL;
    revbifpn_model_config config;
    revbifpn_image image = {0}, seen = {0}, recovered = {0};
    if (revbifpn_image_read(ctx, in, &image)) return report(ctx);
    if (weights ? revbifpn_model_load(ctx, weights, &model)
                : revbifpn_config(ctx, "s0", &config) || revbifpn_model_create(ctx, &config, 0, &model))
        return report(ctx);
    if (revbifpn_recover(model, &image, &seen, &recovered)) return report(ctx);
    size_t bytes = (size_t)seen.width * (size_t)seen.height * 3;
    int equal = !memcmp(seen.pixels, recovered.pixels, bytes);
    if (revbifpn_image_write_png(ctx, out, &recovered)) return report(ctx);
    printf("%s: %dx%d, %s the picture that the network saw\n", out, recovered.width, recovered.height,
           equal ? "equal to the byte to" : "DIFFERS from");
    revbifpn_image_free(&image);
    revbifpn_image_free(&seen);
    revbifpn_image_free(&recovered);
    revbifpn_model_free(&model);
    return !equal;
}

int main(int argc, char **argv) {
    revbifpn *ctx = NULL;
    if (argc < 3) {
        fprintf(stderr, "usage: recover PICTURE OUT.png [WEIGHTS.safetensors]\n");
        return 2;
    }
    int code =
        revbifpn_open(&ctx, NULL) ? report(ctx) : recover(ctx, argv[1], argv[2], argc > 3 ? argv[3] : NULL);
    revbifpn_close(&ctx);
    return code;
}
