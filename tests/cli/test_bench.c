#define _GNU_SOURCE
/* bench from outside: fed from picture files, and its memory against the plan. */
#include "runs.h"

#include <math.h>

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("no number '%s'", key);
    return json_number_value(value);
}

static json_t *bench(const char *network, const char *folder, int workers) {
    char line[12800];
    put(line, sizeof line, "bench --model %s --classes 3 --batch 4 --steps 10 --data %s --workers %d --json",
        network, folder, workers);
    return command_json(line);
}

static void steps_are_fed_from_files(void **state) {
    (void)state;
    char folder[4096], network[4200], set[4200];
    make_folder(folder);
    make_tiny_network(path_of(network, folder, "tiny.json"));
    make_set(path_of(set, folder, "set"), 3, 9, 3, 48);
    for (int workers = 0; workers <= 2; workers += 2) {
        json_t *root = bench(network, set, workers), *data = json_object_get(root, "data");
        assert_true(number(data, "images_per_second_best") >= number(data, "images_per_second_median"));
        assert_true(number(data, "images_per_second_median") > 0);
        assert_true(number(data, "time_ratio") > 0);
        assert_true(number(data, "wait_seconds_per_step") >= 0);
        assert_true(number(data, "preparing_cpu_seconds_per_image") > 0);
        assert_true(number(root, "step_cpu_seconds_per_image") > 0);
        assert_true(number(data, "workers") == workers);
        assert_true(number(root, "allocations_after_first_step") == 0);
        json_decref(root);
    }
    command_result text = command("bench --model %s --classes 3 --batch 4 --steps 2 --data %s", network, set);
    assert_int_equal(text.code, 0);
    assert_non_null(strstr(text.out, "fed from files"));
    command_forget(&text);
    remove_folder(folder);
}

/* The goal for a whole process: resident memory within 5 % and 20 MB of the plan; the arena equal to the
 * byte. */
static void resident_memory_is_the_plan(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* a sanitizer's own memory is in the figure */
#endif
    static const char *const activations[] = {"reversible", "stored"};
    for (int i = 0; i < 2; i++) {
        char line[200];
        put(line, sizeof line, "bench --model s0 --imgsz 128 --batch 8 --steps 1 --activations %s --json",
            activations[i]);
        json_t *root = command_json(line);
        double planned = number(root, "planned_bytes"), resident = number(root, "peak_rss_bytes");
        if (fabs(resident - planned) > 0.05 * planned + 20e6)
            fail_msg("%s: %.0f bytes planned, %.0f resident", activations[i], planned, resident);
        assert_true(number(root, "arena_planned_bytes") == number(root, "arena_high_bytes"));
        json_decref(root);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_fed_from_files),
        cmocka_unit_test(resident_memory_is_the_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
