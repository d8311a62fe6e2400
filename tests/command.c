#include "check.h"
#include "command.h"

#include <sys/wait.h>
#include <unistd.h>

static char *read_all(FILE *f) {
    size_t size = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    rewind(f);
    for (size_t n; text && (n = fread(text + size, 1, capacity - size - 1, f)) > 0;) {
        size += n;
        if (capacity - size < 2) text = realloc(text, capacity *= 2);
    }
    fclose(f);
    assert_non_null(text);
    text[size] = 0;
    return text;
}

command_child command_start(const char *line, const char *folder) {
    char copy[16384], command[4096], *words[64] = {command};
    int count = 1;
    snprintf(copy, sizeof copy, "%s", line);
    snprintf(command, sizeof command, "%s", command_path());
    char *saved = NULL;
    for (char *w = strtok_r(copy, " ", &saved); w && count < 63; w = strtok_r(NULL, " ", &saved))
        words[count++] = w;
    command_child child = {.out = tmpfile(), .err = tmpfile()};
    assert_true(child.out && child.err);
    child.id = fork();
    if (!child.id) {
        dup2(fileno(child.out), 1);
        dup2(fileno(child.err), 2);
        if (!folder || !chdir(folder)) execv(words[0], words);
        _exit(126);
    }
    assert_true(child.id > 0);
    return child;
}

command_result command_wait(command_child *child) {
    int status;
    assert_int_equal(waitpid(child->id, &status, 0), child->id);
    return (command_result){WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                            read_all(child->out), read_all(child->err)};
}

command_result command_run(const char *line) {
    command_child child = command_start(line, NULL);
    return command_wait(&child);
}

void command_forget(command_result *r) {
    free(r->out);
    free(r->err);
}

json_t *command_json(const char *line) {
    json_error_t error;
    command_result r = command_run(line);
    if (r.code) fail_msg("'%s': exit %d: %s", line, r.code, r.err);
    json_t *root = json_loads(r.out, JSON_REJECT_DUPLICATES, &error);
    if (!root) fail_msg("'%s': not JSON: %s", line, error.text);
    command_forget(&r);
    return root;
}
