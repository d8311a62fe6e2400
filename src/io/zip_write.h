/* Writing a zip file whose entries are STORED, each at a multiple of 64 bytes, as PyTorch does it
 * (APPNOTE.TXT 6.3.10). What does not fit into 32 bits, and more than 65534 entries, is written as zip64;
 * without, no byte is different from a plain zip. Equal entries give equal bytes: no times. */
#ifndef RB_IO_ZIP_WRITE_H
#define RB_IO_ZIP_WRITE_H

#include "base/file.h"
#include "base/text.h"

typedef struct rb_zip_writer {
    rb_file_writer file; /* begun by the caller */
    uint64_t at;         /* bytes written */
    rb_text directory;   /* in the making */
    uint64_t entries;
} rb_zip_writer;

/* An entry of `size` bytes. IO_FAILED, OUT_OF_MEMORY. */
revbifpn_status rb_zip_add(rb_zip_writer *zip, const char *name, const void *data, size_t size,
                           rb_error *err) RB_CHECKED;
/* The first half of it: all but the data, whose checksum is `crc`; they are to be written next. */
revbifpn_status rb_zip_begin_entry(rb_zip_writer *zip, const char *name, uint32_t crc, uint64_t size,
                                   rb_error *err) RB_CHECKED;
/* The directory; then the file has its name. */
revbifpn_status rb_zip_end(rb_zip_writer *zip, rb_error *err) RB_CHECKED;
/* Frees; without rb_zip_end nothing is left of the file. */
void rb_zip_abandon(rb_zip_writer *zip);

#endif
