#define _DEFAULT_SOURCE
#include "verify.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "print.h"

enum { RANDOM_INPUTS = 2, MOST_PICTURES = 16, MOST_OUTPUTS = REVBIFPN_MAX_STREAMS, PATH_BYTES = 4096 };
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
    revbifpn_model *model;
    char folder[PATH_BYTES], input[PATH_BYTES + 16], output[PATH_BYTES + 16];
    int features, outputs; /* maps instead of logits; how many outputs there are */
    int width, height, count;
    float *inputs;             /* count,c,h,w */
    float *ours[MOST_OUTPUTS]; /* count,size */
    size_t size[MOST_OUTPUTS]; /* values of one input */
    double worst, largest;     /* difference, and |value| of ours */
} verifier;

static const revbifpn_model_config *config_of(const verifier *v) {
    return revbifpn_model_configuration(v->model);
}

static int failed(const verifier *v, const char *what, const char *why) {
    fprintf(stderr, "revbifpn %s: %s: %s\n", v->args->verb->name, what, why);
    return CLI_FAILED;
}

static size_t input_size(const verifier *v) {
    return (size_t)config_of(v)->input_channels * (size_t)v->width * (size_t)v->height;
}

static void free_values(verifier *v) {
    free(v->inputs);
    v->inputs = NULL;
    for (int i = 0; i < MOST_OUTPUTS; i++) free(v->ours[i]), v->ours[i] = NULL;
}

/* Room for `count` inputs of that size and what comes of them. */
static int allocate(verifier *v, int width, int height, int count) {
    const revbifpn_model_config *c = config_of(v);
    bool whole;
    v->width = width;
    v->height = height;
    v->count = count;
    v->inputs = calloc((size_t)count * input_size(v), sizeof *v->inputs);
    whole = v->inputs != NULL;
    for (int i = 0; i < v->outputs; i++) {
        int channels = c->neck ? c->head_widths[i] : c->widths[i];
        v->size[i] = v->features ? (size_t)channels * (size_t)(width / (4 << i)) * (size_t)(height / (4 << i))
                                 : (size_t)c->classes;
        v->ours[i] = calloc((size_t)count * v->size[i], sizeof *v->ours[i]);
        whole &= v->ours[i] != NULL;
    }
    return whole ? CLI_OK : failed(v, "verify", "out of memory");
}

/* About what normalised pictures hold: values from −2 to 2 (xorshift, Marsaglia 2003). */
static void fill_random(verifier *v) {
    uint64_t s = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < RANDOM_INPUTS * input_size(v); i++) {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        v->inputs[i] = (float)((double)(s >> 11) * 0x1p-51 - 2);
    }
}

static int run_ours(verifier *v) {
    for (int n = 0; n < v->count; n++) {
        float *out[MOST_OUTPUTS] = {0};
        for (int i = 0; i < v->outputs; i++) out[i] = v->ours[i] + (size_t)n * v->size[i];
        revbifpn_status status = revbifpn_run(v->model, v->inputs + (size_t)n * input_size(v), 1, v->width,
                                              v->height, v->features, out);
        if (status != REVBIFPN_OK) return cli_report(v->args, v->ctx, status);
    }
    return CLI_OK;
}

static const char *python(const verifier *v) {
    const char *named = cli_text(v->args, "python"), *usual = getenv("REVBIFPN_PYTHON");
    return named ? named : usual && *usual ? usual : "python3";
}

/* Runs the script; its own words about what went wrong go to stderr. */
static int run_theirs(const verifier *v) {
    char shape[4][16];
    int sides[4] = {v->count, config_of(v)->input_channels, v->height, v->width}, state = 0;
    for (int i = 0; i < 4; i++) snprintf(shape[i], sizeof shape[i], "%d", sides[i]);
    FILE *f = fopen(v->input, "wbe");
    size_t values = (size_t)v->count * input_size(v);
    bool written = f && fwrite(v->inputs, sizeof *v->inputs, values, f) == values;
    if (f && fclose(f)) written = false;
    if (!written) return failed(v, v->input, strerror(errno));
    const char *words[] = {python(v), "-c",      script,   cli_text(v->args, "out"),
                           v->input,  v->output, shape[0], shape[1],
                           shape[2],  shape[3],  NULL};
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &state, 0) != child) return failed(v, python(v), strerror(errno));
    if (WIFEXITED(state) && !WEXITSTATUS(state)) return CLI_OK;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 127)
        return failed(
            v, python(v),
            "cannot be run; --verify needs a Python with onnxruntime (--python PY, REVBIFPN_PYTHON)");
    return failed(v, cli_text(v->args, "out"), "ONNX Runtime did not run it");
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
    FILE *f = fopen(v->output, "rbe");
    int code = f ? CLI_OK : failed(v, v->output, strerror(errno));
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

typedef struct list {
    char *paths[MOST_PICTURES];
    int count;
} list;

static int collect(void *user, const char *path) {
    list *l = user;
    l->paths[l->count] = strdup(path);
    l->count += l->paths[l->count] != NULL;
    return l->count == MOST_PICTURES;
}

static int find_pictures(verifier *v, list *l) {
    const char *source = cli_text(v->args, "source");
    struct stat info;
    if (stat(source, &info)) return failed(v, source, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return collect(l, source), l->count ? CLI_OK : failed(v, source, "out of memory");
    revbifpn_status status = revbifpn_find_pictures(v->ctx, source, collect, l);
    if (status != REVBIFPN_OK) return cli_report(v->args, v->ctx, status);
    return l->count ? CLI_OK : failed(v, source, "no picture in this folder");
}

static int judge_pictures(verifier *v, int *pictures) {
    list l = {.count = 0};
    int code = find_pictures(v, &l);
    if (!code) code = allocate(v, config_of(v)->image_width, config_of(v)->image_height, l.count);
    for (int i = 0; !code && i < l.count; i++) {
        revbifpn_status status =
            revbifpn_input_read(v->model, l.paths[i], v->inputs + (size_t)i * input_size(v));
        if (status != REVBIFPN_OK) code = cli_report(v->args, v->ctx, status);
    }
    if (!code) code = judge(v);
    free_values(v);
    for (int i = 0; i < l.count; i++) free(l.paths[i]);
    *pictures = l.count;
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

static int verify(verifier *v) {
    const revbifpn_model_config *c = config_of(v);
    int pictures = 0, random = RANDOM_INPUTS, code = judge_random(v, c->image_width, c->image_height);
    if (!code && cli_given(v->args, "dynamic-size")) {
        code = judge_random(v, c->image_width + (4 << (c->streams - 1)), c->image_height);
        random += RANDOM_INPUTS;
    }
    if (!code && cli_given(v->args, "source")) code = judge_pictures(v, &pictures);
    return code ? code : report(v, random, pictures);
}

int cli_verify_onnx(const cli_args *args, revbifpn *ctx, revbifpn_model *model) {
    verifier v = {.args = args, .ctx = ctx, .model = model};
    const char *temporary = getenv("TMPDIR");
    v.features = cli_given(args, "features") || !config_of(&v)->classes;
    v.outputs = v.features ? config_of(&v)->streams : 1;
    snprintf(v.folder, sizeof v.folder, "%.4000s/revbifpn.XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(v.folder)) return failed(&v, v.folder, strerror(errno));
    snprintf(v.input, sizeof v.input, "%s/inputs", v.folder);
    snprintf(v.output, sizeof v.output, "%s/outputs", v.folder);
    int code = verify(&v);
    unlink(v.input);
    unlink(v.output);
    rmdir(v.folder);
    return code;
}
