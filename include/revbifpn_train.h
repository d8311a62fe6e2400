/* Training: what a run is made of, running it, comparing two. revbifpn.h includes this; its first comment has
 * the conventions. */
#ifndef REVBIFPN_TRAIN_H
#define REVBIFPN_TRAIN_H

#ifndef REVBIFPN_H
#error "include <revbifpn.h>"
#endif

/* ---- training ---- */

/* How the learning rate moves; timm's names, and our own. */
typedef enum revbifpn_schedule {
    REVBIFPN_RISE_FALL, /* by steps: linear rise over warmup_epochs, then one cosine to 0 */
    REVBIFPN_COSINE,
    REVBIFPN_STEP,
    REVBIFPN_POLY,
    REVBIFPN_CONSTANT,
    REVBIFPN_MILESTONES /* the rate times decay_rate at the start of each epoch that milestones names */
} revbifpn_schedule;
/* What is trained: a classifier; a detector (Faster R-CNN); one with masks (Mask R-CNN). */
typedef enum revbifpn_task { REVBIFPN_CLASSIFY, REVBIFPN_DETECT, REVBIFPN_SEGMENT } revbifpn_task;
typedef enum revbifpn_clip_mode {
    REVBIFPN_CLIP_NORM,
    REVBIFPN_CLIP_VALUE,
    REVBIFPN_CLIP_AGC
} revbifpn_clip_mode;
/* What steps.jsonl tells of a step beside its loss: hashes of gradients and weights; and tensors.hash each
 * one's. */
typedef enum revbifpn_hash { REVBIFPN_HASH_NONE, REVBIFPN_HASH_STEP, REVBIFPN_HASH_TENSOR } revbifpn_hash;

/* Whether scale and shift of the norms learn; their statistics are bn_eval's matter. */
typedef enum revbifpn_norm_affine {
    REVBIFPN_NORM_AFFINE_TRAINED,
    REVBIFPN_NORM_AFFINE_FIXED
} revbifpn_norm_affine;

typedef struct revbifpn_train_config {
    size_t struct_size;
    const char *data;            /* image folder: train/CLASS/, val/CLASS/; or CLASS/ with val_fraction; or
                                    whatever else revbifpn_data.h names */
    const char *val_data;        /* pictures to validate on, when they are elsewhere; NULL or "" */
    const char *mean, *std;      /* "0.49,0.46,0.41", or one number for all channels; NULL, "": ImageNet's,
                                    for other channels than three 0.5 and 0.25 */
    const char *out;             /* run folder, for instance runs/classify/NAME */
    revbifpn_model_config model; /* classes 0: from the data; input_channels: of the pictures */
    int bits;                    /* of a sample, 8 or 16; 0: 8 for 3 channels, else 16 (docs/data.md) */
    int epochs, batch, warmup_epochs, checkpoint_steps; /* checkpoint_steps 0: only at epochs */
    double lr, momentum, weight_decay, smoothing;
    double scale_min, scale_max, ratio_min, ratio_max, hflip, crop_pct, val_fraction;
    const char *interpolation; /* "bicubic", "bilinear" or "random" */
    /* augmentation beyond crop and horizontal flip; timm's names, see docs/augmentation.md. Texts may be NULL
     * or "": then there is none, or what the comment says */
    const char *train_interpolation; /* of training pictures alone; "": interpolation */
    const char *aa, *color_jitter;   /* "rand-m9-mstd0.5", "v0", …; "0.4" or "B,C,S[,H]", unused with aa */
    const char *remode,
        *mixup_mode;      /* "pixel", "const", "rand"; "batch", "pair", "elem", "half"; "": the first */
    double vflip, reprob; /* probabilities: upside down; boxes erased, 1 … recount of them */
    double mixup, cutmix, cutmix_min, cutmix_max; /* α, α, and shares of the sides instead of α; 0: none */
    double mixup_prob, mixup_switch_prob;
    int recount, mixup_off_epoch, aug_repeats; /* 0: never off; 0, 1: no repetition */
    uint64_t seed, max_pixels, max_memory;     /* max_memory 0: no limit */
    int workers, max_bad, apply_exif;
    int bn_update_double; /* statistics of stack and neck move twice a step, as in the published code */
    revbifpn_activations activations;
    revbifpn_precision precision;
    /* optimizer; weight_decay is not for norms and biases */
    revbifpn_optimizer opt;
    double opt_eps, beta1, beta2; /* opt_eps 0: 1e-10 rmsproptf, 1e-8 adamw, 1e-6 lamb; betas: adamw, lamb */
    double clip_grad;             /* of the norm, each value, or each unit (agc); 0: no clipping */
    revbifpn_clip_mode clip_mode;
    int accumulate; /* batches of a step, the last step of an epoch maybe fewer; losses are averaged */
    int model_ema, model_ema_warmup; /* keep an average of the weights and judge by it */
    double model_ema_decay;
    /* schedule; the first four not for REVBIFPN_RISE_FALL */
    revbifpn_schedule sched;
    int sched_on_updates, warmup_prefix, cooldown_epochs; /* 0: a rate for each epoch; 1: for each step */
    double warmup_lr, min_lr, decay_epochs, decay_rate;
    double lr_noise_from, lr_noise_to, lr_noise_pct, lr_noise_std; /* parts of the epochs; to 0: no noise */
    double lr_cycle_mul, lr_cycle_decay, lr_k_decay;
    int lr_cycle_limit;
    /* loss */
    int bce_loss, bce_sum;
    double bce_target_thresh; /* targets above it are 1, others 0; 0: as they are */
    int tensorboard;          /* write event files into the run folder (docs/report.md) */
    revbifpn_hash hash;       /* REVBIFPN_HASH_STEP */
    /* fine-tuning: texts may be NULL or "" */
    const char *weights; /* file to begin with; a last layer for other classes begins anew */
    const char
        *freeze; /* "N": first N levels; "backbone": levels, neck; "features": all but the last layer */
    double backbone_lr_scale;     /* factor of the learning rate for levels and neck */
    int bn_eval;                  /* norms use the running statistics, which do not move */
    const char *recipe, *origins; /* for args.json only: a name; lines "OPTION=WHERE ITS VALUE IS FROM" */
    /* detectors, whose model.image_width and image_height mean nothing */
    revbifpn_task task;
    int fpn, fc;               /* channels of the feature pyramid, 256; features of the box head, 1024 */
    int long_side, short_side; /* pictures are scaled until a side reaches its limit: 1333, 800 */
    int scale_low, scale_high; /* in training the shorter side's limit is drawn from here; 0: it is fixed */
    const char *milestones;    /* epochs done when the rate falls, "8,11"; for REVBIFPN_MILESTONES */
    int warmup_steps;          /* over so many steps the rate rises, from warmup_ratio of what it would be */
    double warmup_ratio;
    int decay_all; /* weight_decay is for norms and biases, too */
    /* augmentation of detectors, beside hflip and color_jitter */
    double mosaic;    /* probability that a training picture is put together of four … */
    int close_mosaic; /* … which in so many epochs at the end none is: 10 */
    double scale_jitter_low, scale_jitter_high; /* its sides are multiplied by a factor from here; 0, 0: 1 */
    revbifpn_norm_affine norm_affine;
} revbifpn_train_config;
REVBIFPN_API void revbifpn_init_train(revbifpn_train_config *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_train_config, train)

