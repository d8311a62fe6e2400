/* Context, version, networks by name, inspection. */
#include "api/context.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/config.h"
#include "model/config.h"
#include "model/cost.h"

enum { CONFIG_LIMIT = 1 << 20, THREADS_MAX = 1024 };

revbifpn_options revbifpn_default_options(void) {
    return (revbifpn_options){.struct_size = sizeof(revbifpn_options)};
}

static revbifpn_status choose_level(revbifpn *ctx, const char *name) {
    ctx->level = rb_cpu_detect();
    const char *from = name ? "" : "REVBIFPN_CPU: ";
    if (!name) name = getenv("REVBIFPN_CPU");
    if (!name || !*name) return REVBIFPN_OK;
    int level = rb_cpu_from_name(name);
    if (level < 0)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "%s'%.40s' is not ref, avx2 or avx512", from,
                       name);
    if (level > (int)ctx->level)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT,
                       "%sthis processor has no %s; the best it has is %s", from, name,
                       rb_cpu_name(ctx->level));
    ctx->level = (rb_cpu_level)level;
    return REVBIFPN_OK;
}

revbifpn_status revbifpn_open(revbifpn **out, const revbifpn_options *given) {
    revbifpn_status status;
    revbifpn_options options = given ? *given : revbifpn_default_options();
    revbifpn *ctx = *out = rb_alloc(sizeof *ctx);
    if (!ctx) return REVBIFPN_OUT_OF_MEMORY;
    TRY(choose_level(ctx, options.cpu));
    rb_ops_fill(&ctx->ops, ctx->level);
    if (options.threads < 0 || options.threads > THREADS_MAX)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "threads %d: 0 (all usable processors) to %d",
                       options.threads, THREADS_MAX);
    int threads = options.threads ? options.threads : rb_usable_processors();
    TRY(rb_pool_open(&ctx->pool, threads, &ctx->error));
    return REVBIFPN_OK;
fail:
    return status;
}

void revbifpn_close(revbifpn **ctx) {
    if (!*ctx) return;
    rb_pool_close(&(*ctx)->pool);
    rb_free(*ctx);
    *ctx = NULL;
}

const char *revbifpn_message(const revbifpn *ctx) { return ctx ? ctx->error.text : "out of memory"; }
const char *revbifpn_version(void) { return REVBIFPN_VERSION; }
const char *revbifpn_commit(void) { return REVBIFPN_COMMIT; }
const char *revbifpn_cpu(const revbifpn *ctx) { return rb_cpu_name(ctx->level); }
int revbifpn_threads(const revbifpn *ctx) { return rb_pool_threads(ctx->pool); }

revbifpn_status revbifpn_config(revbifpn *ctx, const char *name, revbifpn_model_config *out) {
    size_t length = strlen(name), size;
    if (length < 5 || strcmp(name + length - 5, ".json")) return rb_config_named(name, out, &ctx->error);
    unsigned char *text;
    revbifpn_status status = rb_file_read(name, CONFIG_LIMIT, &text, &size, &ctx->error);
    if (status != REVBIFPN_OK) return status;
    status = rb_config_from_json(name, (const char *)text, size, out, &ctx->error);
    rb_free(text);
    return status;
}

revbifpn_status rb_api_network(revbifpn *ctx, const revbifpn_model_config *config, rb_shape image,
                               bool training, rb_model *network) {
    revbifpn_status status;
    TRY(rb_config_check(config, &ctx->error));
    TRY(rb_model_check_input(config, image, training, &ctx->error));
    return rb_model_create(network, config, &ctx->error);
fail:
    return status;
}

revbifpn_status revbifpn_inspect(revbifpn *ctx, const revbifpn_model_config *config, int width, int height,
                                 void (*visit)(void *user, const revbifpn_layer *layer), void *user,
                                 revbifpn_cost *total) {
    rb_model network = {0};
    rb_shape image = {1, height, width, config->input_channels};
    revbifpn_status status = rb_api_network(ctx, config, image, false, &network);
    if (status != REVBIFPN_OK) return status;
    status = rb_model_cost(&network, width, height, visit, user, total, &ctx->error);
    rb_model_close(&network);
    return status;
}
