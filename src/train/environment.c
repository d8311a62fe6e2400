#define _GNU_SOURCE
#include "train/environment.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/args.h"
#include "io/config.h"

void rb_facts_close(rb_facts *f) {
    rb_text_close(&f->text);
    f->count = 0;
}

static void add(rb_facts *f, const char *name, const char *value) {
    assert(f->count < RB_FACTS_MAX);
    f->name[f->count] = f->text.size;
    rb_text_add_bytes(&f->text, name, strlen(name) + 1);
    f->value[f->count] = f->text.size;
    rb_text_add_bytes(&f->text, value, strlen(value) + 1);
    f->count++;
}

/* The text does not move any more: pointers instead of places. */
static revbifpn_status close_off(rb_facts *f, rb_error *err) {
    revbifpn_status status = rb_text_check(&f->text, "the facts of the report", err);
    for (int i = 0; status == REVBIFPN_OK && i < f->count; i++)
        f->list[i] = (rb_fact){f->text.bytes + f->name[i], f->text.bytes + f->value[i]};
    return status;
}

static revbifpn_status add_argument(void *user, const char *key, const char *value, rb_error *err) {
    (void)err;
    add(user, key, value);
    return REVBIFPN_OK;
}

revbifpn_status rb_facts_of_arguments(rb_facts *f, const revbifpn_train_config *args, rb_error *err) {
    revbifpn_status status;
    char *network = NULL;
    TRY(rb_args_each(args, add_argument, f, err));
    TRY(rb_config_to_json(&args->model, &network, err));
    add(f, "model", network);
    status = close_off(f, err);
fail:
    rb_free(network);
    return status;
}

/* "model name" of /proc/cpuinfo, or the machine's name for its architecture. */
static void processor_name(char *name, size_t size, const struct utsname *system) {
    char line[512];
    snprintf(name, size, "%s", system->machine);
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(name, size, "%s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (f) fclose(f);
}

revbifpn_status rb_facts_of_environment(rb_facts *f, const char *kernels, int threads, rb_error *err) {
    struct utsname system = {0};
    char text[512];
    time_t now = time(NULL);
    struct tm utc;
    uname(&system);
    add(f, "revbifpn", revbifpn_version());
    add(f, "commit", revbifpn_commit());
    add(f, "compiler", __VERSION__);
    processor_name(text, sizeof text, &system);
    add(f, "processor", text);
    add(f, "kernels", kernels);
    snprintf(text, sizeof text, "%d", threads);
    add(f, "threads", text);
    snprintf(text, sizeof text, "%.1f GiB",
             (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30));
    add(f, "memory of the machine", text);
    snprintf(text, sizeof text, "%s %s", system.sysname, system.release);
    add(f, "system", text);
    if (gmtime_r(&now, &utc) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc))
        add(f, "report written", text);
    return close_off(f, err);
}
