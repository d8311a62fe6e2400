/* revbifpn: trains and runs RevBiFPN, the fully reversible bidirectional feature pyramid network
 * (Chiley et al., MLSys 2023, arXiv 2206.14098). A whole program:
 *
 *     #include <revbifpn.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         revbifpn *ctx = NULL;
 *         revbifpn_model *model = NULL;
 *         revbifpn_prediction best[5];
 *         int found = 0;
 *         if (argc < 3 || revbifpn_open(&ctx, NULL)) return 1;
 *         if (revbifpn_model_load(ctx, argv[1], &model) ||
 *             revbifpn_predict_file(model, argv[2], best, 5, &found)) {
 *             fprintf(stderr, "%s\n", revbifpn_message(ctx));
 *             return 1;
 *         }
 *         for (int i = 0; i < found; i++) printf("%.4f %s\n", best[i].probability, best[i].name);
 *         revbifpn_model_free(&model);
 *         revbifpn_close(&ctx);
 *         return 0;
 *     }
 *
 * Conventions. Every function that can fail returns a revbifpn_status; the one-line text of the last failure
 * is in revbifpn_message(). The library never prints, exits or aborts. A context and all that was made from
 * it belong to one thread at a time; different contexts are independent. Options, structs that begin with
 * struct_size, come from their revbifpn_default_…() function and may be of another version than the library:
 * what an older one lacks has its default, what a newer one has more must be 0 (else BAD_ARGUMENT). Strings
 * passed in are copied; strings handed out live as long as their owner. */
#ifndef REVBIFPN_H
#define REVBIFPN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REVBIFPN_VERSION "0.1.0"

#if defined(__GNUC__)
#define REVBIFPN_API __attribute__((visibility("default")))
#define REVBIFPN_CHECKED __attribute__((warn_unused_result))
#else
#define REVBIFPN_API
#define REVBIFPN_CHECKED
#endif

/* Defines revbifpn_default_NAME(), which returns a `type` with its defaults. It is a part of the program, so
 * that struct_size is what the program was compiled with; revbifpn_init_NAME() fills as many bytes. */
#define REVBIFPN_DEFAULT(type, NAME)                                                                         \
    static inline type revbifpn_default_##NAME(void) {                                                       \
        type options;                                                                                        \
        revbifpn_init_##NAME(&options, sizeof options);                                                      \
        return options;                                                                                      \
    }

/* Result of every function that can fail; the text is in revbifpn_message(). */
typedef enum revbifpn_status {
    REVBIFPN_OK = 0,
    REVBIFPN_BAD_ARGUMENT, /* a wrong option, value, size or name */
    REVBIFPN_OUT_OF_MEMORY,
    REVBIFPN_BAD_FILE,    /* a file's content is wrong, truncated or hostile */
    REVBIFPN_UNSUPPORTED, /* a format or feature that this build does not read */
    REVBIFPN_IO_FAILED,   /* the system refused to open, read or write */
    REVBIFPN_NO_DEVICE,
    REVBIFPN_DEVICE_FAILED,
    REVBIFPN_NOT_FINITE,   /* NaN or infinity, or the fixed-point range is exhausted */
    REVBIFPN_DOES_NOT_FIT, /* the plan is larger than the memory limit */
    REVBIFPN_BAD_DATA,     /* the data set as a whole is unusable */
    REVBIFPN_STOPPED,      /* a signal, or the caller's progress function, asked to stop */
    REVBIFPN_OUT_OF_RANGE  /* internal to the step: repeat on a coarser grid */
} revbifpn_status;

enum { REVBIFPN_MAX_STREAMS = 6 };

/* A network: the reversible pyramid, then optionally a neck, then optionally a classification head (DESIGN
 * 3). Arrays go from the finest stream to the coarsest and have `streams` entries. It comes from
 * revbifpn_config(), is a part of other structs, and so has one size: struct_size must be it. */
