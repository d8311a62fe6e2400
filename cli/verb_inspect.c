/* revbifpn inspect: the layers of a network. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"
#include "verbs.h"

typedef struct layer_list {
    revbifpn_layer *layers;
    size_t count, capacity;
    bool failed;
} layer_list;

static void add_layer(void *user, const revbifpn_layer *layer) {
    layer_list *list = user;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 256;
        revbifpn_layer *grown = realloc(list->layers, capacity * sizeof *grown);
        if (!grown) {
            list->failed = true;
            return;
        }
        list->layers = grown;
        list->capacity = capacity;
    }
    list->layers[list->count++] = *layer;
}

static void shape_text(char text[48], int channels, int height, int width) {
    snprintf(text, 48, "%dx%dx%d", channels, height, width);
}

static void print_text(const revbifpn_model_config *c, const layer_list *list, const revbifpn_cost *total) {
    int longest = 4;
    for (size_t i = 0; i < list->count; i++) {
        int length = (int)strlen(list->layers[i].name);
        if (length > longest) longest = length;
    }
    printf("%s at %d × %d\n", c->name, c->image_width, c->image_height);
    printf("%-*s  %-14s %14s %14s  %3s %3s %3s %4s %12s %14s\n", longest, "name", "kind", "in (c,h,w)",
           "out (c,h,w)", "k", "s", "e", "se", "parameters", "MACs");
    for (size_t i = 0; i < list->count; i++) {
        const revbifpn_layer *l = &list->layers[i];
        char in[48], out[48];
        shape_text(in, l->in_channels, l->in_height, l->in_width);
        shape_text(out, l->out_channels, l->out_height, l->out_width);
        printf("%-*s  %-14s %14s %14s  %3d %3d %3d %4d %12" PRIu64 " %14" PRIu64 "\n", longest, l->name,
               l->kind, in, out, l->kernel, l->stride, l->expansion, l->squeeze, l->cost.parameters,
               l->cost.macs);
    }
    printf("%zu layers, %s parameters, %s MACs (%s by the rule of the published figures)\n", list->count,
           cli_count(total->parameters), cli_count(total->macs), cli_count(total->macs_published));
}

static void print_cost_json(const revbifpn_cost *cost) {
    printf("\"parameters\": %" PRIu64 ", \"macs\": %" PRIu64 ", \"macs_published_rule\": %" PRIu64,
           cost->parameters, cost->macs, cost->macs_published);
}

static void print_json(const revbifpn_model_config *c, const layer_list *list, const revbifpn_cost *total) {
    printf("{\"model\": ");
    cli_json_string(stdout, c->name);
    printf(", \"width\": %d, \"height\": %d, ", c->image_width, c->image_height);
    print_cost_json(total);
    printf(", \"layers\": [");
    for (size_t i = 0; i < list->count; i++) {
        const revbifpn_layer *l = &list->layers[i];
        printf("%s\n  {\"name\": ", i ? "," : "");
        cli_json_string(stdout, l->name);
        printf(", \"kind\": ");
        cli_json_string(stdout, l->kind);
        printf(", \"in\": [%d, %d, %d], \"out\": [%d, %d, %d]", l->in_channels, l->in_height, l->in_width,
               l->out_channels, l->out_height, l->out_width);
        printf(", \"kernel\": %d, \"stride\": %d, \"expansion\": %d, \"squeeze\": %d, ", l->kernel, l->stride,
               l->expansion, l->squeeze);
        print_cost_json(&l->cost);
        printf("}");
    }
    printf("\n]}\n");
}

int verb_inspect(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_model_config config;
    revbifpn_cost total;
    layer_list list = {0};
    int code = cli_open(args, &ctx);
    if (code) return code;
    revbifpn_status status = cli_model(args, ctx, &config);
    if (status == REVBIFPN_OK)
        status =
            revbifpn_inspect(ctx, &config, config.image_width, config.image_height, add_layer, &list, &total);
    if (status != REVBIFPN_OK) {
        code = cli_report(args, ctx, status);
    } else if (list.failed) {
        code = cli_report(args, NULL, REVBIFPN_OUT_OF_MEMORY);
    } else if (cli_given(args, "json")) {
        print_json(&config, &list, &total);
    } else {
        print_text(&config, &list, &total);
    }
    free(list.layers);
    revbifpn_close(&ctx);
    return code;
}
