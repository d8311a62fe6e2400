#include "vectors.h"

#include "check.h"

json_t *vectors_open(const char *name) {
    char path[256];
    json_error_t problem;
    snprintf(path, sizeof path, "tests/golden/%s", name);
    json_t *root = json_load_file(source_path(path), 0, &problem);
    if (!root) fail_msg("%s:%d: %s", path, problem.line, problem.text);
    return root;
}

double *vectors_numbers(const json_t *object, const char *key, size_t count) {
    const json_t *list = key ? json_object_get(object, key) : object;
    if (json_array_size(list) != count)
        fail_msg("%s: %zu numbers, wanted %zu", key, json_array_size(list), count);
    double *numbers = malloc((count + 1) * sizeof *numbers);
    assert_non_null(numbers);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        assert_true(json_is_number(value));
        numbers[i] = json_number_value(value);
    }
    return numbers;
}

float *vectors_floats(const json_t *object, const char *key, size_t count) {
    double *numbers = vectors_numbers(object, key, count);
    float *floats = malloc((count + 1) * sizeof *floats);
    assert_non_null(floats);
    for (size_t i = 0; i < count; i++) floats[i] = (float)numbers[i];
    free(numbers);
    return floats;
}

double vectors_number(const json_t *object, const char *key, double fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : fallback;
}