typedef struct revbifpn_model_config {
    size_t struct_size;
    char name[32];                         /* "s0" … "s6", or any name for a custom network */
    int streams;                           /* 2 … REVBIFPN_MAX_STREAMS; the published networks have 4 */
    int input_channels;                    /* channels of the picture, 3 for RGB */
    int widths[REVBIFPN_MAX_STREAMS];      /* channels of each stream; even; the first a multiple of 16 */
    int kernels[REVBIFPN_MAX_STREAMS];     /* depthwise kernel of the residual blocks, odd with kernel_pads */
    int kernel_pads[REVBIFPN_MAX_STREAMS]; /* even: added to each depthwise kernel that starts at this stream
                                            */
    int expansions[REVBIFPN_MAX_STREAMS];  /* MBConv expansion e ≥ 1 */
    double squeeze_ratios[REVBIFPN_MAX_STREAMS]; /* squeeze-excite ratio r; 0 = none */
    int blocks_per_level;                        /* layers of residual blocks before each silo: 2 */
    int extension_levels;                        /* levels after the last stream has been added */
    int neck;                                    /* 1: one MBConv per stream to head_widths */
    int head_widths[REVBIFPN_MAX_STREAMS];       /* channels of the neck's maps (ignored without neck) */
    int head_kernels[REVBIFPN_MAX_STREAMS];
    int head_kernel_pads[REVBIFPN_MAX_STREAMS];
    int head_expansions[REVBIFPN_MAX_STREAMS];
    double head_squeeze_ratios[REVBIFPN_MAX_STREAMS];
    int fc_features;               /* channels of the head's last 1×1; ≥ 1 with classes */
    int classes;                   /* 0: no classification head; the outputs are the maps */
    double drop;                   /* dropout before the linear layer */
    double drop_path;              /* stochastic depth p of the last level; level l has p·l/L */
    int image_width, image_height; /* training size; multiples of 4·2^(streams−1) */
} revbifpn_model_config;

/* ---- context ---- */

typedef struct revbifpn revbifpn;
typedef enum revbifpn_log_level { REVBIFPN_LOG_NOTICE, REVBIFPN_LOG_WARNING } revbifpn_log_level;
typedef struct revbifpn_options {
    size_t struct_size;
    int threads;     /* 0: as many as the affinity mask and the cgroup quota allow */
    const char *cpu; /* "ref", "avx2", "avx512"; NULL: REVBIFPN_CPU of the environment, else the best */
    /* The program's functions; any may be NULL. None may call into this context. */
    void *user; /* handed to them */
    /* Memory of the context and of all that is made from it: `bytes` ≥ 1 bytes whose address is a multiple of
     * `alignment` (a power of two, at most 4096), with any content; or NULL, then the call fails with
     * OUT_OF_MEMORY. `release` gets each block back with its `bytes`. Both or neither; they are called by all
     * threads of the context at once. Neither sees what libjpeg, libpng, libwebp, giflib and jansson take
     * while they work, nor stacks of threads. */
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *block, size_t bytes);
    /* One line, without its end, of what went otherwise than asked but does not fail the call; also what
     * revbifpn_report.note and revbifpn_val_options.note tell. In the thread of the call. */
    void (*log)(void *user, revbifpn_log_level level, const char *line);
    /* Asked while a call reads a data set's folders, lists and shards; other than 0: it fails, STOPPED. In
     * the thread of the call. Training and validation ask revbifpn_trainer_watch()'s function. */
    int (*stop)(void *user);
} revbifpn_options;
REVBIFPN_API void revbifpn_init_options(revbifpn_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_options, options)

/* Opens a context; options may be NULL. When it fails *out is set all the same (unless memory is out), so
 * that revbifpn_message tells why; close it as usual. */
REVBIFPN_API revbifpn_status revbifpn_open(revbifpn **out, const revbifpn_options *options) REVBIFPN_CHECKED;
/* Frees and sets to NULL. What was made from the context must have been freed before. */
REVBIFPN_API void revbifpn_close(revbifpn **ctx);
/* Text of the last failure in this context; never NULL. */
REVBIFPN_API const char *revbifpn_message(const revbifpn *ctx);
/* "0.1.0", the commit it was built from, and the kernels in use: "ref", "avx2" or "avx512". */
REVBIFPN_API const char *revbifpn_version(void);
REVBIFPN_API const char *revbifpn_commit(void);
REVBIFPN_API const char *revbifpn_cpu(const revbifpn *ctx);
REVBIFPN_API int revbifpn_threads(const revbifpn *ctx);

/* ---- networks ---- */

