#include "train/schedule.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

static const double PI = 3.14159265358979323846;

static double rise_fall(const rb_schedule *s, double t) {
    if (t < s->warmup) return s->rate * (t + 1) / s->warmup;
    double rest = s->length > s->warmup ? s->length - s->warmup : 1;
    return s->rate * 0.5 * (1 + cos(PI * (t - s->warmup) / rest));
}

/* Where t falls: the number of its cycle, and the part of it that has passed. */
static int cycle_at(const rb_schedule *s, double t, double *passed) {
    double length = s->length, begin = 0;
    int cycle = 0;
    while (cycle < s->cycles && t >= begin + length) {
        begin += length;
        length *= s->cycle_mul;
        cycle++;
    }
    *passed = (t - begin) / length;
    return cycle;
}

static double curve(const rb_schedule *s, double t) {
    double passed;
    int cycle = cycle_at(s, t, &passed);
    if (cycle >= s->cycles) return s->least;
    double x = pow(passed, s->k_decay), height = s->rate * pow(s->cycle_decay, cycle) - s->least;
    double part = s->kind == REVBIFPN_POLY ? pow(1 - x, s->decay_rate) : 0.5 * (1 + cos(PI * x));
    return s->least + height * part;
}

static int reached(const rb_schedule *s, double t) {
    int count = 0;
    while (count < s->milestones && t >= s->milestone[count]) count++;
    return count;
}

static double without_noise(const rb_schedule *s, double t) {
    if (s->kind == REVBIFPN_RISE_FALL) return rise_fall(s, t);
    if (t < s->warmup) return s->warmup_rate + t * (s->rate - s->warmup_rate) / s->warmup;
    if (s->prefix) t -= s->warmup;
    switch (s->kind) {
    case REVBIFPN_STEP: return s->rate * pow(s->decay_rate, floor(t / s->decay_time));
    case REVBIFPN_CONSTANT: return s->rate;
    case REVBIFPN_MILESTONES: return s->rate * pow(s->decay_rate, reached(s, t));
    default: return curve(s, t);
    }
}

static double noise(const rb_schedule *s, double t) {
    rb_rng rng = rb_rng_open(s->seed, RB_PURPOSE_RATE, (uint64_t)t, 0);
    double z;
    do z = s->noise_deviation * rb_rng_normal(&rng);
    while (fabs(z) >= s->noise_most);
    return z;
}

double rb_schedule_warmth(const rb_schedule *s, int64_t k) {
    return (double)k < s->steps_warm ? 1 - (1 - (double)k / s->steps_warm) * (1 - s->ratio) : 1;
}

int rb_milestones_parse(const char *text, double numbers[RB_MILESTONES]) {
    int count = 0;
    for (char *end; *text; text = *end ? end + 1 : end) {
        double value = strtod(text, &end);
        bool rises = value > (count ? numbers[count - 1] : 0);
        if (end == text || !rises || (*end && *end != ',') || (*end && !end[1]) || count == RB_MILESTONES)
            return 0;
        numbers[count++] = value;
    }
    return count;
}

double rb_schedule_rate(const rb_schedule *s, double t) {
    double rate = without_noise(s, t);
    return t >= s->noise_from && t < s->noise_to ? rate * (1 + noise(s, t)) : rate;
}

static bool has_cycles(revbifpn_schedule kind) { return kind == REVBIFPN_COSINE || kind == REVBIFPN_POLY; }

rb_schedule rb_schedule_of(const revbifpn_train_config *a, int steps) {
    bool by_steps = a->sched_on_updates || a->sched == REVBIFPN_RISE_FALL;
    double unit = by_steps ? steps : 1, length = a->epochs * unit;
    rb_schedule s = {.kind = a->sched,
                     .rate = a->lr,
                     .warmup_rate = a->warmup_lr,
                     .least = a->min_lr,
                     .length = length,
                     .warmup = a->warmup_epochs * unit,
                     .prefix = a->warmup_prefix,
                     .decay_time = a->decay_epochs * unit,
                     .decay_rate = a->decay_rate,
                     .k_decay = a->lr_k_decay,
                     .cycle_mul = a->lr_cycle_mul,
                     .cycle_decay = a->lr_cycle_decay,
                     .cycles = a->lr_cycle_limit,
                     .noise_from = a->lr_noise_from * length,
                     .noise_to = a->lr_noise_to * length,
                     .noise_most = a->lr_noise_pct,
                     .noise_deviation = a->lr_noise_std,
                     .seed = a->seed,
                     .steps_warm = a->warmup_steps,
                     .ratio = a->warmup_ratio};
    if (a->sched == REVBIFPN_MILESTONES) s.milestones = rb_milestones_parse(a->milestones, s.milestone);
    for (int i = 0; i < s.milestones; i++) s.milestone[i] *= unit;
    return s;
}

int rb_schedule_epochs(const revbifpn_train_config *a) {
    if (a->sched == REVBIFPN_RISE_FALL) return a->epochs;
    double epochs = a->epochs, length = a->epochs;
    for (int i = 1; has_cycles(a->sched) && i < a->lr_cycle_limit; i++) epochs += length *= a->lr_cycle_mul;
    if (a->warmup_prefix) epochs += a->warmup_epochs;
    if (has_cycles(a->sched)) epochs += a->cooldown_epochs;
    return epochs < 1e6 ? (int)floor(epochs) : 1000000;
}
