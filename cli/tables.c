/* The options of every verb. A default here is what the library's revbifpn_default_…() gives (a test compares
 * them). */
#include "options.h"
#include "verbs.h"

#define FLAG(n, h) .name = n, .kind = CLI_FLAG, .help = h
#define INT(n, d, lo, hi, h)                                                                                 \
    .name = n, .kind = CLI_INT, .value = "N", .fallback = d, .low = lo, .high = hi, .help = h
#define REAL(n, d, lo, hi, h)                                                                                \
    .name = n, .kind = CLI_REAL, .value = "X", .fallback = d, .min = lo, .max = hi, .help = h
#define PAIR(n, d, lo, hi, h)                                                                                \
    .name = n, .kind = CLI_PAIR, .value = "A,B", .fallback = d, .min = lo, .max = hi, .help = h
#define BYTES(n, h) .name = n, .kind = CLI_BYTES, .value = "SIZE", .help = h
#define TEXT(n, v, h) .name = n, .kind = CLI_TEXT, .value = v, .help = h
#define CHOICE(n, c, d, h) .name = n, .kind = CLI_CHOICE, .choices = c, .fallback = d, .help = h
#define SIZE(n, h) .name = n, .kind = CLI_SIZE, .value = "N|WxH", .help = h

#define MODEL                                                                                                \
    { .heading = "Network", TEXT("model", "NAME", "s0 … s6, or a config.json"), .fallback = "s0" }
#define IMGSZ                                                                                                \
    { SIZE("imgsz", "size of the pictures, multiples of 32; default: the network's own") }
#define CHANNELS                                                                                             \
    { INT("channels", NULL, 1, 64, "channels of the pictures (docs/data.md); default: the network's own") }
#define BITS                                                                                                 \
    { CHOICE("bits", "8|16", NULL, "bits of a sample; default: 8 for 3 channels, else 16") }
#define CLASSES                                                                                              \
    { INT("classes", NULL, 1, 1000000, "number of classes; default: the network's own (1000 for s0 … s6)") }
#define TASK                                                                                                 \
    {CHOICE("task", "classify|detect|segment", "classify",                                                   \
            "a classifier, a Faster R-CNN, or a Mask R-CNN")},                                               \
        {INT("fpn", "256", 8, 4096, "channels of a detector's feature pyramid")}, {                          \
        INT("fc", "1024", 8, 65536, "features of its box head")                                              \
    }
#define ACTIVATIONS                                                                                          \
    {                                                                                                        \
        CHOICE("activations", "reversible|stored", "reversible",                                             \
               "recompute activations from the outputs, or keep them all")                                   \
    }
#define PRECISION                                                                                            \
    {                                                                                                        \
        CHOICE(                                                                                              \
            "precision", "float32|bf16", "float32",                                                          \
            "arithmetic of the blocks' 1x1 convolutions: float32, or factors in bf16 and sums in float32")   \
    }
#define PREPARE                                                                                              \
    {SIZE("imgsz",                                                                                           \
          "size of the pictures, multiples of 32 (detectors: limits of the sides); default: as the "         \
          "weights say")},                                                                                   \
        {REAL("crop-pct", NULL, 0.01, 1,                                                                     \
              "part of the resized picture to look at; default: as the weights say")},                       \
    {                                                                                                        \
        CHOICE("interpolation", "bicubic|bilinear", NULL, "resizing; default: as the weights say")           \
    }
#define JSON                                                                                                 \
    { FLAG("json", "one JSON object instead of text") }
#define PROGRESS                                                                                             \
    {                                                                                                        \
        CHOICE("progress", "none|bar|log|json", NULL,                                                        \
               "on stderr: a bar, a line now and then, or JSON lines; default: bar on a terminal, else log") \
    }
#define MACHINE                                                                                              \
    {.heading = "Machine",                                                                                   \
     INT("threads", "0", 0, 1024, "threads; 0: as many as the affinity mask and the cgroup quota allow")},   \
    {                                                                                                        \
        CHOICE("cpu", "ref|avx2|avx512", NULL, "kernels to use; default: the best that the processor has")   \
    }
