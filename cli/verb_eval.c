/* revbifpn eval: COCO's twelve numbers for a file of results. */
#include <stdlib.h>
#include <string.h>

#include "coco.h"
#include "print.h"
#include "verbs.h"

/* Categories come before the means; they are printed after. */
typedef struct listing {
    FILE *out;
    bool json, some;
} listing;

static void add_class(void *user, const revbifpn_coco_class *c) {
    listing *l = user;
    if (!l->json) {
        cli_coco_class(l->out, c);
        return;
    }
    fputs(l->some ? "," : "", l->out);
    cli_coco_class_json(l->out, c);
    l->some = true;
}

static void print_text(const revbifpn_coco_report *r, const char *classes) {
    cli_coco_lines(r->stats);
    if (*classes) printf("\n" CLI_COCO_CLASSES "%s", classes);
}

static void print_json(const revbifpn_coco_report *r, const char *type, const char *classes) {
    printf("{\"type\": \"%s\", \"stats\": ", type);
    cli_coco_json(stdout, r->stats);
    printf(", \"images\": %llu, \"categories\": %llu, \"objects\": %llu, \"detections\": %llu, "
           "\"objects_left_out\": %llu, \"detections_left_out\": %llu",
           (unsigned long long)r->images, (unsigned long long)r->categories, (unsigned long long)r->objects,
           (unsigned long long)r->detections, (unsigned long long)r->objects_left_out,
           (unsigned long long)r->detections_left_out);
    if (*classes) printf(", \"per_class\": [%s]", classes);
    printf("}\n");
}

/* What silently counts for nothing elsewhere. */
static void print_left_out(const revbifpn_coco_report *r) {
    if (r->objects_left_out)
        fprintf(stderr,
                "revbifpn eval: %llu annotations of images or categories that the file does not list are "
                "left out\n",
                (unsigned long long)r->objects_left_out);
    if (r->detections_left_out)
        fprintf(stderr,
                "revbifpn eval: %llu results of categories that the annotations do not list are left out\n",
                (unsigned long long)r->detections_left_out);
}

int verb_eval(const cli_args *args) {
    revbifpn *ctx = NULL;
    revbifpn_coco_report report;
    revbifpn_coco_options options = revbifpn_default_coco();
    const char *type = cli_text(args, "type");
    char *classes = NULL;
    size_t size = 0;
    listing l = {.json = cli_given(args, "json")};
    int code = cli_open(args, &ctx);
    if (code) return code;
    options.gt = cli_text(args, "gt");
    options.dt = cli_text(args, "dt");
    options.masks = !strcmp(type, "segm");
    if (cli_given(args, "per-class")) {
        l.out = open_memstream(&classes, &size);
        options.class_stats = l.out ? add_class : NULL;
        options.user = &l;
    }
    revbifpn_status status = revbifpn_eval_coco(ctx, &options, &report);
    bool lost = cli_given(args, "per-class") && (!l.out || fclose(l.out));
    if (status != REVBIFPN_OK) {
        code = cli_report(args, ctx, status);
    } else if (lost) {
        fprintf(stderr, "revbifpn eval: out of memory for the categories\n");
        code = CLI_FAILED;
    } else {
        print_left_out(&report);
        if (l.json)
            print_json(&report, type, classes ? classes : "");
        else
            print_text(&report, classes ? classes : "");
    }
    free(classes);
    revbifpn_close(&ctx);
    return code;
}
