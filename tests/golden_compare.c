#include "golden_compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double golden_u(const char *name, uint64_t i) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    uint64_t z = h + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53 * 2 - 1;
}

static float formula(const rb_param *p, size_t i) {
    double u = golden_u(p->name, i);
    const char *leaf = strrchr(p->name, '.') + 1;
    if (strstr(p->name, ".norm."))
        return (float)(!strcmp(leaf, "weight") || !strcmp(leaf, "running_var") ? 1 + 0.1 * u : 0.1 * u);
    if (!strcmp(leaf, "bias")) return (float)(0.1 * u);
    return (float)(u * sqrt(3.0 / ((double)p->count / p->shape[0])));
}

void golden_fill(rb_params *params) {
    for (int i = 0; i < params->count; i++) {
        const rb_param *p = &params->list[i];
        if (p->kind == RB_PARAM_COUNTER) continue;
        float *out = (p->kind == RB_PARAM_TRAINED ? params->weight : params->statistics) + p->offset;
        for (size_t k = 0; k < p->count; k++) out[k] = formula(p, k);
    }
}

void tally_add(tally *t, double got, double expected) {
    t->error += (got - expected) * (got - expected);
    t->norm += expected * expected;
}
double tally_ratio(const tally *t) {
    double ratio = sqrt(t->error / t->norm);
    return isfinite(ratio) ? ratio : INFINITY;
}

void tally_flat(tally *t, json_t *sampled, const float *data) {
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(sampled, "at"), key, value)
        tally_add(t, (double)data[strtoull(key, NULL, 10)], json_number_value(value));
}

void tally_gradients(tally *t, json_t *expected, const rb_params *params) {
    json_t *sampled;
    const char *name;
    json_object_foreach(expected, name, sampled) {
        int i = rb_params_find(params, name);
        if (i < 0)
            t->error = INFINITY;
        else
            tally_flat(t, sampled, rb_param_gradient(params, i));
    }
}

int golden_integer(const json_t *root, const char *key) {
    return (int)json_integer_value(json_object_get(root, key));
}