#define MAX_BAD INT("max-bad", "50", 0, 1000000000, "unreadable pictures to pass over before giving up")
#define MAX_PIXELS                                                                                           \
    INT("max-pixels", "178000000", 1, 4000000000, "refuse larger pictures before decoding them")
#define EXIF FLAG("exif", "turn pictures upright as their EXIF orientation says")
#define WORKERS INT("workers", "2", 0, 256, "threads that read and prepare pictures; 0: no own ones")
#define VAL_DATA                                                                                             \
    { TEXT("val-data", "DIR|FILE", "pictures to validate on, when they do not lie in --data") }
#define SEED(h) INT("seed", "0", 0, 9007199254740992, h)
#define OPT                                                                                                  \
    CHOICE("opt", "sgd|momentum|rmsproptf|adamw|lamb|lambc", "sgd",                                          \
           "optimizer: sgd has Nesterov momentum, lambc clipped trust ratios")
#define MODEL_EMA FLAG("model-ema", "keep a running average of the weights, judge and keep the best by it")
#define OPTIMIZATION                                                                                         \
    {.heading = "Optimizer", OPT},                                                                           \
        {REAL("momentum", "0.9", 0, 0.9999, "momentum (sgd, momentum, rmsproptf)")},                         \
        {REAL("weight-decay", "5e-5", 0, 1, "weight decay (not on norms and biases)")},                      \
        {FLAG("decay-all", "weight decay on norms and biases, too")},                                        \
        {REAL("opt-eps", NULL, 1e-16, 1, "default: 1e-10 for rmsproptf, 1e-8 for adamw, 1e-6 for lamb")},    \
        {PAIR("opt-betas", "0.9,0.999", 0, 0.9999999, "decays of both averages (adamw, lamb)")},             \
        {REAL("clip-grad", "0", 0, 1e9, "limit of --clip-mode; 0: gradients are not clipped")},              \
        {CHOICE("clip-mode", "norm|value|agc", "norm",                                                       \
                "what is clipped: the norm of all gradients, each value, or each unit by its weights")},     \
        {MODEL_EMA}, {REAL("model-ema-decay", "0.9998", 0, 1, "part of the average that a step keeps")},     \
        {FLAG("model-ema-warmup", "less of it in the first steps: at most 1 - step^(-2/3)")},                \
        {.heading = "Schedule of the learning rate", REAL("lr", "0.1", 0, 1000, "learning rate")},           \
        {CHOICE("sched", "rise-fall|cosine|step|poly|constant|milestones", "rise-fall",                      \
                "rise-fall: by steps, up over the warm-up, then one cosine down to 0; others as in timm")},  \
        {TEXT("milestones", "E,…",                                                                           \
              "epochs done when sched milestones multiplies the rate by --decay-rate")},                     \
        {INT("warmup-steps", "0", 0, 1000000000, "steps over which the rate rises, besides the schedule")},  \
        {REAL("warmup-ratio", "0.001", 0, 1, "part of the rate that this begins with")},                     \
        {INT("warmup-epochs", "1", 0, 1000000, "epochs over which the learning rate rises")},                \
        {REAL("warmup-lr", "1e-5", 0, 1000, "where it begins (not rise-fall)")},                             \
        {FLAG("warmup-prefix", "the warm-up comes before --epochs instead of being part of them")},          \
        {REAL("min-lr", "0", 0, 1000, "where cosine and poly end")},                                         \
        {REAL("decay-epochs", "90", 1e-6, 1e6, "step: epochs between two decays")},                          \
        {REAL("decay-rate", "0.1", 0, 100, "step, milestones: factor of a decay; poly: the power")},         \
        {INT("cooldown-epochs", "0", 0, 1000000, "cosine, poly: more epochs at --min-lr after the last")},   \
        {FLAG("sched-on-updates", "a learning rate for each step instead of each epoch")},                   \
        {PAIR("lr-noise", NULL, 0, 1, "part of the epochs in which the learning rate is noisy: from, to")},  \
        {REAL("lr-noise-pct", "0.67", 0.001, 1, "largest noise, as a part of the learning rate")},           \
        {REAL("lr-noise-std", "1", 0, 10, "deviation of the noise")},                                        \
        {INT("lr-cycle-limit", "1", 1, 1000, "cosine, poly: cycles, the first of --epochs")},                \
        {REAL("lr-cycle-mul", "1", 0.01, 100, "each cycle that much longer than the one before")},           \
        {REAL("lr-cycle-decay", "0.1", 0, 1, "its peak that much lower")}, {                                 \
        REAL("lr-k-decay", "1", 0.001, 100, "cosine, poly: time to this power")                              \
    }
