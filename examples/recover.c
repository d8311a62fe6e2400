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

typedef struct work {
    revbifpn *ctx;
    revbifpn_model *model;
    revbifpn_image image, seen, recovered;
} work;

static revbifpn_status open_model(work *w, const char *weights) {
    revbifpn_model_config config;
    if (weights) return revbifpn_model_load(w->ctx, weights, &w->model);
    revbifpn_status status = revbifpn_config(w->ctx, "s0", &config);
    return status ? status : revbifpn_model_create(w->ctx, &config, 0, &w->model);
}

/* 0, or 1 with the reason in the context. */
static int recover(work *w, const char *in, const char *out, const char *weights) {
    return revbifpn_open(&w->ctx, NULL) || revbifpn_image_read(w->ctx, in, &w->image) ||
           open_model(w, weights) || revbifpn_recover(w->model, &w->image, &w->seen, &w->recovered) ||
           revbifpn_image_write_png(w->ctx, out, &w->recovered);
}

static int tell(const work *w, const char *out) {
    size_t bytes = (size_t)w->seen.width * (size_t)w->seen.height * 3;
    int equal = !memcmp(w->seen.pixels, w->recovered.pixels, bytes);
    printf("%s: %dx%d, %s the picture that the network saw\n", out, w->recovered.width, w->recovered.height,
           equal ? "equal to the byte to" : "DIFFERS from");
    return !equal;
}

int main(int argc, char **argv) {
    work w = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: recover PICTURE OUT.png [WEIGHTS.safetensors]\n");
        return 2;
    }
    int code = recover(&w, argv[1], argv[2], argc > 3 ? argv[3] : NULL);
    if (code)
        fprintf(stderr, "recover: %s\n", revbifpn_message(w.ctx));
    else
        code = tell(&w, argv[2]);
    revbifpn_image_free(&w.image);
    revbifpn_image_free(&w.seen);
    revbifpn_image_free(&w.recovered);
    revbifpn_model_free(&w.model);
    revbifpn_close(&w.ctx);
    return code ? 1 : 0;
}
