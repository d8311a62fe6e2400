/* Where the bytes of storages lie, in both forms. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/little_endian.h"
#include "io/pth_reader.h"

#define REFUSE(p, ...) rb_fail((p)->err, REVBIFPN_BAD_FILE, __VA_ARGS__)

enum { KEY_MAX = 100, FIRST_CHUNK = 1 << 18 };

static int compare_storages(const void *a, const void *b) {
    const rb_storage *x = a, *y = b;
    size_t shorter = x->key_length < y->key_length ? x->key_length : y->key_length;
    int order = memcmp(x->key, y->key, shorter);
    return order ? order : (x->key_length > y->key_length) - (x->key_length < y->key_length);
}

rb_storage *rb_pth_find_storage(const rb_pth *pth, const unsigned char *key, size_t length) {
    rb_storage wanted = {.key = key, .key_length = (uint32_t)length};
    return bsearch(&wanted, pth->storages, pth->storage_count, sizeof wanted, compare_storages);
}

/* A storage out of its persistent id, ('storage', type, key, location, count[, view]). */
static revbifpn_status describe(rb_pth *pth, const rb_pickle_value *value, rb_storage *out) {
    const rb_pickle *p = &pth->pickle;
    const rb_pickle_value *key = &p->values[rb_pickle_item(p, value->more, 2)];
    int64_t count = p->values[rb_pickle_item(p, value->more, 4)].as.integer;
    bool view = p->values[value->more].as.items.count > 5 && rb_pickle_item(p, value->more, 5);
    *out = (rb_storage){p->bytes + key->as.text.start, key->as.text.length, (rb_dtype)value->dtype,
                        (uint64_t)count, 0};
    char shown[KEY_MAX + 1];
    snprintf(shown, sizeof shown, "%.*s", (int)(out->key_length < KEY_MAX ? out->key_length : KEY_MAX),
             (const char *)out->key);
    rb_shown safe = rb_tensor_show(shown);
    const char *path = pth->file->path, *name = safe.text;
    if (out->key_length > KEY_MAX || memchr(out->key, 0, out->key_length))
        return REFUSE(pth, "%s: storage '%s': its key is too long", path, name);
    if (view || !rb_pickle_is_text(p, rb_pickle_item(p, value->more, 0), "storage"))
        return REFUSE(pth, "%s: storage '%s' is a view of another, as only PyTorch before 0.4 wrote it", path,
                      name);
    if (count < 0 || out->count > pth->file->size / rb_dtype_bytes(out->dtype))
        return REFUSE(pth, "%s: storage '%s' of %" PRId64 " elements of %s: the file has %" PRIu64 " bytes",
                      path, name, count, rb_dtype_name(out->dtype), pth->file->size);
    return REVBIFPN_OK;
}

revbifpn_status rb_pth_list_storages(rb_pth *pth) {
    revbifpn_status status;
    const rb_pickle *p = &pth->pickle;
    size_t all = 0, kept = 0;
    for (size_t v = 0; v < p->value_count; v++) all += p->values[v].kind == RB_PICKLE_STORAGE;
    rb_storage *list = pth->storages = rb_alloc(all * sizeof *list);
    if (!list)
        return rb_fail(pth->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %zu storages",
                       pth->file->path, all);
    all = 0;
    for (size_t v = 0; v < p->value_count; v++)
        if (p->values[v].kind == RB_PICKLE_STORAGE) TRY(describe(pth, &p->values[v], &list[all++]));
    qsort(list, all, sizeof *list, compare_storages);
    for (size_t i = 0; i < all; i++) {
        if (!kept || compare_storages(&list[kept - 1], &list[i]))
            list[kept++] = list[i];
        else if (list[kept - 1].dtype != list[i].dtype || list[kept - 1].count != list[i].count)
            return REFUSE(pth, "%s: storage '%.*s' has two types or sizes", pth->file->path,
                          (int)list[i].key_length, (const char *)list[i].key);
    }
    pth->storage_count = kept;
    return REVBIFPN_OK;
fail:
    return status;
}

/* ---- zip ---- */

static revbifpn_status check_archive(rb_pth *pth, const rb_zip *zip, const char *folder, size_t length) {
    char name[KEY_MAX + 40], order[7] = "";
    const char *path = pth->file->path;
    snprintf(name, sizeof name, "%.*s/constants.pkl", (int)length, folder);
    if (rb_zip_find(zip, name)) return REFUSE(pth, "%s: a TorchScript program, not a state dict", path);
    snprintf(name, sizeof name, "%.*s/byteorder", (int)length, folder);
    const rb_zip_entry *e = rb_zip_find(zip, name);
    if (!e) return REVBIFPN_OK; /* before 2.1: little */
    if (e->size == 6) {
        revbifpn_status status = rb_tensor_read_at(pth->file, e->offset, order, 6, pth->err);
        if (status != REVBIFPN_OK) return status;
    }
    return !strcmp(order, "little")
               ? REVBIFPN_OK
               : REFUSE(pth, "%s: %s is not \"little\": written on another kind of machine", path,
                        rb_tensor_show(name).text);
}

