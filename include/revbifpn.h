#ifndef REVBIFPN_H
#define REVBIFPN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REVBIFPN_VERSION "0.1.0"

/* Result of every function that can fail; the text is in revbifpn_message(). */
typedef enum revbifpn_status {
    REVBIFPN_OK = 0,
    REVBIFPN_BAD_ARGUMENT,  /* a wrong option, value, size or name */
    REVBIFPN_OUT_OF_MEMORY,
    REVBIFPN_BAD_FILE,      /* a file's content is wrong, truncated or hostile */
    REVBIFPN_UNSUPPORTED,   /* a format or feature that this build does not read */
    REVBIFPN_IO_FAILED,     /* the system refused to open, read or write */
    REVBIFPN_NO_DEVICE,
    REVBIFPN_DEVICE_FAILED,
    REVBIFPN_NOT_FINITE,    /* NaN or infinity, or the fixed-point range is exhausted */
    REVBIFPN_DOES_NOT_FIT,  /* the plan is larger than the memory limit */
    REVBIFPN_BAD_DATA,      /* the data set as a whole is unusable */
    REVBIFPN_STOPPED,       /* a signal, or the caller's progress function, asked to stop */
    REVBIFPN_OUT_OF_RANGE   /* internal to the step: repeat on a coarser grid */
} revbifpn_status;

enum { REVBIFPN_MAX_STREAMS = 6 };

/* A network: the reversible pyramid, then optionally a neck, then optionally a classification head (DESIGN 3).
 * Arrays go from the finest stream to the coarsest and have `streams` entries. */
typedef struct revbifpn_model_config {
    size_t struct_size;
    char name[32];                                /* "s0" … "s6", or any name for a custom network */
    int streams;                                  /* 2 … REVBIFPN_MAX_STREAMS; the published networks have 4 */
    int input_channels;                           /* channels of the picture, 3 for RGB */
    int widths[REVBIFPN_MAX_STREAMS];             /* channels of each stream; even; the first a multiple of 16 */
    int kernels[REVBIFPN_MAX_STREAMS];            /* depthwise kernel of the residual blocks, odd with kernel_pads */
    int kernel_pads[REVBIFPN_MAX_STREAMS];        /* added to every depthwise kernel that starts at this stream; even */
    int expansions[REVBIFPN_MAX_STREAMS];         /* MBConv expansion e ≥ 1 */
    double squeeze_ratios[REVBIFPN_MAX_STREAMS];  /* squeeze-excite ratio r; 0 = none */
    int blocks_per_level;                         /* layers of residual blocks before each silo: 2 */
    int extension_levels;                         /* levels after the last stream has been added */
    int neck;                                     /* 1: one MBConv per stream to head_widths */
    int head_widths[REVBIFPN_MAX_STREAMS];        /* channels of the neck's maps (ignored without neck) */
    int head_kernels[REVBIFPN_MAX_STREAMS];
    int head_kernel_pads[REVBIFPN_MAX_STREAMS];
    int head_expansions[REVBIFPN_MAX_STREAMS];
    double head_squeeze_ratios[REVBIFPN_MAX_STREAMS];
    int fc_features;                              /* channels of the head's last 1×1; 0 = none, the head pools the coarsest map */
    int classes;                                  /* 0: no classification head; the outputs are the maps */
    double drop;                                  /* dropout before the linear layer */
    double drop_path;                             /* stochastic depth p of the last level; level l has p·l/L */
    int image_width, image_height;                /* training size; multiples of 4·2^(streams−1) */
} revbifpn_model_config;

#ifdef __cplusplus
}
#endif
#endif
