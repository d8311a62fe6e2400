#include "verify.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detector.h"
#include "print.h"
#include "verify_tools.h"

enum { RANDOM_INPUTS = 2, LEVELS = REVBIFPN_DETECTOR_LEVELS, MOST_OUTPUTS = 3 * LEVELS };
_Static_assert((int)MOST_OUTPUTS >= (int)REVBIFPN_MAX_STREAMS, "room for the maps");
static const double TOLERANCE = 1e-4;

/* FILE.onnx, inputs (raw floats), outputs, n, c, h, w: runs them two by two, writes each output of all. */
static const char script[] =
    "import sys\n"
    "try:\n"
    "    import numpy, onnxruntime\n"
    "except ImportError as e:\n"
    "    sys.exit(f'{sys.executable}: {e}; --verify needs numpy and onnxruntime')\n"
    "model, source, target, *shape = sys.argv[1:]\n"
    "x = numpy.fromfile(source, 'float32').reshape([int(s) for s in shape])\n"
    "options = onnxruntime.SessionOptions()\n"
    "options.add_session_config_entry('session.intra_op.allow_spinning', '0')\n"
    "session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])\n"
    "parts = [session.run(None, {'input': x[i : i + 2]}) for i in range(0, len(x), 2)]\n"
    "with open(target, 'wb') as f:\n"
    "    for output in zip(*parts):\n"
    "        f.write(numpy.concatenate(output).astype('float32').tobytes())\n";

typedef struct verifier {
    const cli_args *args;
    revbifpn *ctx;
    revbifpn_model *model;       /* … */
    revbifpn_detector *detector; /* or this, with its raw heads */
    cli_verify_folder files;
    int features, outputs; /* maps instead of logits; how many outputs there are */
    int width, height, count;
    float *inputs;             /* count,c,h,w */
    float *ours[MOST_OUTPUTS]; /* count,size */
    size_t size[MOST_OUTPUTS]; /* values of one input */
    double worst, largest;     /* difference, and |value| of ours */
} verifier;

static const revbifpn_model_config *config_of(const verifier *v) {
    return v->detector ? &revbifpn_detector_configuration(v->detector)->backbone
                       : revbifpn_model_configuration(v->model);
}

static int failed(const verifier *v, const char *what, const char *why) {
    return cli_verify_failed(v->args, what, why);
}

static size_t input_size(const verifier *v) {
    return (size_t)config_of(v)->input_channels * (size_t)v->width * (size_t)v->height;
}

static void free_values(verifier *v) {
    free(v->inputs);
    v->inputs = NULL;
    for (int i = 0; i < MOST_OUTPUTS; i++) free(v->ours[i]), v->ours[i] = NULL;
}

/* Values of one input's output i. */
static size_t output_size(const verifier *v, int i) {
    const revbifpn_model_config *c = config_of(v);
    int level = v->detector ? i % LEVELS : i, channels[3] = {0, 3, 12};
    size_t cells = (size_t)(v->width / 4 >> level) * (size_t)(v->height / 4 >> level);
    if (v->detector) {
        channels[0] = revbifpn_detector_configuration(v->detector)->channels;
        return (size_t)channels[i / LEVELS] * cells;
    }
    if (!v->features) return (size_t)c->classes;
    return (size_t)(c->neck ? c->head_widths[i] : c->widths[i]) * cells;
}

/* Room for `count` inputs of that size and what comes of them. */
static int allocate(verifier *v, int width, int height, int count) {
    bool whole;
    v->width = width;
    v->height = height;
    v->count = count;
    v->inputs = calloc((size_t)count * input_size(v), sizeof *v->inputs);
    whole = v->inputs != NULL;
    for (int i = 0; i < v->outputs; i++) {
        v->size[i] = output_size(v, i);
        v->ours[i] = calloc((size_t)count * v->size[i], sizeof *v->ours[i]);
        whole &= v->ours[i] != NULL;
    }
    return whole ? CLI_OK : failed(v, "verify", "out of memory");
}

static void fill_random(verifier *v) {
    uint64_t state = CLI_VERIFY_SEED;
    for (size_t i = 0; i < RANDOM_INPUTS * input_size(v); i++) v->inputs[i] = cli_verify_random(&state);
}

static int run_ours(verifier *v) {
    for (int n = 0; n < v->count; n++) {
        float *out[MOST_OUTPUTS] = {0};
        for (int i = 0; i < v->outputs; i++) out[i] = v->ours[i] + (size_t)n * v->size[i];
        const float *input = v->inputs + (size_t)n * input_size(v);
        revbifpn_status status =
            v->detector ? revbifpn_detector_run_heads(v->detector, input, 1, v->width, v->height, out)
                        : revbifpn_run(v->model, input, 1, v->width, v->height, v->features, out);
        if (status != REVBIFPN_OK) return cli_report(v->args, v->ctx, status);
    }
    return CLI_OK;
}