/* Training pictures; docs/augmentation.md. */
#define AUGMENTATION                                                                                         \
    {.heading = "Augmentation",                                                                              \
     PAIR("scale", "0.35,1", 0.001, 1, "area of the random crop, as a part of the picture")},                \
        {PAIR("ratio", "0.75,1.3333", 0.01, 100, "width / height of the random crop")},                      \
        {REAL("hflip", "0.5", 0, 1, "probability of a horizontal flip")},                                    \
        {REAL("vflip", "0", 0, 1, "probability of a vertical flip")},                                        \
        {CHOICE("train-interpolation", "bicubic|bilinear|random", NULL,                                      \
                "how training pictures are resized, turned and sheared; default: as --interpolation")},      \
        {TEXT("aa", "POLICY",                                                                                \
              "AutoAugment v0, v0r, original, originalr, or RandAugment rand-m9-mstd0.5-inc1")},             \
        {TEXT("color-jitter", "X|B,C,S[,H]",                                                                 \
              "how far brightness, contrast and saturation (and hue) change; not with --aa")},               \
        {REAL("mosaic", "0", 0, 1, "detectors: probability that a picture is put together of four")},        \
        {INT("close-mosaic", "10", 0, 1000000, "epochs at the end without mosaics")},                        \
        {TEXT("scale-jitter", "A..B",                                                                        \
              "detectors: sides times a factor drawn from here, cut to what they would be")},                \
        {INT("aug-repeats", "0", 0, 1000, "each picture so often in a row, each time drawn anew; 0: once")}, \
        {REAL("reprob", "0", 0, 1, "probability that boxes of a picture are erased")},                       \
        {CHOICE("remode", "pixel|const|rand", "pixel",                                                       \
                "what fills them: noise, 0, or one random colour for each")},                                \
        {INT("recount", "1", 1, 16, "most boxes in a picture")},                                             \
        {REAL("mixup", "0", 0, 1000, "mix pictures two by two, by shares of Beta(X, X); 0: not")},           \
        {REAL("cutmix", "0", 0, 1000, "paste a box of the other picture, its area by Beta(X, X); 0: not")},  \
        {PAIR("cutmix-minmax", "0,0", 0, 1, "its sides as parts of the picture's instead; 0,0: not")},       \
        {REAL("mixup-prob", "1", 0, 1, "probability of mixing at all")},                                     \
        {REAL("mixup-switch-prob", "0.5", 0, 1, "probability of cutmix where both could be")},               \
        {CHOICE(                                                                                             \
            "mixup-mode", "batch|pair|elem|half", "batch",                                                   \
            "one draw for a batch, each pair, each picture; half: each of the first half, which alone is "   \
            "trained on")},                                                                                  \
    {                                                                                                        \
        INT("mixup-off-epoch", "0", 0, 1000000, "mix nothing from this epoch on (counted from 0); 0: never") \
    }
#define END                                                                                                  \
    { .name = NULL }

/* docs/recipes.md */
#define FINE_TUNING                                                                                          \
    {.heading = "Start",                                                                                     \
     CHOICE("recipe", "imagenet|short|finetune|1x|2x", NULL,                                                 \
            "defaults for a purpose; whatever else is said wins over them")},                                \
        {TEXT("options", "FILE",                                                                             \
              "options, one a line without the dashes; the environment (REVBIFPN_LR, ...) and "              \
              "the command line win over it")},                                                              \
        {TEXT("weights", "FILE",                                                                             \
              "weights to begin with, their network unless --model says one; other classes: a new last "     \
              "layer")},                                                                                     \
        {TEXT("freeze", "N|backbone|features",                                                               \
              "what stays as it is: the first N levels, levels and neck, or all but the last layer")},       \
        {REAL("backbone-lr-scale", "1", 0, 100, "learning rate of levels and neck, as a part of --lr")},     \
        {FLAG("bn-eval", "norms use the running statistics of the weights, which do not move")}, {           \
        CHOICE("norm-affine", "trained|fixed", "trained", "whether scale and shift of the norms learn")      \
    }

