/* revbifpn inspect: the layers of a network. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "detector.h"
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

static void print_layers(const revbifpn_model_config *c, const layer_list *list) {
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
    printf("%zu layers, ", list->count);
}

/* What is asked about: a classifier, or with `detects` a detector. */
typedef struct subject {
    revbifpn_model_config model;
    revbifpn_detector_config detector; /* its backbone is `model` */
    bool detects;
    layer_list list;
    revbifpn_cost cost;
    revbifpn_detector_cost detector_cost;
} subject;

static void print_text(const subject *s) {
    const revbifpn_detector_cost *d = &s->detector_cost;
    print_layers(&s->model, &s->list);
    if (s->detects)
        printf("%s parameters, %s MACs, of which %s need forming (by the rule of the published figures %s; "
               "norms counted %s)\n",
               cli_count(d->parameters), cli_count(d->macs), cli_count(d->macs_run),
               cli_count(d->macs_published), cli_count(d->macs_published_norms));
    else
        printf("%s parameters, %s MACs (%s by the rule of the published figures)\n",
               cli_count(s->cost.parameters), cli_count(s->cost.macs), cli_count(s->cost.macs_published));
}

static void print_cost_json(const revbifpn_cost *cost) {
    printf("\"parameters\": %" PRIu64 ", \"macs\": %" PRIu64 ", \"macs_published_rule\": %" PRIu64,
           cost->parameters, cost->macs, cost->macs_published);
}

static void print_detector_json(const subject *s) {
    const revbifpn_detector_cost *d = &s->detector_cost;
    printf("\"task\": \"%s\", \"parameters\": %" PRIu64 ", \"macs\": %" PRIu64 ", \"macs_run\": %" PRIu64
           ", \"macs_published_rule\": %" PRIu64 ", \"macs_published_rule_with_norms\": %" PRIu64,
           s->detector.masks ? "segment" : "detect", d->parameters, d->macs, d->macs_run, d->macs_published,
           d->macs_published_norms);
}

static void print_json(const subject *s) {
    const layer_list *list = &s->list;
    printf("{\"model\": ");
    cli_json_string(stdout, s->model.name);
    printf(", \"width\": %d, \"height\": %d, ", s->model.image_width, s->model.image_height);
    if (s->detects)
        print_detector_json(s);
    else
        print_cost_json(&s->cost);
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

static revbifpn_status inspect(const cli_args *args, revbifpn *ctx, subject *s) {
    s->detects = cli_detects(args);
    revbifpn_status status =
        s->detects ? cli_detector(args, ctx, &s->detector) : cli_model(args, ctx, &s->model);
    if (status != REVBIFPN_OK) return status;
    if (!s->detects)
        return revbifpn_inspect(ctx, &s->model, s->model.image_width, s->model.image_height, add_layer,
                                &s->list, &s->cost);
    s->model = s->detector.backbone;
    return revbifpn_inspect_detector(ctx, &s->detector, s->model.image_width, s->model.image_height,
                                     add_layer, &s->list, &s->detector_cost);
}

int verb_inspect(const cli_args *args) {
    revbifpn *ctx = NULL;
    subject s = {0};
    int code = cli_open(args, &ctx);
    if (code) return code;
    revbifpn_status status = inspect(args, ctx, &s);
    if (status != REVBIFPN_OK) {
        code = cli_report(args, ctx, status);
    } else if (s.list.failed) {
        code = cli_report(args, NULL, REVBIFPN_OUT_OF_MEMORY);
    } else if (cli_given(args, "json")) {
        print_json(&s);
    } else {
        print_text(&s);
    }
    free(s.list.layers);
    revbifpn_close(&ctx);
    return code;
}