static revbifpn_status place_in_zip(rb_pth *pth, const rb_zip *zip, const char *folder, size_t length) {
    char name[2 * KEY_MAX + 40];
    for (size_t i = 0; i < pth->storage_count; i++) {
        rb_storage *s = &pth->storages[i];
        snprintf(name, sizeof name, "%.*s/data/%.*s", (int)length, folder, (int)s->key_length,
                 (const char *)s->key);
        const rb_zip_entry *e = rb_zip_find(zip, name);
        uint64_t bytes = s->count * rb_dtype_bytes(s->dtype);
        if (!e)
            return REFUSE(pth, "%s: zip entry '%s' is missing", pth->file->path, rb_tensor_show(name).text);
        if (e->size != bytes)
            return REFUSE(
                pth, "%s: zip entry '%s' has %" PRIu64 " bytes, %" PRIu64 " elements of %s need %" PRIu64,
                pth->file->path, rb_tensor_show(name).text, e->size, s->count, rb_dtype_name(s->dtype),
                bytes);
        s->offset = e->offset;
    }
    return REVBIFPN_OK;
}

static revbifpn_status read_data_pkl(rb_pth *pth, const rb_zip_entry *e) {
    const char *path = pth->file->path;
    if (e->size > RB_PTH_PICKLE_MAX)
        return REFUSE(pth, "%s: %s of %" PRIu64 " bytes, more than the limit of %d", path,
                      rb_tensor_show(e->name).text, e->size, RB_PTH_PICKLE_MAX);
    pth->bytes = rb_alloc((size_t)e->size);
    if (!pth->bytes)
        return rb_fail(pth->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %" PRIu64 " bytes", path,
                       e->size);
    revbifpn_status status = rb_tensor_read_at(pth->file, e->offset, pth->bytes, (size_t)e->size, pth->err);
    if (status != REVBIFPN_OK) return status;
    status = rb_pickle_read(&pth->pickle, pth->bytes, (size_t)e->size, pth->err);
    return status == REVBIFPN_OK ? status
                                 : rb_fail_prefix(pth->err, "%s: %s: ", path, rb_tensor_show(e->name).text);
}

revbifpn_status rb_pth_read_zip(rb_pth *pth) {
    revbifpn_status status;
    rb_zip zip;
    TRY(rb_zip_open(&zip, pth->file, pth->err));
    const rb_zip_entry *e = rb_zip_find_in_folder(&zip, "data.pkl");
    size_t folder = e ? strlen(e->name) - strlen("/data.pkl") : 0;
    if (!e || folder > KEY_MAX) {
        status =
            REFUSE(pth, "%s: a zip file without FOLDER/data.pkl: not written by torch.save", pth->file->path);
        goto fail;
    }
    TRY(check_archive(pth, &zip, e->name, folder));
    TRY(read_data_pkl(pth, e));
    TRY(rb_pth_list_storages(pth));
    status = place_in_zip(pth, &zip, e->name, folder);
fail:
    rb_zip_close(&zip);
    return status;
}

/* ---- legacy ---- */

/* The pickles at the start of the file, of which the last two are kept. */
typedef struct head {
    rb_pickle keys;
    size_t used;  /* where the storages begin */
    bool ran_out; /* not all of it is in the chunk */
} head;

static revbifpn_status next_pickle(rb_pth *pth, size_t size, head *h, rb_pickle *p, const char *what) {
    revbifpn_status status = rb_pickle_read(p, pth->bytes + h->used, size - h->used, pth->err);
    h->ran_out = p->ran_out;
    if (status != REVBIFPN_OK)
        return rb_fail_prefix(pth->err, "%s: %s, from byte %zu: ", pth->file->path, what, h->used);
    h->used += p->used;
    return REVBIFPN_OK;
}

/* Magic number (10 bytes: more than 64 bits, so only its length is looked at again here), protocol, system.
 */
static revbifpn_status check_preamble(rb_pth *pth, size_t size, head *h) {
    static const char *const what[3] = {"magic number", "protocol", "system"};
    static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    for (int i = 0; i < 3; i++) {
        rb_pickle p = {0};
        revbifpn_status status = next_pickle(pth, size, h, &p, what[i]);
        const rb_pickle_value *v = status == REVBIFPN_OK ? &p.values[p.root] : NULL;
        bool good = false;
        if (v && i == 0)
            good = v->kind == RB_PICKLE_BYTES && v->as.text.length == sizeof magic &&
                   !memcmp(p.bytes + v->as.text.start, magic, sizeof magic);
        if (v && i == 1) good = v->kind == RB_PICKLE_INTEGER && v->as.integer == 1001;
        if (v && i == 2) {
            const rb_pickle_value *little = &p.values[rb_pickle_get(&p, p.root, "little_endian")];
            good = little->kind == RB_PICKLE_BOOL && little->as.integer == 1;
        }
        rb_pickle_close(&p);
        if (status != REVBIFPN_OK) return status;
        if (!good) return REFUSE(pth, "%s: %s: not that of a file of torch.save", pth->file->path, what[i]);
    }
    return REVBIFPN_OK;
}