static const cli_option train_options[] = {
    {.heading = "Data",
     TEXT("data", "DIR",
          "folder with train/CLASS/* and val/CLASS/*; or CLASS/* with --val-fraction; or shards, lists, "
          "CIFAR-10 (docs/data.md; required without --resume)")},
    VAL_DATA,
    {REAL("val-fraction", "0", 0, 0.9, "part of each class to validate on, when DIR has no val/")},
    {TEXT(
        "mean", "X,…",
        "mean of each channel, 0 … 1, or one for all; default: that of ImageNet, or 0.5 when not of three")},
    {TEXT("std", "X,…", "deviation of each channel; default: that of ImageNet, or 0.25")},
    {TEXT("data-stats", "FILE.json", "mean and deviation as revbifpn check --json found them")},
    {CHOICE("interpolation", "bicubic|bilinear|random", "bicubic",
            "how pictures are resized (for validation random means bicubic)")},
    {REAL("crop-pct", "0.875", 0.01, 1, "part of the resized picture that validation looks at")},
    {WORKERS},
    {MAX_BAD},
    {MAX_PIXELS},
    {EXIF},
    {TEXT("scales", "A..B", "detectors: the limit of the shorter side is drawn from here, for each picture")},
    MODEL,
    TASK,
    {SIZE("imgsz", "size of the pictures, multiples of 32; default: the network's own. Detectors: limits of "
                   "the longer and of the shorter side, 1333x800")},
    CHANNELS,
    BITS,
    {INT("classes", NULL, 2, 1000000, "number of classes; default: as many as the data has")},
    {REAL("drop", NULL, 0, 0.999, "dropout before the last layer; default: the network's own")},
    {REAL("drop-path", NULL, 0, 0.999, "stochastic depth of the last level; default: the network's own")},
    FINE_TUNING,
    {.heading = "Training", INT("epochs", "100", 1, 1000000, "passes over the training pictures")},
    {INT("batch", "32", 1, 65536, "pictures in a step")},
    {INT("accumulate", "1", 1, 65536, "batches of a step: gradients of their mean loss, one update")},
    {REAL("smoothing", "0.1", 0, 0.99, "label smoothing")},
    {FLAG("bce-loss", "binary cross entropy of each class instead of one softmax")},
    {REAL("bce-target-thresh", "0", 0, 1,
          "with --bce-loss: targets above become 1, others 0; 0: as they are")},
    {FLAG("bce-sum", "with --bce-loss: sum over the classes instead of their mean")},
    {SEED("seed of weights, order and augmentation; the same seed gives the same bits")},
    ACTIVATIONS,
    PRECISION,
    {CHOICE("bn-update", "single|double", "single",
            "running statistics of stack and neck move once a step, or twice as in the published code")},
    AUGMENTATION,
    OPTIMIZATION,
    {.heading = "Run", TEXT("out", "DIR", "run folder; default: runs/TASK/train, train2, …")},
    {TEXT("resume", "RUN",
          "go on with the run in this folder: --data, --val-data, --epochs, --workers, --max-memory, "
          "--threads, --cpu and --progress may change, other options must be those it was started with")},
    {CHOICE("tensorboard", "off|on", "on", "write event files for TensorBoard into the run folder")},
    {INT("checkpoint-steps", "0", 0, 1000000000, "also write a checkpoint every N steps; 0: at epochs only")},
    {CHOICE("hash", "none|step|tensor", "step",
            "in steps.jsonl of each step: hashes of gradients and weights; tensor: and of each tensor, for "
            "revbifpn diff")},
    {BYTES("max-memory",
           "stop before anything is allocated (exit status 3) when the plan is larger; 512M, 4G")},
    PROGRESS,
    MACHINE,
    END};