/* The published network of that name ("s0" … "s6"), 1000 classes; or, when `name` ends in ".json", the config
 * in that file. Errors: BAD_ARGUMENT (with the nearest right name), BAD_FILE. */
REVBIFPN_API revbifpn_status revbifpn_config(revbifpn *ctx, const char *name,
                                             revbifpn_model_config *out) REVBIFPN_CHECKED;

/* Cost of one layer, or of the whole, for one picture. */
typedef struct revbifpn_cost {
    uint64_t parameters;
    uint64_t macs;           /* convolutions and linear layer: multiply-accumulates, bare */
    uint64_t macs_published; /* the published rule: + conv biases, 2 a norm output, 11 an upsampled one */
} revbifpn_cost;
typedef struct revbifpn_layer {
    char name[120]; /* prefix of its tensors in the state dict */
    char kind[24];  /* "space_to_depth", "mbconv", "conv_norm_act", "linear"; of detectors also "conv",
                       "transposed_conv" */
    int in_channels, in_height, in_width, out_channels, out_height, out_width;
    int kernel, stride, expansion, squeeze; /* squeeze: hidden channels; 0 none */
    revbifpn_cost cost;
} revbifpn_layer;
/* Calls `visit` (may be NULL) for each layer in order and sums the costs, for pictures of width × height. */
REVBIFPN_API revbifpn_status revbifpn_inspect(revbifpn *ctx, const revbifpn_model_config *config, int width,
                                              int height,
                                              void (*visit)(void *user, const revbifpn_layer *layer),
                                              void *user, revbifpn_cost *total) REVBIFPN_CHECKED;

/* ---- memory, known before the run ---- */

typedef enum revbifpn_activations {
    REVBIFPN_REVERSIBLE, /* recompute activations by inverting the network */
    REVBIFPN_STORED      /* keep them: the reference, and the other side of the tables */
} revbifpn_activations;
/* Arithmetic of the 1×1 convolutions inside the blocks. Weights, gradients and norms are float32 and the
 * state fixed point in both; reversible and stored activations give the same bits in both. */
typedef enum revbifpn_precision {
    REVBIFPN_FLOAT32,
    REVBIFPN_BF16 /* factors rounded to bf16, sums in float32; fast on processors with AVX512-BF16 */
} revbifpn_precision;

/* Optimizers under timm's names (docs/recipes.md has the formulas). Slots: floats kept for each weight. */
typedef enum revbifpn_optimizer {
    REVBIFPN_SGD,       /* Nesterov momentum; 1 slot */
    REVBIFPN_MOMENTUM,  /* plain momentum; 1 slot */
    REVBIFPN_RMSPROPTF, /* RMSprop as TensorFlow has it; 2 slots */
    REVBIFPN_ADAMW,     /* 2 slots */
    REVBIFPN_LAMB,      /* 2 slots; clips the norm of all gradients to 1 by itself */
    REVBIFPN_LAMBC      /* … with trust ratios of at most 1 */
} revbifpn_optimizer;

/* Bytes of one step, from a dry run of the code that will run. */
typedef struct revbifpn_memory {
    uint64_t weights_bytes, gradient_bytes, optimizer_bytes; /* weights include the running statistics */
    uint64_t kept_bytes;       /* survives from forward to backward, the residual state included */
    uint64_t scratch_bytes;    /* the rest of the step, gradients of the state included */
    uint64_t activation_bytes; /* input + kept + scratch: all that is not weights, gradients, optimizer */
    uint64_t activation_bytes_per_sample; /* what one more sample adds */
    uint64_t total_bytes;
} revbifpn_memory;
/* Allocates nothing of what it counts. training 0: inference (no gradients, no optimizer); else with
 * REVBIFPN_SGD. */
REVBIFPN_API revbifpn_status revbifpn_plan(revbifpn *ctx, const revbifpn_model_config *config, int width,
                                           int height, int batch, int training,
                                           revbifpn_activations activations, revbifpn_precision precision,
                                           revbifpn_memory *out) REVBIFPN_CHECKED;

