/* Running the built command from a test. */
#ifndef RB_TESTS_COMMAND_H
#define RB_TESTS_COMMAND_H

#include <jansson.h>
#include <sys/types.h>

typedef struct command_result {
    int code;        /* exit status; 128 + signal */
    char *out, *err; /* what it printed; owned */
} command_result;

/* Runs the command with the words of a line (separated by blanks, no quoting). */
command_result command_run(const char *line);
void command_forget(command_result *r);
/* The same in two steps, for tests that send signals. `folder`: working directory, or NULL. */
typedef struct command_child {
    pid_t id;
    FILE *out, *err;
} command_child;
command_child command_start(const char *line, const char *folder);
command_result command_wait(command_child *child);
/* Runs, wants exit status 0 and one JSON value on stdout. */
json_t *command_json(const char *line);

#endif
