/* What a run shows of itself: report.html and event files of short runs, also of a resumed one. */
#include "runs.h"

#include <glob.h>

static char root[4096];

static const char HOSTILE[] = "<b>&\"'";

static void train(const char *out, const char *more) {
    command_works("train --data %s/data --model %s/tiny.json --batch 8 --lr 0.05 --out %s/%s %s", root, root,
                  root, out, more);
}

/* The first class gets a name that wants to be markup. */
static int prepare(void **state) {
    (void)state;
    static const char *const splits[] = {"train", "val"};
    char path[4200], line[9000];
    make_folder(root);
    make_set(path_of(path, root, "data"), 3, 24, 12, 40);
    for (int i = 0; i < 2; i++) {
        put(line, sizeof line, "cd '%s/data/%s' && mv \"$(ls | head -1)\" '<b>&\"'\\'", root, splits[i]);
        strcat(line, "''");
        assert_int_equal(system(line), 0);
    }
    make_tiny_network(path_of(path, root, "tiny.json"));
    train("full", "--epochs 3 --mixup 0.5 --reprob 0.5");
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

static int event_files(const char *run) {
    char pattern[8400];
    glob_t found;
    put(pattern, sizeof pattern, "%s/%s/events.out.tfevents.*", root, run);
    int count = glob(pattern, 0, NULL, &found) ? 0 : (int)found.gl_pathc;
    globfree(&found);
    return count;
}

static char *report_of(const char *run) {
    char path[8400];
    size_t size;
    put(path, sizeof path, "%s/%s/report.html", root, run);
    char *html = file_bytes(path, &size);
    assert_non_null(html);
    assert_int_equal(strlen(html), size);
    return html;
}

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) count++;
    return count;
}

static void the_report_tells_the_run(void **state) {
    (void)state;
    char *html = report_of("full");
    assert_non_null(strstr(html, "3 of 3</b>epochs"));
    static const char *const parts[] = {"Loss by epoch",
                                        "Accuracy on the validation pictures",
                                        "Learning rate",
                                        "Pictures a second",
                                        "Confusion matrix",
                                        "12 validation pictures",
                                        "Memory of a step",
                                        "<th>mixup</th><td>0.5</td>",
                                        "<th>epochs</th><td>3</td>",
                                        "<th>commit</th>",
                                        "A training batch as the network sees it"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(html, parts[i])) fail_msg("the report lacks '%s'", parts[i]);
    assert_true(count_of(html, "<img ") >= 8 && count_of(html, "<img ") <= 8 + 12);
    assert_int_equal(count_of(html, "<img "), count_of(html, "src=\"data:image/jpeg;base64,"));
    assert_int_equal(count_of(html, "http://") + count_of(html, "https://") + count_of(html, HOSTILE), 0);
    assert_true(count_of(html, "&lt;b&gt;&amp;&quot;&#39;") >= 2);
    /* the table of counts adds up to the pictures judged */
    int sum = 0;
    for (const char *p = html; (p = strstr(p, "style=\"--a:")); p++) sum += atoi(strchr(p, '>') + 1);
    assert_int_equal(sum, 12);
    free(html);
}

static void a_resumed_run_goes_on_in_a_new_file(void **state) {
    (void)state;
    train("again", "--epochs 1");
    assert_int_equal(event_files("again"), 1);
    command_works("train --resume %s/again --epochs 2", root);
    assert_int_equal(event_files("again"), 2);
    char *html = report_of("again");
    assert_non_null(strstr(html, "2 of 2</b>epochs"));
    assert_true(count_of(html, "<title>1: validation ") == 1 && count_of(html, "<title>2: validation ") == 1);
    free(html);
}

static void events_can_be_left_out_and_change_no_bit(void **state) {
    (void)state;
    char a[4200], b[4200];
    train("with", "--epochs 2");
    train("without", "--epochs 2 --tensorboard off");
    assert_int_equal(event_files("without"), 0);
    assert_true(has_file(path_of(b, root, "without"), "report.html"));
    assert_same_run(path_of(a, root, "with"), b);
}

/* A report that cannot be written costs a line, not the run. */
static void a_run_does_not_need_its_report(void **state) {
    (void)state;
    char path[4200];
    train("odd", "--epochs 1");
    put(path, sizeof path, "%s/odd/report.html", root);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0777), 0);
    command_result r = command("train --resume %s/odd --epochs 2", root);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.err, "report.html"));
    command_forget(&r);
}

int main(void) {
    if (command_is_missing()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_report_tells_the_run),
        cmocka_unit_test(a_resumed_run_goes_on_in_a_new_file),
        cmocka_unit_test(events_can_be_left_out_and_change_no_bit),
        cmocka_unit_test(a_run_does_not_need_its_report),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
