/* What PyTorch's torch.save writes (torch/serialization.py), as a file of tensors. Two forms:
 *
 *   zip (since 1.6)   FOLDER/data.pkl   the object, pickled; a storage is a persistent id
 *                     FOLDER/data/KEY   the bytes of a storage
 *                     FOLDER/byteorder  "little"
 *   legacy            pickles one after the other: magic number, protocol 1001, system, object, list of KEYs;
 *                     then per storage its count of elements (8 bytes) and its bytes
 *
 * (The tar files of before version 0.2, 2017, are not read.) A tensor is a view of a storage: offset, size,
 * stride; views may share one. The object is a state dict (names to tensors), or a checkpoint with one under
 * "state_dict", "model" or another key, whose other content is ignored but for the names of the classes that
 * MMDetection leaves in "meta". When all names begin with "module." (DataParallel), that is taken off.
 *
 * Written is the zip form: a state dict of PyTorch's own make, each tensor with a storage of its own that
 * begins at a multiple of 64 bytes. torch.load(weights_only=True) reads it. The metadata of io/weights.h is
 * in the attribute _metadata of the state dict, under "revbifpn": load_state_dict ignores it there. */
#ifndef RB_IO_PTH_H
#define RB_IO_PTH_H

#include "io/safetensors.h"

/* The file's metadata when it has none of this program: CLASSES of "meta", a list of texts as JSON. */
#define RB_PTH_CLASSES "meta.CLASSES"

/* Whether the name ends in .pth, .pt or .pth.tar. */
bool rb_pth_name(const char *path);

/* As rb_tensor_file_write, of tensors of type F32, F64, F16, BF16, I64, I32, I16, I8, U8 and BOOL. From
 * 4 GiB or 65,535 entries on the archive is a zip64. Equal input gives equal bytes, whatever the name. */
revbifpn_status rb_pth_write(const char *path, const rb_tensor_source *tensors, int count,
                             const rb_tensor_metadata *metadata, int metadata_count,
                             rb_error *err) RB_CHECKED;

#endif
