/* The table of contents of a zip file whose entries are STORED, as PyTorch writes them (APPNOTE.TXT 6.3.10:
 * 4.3.7 local header, 4.3.12 central directory, 4.3.14 … 4.3.16 ends, 4.5.3 zip64). Entries keep their place
 * in the file, so that tensors are read where they lie. Sizes come from the central directory. CRCs are not
 * compared: torch.save may be told to leave them out. Compressed and encrypted entries, several volumes and
 * bytes before the archive are refused. */
#ifndef RB_IO_ZIP_H
#define RB_IO_ZIP_H

#include "io/tensor_file.h"

typedef struct rb_zip_entry {
    char *name; /* owned by the zip */
    uint64_t offset, size;
} rb_zip_entry;

typedef struct rb_zip {
    rb_zip_entry *entries; /* by name */
    size_t count;
    char *names;
} rb_zip;

/* Reads and checks it: every entry lies in the file, before the central directory, and no name repeats. */
revbifpn_status rb_zip_open(rb_zip *zip, const rb_tensor_file *file, rb_error *err) RB_CHECKED;
void rb_zip_close(rb_zip *zip);
/* The entry of that name, or NULL. */
const rb_zip_entry *rb_zip_find(const rb_zip *zip, const char *name);
/* The entry whose name after the first '/' is `name`, or NULL. */
const rb_zip_entry *rb_zip_find_in_folder(const rb_zip *zip, const char *name);

#endif
