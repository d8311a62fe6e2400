/* export --verify of a whole detector. Two programs that round differently do not always decide alike: a
 * score may lie at the least one or at the last of a hundred, an overlap at the one that suppresses. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detector.h"
#include "print.h"
#include "verify.h"
#include "verify_tools.h"

enum { RANDOM_INPUTS = 4, RECTANGLES = 60, MASK = REVBIFPN_MASK_SIDE * REVBIFPN_MASK_SIDE };
/* Allowed differences; boxes nearer than SAME pixels are the same one. */
static const double SCORE = 1e-4, BOX = 0.05, MASKS = 1e-3, OVERLAP = 1e-3, SAME = 1;
static const double LEAST_SCORE = 0.05, MOST_OVERLAP = 0.5; /* docs/detection.md */

/* FILE.onnx, inputs n,c,h,w (raw floats) and behind them n sizes, outputs, n, c, h, w: runs them one by one,
 * writes of each the number of detections, boxes, scores, labels and masks. */
static const char script[] =
    "import sys\n"
    "try:\n"
    "    import numpy, onnxruntime\n"
    "except ImportError as e:\n"
    "    sys.exit(f'{sys.executable}: {e}; --verify needs numpy and onnxruntime')\n"
    "model, source, target, *shape = sys.argv[1:]\n"
    "shape = [int(s) for s in shape]\n"
    "x = numpy.fromfile(source, 'float32')\n"
    "x, sizes = x[: -2 * shape[0]].reshape(shape), x[-2 * shape[0] :].reshape(-1, 2)\n"
    "options = onnxruntime.SessionOptions()\n"
    "options.add_session_config_entry('session.intra_op.allow_spinning', '0')\n"
    "session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])\n"
    "with open(target, 'wb') as f:\n"
    "    for i in range(len(x)):\n"
    "        found = session.run(None, {'input': x[i : i + 1], 'size': sizes[i]})\n"
    "        for part in ([len(found[0])], *found):\n"
    "            f.write(numpy.asarray(part, 'float32').tobytes())\n";

typedef struct verifier {
    const cli_args *args;
    revbifpn *ctx;
    revbifpn_detector *detector;
    bool masks;
    cli_verify_folder files;
    int width, height, count;
    float *inputs;                        /* count,3,h,w */
    float *sizes;                         /* count,2: height, width */
    revbifpn_raw_detections *ours, their; /* count, and one */
    int found, both, at_threshold, wrong; /* of ours or theirs */
    double box, score, mask;              /* largest differences of those of both */
} verifier;

static int failed(const verifier *v, const char *what, const char *why) {
    return cli_verify_failed(v->args, what, why);
}

static size_t input_size(const verifier *v) { return 3 * (size_t)v->width * (size_t)v->height; }

/* ---- comparison ---- */

static double box_difference(const float a[4], const float b[4]) {
    double most = 0;
    for (int i = 0; i < 4; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (!(difference <= most)) most = isnan(difference) ? (double)INFINITY : difference;
    }
    return most;
}

static double overlap_of(const float a[4], const float b[4]) {
    double w = fmin((double)a[2], (double)b[2]) - fmax((double)a[0], (double)b[0]);
    double h = fmin((double)a[3], (double)b[3]) - fmax((double)a[1], (double)b[1]);
    double shared = w > 0 && h > 0 ? w * h : 0;
    double areas =
        (double)(a[2] - a[0]) * (double)(a[3] - a[1]) + (double)(b[2] - b[0]) * (double)(b[3] - b[1]);
    return areas > shared ? shared / (areas - shared) : 0;
}

/* Whether detection i of `of` may be missing from `other`. */
static bool at_threshold(const revbifpn_raw_detections *of, int i, const revbifpn_raw_detections *other) {
    double score = (double)of->scores[i];
    const revbifpn_raw_detections *lists[2] = {of, other};
    if (score <= LEAST_SCORE + SCORE) return true;
    for (int l = 0; l < 2; l++) {
        const revbifpn_raw_detections *d = lists[l];
        if (d->count == REVBIFPN_DETECTIONS && score <= (double)d->scores[d->count - 1] + SCORE) return true;
        for (int k = 0; k < d->count; k++)
            if (d->labels[k] == of->labels[i] && (double)d->scores[k] >= score - SCORE &&
                fabs(overlap_of(d->boxes[k], of->boxes[i]) - MOST_OVERLAP) <= OVERLAP)
                return true;
    }
    return false;
}

static void keep_larger(double *most, double value) {
    if (!(value <= *most)) *most = isnan(value) ? (double)INFINITY : value;
}

