/* A run whose clocks go backwards: the same bits, and nothing negative or infinite is told. */
#define _GNU_SOURCE
#include "cli/runs.h"

#include <math.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static char work[4096], data[4200], network[4200], forth[4200], back[4200];

static void train(const char *out, const char *mode, char **said) {
    char line[16000];
    size_t size;
    put(line, sizeof line,
        "%s train --data %s --model %s --epochs 2 --batch 4 --seed 3 --threads 2 --out %s --progress %s"
        " > %s.out 2> %s.err",
        command_path(), data, network, out, mode, out, out);
    if (system(line)) fail_msg("failed: %s", line);
    put(line, sizeof line, "%s.err", out);
    *said = file_bytes(line, &size);
    assert_non_null(*said);
}

static void check_number(const char *line, const json_t *event, const char *name) {
    double value = json_number_value(json_object_get(event, name));
    if (!json_is_number(json_object_get(event, name)) || !(value >= 0 && value < 1e9))
        fail_msg("%s: %s", name, line);
}

static void a_clock_that_runs_backwards(void **state) {
    (void)state;
    char preload[4400], *said, *rest = NULL;
    int events = 0;
    size_t size;
    train(forth, "none", &said);
    free(said);
    put(preload, sizeof preload, "%s/tests/librevbifpn_backwards.so", getenv("REVBIFPN_BUILD"));
    setenv("LD_PRELOAD", preload, 1);
    train(back, "json", &said);
    unsetenv("LD_PRELOAD");
    for (char *line = strtok_r(said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        json_t *event = json_loads(line, 0, NULL);
        if (!event) fail_msg("not JSON: %s", line);
        if (json_object_get(event, "images_per_second")) {
            check_number(line, event, "images_per_second");
            check_number(line, event, "seconds_left");
            check_number(line, event, "fraction");
            events++;
        }
        json_decref(event);
    }
    free(said);
    assert_true(events > 0);
    assert_same_run(forth, back);
    put(preload, sizeof preload, "%s/report.html", back);
    char *report = file_bytes(preload, &size);
    assert_non_null(report);
    assert_null(strstr(report, ">nan"));
    assert_null(strstr(report, "NaN"));
    assert_null(strstr(report, ">inf"));
    free(report);
}

static int set_up(void **state) {
    (void)state;
    make_folder(work);
    make_set(path_of(data, work, "data"), 2, 16, 4, 32);
    make_tiny_network(path_of(network, work, "tiny.json"));
    path_of(forth, work, "forth");
    path_of(back, work, "back");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_clock_that_runs_backwards)};
    if (SANITIZED) skip_all("nothing can be preloaded before the sanitizers");
    if (command_is_missing() || !getenv("REVBIFPN_BUILD")) skip_all("REVBIFPN_BUILD does not say where");
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