/* The largest batch, square side or published network whose plan fits into max_memory. */
typedef enum revbifpn_solve_for {
    REVBIFPN_SOLVE_BATCH,
    REVBIFPN_SOLVE_IMGSZ,
    REVBIFPN_SOLVE_MODEL
} revbifpn_solve_for;
typedef struct revbifpn_solve {
    revbifpn_model_config model; /* what is not solved for, image size included */
    int batch, training;
    int keep_size; /* solving for the network: at the image size of `model`, not at each one's own */
    revbifpn_activations activations;
    revbifpn_precision precision;
    revbifpn_solve_for variable;
    uint64_t max_memory;
    revbifpn_optimizer optimizer; /* training: its slots, */
    int model_ema;                /* and an average of the weights */
} revbifpn_solve;
/* The plan of a step as the question has it, nothing solved for. */
REVBIFPN_API revbifpn_status revbifpn_plan_step(revbifpn *ctx, const revbifpn_solve *step,
                                                revbifpn_memory *out) REVBIFPN_CHECKED;
typedef struct revbifpn_solution {
    revbifpn_model_config model;
    int batch;
    revbifpn_memory memory;
} revbifpn_solution;
/* DOES_NOT_FIT when even the smallest does not. The next larger one would not fit. */
REVBIFPN_API revbifpn_status revbifpn_plan_largest(revbifpn *ctx, const revbifpn_solve *question,
                                                   revbifpn_solution *out) REVBIFPN_CHECKED;

/* ---- pictures ---- */

typedef struct revbifpn_image {
    int width, height;
    uint8_t *pixels;   /* height,width,3 RGB; owned: revbifpn_image_free */
    int channels;      /* of samples */
    uint16_t *samples; /* height,width,channels, which a network for them takes instead; or NULL; owned */
} revbifpn_image;
/* JPEG, PNG, WebP, GIF (first frame), BMP or TIFF (first picture), by content. Pictures above 178 million
 * pixels are refused. */
REVBIFPN_API revbifpn_status revbifpn_image_read(revbifpn *ctx, const char *path,
                                                 revbifpn_image *out) REVBIFPN_CHECKED;
REVBIFPN_API revbifpn_status revbifpn_image_write_png(revbifpn *ctx, const char *path,
                                                      const revbifpn_image *image) REVBIFPN_CHECKED;
/* Writes lines over the top of a picture, enlarged by a whole number first when it has less than 240 pixels a
 * row (but not beyond 16384 rows). Only ASCII has letters, others are boxes. */
REVBIFPN_API revbifpn_status revbifpn_image_annotate(revbifpn *ctx, revbifpn_image *image,
                                                     const char *const *lines, int count) REVBIFPN_CHECKED;
REVBIFPN_API void revbifpn_image_free(revbifpn_image *image);
/* Calls `visit` for each picture below a folder (.jpg .jpeg .png .webp .gif .bmp .tif .tiff, hidden names
 * left out), in natural order of path, until it returns other than 0. */
REVBIFPN_API revbifpn_status revbifpn_find_pictures(revbifpn *ctx, const char *folder,
                                                    int (*visit)(void *user, const char *path),
                                                    void *user) REVBIFPN_CHECKED;

/* Renders a small picture set with classes of shapes: FOLDER/{train,val}/CLASS/NAME.jpg; or with several
 * shapes in a picture and their outlines, as COCO has them: FOLDER/{images,annotations}. The same options
 * give the same bytes. Refuses a folder with other content. */
typedef struct revbifpn_synth_options {
    size_t struct_size;
    const char *folder;
    int train_images, val_images, classes, side;
    uint64_t seed;
    int objects; /* the most in a picture; 0: one, which is its class */
} revbifpn_synth_options;
REVBIFPN_API void revbifpn_init_synth(revbifpn_synth_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_synth_options, synth)
REVBIFPN_API revbifpn_status revbifpn_synth(revbifpn *ctx, const revbifpn_synth_options *options,
                                            void (*progress)(void *user, int done, int all),
                                            void *user) REVBIFPN_CHECKED;

/* ---- trained models ---- */

typedef struct revbifpn_model revbifpn_model;
/* Reads weights, whatever the file is called: safetensors, or a state dict or checkpoint of PyTorch (.pth;
 * its state dict alone, or under "state_dict" or "model"). Configuration, class names and preprocessing come
 * from the file's metadata; of a file without from config.json beside it; else it is the published network
 * that the tensors fit, prepared as for ImageNet. */