static const cli_option val_options[] = {
    {.heading = "Data",
     TEXT("data", "DIR",
          "folder with val/CLASS/*, or CLASS/*; or shards, a list, CIFAR-10 (docs/data.md); of detectors a "
          "data set of objects (docs/detection.md)"),
     .required = true},
    VAL_DATA,
    {REAL("val-fraction", "0", 0, 0.9,
          "judge the part of each class that train --val-fraction F --seed N held out")},
    {SEED("seed of that choice: the one of the run")},
    {TEXT("weights", "FILE", "weights: RUN/weights/best.safetensors, or a .pth of PyTorch"),
     .required = true},
    {CHOICE("task", "classify|detect|segment", NULL, "refuse other weights; default: what they are for")},
    {TEXT("results", "FILE.json", "detectors: write all boxes and masks as COCO's list of results")},
    {INT("batch", "0", 0, 65536, "pictures in a batch; 0: chosen (detectors: 1)")},
    PREPARE,
    {WORKERS},
    {MAX_BAD},
    {MAX_PIXELS},
    {EXIF},
    JSON,
    PROGRESS,
    MACHINE,
    END};

static const cli_option eval_options[] = {
    {TEXT("gt", "FILE", "annotations in COCO's format, instances_*.json"), .required = true},
    {TEXT("dt", "FILE",
          "results in COCO's format: a JSON list of image_id, category_id, score, bbox or segmentation"),
     .required = true},
    {CHOICE("type", "bbox|segm", "bbox",
            "boxes; or masks, whose area then decides what is small, and their boxes do not count")},
    {FLAG("per-class", "also each category")},
    JSON,
    MACHINE,
    END};

static const cli_option predict_options[] = {
    {.heading = "Pictures",
     TEXT("source", "FILE|DIR|GLOB|-",
          "a picture, a folder (with its subfolders), a pattern in quotes, or - for paths on standard input"),
     .required = true},
    {TEXT("weights", "FILE", "weights: RUN/weights/best.safetensors, or a .pth of PyTorch"),
     .required = true},
    {CHOICE("task", "classify|detect|segment", NULL, "refuse other weights; default: what they are for")},
    PREPARE,
    {INT("topk", "5", 1, 1000, "classes to name, the most probable first")},
    {REAL("conf", "0.25", 0, 1, "detectors: boxes of a lower score are left out")},
    {CHOICE("format", "text|json|csv|coco|yolo", "text",
            "json: an object a line and picture (file, predictions); csv: file, rank, class, probability. "
            "Detectors: also coco, one list of results; yolo, lines of class, box and score")},
    {FLAG("json", "the same as --format json")},
    {TEXT("save-pictures", "DIR", "write the pictures with their labels into DIR, as NAME.png")},
    {TEXT("features", "DIR",
          "write the maps of the pyramid into DIR, as NAME.map0.npy … (channels, height, width)")},
    {TEXT("saliency", "DIR",
          "write into DIR how much each pixel moves the first answer (gradient of its logit), as NAME.png")},
    MACHINE,
    END};

static const cli_option convert_options[] = {
    {.heading = "Files",
     TEXT("weights", "FILE", "weights to read: safetensors, or .pth of PyTorch, by content")},
    {TEXT("out", "FILE|DIR",
          "weights to write: NAME.safetensors, NAME.pth, NAME.pt or NAME.pth.tar; for data a new folder"),
     .required = true},
    {TEXT("key", "KEY",
          "of a checkpoint with several state dicts, the one to take; default: state_dict, model")},
    {FLAG("ema", "the averaged weights of a timm checkpoint: --key state_dict_ema")},
    {TEXT("config", "FILE.json", "the network, when neither the file nor its tensors tell it")},
    {.heading = "Data sets", TEXT("data", "DIR", "instead of weights a data set, to be packed into shards")},
    {INT("shards", NULL, 1, 1000000, "how many; a smaller split gets its part of them")},
    {BYTES("shard-size", "instead of how many: how large about, for instance 256M")},
    {SEED("seed of the order of the pictures in the shards")},
    {CHOICE("to", "coco|voc|yolo", NULL, "instead of shards: a data set of objects in another form")},
    {FLAG("masks", "with --to: outlines, too, not only boxes")},
    PROGRESS,
    MACHINE,
    END};

