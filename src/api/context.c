/* Context, version, networks by name, inspection. */
#include "api/context.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/config.h"
#include "model/config.h"
#include "model/cost.h"

enum { CONFIG_LIMIT = 1 << 20, THREADS_MAX = 1024 };

static revbifpn_options default_options(void) {
    return (revbifpn_options){.struct_size = sizeof(revbifpn_options)};
}

void revbifpn_init_options(revbifpn_options *out, size_t struct_size) {
    revbifpn_options options = default_options();
    rb_api_init(out, struct_size, &options, sizeof options);
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

static rb_host host_of(const revbifpn_options *o) {
    return (rb_host){
        .user = o->user, .allocate = o->allocate, .release = o->release, .log = o->log, .stop = o->stop};
}

/* A context in the program's memory; in malloc's when it cannot be told which that is. */
static revbifpn *allocate_context(const revbifpn_options *o) {
    rb_host host = host_of(o);
    if (!o->allocate != !o->release) host.allocate = NULL;
    rb_host *before = rb_host_use(&host);
    revbifpn *ctx = rb_alloc(sizeof *ctx);
    rb_host_use(before);
    if (ctx) ctx->host = host;
    return ctx;
}

revbifpn_status revbifpn_open(revbifpn **out, const revbifpn_options *given) {
    rb_error wrong = {0};
    revbifpn_options options = default_options();
    revbifpn_status status =
        given ? rb_api_take(&options, sizeof options, given, "options", &wrong) : REVBIFPN_OK;
    revbifpn *ctx = *out = allocate_context(&options);
    if (!ctx) return REVBIFPN_OUT_OF_MEMORY;
    RB_ENTER(ctx);
    ctx->error = wrong;
    if (status != REVBIFPN_OK) return status;
    if (!options.allocate != !options.release)
        return rb_fail(&ctx->error, REVBIFPN_BAD_ARGUMENT, "allocate and release: both or neither");
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
    RB_ENTER(ctx);
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
    TRY(rb_api_check_config(config, &ctx->error));
    TRY(rb_model_check_input(config, image, training, &ctx->error));
    return rb_model_create(network, config, &ctx->error);
fail:
    return status;
}

revbifpn_status revbifpn_inspect(revbifpn *ctx, const revbifpn_model_config *config, int width, int height,
                                 void (*visit)(void *user, const revbifpn_layer *layer), void *user,
                                 revbifpn_cost *total) {
    RB_ENTER(ctx);
    rb_model network = {0};
    rb_shape image = {1, height, width, config->input_channels};
    revbifpn_status status = rb_api_network(ctx, config, image, false, &network);
    if (status != REVBIFPN_OK) return status;
    status = rb_model_cost(&network, width, height, visit, user, total, NULL, &ctx->error);
    rb_model_close(&network);
    return status;
}
