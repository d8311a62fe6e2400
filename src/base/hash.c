#include "base/hash.h"

#include <xxhash.h>

uint64_t rb_hash(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }
