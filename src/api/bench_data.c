/* Steps fed from picture files between steps that are not, in one process: what feeding costs. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/bench.h"
#include "data/loader.h"

enum { RING = 4, BLOCK = 8 }; /* a ring as in training; steps in a block */

typedef struct feed {
    rb_bench *bench;
    rb_split found; /* pictures below a folder, whatever its layout; empty: … */
    rb_dataset set; /* … the pictures are those of a data set */
    const rb_split *split;
    double *seconds; /* steps: each fed step, its wait included */
    double *ratios;  /* blocks: median of the fed steps over that of the others */
    int blocks;
    double waited, preparing; /* seconds of wall and of processor time, over all blocks */
    uint64_t prepared;        /* pictures */
} feed;

static revbifpn_status open_loader(const feed *f, rb_loader **loader) {
    const revbifpn_bench_options *o = f->bench->options;
    revbifpn_train_config train = revbifpn_default_train();
    rb_loader_options options = {.split = f->split,
                                 .batch = o->batch,
                                 .training = true,
                                 .train = rb_train_transform_default(o->width, o->height),
                                 .epoch = (uint64_t)f->blocks,
                                 .threads = o->workers,
                                 .ring = RING,
                                 .max_bad = train.max_bad,
                                 .decode = {.max_pixels = train.max_pixels}};
    options.train.scale[0] = train.scale_min;
    options.train.scale[1] = train.scale_max;
    options.train.interpolation = RB_INTERPOLATION_BICUBIC;
    revbifpn_status status = rb_loader_open(loader, &options, &f->bench->ctx->error);
    return status ? rb_fail_prefix(&f->bench->ctx->error, "%s: ", o->data) : status;
}

/* A step and the wait for its batch before it. */
static revbifpn_status fed_step(feed *f, rb_loader *loader, double *seconds, double *waited) {
    rb_batch batch;
    double start = rb_profile_now();
    revbifpn_status status = rb_loader_next(loader, &batch, &f->bench->ctx->error);
    if (status != REVBIFPN_OK) return status;
    *waited = rb_profile_now() - start;
    status = rb_bench_step(f->bench, batch.images, batch.labels);
    *seconds = rb_profile_now() - start;
    return status;
}

/* A loader of its own, so that the steps between the blocks have none beside them. */
static revbifpn_status fed_steps(feed *f, int from, int count) {
    revbifpn_status status;
    rb_loader *loader = NULL;
    double seconds, waited;
    TRY(open_loader(f, &loader));
    for (int i = 0; i < RING; i++) TRY(fed_step(f, loader, &seconds, &waited));
    for (int i = from; i < from + count; i++) {
        TRY(fed_step(f, loader, &f->seconds[i], &waited));
        f->waited += waited;
    }
    rb_loader_work work = rb_loader_worked(loader);
    f->prepared += work.pictures;
    f->preparing += work.cpu_seconds;
fail:
    rb_loader_close(&loader);
    return status;
}

/* Sorts them. */
static double median(double *seconds, int count) {
    qsort(seconds, (size_t)count, sizeof *seconds, rb_bench_by_size);
    return seconds[count / 2];
}

static revbifpn_status run_blocks(feed *f) {
    revbifpn_status status = REVBIFPN_OK;
    rb_bench *b = f->bench;
    for (int from = 0; from < b->options->steps; from += BLOCK, f->blocks++) {
        int left = b->options->steps - from, count = left < BLOCK ? left : BLOCK;
        TRY(rb_bench_steps(b, from, count));
        TRY(fed_steps(f, from, count));
        f->ratios[f->blocks] = median(f->seconds + from, count) / median(b->seconds + from, count);
    }
fail:
    return status;
}

static void summarise(feed *f, revbifpn_bench_result *out) {
    const revbifpn_bench_options *o = f->bench->options;
    out->data_time_ratio = median(f->ratios, f->blocks);
    out->data_wait_seconds = f->waited / o->steps;
    out->preparing_cpu_seconds = f->preparing / (double)f->prepared;
    rb_bench_rates(f->seconds, o->steps, o->batch, &out->data_images_per_second_best,
                   &out->data_images_per_second_median);
}

/* Picture files below a folder; else shards, a list, CIFAR-10: as for training, of which both parts do. */
static revbifpn_status find_pictures(feed *f, rb_error *err) {
    struct stat info;
    const char *data = f->bench->options->data;
    rb_dataset_options options = {.purpose = RB_DATASET_ALL};
    bool folder = stat(data, &info) ? !strchr(data, '{') : S_ISDIR(info.st_mode);
    f->split = &f->found;
    revbifpn_status status = folder ? rb_split_find(&f->found, data, err) : REVBIFPN_OK;
    if (status || f->found.count) return status;
    status = rb_dataset_open(&f->set, data, &options, err);
    f->split = f->set.train.count ? &f->set.train : &f->set.val;
    return status && folder ? rb_fail_prefix(err, "%s: 0 pictures below it: ", data) : status;
}

revbifpn_status rb_bench_with_data(rb_bench *b, revbifpn_bench_result *out) {
    revbifpn_status status;
    rb_error *err = &b->ctx->error;
    size_t steps = (size_t)b->options->steps;
    feed f = {.bench = b};
    TRY(find_pictures(&f, err));
    f.seconds = rb_alloc(steps * sizeof *f.seconds);
    f.ratios = rb_alloc(steps * sizeof *f.ratios);
    status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the times");
    if (!f.seconds || !f.ratios) goto fail;
    TRY(run_blocks(&f));
    summarise(&f, out);
fail:
    rb_split_close(&f.found);
    rb_dataset_close(&f.set);
    rb_free(f.seconds);
    rb_free(f.ratios);
    return status;
}
