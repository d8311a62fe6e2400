/* Data sets, apart from training on them: checking, and packing into shards. revbifpn.h includes this; its
 * first comment has the conventions. */
#ifndef REVBIFPN_DATA_H
#define REVBIFPN_DATA_H

#ifndef REVBIFPN_H
#error "include <revbifpn.h>"
#endif

/* What `data` may be, here and wherever pictures are asked for: a folder with train/CLASS/ and val/CLASS/, or
 * CLASS/ (image folder); with train/ and val/ of .tar files, or such files themselves, one of them, or a
 * pattern shard-{000..099}.tar (WebDataset: KEY.jpg and KEY.cls or KEY.json); with train.txt and val.txt, or
 * a file of lines "path label"; with data_batch_1.bin … and test_batch.bin (CIFAR-10). docs/data.md says
 * more. */

/* ---- shards ---- */

typedef struct revbifpn_shard_options {
    size_t struct_size;
    const char *data, *out; /* `out`: a new or empty folder */
    int shards;             /* of the larger split; 0: as many as shard_bytes makes */
    uint64_t shard_bytes, seed;
    void (*progress)(void *user, int done, int all); /* may be NULL */
    void *user;
} revbifpn_shard_options;
typedef struct revbifpn_shard_report {
    int shards, pictures, classes;
    uint64_t bytes;
} revbifpn_shard_report;
REVBIFPN_API void revbifpn_init_shards(revbifpn_shard_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_shard_options, shards)
/* Writes shards with the files of a data set, which stay as they are. Training on them gives the bits that
 * training on the data set gives. The same data and options give the same files. */
REVBIFPN_API revbifpn_status revbifpn_shards(revbifpn *ctx, const revbifpn_shard_options *options,
                                             revbifpn_shard_report *out) REVBIFPN_CHECKED;

/* ---- checking ---- */

/* What can be found; the first eight are faults, the others may well be meant. */
typedef enum revbifpn_finding_kind {
    REVBIFPN_UNREADABLE,      /* no picture comes out */
    REVBIFPN_DAMAGED,         /* decoded, but data is missing or wrong */
    REVBIFPN_IN_BOTH_SPLITS,  /* the same bytes or pixels in train and val */
    REVBIFPN_TWO_CLASSES,     /* the same bytes or pixels in two classes */
    REVBIFPN_SAME_BYTES,      /* as another file of the split and class */
    REVBIFPN_SAME_PIXELS,     /* … though its bytes differ */
    REVBIFPN_WRONG_EXTENSION, /* another format than the name says */
    REVBIFPN_EMPTY_CLASS,     /* a class without pictures in train */
    REVBIFPN_TINY,            /* a side of less than min_side pixels */
    REVBIFPN_HUGE,            /* more than huge_pixels */
    REVBIFPN_GREY,            /* grey, where most are coloured */
    REVBIFPN_UNBALANCED,      /* the largest class has ten times the pictures of the smallest, or more */
    REVBIFPN_FINDINGS
} revbifpn_finding_kind;
typedef struct revbifpn_finding {
    revbifpn_finding_kind kind;
    const char *name;        /* of the kind: "in_both_splits" */
    const char *path, *text; /* the picture (or class), and what about it in one line */
} revbifpn_finding;

enum { REVBIFPN_SIZE_BINS = 16, REVBIFPN_CHECK_CHANNELS = 64 };
typedef struct revbifpn_check_report {
    int train, val, classes;
    int found[REVBIFPN_FINDINGS];
    int faults;                        /* of the first eight kinds */
    int smallest_class, largest_class; /* pictures of one class in train */
    int min_width, min_height, max_width, max_height;
    double mean_width, mean_height;
    int sizes[REVBIFPN_SIZE_BINS]; /* pictures whose longer side is in 2^i … 2^(i+1) − 1 */
    int channels;
    double mean[REVBIFPN_CHECK_CHANNELS], std[REVBIFPN_CHECK_CHANNELS]; /* in units of the largest value, over
                                                                          all pixels of train */
} revbifpn_check_report;
typedef struct revbifpn_check_options {
    size_t struct_size;
    const char *data, *val_data; /* val_data: the pictures of val when they are elsewhere, or NULL */
    int min_side;
    uint64_t huge_pixels, max_pixels;
    int channels, bits; /* of the pictures, as for training: 3; 0 is 8 for 3 channels, else 16 */
    void (*progress)(void *user, int done, int all); /* all four may be NULL; in the caller's thread */
    void (*found)(void *user, const revbifpn_finding *finding); /* at the end, in order of the pictures */
    void (*class_count)(void *user, const char *name, int train, int val); /* at the end, class by class */
    void *user;
} revbifpn_check_options;
REVBIFPN_API void revbifpn_init_check(revbifpn_check_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_check_options, check)
/* Decodes every picture, with the threads of the context, and changes nothing (but for indexes of shards,
 * which are kept beside them). Memory: one picture for each thread, and about 100 bytes for each picture of
 * the set. Errors: of the data set as a whole, as in training. */
REVBIFPN_API revbifpn_status revbifpn_check(revbifpn *ctx, const revbifpn_check_options *options,
                                            revbifpn_check_report *out) REVBIFPN_CHECKED;

/* Writes a file that appears whole or not at all, as all files of this library do; what is there and no
 * regular file (a device, a pipe) is written in place. IO_FAILED. */
REVBIFPN_API revbifpn_status revbifpn_file_write(revbifpn *ctx, const char *path, const void *bytes,
                                                 size_t size) REVBIFPN_CHECKED;

/* Mean and deviation out of the JSON that `revbifpn check --json` wrote, as texts for revbifpn_train_config.
 */
enum { REVBIFPN_STATS_TEXT = 2048 };
REVBIFPN_API revbifpn_status revbifpn_data_stats(revbifpn *ctx, const char *path,
                                                 char mean[REVBIFPN_STATS_TEXT],
                                                 char std[REVBIFPN_STATS_TEXT]) REVBIFPN_CHECKED;

#endif