REVBIFPN_API revbifpn_status revbifpn_model_load(revbifpn *ctx, const char *path,
                                                 revbifpn_model **out) REVBIFPN_CHECKED;
/* A network with fresh weights from a seed, without class names. */
REVBIFPN_API revbifpn_status revbifpn_model_create(revbifpn *ctx, const revbifpn_model_config *config,
                                                   uint64_t seed, revbifpn_model **out) REVBIFPN_CHECKED;
/* Writes weights, PyTorch's way when the name ends in .pth, .pt or .pth.tar, else safetensors, and
 * config.json beside them (one of another kind that is there already stays). */
REVBIFPN_API revbifpn_status revbifpn_model_save(revbifpn_model *model, const char *path) REVBIFPN_CHECKED;
/* Reads the weights in file `weights`, a classifier's or a detector's, and writes them to `out`, whose name
 * gives the format: .safetensors, or .pth, .pt, .pth.tar, which the published code (of a detector, one of
 * MMDetection) takes with load_state_dict(torch.load(out, weights_only=True)). The values stay as they are,
 * to the bit; float16, bfloat16 and float64 become float32. Both formats keep configuration, class names,
 * preprocessing and grid; the rest of a checkpoint (optimizer, epoch) is left out.
 *
 * `key`: of several state dicts in a PyTorch checkpoint the one to take, for instance "state_dict_ema"; NULL:
 * the one that revbifpn_model_load takes. `config`: the classifier of a file that does not say it; NULL:
 * found as revbifpn_model_load does. `out` appears whole or not at all. Errors: BAD_ARGUMENT (another ending
 * of `out`, no such key, `config` is another network than the file says), BAD_FILE (content wrong, truncated,
 * hostile; or tensors missing, of another shape, or too many), IO_FAILED, OUT_OF_MEMORY. */
REVBIFPN_API revbifpn_status revbifpn_convert(revbifpn *ctx, const char *weights, const char *out,
                                              const char *key,
                                              const revbifpn_model_config *config) REVBIFPN_CHECKED;
/* Looks at pictures in another way than the weights say: size (both sides multiples of 4·2^(streams−1)), part
 * of the resized picture, "bicubic" or "bilinear". 0 and NULL keep what there is. */
REVBIFPN_API revbifpn_status revbifpn_model_prepare(revbifpn_model *model, int width, int height,
                                                    double crop_pct,
                                                    const char *interpolation) REVBIFPN_CHECKED;
REVBIFPN_API void revbifpn_model_free(revbifpn_model **model);
REVBIFPN_API const revbifpn_model_config *revbifpn_model_configuration(const revbifpn_model *model);
/* Name of a class, or NULL when the index is out of range or the weights have no names. */
REVBIFPN_API const char *revbifpn_model_class(const revbifpn_model *model, int index);

/* ---- ONNX ---- */

typedef struct revbifpn_onnx_options {
    size_t struct_size;
    int features;     /* 1: the maps instead of the logits; a network without classes gives them anyhow */
    int dynamic_size; /* 1: height and width are free (multiples of 4·2^(streams−1)); the batch always is */
    int keep_norms;   /* 1: norms stay BatchNormalization; 0: folded into the weights */
    int heads;        /* 1: of a detector, its raw outputs (revbifpn_detect.h) */
} revbifpn_onnx_options;
REVBIFPN_API void revbifpn_init_onnx(revbifpn_onnx_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_onnx_options, onnx)
/* Writes the network as an ONNX file (opset 17), for inference. Input "input", float n,channels,height,width:
 * pixels / 255 (16-bit ones / 65535), less mean, by deviation. Output "logits" n,classes, or the maps "p2",
 * "p3", …: n,c,h,w from fine to coarse. metadata_props: model, size, preprocessing, classes, config.
 * `options` may be NULL. `path` appears whole or not at all. Errors: UNSUPPORTED (2 GiB or more),
 * BAD_ARGUMENT (heads), IO_FAILED, OUT_OF_MEMORY. */
REVBIFPN_API revbifpn_status revbifpn_export_onnx(revbifpn_model *model, const char *path,
                                                  const revbifpn_onnx_options *options) REVBIFPN_CHECKED;
/* What that file computes: `inputs` as above, count of them; out[0] the logits, or with `features` (or
 * without classes) out[i] map i. All memory is the caller's. BAD_ARGUMENT (size), NOT_FINITE, no memory. */