static int run_theirs(const verifier *v) {
    const int shape[4] = {v->count, config_of(v)->input_channels, v->height, v->width};
    FILE *f = fopen(v->files.input, "wbe");
    size_t values = (size_t)v->count * input_size(v);
    bool written = f && fwrite(v->inputs, sizeof *v->inputs, values, f) == values;
    if (f && fclose(f)) written = false;
    if (!written) return failed(v, v->files.input, strerror(errno));
    return cli_verify_python(v->args, &v->files, script, shape);
}

/* A value that is not a number counts as infinitely wrong. */
static void compare(verifier *v, const float *theirs, const float *ours, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)theirs[i] - (double)ours[i]), size = fabs((double)ours[i]);
        if (!(difference <= v->worst)) v->worst = isnan(difference) ? (double)INFINITY : difference;
        if (size > v->largest) v->largest = size;
    }
}

static int compare_outputs(verifier *v) {
    FILE *f = fopen(v->files.output, "rbe");
    int code = f ? CLI_OK : failed(v, v->files.output, strerror(errno));
    for (int i = 0; !code && i < v->outputs; i++) {
        size_t count = (size_t)v->count * v->size[i];
        float *theirs = malloc(count * sizeof *theirs);
        if (!theirs)
            code = failed(v, "verify", "out of memory");
        else if (fread(theirs, sizeof *theirs, count, f) != count)
            code = failed(v, cli_text(v->args, "out"), "ONNX Runtime gave fewer values than there should be");
        else
            compare(v, theirs, v->ours[i], count);
        free(theirs);
    }
    if (!code && fgetc(f) != EOF)
        code = failed(v, cli_text(v->args, "out"), "ONNX Runtime gave more values than there should be");
    if (f) fclose(f);
    return code;
}

static int judge(verifier *v) {
    int code = run_ours(v);
    if (!code) code = run_theirs(v);
    return code ? code : compare_outputs(v);
}

static int judge_random(verifier *v, int width, int height) {
    int code = allocate(v, width, height, RANDOM_INPUTS);
    if (!code) fill_random(v);
    if (!code) code = judge(v);
    free_values(v);
    return code;
}

/* ---- pictures ---- */

static revbifpn_status read_picture(const verifier *v, const char *path, float *input) {
    int width, height;
    return v->detector
               ? revbifpn_detector_input_read(v->detector, path, v->width, v->height, input, &width, &height)
               : revbifpn_input_read(v->model, path, input);
}

static int judge_pictures(verifier *v, int width, int height, int *pictures) {
    cli_verify_list l = {.count = 0};
    int code = cli_verify_find(v->args, v->ctx, &l);
    if (!code) code = allocate(v, width, height, l.count);
    for (int i = 0; !code && i < l.count; i++) {
        revbifpn_status status = read_picture(v, l.paths[i], v->inputs + (size_t)i * input_size(v));
        if (status != REVBIFPN_OK) code = cli_report(v->args, v->ctx, status);
    }
    if (!code) code = judge(v);
    free_values(v);
    *pictures = l.count;
    cli_verify_forget(&l);
    return code;
}

/* ---- the whole ---- */

static int report(const verifier *v, int random, int pictures) {
    double allowed = TOLERANCE * (v->features && v->largest > 1 ? v->largest : 1);
    bool good = v->worst <= allowed;
    printf("%s: %d random inputs and %d pictures: largest difference to ONNX Runtime %.3g, %s (at most %.3g, "
           "largest value %.3g)\n",
           cli_text(v->args, "out"), random, pictures, v->worst, good ? "good" : "TOO LARGE", allowed,
           v->largest);
    return good ? CLI_OK : CLI_FAILED;
}

static int verify_all(verifier *v, int width, int height) {
    int pictures = 0, random = RANDOM_INPUTS, code = judge_random(v, width, height);
    if (!code && cli_given(v->args, "dynamic-size")) {
        code = judge_random(v, width + (4 << (config_of(v)->streams - 1)), height);
        random += RANDOM_INPUTS;
    }
    if (!code && cli_given(v->args, "source")) code = judge_pictures(v, width, height, &pictures);
    return code ? code : report(v, random, pictures);
}

static int verify(verifier *v, int width, int height) {
    int code = cli_verify_folder_open(v->args, &v->files);
    if (code) return code;
    code = verify_all(v, width, height);
    cli_verify_folder_close(&v->files);
    return code;
}

int cli_verify_onnx(const cli_args *args, revbifpn *ctx, revbifpn_model *model) {
    verifier v = {.args = args, .ctx = ctx, .model = model};
    const revbifpn_model_config *c = config_of(&v);
    v.features = cli_given(args, "features") || !c->classes;
    v.outputs = v.features ? c->streams : 1;
    return verify(&v, c->image_width, c->image_height);
}

int cli_verify_heads(const cli_args *args, revbifpn *ctx, revbifpn_detector *detector) {
    verifier v = {.args = args, .ctx = ctx, .detector = detector, .features = 1, .outputs = 3 * LEVELS};
    int width, height;
    cli_detector_input(detector, &width, &height);
    return verify(&v, width, height);
}
