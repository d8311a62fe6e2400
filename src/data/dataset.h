/* Data sets: which pictures there are, of which class, in which order.
 *
 * Image folders have two layouts. ROOT/train/CLASS/… and ROOT/val/CLASS/…; or a single folder ROOT/CLASS/…,
 * split by `val_fraction`. Pictures lie anywhere below their class folder (symbolic links are followed) and
 * are known by their extension: .jpg .jpeg .png .webp .gif .bmp .tif .tiff in any case. Names that begin with
 * a dot are ignored, as are files beside the class folders. Classes and pictures come in natural order (spec
 * 3), so labels and sample numbers do not depend on the file system.
 *
 * Instead of folders of classes there may be shards, lists or the files of CIFAR-10; data/source.h says what
 * is taken for what, and in which order their pictures come. */
#ifndef RB_DATA_DATASET_H
#define RB_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum rb_sample_form {
    RB_SAMPLE_FILE,  /* the picture file `path` */
    RB_SAMPLE_RANGE, /* bytes offset … offset + size − 1 of `container` are such a file */
    RB_SAMPLE_PLANES /* … are 32 × 32 bytes of red, then of green, then of blue */
} rb_sample_form;

typedef struct rb_sample {
    char *path; /* ROOT/…, as fopen takes it; of a part of a container what errors call it */
    int label;
    rb_sample_form form;
    const char *container; /* the data set's */
    uint64_t offset, size;
} rb_sample;

typedef struct rb_split {
    rb_sample *samples; /* in natural order of path */
    int count;
    int *per_class; /* pictures of each class */
} rb_split;

typedef enum rb_dataset_purpose {
    RB_DATASET_TRAIN,    /* both splits must have pictures, and there must be two classes */
    RB_DATASET_EVALUATE, /* only `val` is filled */
    RB_DATASET_ALL       /* whatever there is; what has no splits is `train` */
} rb_dataset_purpose;

typedef struct rb_dataset_options {
    rb_dataset_purpose purpose;
    /* Share of each class, 0 ≤ f < 1, that is held out for validation where there is no folder `val`: the
     * nearest whole number, but at least one picture on either side of a class with two or more (a class of
     * one is for training). The choice depends on `seed` and the order alone. 0: nothing is held out, and for
     * evaluating a single folder all of it is taken. */
    double val_fraction;
    uint64_t seed;
    /* The classes of saved weights, in the order of their labels; NULL: found in the folder. A folder of
     * another name is then an error; classes without a folder are not. */
    const char *const *class_names;
    int classes;
    /* Where the pictures of `val` are, when they do not lie below `root`, which then is all of `train`; NULL.
     */
    const char *val_root;
} rb_dataset_options;

typedef struct rb_dataset {
    char **class_names; /* by label */
    int classes;
    rb_split train, val;
    char **containers; /* paths of the files that samples are parts of */
    size_t container_count;
    bool in_files; /* every sample is a file of its own, in a folder of its class */
} rb_dataset;

/* Reads the folders (or whatever it is) below `root`. BAD_DATA, naming folder and reason, for a missing or
 * empty folder, one class only, a class in val that is not in train (or not in class_names), a class folder
 * without pictures in train; IO_FAILED when a folder cannot be read; BAD_ARGUMENT; OUT_OF_MEMORY. */
revbifpn_status rb_dataset_open(rb_dataset *dataset, const char *root, const rb_dataset_options *options,
                                rb_error *err) RB_CHECKED;
/* Harmless on a zeroed or already closed one. */
void rb_dataset_close(rb_dataset *dataset);

/* Natural order: text compared byte by byte with A–Z as a–z, runs of digits as whole numbers; < 0, 0, > 0.
 * Names that differ only in case or leading zeros are told apart by their bytes, so 0 means equal names. */
int rb_natural_compare(const char *a, const char *b);
/* All pictures below `folder` in natural order, as a split of one class 0 (per_class NULL): what predict
 * reads. */
revbifpn_status rb_split_find(rb_split *split, const char *folder, rb_error *err) RB_CHECKED;
void rb_split_close(rb_split *split);

#endif
