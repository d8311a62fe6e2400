#include "detect/box.h"

const float rb_deviation_rpn[4] = {1, 1, 1, 1}, rb_deviation_roi[4] = {0.1f, 0.1f, 0.2f, 0.2f};

const float rb_most_growth = 4.135166556742356f; /* |ln(16/1000)| */

void rb_box_encode(const float from[4], const float to[4], const float deviation[4], float code[4]) {
    float w = from[2] - from[0], h = from[3] - from[1], to_w = to[2] - to[0], to_h = to[3] - to[1];
    code[0] = ((to[0] + to[2]) * 0.5f - (from[0] + from[2]) * 0.5f) / w / deviation[0];
    code[1] = ((to[1] + to[3]) * 0.5f - (from[1] + from[3]) * 0.5f) / h / deviation[1];
    code[2] = logf(to_w / w) / deviation[2];
    code[3] = logf(to_h / h) / deviation[3];
}

static float into(float value, float limit) { return fminf(fmaxf(value, 0.0f), limit); }

void rb_box_decode(const float from[4], const float code[4], const float deviation[4], float width,
                   float height, float box[4]) {
    float w = from[2] - from[0], h = from[3] - from[1];
    float grow_x = fminf(fmaxf(code[2] * deviation[2], -rb_most_growth), rb_most_growth);
    float grow_y = fminf(fmaxf(code[3] * deviation[3], -rb_most_growth), rb_most_growth);
    float x = (from[0] + from[2]) * 0.5f + w * (code[0] * deviation[0]);
    float y = (from[1] + from[3]) * 0.5f + h * (code[1] * deviation[1]);
    float half_w = w * expf(grow_x) * 0.5f, half_h = h * expf(grow_y) * 0.5f;
    box[0] = into(x - half_w, width);
    box[1] = into(y - half_h, height);
    box[2] = into(x + half_w, width);
    box[3] = into(y + half_h, height);
}

int rb_box_suppress(const float *boxes, int count, float threshold, uint8_t *keep) {
    int kept = 0;
    for (int i = 0; i < count; i++) keep[i] = 1;
    for (int i = 0; i < count; i++) {
        if (!keep[i]) continue;
        kept++;
        const float *one = boxes + 4 * (size_t)i;
        float area = rb_box_area(one);
        for (int j = i + 1; j < count; j++) {
            const float *other = boxes + 4 * (size_t)j;
            float shared = rb_box_shared(one, other);
            if (shared > threshold * (area + rb_box_area(other) - shared)) keep[j] = 0;
        }
    }
    return kept;
}