static void compare_pair(verifier *v, const revbifpn_raw_detections *a, int i,
                         const revbifpn_raw_detections *b, int k) {
    const float *one = &a->masks[i][0][0], *other = &b->masks[k][0][0];
    keep_larger(&v->box, box_difference(a->boxes[i], b->boxes[k]));
    keep_larger(&v->score, fabs((double)a->scores[i] - (double)b->scores[k]));
    for (int p = 0; v->masks && p < MASK; p++) keep_larger(&v->mask, fabs((double)one[p] - (double)other[p]));
    v->found++;
    v->both++;
}

/* The nearest of `b` with the same label that is not taken; −1: none. */
static int partner_of(const revbifpn_raw_detections *a, int i, const revbifpn_raw_detections *b,
                      const bool *taken) {
    int best = -1;
    double nearest = SAME;
    for (int k = 0; k < b->count; k++) {
        double difference = box_difference(a->boxes[i], b->boxes[k]);
        if (taken[k] || b->labels[k] != a->labels[i] || !(difference < nearest)) continue;
        nearest = difference;
        best = k;
    }
    return best;
}

static void count_alone(verifier *v, const revbifpn_raw_detections *of, int i,
                        const revbifpn_raw_detections *other) {
    v->found++;
    if (at_threshold(of, i, other))
        v->at_threshold++;
    else
        v->wrong++;
}

static void compare(verifier *v, const revbifpn_raw_detections *ours, const revbifpn_raw_detections *their) {
    bool taken[REVBIFPN_DETECTIONS] = {false};
    for (int i = 0; i < ours->count; i++) {
        int k = partner_of(ours, i, their, taken);
        if (k >= 0) {
            taken[k] = true;
            compare_pair(v, ours, i, their, k);
        } else {
            count_alone(v, ours, i, their);
        }
    }
    for (int k = 0; k < their->count; k++) {
        if (!taken[k]) count_alone(v, their, k, ours);
        if (k && their->scores[k] > their->scores[k - 1]) v->wrong++; /* not in falling order */
    }
}

/* ---- both sides ---- */

static bool read_floats(FILE *f, float *out, size_t count) {
    return fread(out, sizeof *out, count, f) == count;
}

static int read_theirs(verifier *v, FILE *f) {
    float count, labels[REVBIFPN_DETECTIONS];
    revbifpn_raw_detections *t = &v->their;
    if (!read_floats(f, &count, 1) || !(count >= 0 && count <= REVBIFPN_DETECTIONS)) return CLI_FAILED;
    size_t n = (size_t)count;
    t->count = (int)count;
    bool whole = read_floats(f, &t->boxes[0][0], 4 * n) && read_floats(f, t->scores, n) &&
                 read_floats(f, labels, n) && (!v->masks || read_floats(f, &t->masks[0][0][0], n * MASK));
    for (size_t i = 0; whole && i < n; i++) t->labels[i] = (int)labels[i];
    return whole ? CLI_OK : CLI_FAILED;
}

static int compare_all(verifier *v) {
    FILE *f = fopen(v->files.output, "rbe");
    int code = f ? CLI_OK : failed(v, v->files.output, strerror(errno));
    for (int i = 0; !code && i < v->count; i++) {
        code = read_theirs(v, f);
        if (!code) compare(v, &v->ours[i], &v->their);
    }
    if (f && (code || fgetc(f) != EOF))
        code = failed(v, cli_text(v->args, "out"), "ONNX Runtime gave other values than there should be");
    if (f) fclose(f);
    return code;
}

static int run_ours(verifier *v) {
    for (int i = 0; i < v->count; i++) {
        const float *size = v->sizes + 2 * (size_t)i;
        revbifpn_status status =
            revbifpn_detector_run(v->detector, v->inputs + (size_t)i * input_size(v), v->width, v->height,
                                  (int)size[1], (int)size[0], &v->ours[i]);
        if (status != REVBIFPN_OK) return cli_report(v->args, v->ctx, status);
    }
    return CLI_OK;
}

static int run_theirs(const verifier *v) {
    const int shape[4] = {v->count, 3, v->height, v->width};
    FILE *f = fopen(v->files.input, "wbe");
    size_t values = (size_t)v->count * input_size(v), sizes = 2 * (size_t)v->count;
    bool written = f && fwrite(v->inputs, sizeof *v->inputs, values, f) == values &&
                   fwrite(v->sizes, sizeof *v->sizes, sizes, f) == sizes;
    if (f && fclose(f)) written = false;
    if (!written) return failed(v, v->files.input, strerror(errno));
    return cli_verify_python(v->args, &v->files, script, shape);
}

static int judge(verifier *v) {
    int code = run_ours(v);
    if (!code) code = run_theirs(v);
    return code ? code : compare_all(v);
}

static int allocate(verifier *v, int width, int height, int count) {
    v->width = width;
    v->height = height;
    v->count = count;
    v->inputs = calloc((size_t)count * input_size(v), sizeof *v->inputs);
    v->sizes = calloc((size_t)count, 2 * sizeof *v->sizes);
    v->ours = calloc((size_t)count, sizeof *v->ours);
    return v->inputs && v->sizes && v->ours ? CLI_OK : failed(v, "verify", "out of memory");
}

