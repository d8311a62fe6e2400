/* Data sets, apart from training on them. */
#include "api/context.h"
#include "base/file.h"
#include "data/check.h"
#include "data/shard_write.h"
#include "io/stats.h"

static revbifpn_status open_all(revbifpn *ctx, const char *data, const char *val_data, rb_dataset *out) {
    rb_dataset_options options = {.purpose = RB_DATASET_ALL, .val_root = val_data};
    *out = (rb_dataset){0};
    if (!data || !*data) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "data: no folder named");
    return rb_dataset_open(out, data, &options, &ctx->error);
}

static revbifpn_shard_options default_shards(void) {
    return (revbifpn_shard_options){.struct_size = sizeof(revbifpn_shard_options)};
}

void revbifpn_init_shards(revbifpn_shard_options *out, size_t struct_size) {
    revbifpn_shard_options options = default_shards();
    rb_api_init(out, struct_size, &options, sizeof options);
}

static revbifpn_status write_shards(revbifpn *ctx, const revbifpn_shard_options *o,
                                    revbifpn_shard_report *out) {
    rb_dataset data;
    rb_shard_report report = {0};
    rb_shard_options options = {.shards = o->shards,
                                .shard_bytes = o->shard_bytes,
                                .seed = o->seed,
                                .progress = o->progress,
                                .user = o->user};
    if (!o->out || !*o->out) return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "out: no folder named");
    revbifpn_status status = open_all(ctx, o->data, NULL, &data);
    if (status == REVBIFPN_OK) status = rb_shards_write(&data, o->out, &options, &report, &ctx->error);
    *out = (revbifpn_shard_report){
        .shards = report.shards, .pictures = report.pictures, .classes = data.classes, .bytes = report.bytes};
    rb_dataset_close(&data);
    return status;
}

revbifpn_status revbifpn_shards(revbifpn *ctx, const revbifpn_shard_options *given,
                                revbifpn_shard_report *out) {
    RB_ENTER(ctx);
    revbifpn_shard_options own = default_shards();
    revbifpn_status status = rb_api_take(&own, sizeof own, given, "shard_options", &ctx->error);
    return status ? status : write_shards(ctx, &own, out);
}

static revbifpn_check_options default_check(void) {
    return (revbifpn_check_options){.struct_size = sizeof(revbifpn_check_options),
                                    .channels = 3,
                                    .min_side = 16,
                                    .huge_pixels = 50000000,
                                    .max_pixels = 178000000};
}

void revbifpn_init_check(revbifpn_check_options *out, size_t struct_size) {
    revbifpn_check_options options = default_check();
    rb_api_init(out, struct_size, &options, sizeof options);
}

revbifpn_status revbifpn_check(revbifpn *ctx, const revbifpn_check_options *given,
                               revbifpn_check_report *out) {
    RB_ENTER(ctx);
    rb_dataset data = {0};
    revbifpn_check_options own = default_check(), *o = &own;
    revbifpn_status status = rb_api_take(o, sizeof *o, given, "check_options", &ctx->error);
    if (status == REVBIFPN_OK) status = open_all(ctx, o->data, o->val_data, &data);
    if (status == REVBIFPN_OK) status = rb_check(&data, o, ctx->pool, out, &ctx->error);
    rb_dataset_close(&data);
    return status;
}

revbifpn_status revbifpn_file_write(revbifpn *ctx, const char *path, const void *bytes, size_t size) {
    return rb_file_replace(path, bytes, size, &ctx->error);
}

revbifpn_status revbifpn_data_stats(revbifpn *ctx, const char *path, char mean[REVBIFPN_STATS_TEXT],
                                    char std[REVBIFPN_STATS_TEXT]) {
    RB_ENTER(ctx);
    _Static_assert((int)REVBIFPN_STATS_TEXT == (int)RB_STATS_TEXT, "one size of these texts");
    return rb_stats_read(path, mean, std, &ctx->error);
}