REVBIFPN_API revbifpn_status revbifpn_run(revbifpn_model *model, const float *inputs, int count, int width,
                                          int height, int features, float *const *out) REVBIFPN_CHECKED;
/* A picture file prepared as the weights say: one input, c,h,w floats of the training size. */
REVBIFPN_API revbifpn_status revbifpn_input_read(revbifpn_model *model, const char *path,
                                                 float *input) REVBIFPN_CHECKED;

typedef struct revbifpn_prediction {
    int index;
    const char *name; /* the class's name, or its number as text */
    double probability;
} revbifpn_prediction;
/* The `capacity` most probable classes of a picture, best first, prepared as the weights' metadata says;
 * *found of them are filled. For pictures in memory and in a file. */
REVBIFPN_API revbifpn_status revbifpn_predict(revbifpn_model *model, const revbifpn_image *image,
                                              revbifpn_prediction *best, int capacity,
                                              int *found) REVBIFPN_CHECKED;
REVBIFPN_API revbifpn_status revbifpn_predict_file(revbifpn_model *model, const char *path,
                                                   revbifpn_prediction *best, int capacity,
                                                   int *found) REVBIFPN_CHECKED;

/* A map of floats, channels,height,width. */
typedef struct revbifpn_map {
    int channels, height, width;
    float *values; /* owned: revbifpn_map_free */
} revbifpn_map;
REVBIFPN_API void revbifpn_map_free(revbifpn_map *map);
/* Writes NumPy's format 1.0: float32, little-endian, shape (channels, height, width). */
REVBIFPN_API revbifpn_status revbifpn_map_write_npy(revbifpn *ctx, const char *path,
                                                    const revbifpn_map *map) REVBIFPN_CHECKED;
/* The maps of the pyramid, finest first (the neck's, or without one the streams), for a picture prepared as
 * the weights say; *count maps, to be freed. */
REVBIFPN_API revbifpn_status revbifpn_features(revbifpn_model *model, const revbifpn_image *image,
                                               revbifpn_map maps[REVBIFPN_MAX_STREAMS],
                                               int *count) REVBIFPN_CHECKED;
/* The gradient of the most probable class's logit with respect to the normalised input (c,height,width), and
 * as a picture: its largest magnitude at each pixel, in red to white over gray. Both may be NULL, and are to
 * be freed. *index: the class. Takes the bytes of the weights once more. */
REVBIFPN_API revbifpn_status revbifpn_saliency(revbifpn_model *model, const revbifpn_image *image, int *index,
                                               revbifpn_map *gradient,
                                               revbifpn_image *picture) REVBIFPN_CHECKED;

/* Reads a picture file as the network takes it: 8-bit RGB; or, for other channels or 16 bits, samples, and in
 * pixels something to look at (the first three channels, each stretched to 0 … 255). Errors as above, and
 * BAD_FILE when its channels do not fit. */
REVBIFPN_API revbifpn_status revbifpn_model_image(revbifpn_model *model, const char *path,
                                                  revbifpn_image *out) REVBIFPN_CHECKED;

/* Runs the picture (scaled to the network's size) up to the pyramid, drops everything else, and inverts the
 * network: `seen` becomes the picture as the network saw it, `recovered` the one rebuilt from the pyramid
 * (both to be freed). */
REVBIFPN_API revbifpn_status revbifpn_recover(revbifpn_model *model, const revbifpn_image *image,
                                              revbifpn_image *seen,
                                              revbifpn_image *recovered) REVBIFPN_CHECKED;

enum { REVBIFPN_STATS = 12 }; /* COCO's, in the order of revbifpn_coco_stat (revbifpn_detect.h) */
typedef struct revbifpn_metrics {
    double top1, top5, loss;                             /* of classifiers: fractions; mean cross entropy */
    int images, bad_files;                               /* judged; unreadable and left out */
    double boxes[REVBIFPN_STATS], masks[REVBIFPN_STATS]; /* of detectors; −1: there was nothing to find */
} revbifpn_metrics;
/* Top-1 and top-5 on DATA/val/CLASS/ (or the folder itself when it has no val/). `batch` 0: chosen.
 * crop_pct 0: the weights' own. */
