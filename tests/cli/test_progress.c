/* --progress: what goes to stderr in each mode, without colour when NO_COLOR is set, and as wide as the
 * terminal. */
#define _GNU_SOURCE
#include "runs.h"

#include <pty.h>

#include "progress.h"

static char root[4096];

static int prepare(void **state) {
    (void)state;
    char path[4200];
    make_folder(root);
    make_set(path_of(path, root, "data"), 3, 24, 12, 40);
    make_tiny_network(path_of(path, root, "tiny.json"));
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

/* A run of two epochs; its stderr is the caller's. */
static char *said_by(const char *name, const char *mode) {
    command_result r =
        command("train --data %s/data --model %s/tiny.json --batch 8 --epochs 2 --out %s/%s %s", root, root,
                root, name, mode);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "epoch 2/2"));
    free(r.out);
    return r.err;
}

static void none_says_nothing(void **state) {
    (void)state;
    char *said = said_by("none", "--progress none");
    assert_string_equal(said, "");
    free(said);
}

/* Not a terminal: lines, of which a run of a second has none. */
static void without_a_terminal_there_is_no_bar(void **state) {
    (void)state;
    char *said = said_by("auto", "");
    assert_null(strchr(said, '\r'));
    free(said);
}

static void a_bar_has_colour_unless_told(void **state) {
    (void)state;
    unsetenv("NO_COLOR");
    char *said = said_by("bar", "--progress bar");
    assert_non_null(strstr(said, "\r[\033[36m"));
    assert_non_null(strstr(said, "img/s"));
    free(said);
    setenv("NO_COLOR", "1", 1);
    said = said_by("gray", "--progress bar");
    unsetenv("NO_COLOR");
    assert_non_null(strstr(said, "\r["));
    assert_null(strstr(said, "\033[3"));
    free(said);
}

/* Every line is an object; each epoch has its own, and there is at least one about a step. */
static void json_is_a_line_an_event(void **state) {
    (void)state;
    char *said = said_by("json", "--progress json"), *saved = NULL;
    int epochs = 0, steps = 0;
    for (char *line = strtok_r(said, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        if (!object) fail_msg("not JSON: %s", line);
        const char *event = json_string_value(json_object_get(object, "event"));
        assert_non_null(event);
        if (!strcmp(event, "epoch")) {
            assert_int_equal(json_integer_value(json_object_get(object, "epoch")), ++epochs);
            assert_true(json_number_value(json_object_get(object, "top5")) <= 1);
        } else {
            steps++;
            assert_true(json_integer_value(json_object_get(object, "memory_bytes")) > 1000000);
            assert_true(json_number_value(json_object_get(object, "images_per_second")) > 0);
            assert_true(json_is_number(json_object_get(object, "loss")));
        }
        json_decref(object);
    }
    assert_true(epochs == 2 && steps >= 1);
    free(said);
}

/* Updates as fast as they come are drawn at most ten times a second. */
static void a_bar_is_not_redrawn_too_often(void **state) {
    (void)state;
    cli_progress p;
    char *text = NULL;
    size_t size;
    int drawn = 0;
    cli_progress_open(&p, "bar");
    p.out = open_memstream(&text, &size);
    assert_non_null(p.out);
    double start = cli_clock();
    while (cli_clock() - start < 0.35) cli_progress_count(&p, 5, 10);
    fclose(p.out);
    for (char *c = text; *c; c++) drawn += *c == '\r';
    assert_in_range(drawn, 1, 4);
    free(text);
}

/* Columns that one drawing of a bar takes: escape sequences take none. */
static int visible(const char *text, size_t length) {
    int columns = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\033')
            while (i < length && !(text[i] >= 'A' && text[i] <= 'z' && text[i] != '[')) i++;
        else
            columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return columns;
}

/* Runs in a terminal of that many columns; returns the widest drawing of a bar. */
static int widest_bar(unsigned short columns, const char *name) {
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    char line[9000], screen[1 << 16], *words[32];
    int terminal, count = 0, widest = 0;
    put(line, sizeof line, "%s train --data %s/data --model %s/tiny.json --batch 8 --epochs 2 --out %s/%s",
        command_path(), root, root, root, name);
    char *saved = NULL;
    for (char *w = strtok_r(line, " ", &saved); w; w = strtok_r(NULL, " ", &saved)) words[count++] = w;
    words[count] = NULL;
    pid_t child = forkpty(&terminal, NULL, NULL, &size);
    assert_true(child >= 0);
    if (!child) {
        setenv("TERM", "xterm", 1);
        execv(words[0], words);
        _exit(126);
    }
    size_t used = 0;
    for (ssize_t n; (n = read(terminal, screen + used, sizeof screen - used - 1)) > 0;) used += (size_t)n;
    screen[used] = 0;
    close(terminal);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (char *bar = screen; (bar = strstr(bar, "\r[")); bar++) {
        int width = visible(bar + 1, strcspn(bar + 1, "\r\n"));
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void a_bar_fits_its_terminal(void **state) {
    (void)state;
    assert_in_range(widest_bar(46, "narrow"), 11, 45);
    assert_in_range(widest_bar(80, "usual"), 46, 79);
    assert_in_range(widest_bar(200, "wide"), 80, 199);
}

int main(void) {
    if (command_is_missing()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_says_nothing),
        cmocka_unit_test(without_a_terminal_there_is_no_bar),
        cmocka_unit_test(a_bar_has_colour_unless_told),
        cmocka_unit_test(json_is_a_line_an_event),
        cmocka_unit_test(a_bar_is_not_redrawn_too_often),
        cmocka_unit_test(a_bar_fits_its_terminal),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