static revbifpn_status read_head(rb_pth *pth, size_t size, head *h) {
    revbifpn_status status;
    *h = (head){0};
    pth->bytes = rb_alloc(size);
    if (!pth->bytes)
        return rb_fail(pth->err, REVBIFPN_OUT_OF_MEMORY, "%s: out of memory for %zu bytes", pth->file->path,
                       size);
    TRY(rb_tensor_read_at(pth->file, 0, pth->bytes, size, pth->err));
    TRY(check_preamble(pth, size, h));
    TRY(next_pickle(pth, size, h, &pth->pickle, "object"));
    status = next_pickle(pth, size, h, &h->keys, "list of storages");
fail:
    return status;
}

static void drop_head(rb_pth *pth, head *h) {
    rb_pickle_close(&h->keys);
    rb_pickle_close(&pth->pickle);
    rb_free(pth->bytes);
    pth->bytes = NULL;
}

/* One storage: its count, then its bytes. */
static revbifpn_status place_next(rb_pth *pth, const rb_pickle *keys, uint32_t v, uint64_t *at) {
    unsigned char number[8];
    const rb_pickle_value *key = &keys->values[v];
    const char *path = pth->file->path;
    rb_storage *s = key->kind == RB_PICKLE_TEXT
                        ? rb_pth_find_storage(pth, keys->bytes + key->as.text.start, key->as.text.length)
                        : NULL;
    if (!s || s->offset)
        return REFUSE(pth, "%s: the list of storages names one that no tensor uses, or one twice", path);
    if (pth->file->size - *at < sizeof number)
        return REFUSE(pth, "%s: ends at byte %" PRIu64 ", before a storage: truncated?", path,
                      pth->file->size);
    revbifpn_status status = rb_tensor_read_at(pth->file, *at, number, sizeof number, pth->err);
    if (status != REVBIFPN_OK) return status;
    uint64_t bytes = s->count * rb_dtype_bytes(s->dtype);
    if (rb_le64(number) != s->count)
        return REFUSE(pth, "%s: byte %" PRIu64 ": storage of %" PRIu64 " elements, the object says %" PRIu64,
                      path, *at, rb_le64(number), s->count);
    *at += sizeof number;
    if (bytes > pth->file->size - *at)
        return REFUSE(pth,
                      "%s: byte %" PRIu64 ": storage of %" PRIu64 " bytes, the file has %" PRIu64
                      " more: truncated?",
                      path, *at, bytes, pth->file->size - *at);
    s->offset = *at;
    *at += bytes;
    return REVBIFPN_OK;
}

static revbifpn_status place_in_order(rb_pth *pth, const head *h) {
    revbifpn_status status;
    uint64_t at = h->used;
    const rb_pickle *keys = &h->keys;
    if (keys->values[keys->root].kind != RB_PICKLE_LIST)
        return REFUSE(pth, "%s: the list of storages is no list", pth->file->path);
    uint32_t left = keys->values[keys->root].as.items.count, cell = keys->values[keys->root].as.items.first;
    for (; left; left--, cell = keys->cells[cell].next)
        TRY(place_next(pth, keys, keys->cells[cell].value, &at));
    for (size_t i = 0; i < pth->storage_count; i++)
        if (!pth->storages[i].offset)
            return REFUSE(pth, "%s: storage '%.*s' is not in the list of storages", pth->file->path,
                          (int)pth->storages[i].key_length, (const char *)pth->storages[i].key);
    return REVBIFPN_OK;
fail:
    return status;
}

/* How long the pickles are only they know: a chunk of the file is read, and a longer one when it ends too
 * soon. */
revbifpn_status rb_pth_read_legacy(rb_pth *pth) {
    revbifpn_status status;
    head h;
    size_t all = pth->file->size < RB_PTH_PICKLE_MAX ? (size_t)pth->file->size : RB_PTH_PICKLE_MAX;
    for (size_t size = FIRST_CHUNK;; size *= 8) {
        if (size > all) size = all;
        status = read_head(pth, size, &h);
        if (status == REVBIFPN_OK || !h.ran_out || size == all) break;
        drop_head(pth, &h);
    }
    if (status == REVBIFPN_OK) status = rb_pth_list_storages(pth);
    if (status == REVBIFPN_OK) status = place_in_order(pth, &h);
    rb_pickle_close(&h.keys);
    return status;
}
