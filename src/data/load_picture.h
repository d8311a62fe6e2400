/* One picture of a batch: read, decoded, transformed into its place. */
#ifndef RB_DATA_LOAD_PICTURE_H
#define RB_DATA_LOAD_PICTURE_H

#include "data/loader.h"

/* Decodes sample `from` of the split with the draws of sample `want`, its repetition in the high half. dst:
 * height,width,3 bytes, or with options->decode.channels height,width,channels words. *damaged: as
 * rb_decode_info has it. Errors name the sample. Any thread, each with a scratch of its own. */
revbifpn_status rb_load_picture(const rb_loader_options *options, uint32_t from, uint64_t epoch,
                                uint64_t want, void *dst, rb_scratch *scratch, bool *damaged,
                                rb_error *err) RB_CHECKED;

#endif