static void release(verifier *v) {
    free(v->inputs);
    free(v->sizes);
    free(v->ours);
    v->inputs = v->sizes = NULL;
    v->ours = NULL;
}

/* ---- inputs ---- */

static int below(uint64_t *state, int limit) {
    int value = (int)(((double)cli_verify_random(state) + 2) / 4 * limit);
    return value < limit ? value : limit - 1;
}

/* A rectangle of one colour in a picture of that size. */
static void draw(verifier *v, float *input, int width, int height, uint64_t *state) {
    int x1 = below(state, width), y1 = below(state, height);
    int x2 = x1 + 1 + below(state, width - x1), y2 = y1 + 1 + below(state, height - y1);
    for (int c = 0; c < 3; c++) {
        float color = cli_verify_random(state), *map = input + (size_t)c * (input_size(v) / 3);
        for (int y = y1; y < y2; y++)
            for (int x = x1; x < x2; x++) map[(size_t)y * (size_t)v->width + (size_t)x] = color;
    }
}

/* Every second picture leaves a part of the input free. */
static void draw_inputs(verifier *v) {
    uint64_t state = CLI_VERIFY_SEED;
    for (int i = 0; i < v->count; i++) {
        int width = i % 2 ? v->width - 21 : v->width, height = i % 2 ? v->height - 10 : v->height;
        v->sizes[2 * i] = (float)height;
        v->sizes[2 * i + 1] = (float)width;
        for (int k = 0; k < RECTANGLES; k++)
            draw(v, v->inputs + (size_t)i * input_size(v), width, height, &state);
    }
}

static int judge_random(verifier *v, int width, int height) {
    int code = allocate(v, width, height, RANDOM_INPUTS);
    if (!code) draw_inputs(v);
    if (!code) code = judge(v);
    release(v);
    return code;
}

static int judge_pictures(verifier *v, int width, int height, int *pictures) {
    cli_verify_list l = {.count = 0};
    int code = cli_verify_find(v->args, v->ctx, &l);
    if (!code) code = allocate(v, width, height, l.count);
    for (int i = 0; !code && i < l.count; i++) {
        int seen_width, seen_height;
        revbifpn_status status =
            revbifpn_detector_input_read(v->detector, l.paths[i], width, height,
                                         v->inputs + (size_t)i * input_size(v), &seen_width, &seen_height);
        if (status != REVBIFPN_OK) code = cli_report(v->args, v->ctx, status);
        v->sizes[2 * i] = (float)seen_height;
        v->sizes[2 * i + 1] = (float)seen_width;
    }
    if (!code) code = judge(v);
    release(v);
    *pictures = l.count;
    cli_verify_forget(&l);
    return code;
}

/* ---- the whole ---- */

static int report(const verifier *v, int random, int pictures) {
    const char *out = cli_text(v->args, "out");
    if (!v->found)
        return failed(
            v, out,
            "nothing was found in any input, by both sides, so no box was compared; name pictures with "
            "--source");
    bool good = !v->wrong && v->box <= BOX && v->score <= SCORE && v->mask <= MASKS;
    printf(
        "%s: %d random inputs and %d pictures: of %d detections %d here and in ONNX Runtime, %d in one alone "
        "because of a threshold, %d wrong; largest differences: corners %.3g pixels (at most %.3g), scores "
        "%.3g (%.3g)",
        out, random, pictures, v->found, v->both, v->at_threshold, v->wrong, v->box, BOX, v->score, SCORE);
    if (v->masks) printf(", masks %.3g (%.3g)", v->mask, MASKS);
    printf(": %s\n", good ? "good" : "TOO LARGE");
    return good ? CLI_OK : CLI_FAILED;
}

static int verify(verifier *v) {
    int width, height, pictures = 0, random = RANDOM_INPUTS;
    cli_detector_input(v->detector, &width, &height);
    int code = judge_random(v, width, height);
    if (!code && cli_given(v->args, "dynamic-size")) {
        code = judge_random(v, height, width + 32);
        random += RANDOM_INPUTS;
    }
    if (!code && cli_given(v->args, "source")) code = judge_pictures(v, width, height, &pictures);
    return code ? code : report(v, random, pictures);
}

int cli_verify_detections(const cli_args *args, revbifpn *ctx, revbifpn_detector *detector) {
    verifier *v = calloc(1, sizeof *v);
    if (!v) return cli_verify_failed(args, "verify", "out of memory");
    v->args = args;
    v->ctx = ctx;
    v->detector = detector;
    v->masks = revbifpn_detector_configuration(detector)->masks;
    int code = cli_verify_folder_open(args, &v->files);
    if (!code) {
        code = verify(v);
        cli_verify_folder_close(&v->files);
    }
    free(v);
    return code;
}