typedef struct revbifpn_val_options {
    size_t struct_size;
    const char *data;
    int batch, workers, apply_exif, max_bad;
    double crop_pct;
    uint64_t max_pixels;
    void (*progress)(void *user, int done, int all);
    void (*note)(void *user, const char *line); /* what the log would say of the pictures; or NULL */
    void *user;
    const char *val_data; /* the pictures, when they do not lie in `data`; or NULL */
    double val_fraction;  /* without val/: the part of each class that training with it and `seed` held out */
    uint64_t seed;
} revbifpn_val_options;
REVBIFPN_API void revbifpn_init_val(revbifpn_val_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_val_options, val)
REVBIFPN_API revbifpn_status revbifpn_evaluate(revbifpn_model *model, const revbifpn_val_options *options,
                                               revbifpn_metrics *out) REVBIFPN_CHECKED;

/* ---- measurement ---- */

/* The measured steps are split twice, and either way the seconds add up to all of their time: by operator (a
 * family of kernels; the last row, "rest", is what no operator covers), and by operation (a part of the
 * network or of the step, forward or backward, in the order of the step). */
typedef enum revbifpn_profile_kind {
    REVBIFPN_PROFILE_OPERATOR,
    REVBIFPN_PROFILE_OPERATION
} revbifpn_profile_kind;
typedef struct revbifpn_profile_row {
    revbifpn_profile_kind kind;
    char name[64];         /* of an operation: as the state dict has it, where it has one ("rev_stack.6") */
    const char *direction; /* of an operation: "forward", "backward" or "" */
    double seconds;
    double rest_seconds;   /* of an operation: the part of `seconds` that no operator covers */
    double gflops, gbytes; /* 10^9 operations and bytes, not rates; 0: not counted */
    double floor_seconds;  /* Σ over calls: operations or bytes at the machine's peak, whichever is longer */
    uint64_t calls;
} revbifpn_profile_row;
typedef struct revbifpn_bench_options {
    size_t struct_size;
    revbifpn_model_config model;
    int width, height, batch, steps, training;
    revbifpn_activations activations;
    revbifpn_precision precision;
    const char *data; /* folder of pictures: blocks of training steps fed from it between others; or NULL */
    int workers;      /* threads that read and prepare these; 0: no own ones */
    void (*profile)(void *user, const revbifpn_profile_row *row); /* called at the end; may be NULL */
    void *user;
    const struct revbifpn_detector_config
        *detector; /* instead of `model`, with eight objects a picture; NULL */
} revbifpn_bench_options;
typedef struct revbifpn_bench_result {
    double images_per_second_best, images_per_second_median;
    double peak_gflops, peak_gbytes; /* a second, measured before the steps of a profile; else 0 */
    uint64_t planned_bytes, peak_rss_bytes;
    uint64_t arena_planned_bytes, arena_high_bytes; /* kept + scratch: planned, and used at most */
    uint64_t allocations_after_first_step;
    double step_cpu_seconds; /* processor time of a picture in a step, all threads together */
    /* With `data`, else 0. A fed step counts from asking for its batch to its end. */
    double data_images_per_second_best, data_images_per_second_median;
    double data_time_ratio;       /* fed step / step: medians of a pair of blocks, then of the pairs */
    double data_wait_seconds;     /* mean wait for a batch */
    double preparing_cpu_seconds; /* processor time of reading, decoding and augmenting a picture */
} revbifpn_bench_result;
REVBIFPN_API void revbifpn_init_bench(revbifpn_bench_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_bench_options, bench)
/* Steps on random pictures; one step of warm-up is not counted. With `data` they are followed by as many
 * steps on its pictures (any folders, shards, a list, CIFAR-10; training only), in alternating blocks of at
 * most eight; the first four steps of a fed block are not counted, since the loader is then ahead by as much
 * as it ever will be. */
REVBIFPN_API revbifpn_status revbifpn_bench(revbifpn *ctx, const revbifpn_bench_options *options,
                                            revbifpn_bench_result *out) REVBIFPN_CHECKED;

#include "revbifpn_train.h" /* training runs, and comparing them */

#include "revbifpn_data.h"   /* checking data sets, packing them into shards */
#include "revbifpn_detect.h" /* judging detections */

#ifdef __cplusplus
}
#endif
#endif
