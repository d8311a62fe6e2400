#include "outputs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "print.h"

int cli_output_folder(const cli_args *args, const char *option, const char **folder) {
    *folder = cli_text(args, option);
    struct stat info;
    if (!*folder || (!mkdir(*folder, 0777)) || (!stat(*folder, &info) && S_ISDIR(info.st_mode)))
        return CLI_OK;
    fprintf(stderr, "revbifpn %s: --%s %s: cannot make the folder: %s\n", args->verb->name, option, *folder,
            errno == EEXIST ? "a file has that name" : strerror(errno));
    return CLI_FAILED;
}

bool cli_output_path(const cli_args *args, const char *folder, const char *name, const char *ending,
                     char path[CLI_OUTPUT_PATH]) {
    int used = snprintf(path, CLI_OUTPUT_PATH, "%s/", folder);
    for (; *name && used < CLI_OUTPUT_PATH - 3; name++) {
        path[used++] = *name == '/' ? '_' : *name;
        if (*name == '/') path[used++] = '_';
    }
    if (used < CLI_OUTPUT_PATH - 3 &&
        snprintf(path + used, (size_t)(CLI_OUTPUT_PATH - used), "%s", ending) < CLI_OUTPUT_PATH - used)
        return true;
    fprintf(stderr, "revbifpn %s: %.64s…: path too long\n", args->verb->name, folder);
    return false;
}

void cli_csv_field(const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}
