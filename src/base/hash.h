/* XXH3, 64 bits (github.com/Cyan4973/xxHash): to tell blocks apart, not against an adversary. */
#ifndef RB_BASE_HASH_H
#define RB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t rb_hash(const void *bytes, size_t size);

#endif