static const cli_option check_options[] = {
    {.heading = "Data", TEXT("data", "DIR", "a data set, as for train; or one of objects"), .required = true},
    VAL_DATA,
    {INT("channels", "3", 1, 64, "channels of the pictures")},
    BITS,
    {TEXT("json", "FILE", "also write the whole report as JSON")},
    {FLAG("all", "show all findings, not only the first 20 of a kind")},
    {INT("min-side", "16", 1, 65536, "tiny: a side of less")},
    {INT("huge-pixels", "50000000", 1, 4000000000, "huge: more")},
    {MAX_PIXELS},
    PROGRESS,
    MACHINE,
    END};

static const cli_option export_options[] = {
    {.heading = "Files",
     TEXT("weights", "FILE", "weights: RUN/weights/best.safetensors, or a .pth of PyTorch"),
     .required = true},
    {TEXT("out", "FILE", "the file to write, for instance NAME.onnx"), .required = true},
    {CHOICE("format", "onnx", "onnx", "onnx: opset 17, with metadata about preprocessing and classes")},
    {FLAG("features", "end at the neck's maps p2, p3, … instead of the logits")},
    {FLAG("heads", "of a detector, the pyramid's maps and the proposal network's raw outputs, for a program "
                   "that chooses boxes itself")},
    {FLAG("dynamic-size", "height and width are free, too (multiples of 32); the batch always is")},
    {FLAG("fold", "norms become part of the weights (the default)")},
    {FLAG("no-fold", "norms stay BatchNormalization")},
    PREPARE,
    {.heading = "Verification",
     FLAG("verify",
          "run the file in ONNX Runtime and compare with this program; exit status 1 when they differ")},
    {TEXT("python", "PY", "Python with numpy and onnxruntime; default: REVBIFPN_PYTHON, then python3")},
    {TEXT("source", "FILE|DIR", "also on this picture, or on the first 16 of this folder")},
    MACHINE,
    END};

static const cli_option plan_options[] = {
    MODEL,
    TASK,
    IMGSZ,
    CHANNELS,
    CLASSES,
    {INT("batch", "1", 1, 65536, "pictures in a step")},
    ACTIVATIONS,
    PRECISION,
    {FLAG("infer", "plan inference instead of training")},
    {OPT},
    {MODEL_EMA},
    {BYTES("max-memory", "exit status 3 when the plan is larger; 512M, 4G")},
    {CHOICE("solve", "batch|imgsz|model", NULL, "find the largest that fits into --max-memory")},
    JSON,
    MACHINE,
    END};

static const cli_option inspect_options[] = {MODEL, TASK, IMGSZ, CHANNELS, CLASSES, JSON, MACHINE, END};

static const cli_option bench_options[] = {
    MODEL,
    TASK,
    IMGSZ,
    CHANNELS,
    CLASSES,
    {INT("batch", "16", 1, 65536, "pictures in a step")},
    {CHOICE("mode", "train|infer", "train", "whole training steps, or inference")},
    ACTIVATIONS,
    PRECISION,
    {INT("steps", "5", 1, 1000000, "steps to measure, after one that is not")},
    {FLAG("profile", "also time, GFLOP/s, GB/s and share of the floor by operator and operation")},
    {TEXT("data", "DIR",
          "also as many training steps on the pictures below DIR, in blocks between those on random ones")},
    {WORKERS},
    JSON,
    MACHINE,
    END};

static const cli_option diff_options[] = {
    {.heading = "Runs",
     TEXT("a", "RUN_A", "folder of a run; its name --a need not be typed"),
     .required = true,
     .positional = true},
    {TEXT("b", "RUN_B", "folder of the other; nor need --b"), .required = true, .positional = true},
    JSON,
    MACHINE,
    END};

static const cli_option synth_options[] = {
    {.heading = "Pictures",
     TEXT("out", "DIR", "folder to write to: new, empty, or written by synth before"),
     .required = true},
    {INT("images", "600", 1, 10000000, "training pictures, over all classes")},
    {INT("val-images", "150", 0, 10000000, "validation pictures, over all classes")},
    {INT("classes", "6", 1, 10, "classes; at least 2 without --objects, with it at most 9")},
    {INT("imgsz", "64", 16, 2048, "side of the pictures; with --objects the longer one")},
    {INT("objects", "0", 0, 64,
         "up to so many shapes in a picture, with boxes and outlines, as a COCO folder; 0: a class each")},
    {SEED("seed; the same options give the same files")},
    PROGRESS,
    MACHINE,
    END};

const cli_verb cli_verbs[] = {
    {"train", "train a classifier on a folder of pictures, or a detector on objects",
     "Trains a classifier on a folder of pictures, or with --task a detector or segmenter on a data set of "
     "objects. Prints the memory plan, then progress; validates after each epoch; writes results.csv, "
     "args.json, weights and checkpoints into the run folder.",
     train_options, verb_train},
    {"val", "how good trained weights are: top-1 and top-5, or COCO's average precision",
     "Measures top-1 and top-5 of a classifier's weights, or COCO's average precision and recall of a "
     "detector's.",
     val_options, verb_val},
    {"eval", "COCO's average precision and recall of anyone's results",
     "Judges a file of detections by COCO's rules: average precision and recall for boxes or masks, with the "
     "numbers of COCO's own evaluator. Needs no network and no pictures.",
     eval_options, verb_eval},
    {"predict", "the most probable classes of pictures, or the objects in them",
     "Names the most probable classes of pictures, or with a detector's weights the objects in them. "
     "Pictures that cannot be read get a line on stderr, and the exit status is 1 at the end.",
     predict_options, verb_predict},
    {"check", "what is wrong with a data set",
     "Decodes every picture of a data set and tells what is unreadable, damaged, there twice, in both "
     "splits, misnamed, tiny, huge or grey, how classes and sizes are distributed, and mean and deviation of "
     "the channels. Of a data set of objects (COCO, Pascal VOC, YOLO) it also checks boxes and outlines. "
     "Changes no picture. Exit status 4 when there are faults.",
     check_options, verb_check},
    {"convert", "weights from and to PyTorch's .pth; data sets into other forms",
     "Reads weights and writes them in the format that the name of the new file gives; the values stay as "
     "they are. PyTorch reads the .pth with torch.load(FILE, weights_only=True). Or, with --data, packs the "
     "files of a data set into shards of the WebDataset layout; or, with --to, writes a data set of objects "
     "(COCO, Pascal VOC, YOLO) in another of these forms.",
     convert_options, verb_convert},
    {"export", "a trained network as an ONNX file",
     "Writes a trained network as an ONNX file, for inference in other programs: input \"input\" "
     "(normalised, batch, channels, height, width), output \"logits\", or with --features the maps. A "
     "detector's file takes one picture and its height and width in the input, \"size\", and gives "
     "\"boxes\", \"scores\", \"labels\" and \"masks\" (docs/detection.md).",
     export_options, verb_export},
    {"plan", "the memory of a step, without running it",
     "Counts every byte of a step by a dry run of the code that would run. Allocates nothing of it.",
     plan_options, verb_plan},
    {"inspect", "the layers of a network, with shapes, parameters and MACs",
     "Lists the layers of a network with shapes, parameters and multiply-accumulates.", inspect_options,
     verb_inspect},
    {"bench", "pictures a second and memory on this machine",
     "Measures pictures a second and memory, on random pictures; with --data also what feeding the steps "
     "from picture files costs.",
     bench_options, verb_bench},
    {"diff", "the first step, and the first tensor, in which two runs differ",
     "Compares two runs step by step, by what steps.jsonl in their folders tells: learning rate, loss, "
     "hashes of gradients and weights. Names the first step that differs; with --hash tensor in both runs "
     "also the first tensor. Exit status 1 when they differ.",
     diff_options, verb_diff},
    {"synth", "draw a small picture set to try things on",
     "Draws a picture set with classes of coloured shapes over clutter: DIR/{train,val}/CLASS/*.jpg.",
     synth_options, verb_synth},
    {0}};