/* Calls `visit` for each argument that the run in config->out was started with and `config` has otherwise;
 * names and values as in args.json ("lr", "model.drop"). BAD_ARGUMENT when there is no run, BAD_FILE. */
REVBIFPN_API revbifpn_status revbifpn_train_differences(revbifpn *ctx, const revbifpn_train_config *config,
                                                        void (*visit)(void *user, const char *name,
                                                                      const char *old, const char *new_value),
                                                        void *user) REVBIFPN_CHECKED;

typedef struct revbifpn_trainer revbifpn_trainer;
/* Starts a run, or goes on with it when `resume` is set and config->out holds one (a checkpoint, or only its
 * args.json). On resume the run's own arguments are used; only epochs, out, data, val_data, workers and
 * max_memory come from `config`, the first and the third when set. Nothing is allocated when the plan exceeds
 * max_memory: DOES_NOT_FIT. */
REVBIFPN_API revbifpn_status revbifpn_trainer_open(revbifpn *ctx, const revbifpn_train_config *config,
                                                   int resume, revbifpn_trainer **out) REVBIFPN_CHECKED;
REVBIFPN_API void revbifpn_trainer_close(revbifpn_trainer **trainer);
/* The plan of this run, and the arguments in force. */
REVBIFPN_API const revbifpn_memory *revbifpn_trainer_memory(const revbifpn_trainer *trainer);
REVBIFPN_API const revbifpn_train_config *revbifpn_trainer_configuration(const revbifpn_trainer *trainer);

typedef struct revbifpn_report {
    int epoch, epochs, step, steps; /* 1-based epoch and step within it, and how many there are */
    double loss, mean_loss, lr;     /* of this step; mean over the epoch so far */
    double step_ms, wait_ms;        /* the step itself, and waiting for its batch */
    int grid;                       /* k: the state's grid is 2^-k */
    int epoch_done, finished;       /* this step ended an epoch (then `val` is set); this was the last step */
    revbifpn_metrics val;           /* with model_ema of the averaged weights */
    revbifpn_metrics val_weights;   /* of the weights themselves */
    int improved;                   /* best top-1 so far */
    const char *note;               /* lines for the log (grid lowered, files unreadable), or NULL */
} revbifpn_report;
/* From now on `stop` is asked before steps, in validation and while waiting for pictures; other than 0: stop.
 */
REVBIFPN_API void revbifpn_trainer_watch(revbifpn_trainer *trainer, int (*stop)(void *user), void *user);
/* One step; at the end of an epoch also validation, results.csv, weights and checkpoint. STOPPED after the
 * last one (`finished` is set), or when it was asked to: a checkpoint may then be written, or the next call
 * goes on. After a stop in validation that call only validates: loss 0. */
REVBIFPN_API revbifpn_status revbifpn_trainer_step(revbifpn_trainer *trainer,
                                                   revbifpn_report *out) REVBIFPN_CHECKED;
/* Writes a checkpoint now, at the step boundary. */
REVBIFPN_API revbifpn_status revbifpn_trainer_checkpoint(revbifpn_trainer *trainer) REVBIFPN_CHECKED;

/* Where two runs part. tensor: "gradient NAME" or "weight NAME", first of `tensors` of the `compared` hashes
 * of that step; "" when not both have REVBIFPN_HASH_TENSOR. */
typedef struct revbifpn_run_difference {
    int steps, hashed;  /* equal ones before, and how many of them with hashes in both */
    int only_a, only_b; /* that one run does not have */
    int epoch, step;    /* of the first that differs; 0: none does */
    char what[24];      /* "learning rate", "loss", "gradients", "grid" or "weights" */
    int compared, tensors;
    char tensor[144];
} revbifpn_run_difference;
/* Compares the runs in two folders step by step; calls `visit` (may be NULL) for each argument that differs.
 */
REVBIFPN_API revbifpn_status revbifpn_compare_runs(revbifpn *ctx, const char *a, const char *b,
                                                   void (*visit)(void *user, const char *name,
                                                                 const char *in_a, const char *in_b),
                                                   void *user, revbifpn_run_difference *out) REVBIFPN_CHECKED;

#endif
