#define _DEFAULT_SOURCE
#include "verify_tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "print.h"

int cli_verify_failed(const cli_args *args, const char *what, const char *why) {
    fprintf(stderr, "revbifpn %s: %s: %s\n", args->verb->name, what, why);
    return CLI_FAILED;
}

int cli_verify_folder_open(const cli_args *args, cli_verify_folder *f) {
    const char *temporary = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%.4000s/revbifpn.XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(f->folder)) return cli_verify_failed(args, f->folder, strerror(errno));
    snprintf(f->input, sizeof f->input, "%s/inputs", f->folder);
    snprintf(f->output, sizeof f->output, "%s/outputs", f->folder);
    return CLI_OK;
}

void cli_verify_folder_close(const cli_verify_folder *f) {
    unlink(f->input);
    unlink(f->output);
    rmdir(f->folder);
}

static const char *python(const cli_args *args) {
    const char *named = cli_text(args, "python"), *usual = getenv("REVBIFPN_PYTHON");
    return named ? named : usual && *usual ? usual : "python3";
}

int cli_verify_python(const cli_args *args, const cli_verify_folder *f, const char *script,
                      const int numbers[4]) {
    char shape[4][16];
    int state = 0;
    for (int i = 0; i < 4; i++) snprintf(shape[i], sizeof shape[i], "%d", numbers[i]);
    const char *words[] = {python(args), "-c",      script,   cli_text(args, "out"),
                           f->input,     f->output, shape[0], shape[1],
                           shape[2],     shape[3],  NULL};
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &state, 0) != child)
        return cli_verify_failed(args, python(args), strerror(errno));
    if (WIFEXITED(state) && !WEXITSTATUS(state)) return CLI_OK;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 127)
        return cli_verify_failed(
            args, python(args),
            "cannot be run; --verify needs a Python with onnxruntime (--python PY, REVBIFPN_PYTHON)");
    return cli_verify_failed(args, cli_text(args, "out"), "ONNX Runtime did not run it");
}

/* xorshift (Marsaglia 2003) */
float cli_verify_random(uint64_t *s) {
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return (float)((double)(*s >> 11) * 0x1p-51 - 2);
}

/* ---- pictures ---- */

static int collect(void *user, const char *path) {
    cli_verify_list *l = user;
    l->paths[l->count] = strdup(path);
    l->count += l->paths[l->count] != NULL;
    return l->count == CLI_VERIFY_PICTURES;
}

int cli_verify_find(const cli_args *args, revbifpn *ctx, cli_verify_list *l) {
    const char *source = cli_text(args, "source");
    struct stat info;
    if (stat(source, &info)) return cli_verify_failed(args, source, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return collect(l, source), l->count ? CLI_OK : cli_verify_failed(args, source, "out of memory");
    revbifpn_status status = revbifpn_find_pictures(ctx, source, collect, l);
    if (status != REVBIFPN_OK) return cli_report(args, ctx, status);
    return l->count ? CLI_OK : cli_verify_failed(args, source, "no picture in this folder");
}

void cli_verify_forget(cli_verify_list *l) {
    for (int i = 0; i < l->count; i++) free(l->paths[i]);
    l->count = 0;
}
