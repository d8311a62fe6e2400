/* The image folder reader (dataset.h): layout, classes, split. */
#include "data/dataset.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/folder.h"

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
}

static int by_path(const void *a, const void *b) {
    return rb_natural_compare(((const rb_sample *)a)->path, ((const rb_sample *)b)->path);
}

void rb_split_close(rb_split *split) {
    for (int i = 0; i < split->count; i++) rb_free(split->samples[i].path);
    rb_free(split->samples);
    rb_free(split->per_class);
    *split = (rb_split){0};
}

void rb_dataset_close(rb_dataset *dataset) {
    for (int i = 0; i < dataset->classes; i++) rb_free(dataset->class_names[i]);
    rb_free(dataset->class_names);
    rb_split_close(&dataset->train);
    rb_split_close(&dataset->val);
    *dataset = (rb_dataset){0};
}

/* Room for `more` further samples. */
static revbifpn_status reserve(rb_split *split, size_t more, rb_error *err) {
    size_t total = (size_t)split->count + more;
    if (total > INT_MAX) return rb_fail(err, REVBIFPN_BAD_DATA, "more than %d pictures", INT_MAX);
    rb_sample *samples = rb_alloc(rb_size_mul(total, sizeof *samples));
    if (!samples) return no_memory(err);
    if (split->count) memcpy(samples, split->samples, (size_t)split->count * sizeof *samples);
    rb_free(split->samples);
    split->samples = samples;
    return REVBIFPN_OK;
}

/* Appends the paths, which change their owner, with that label. */
static revbifpn_status append(rb_split *split, rb_names *paths, int label, rb_error *err) {
    if (!paths->count) return REVBIFPN_OK;
    revbifpn_status status = reserve(split, paths->count, err);
    if (status) return status;
    for (size_t i = 0; i < paths->count; i++)
        split->samples[split->count++] = (rb_sample){.path = paths->items[i], .label = label};
    paths->count = 0;
    return REVBIFPN_OK;
}

static void sort(rb_split *split) {
    if (split->count) qsort(split->samples, (size_t)split->count, sizeof *split->samples, by_path);
}

static revbifpn_status count_classes(rb_split *split, int classes, rb_error *err) {
    split->per_class = rb_alloc((size_t)classes * sizeof *split->per_class);
    if (!split->per_class) return no_memory(err);
    for (int i = 0; i < split->count; i++) split->per_class[split->samples[i].label]++;
    return REVBIFPN_OK;
}

revbifpn_status rb_split_find(rb_split *split, const char *folder, rb_error *err) {
    revbifpn_status status;
    rb_names paths = {0};
    *split = (rb_split){0};
    TRY(rb_folder_pictures(folder, &paths, err));
    TRY(append(split, &paths, 0, err));
    sort(split);
fail:
    rb_names_free(&paths);
    if (status) rb_split_close(split);
    return status;
}

/* ---- classes ---- */

static int label_of(const rb_dataset *dataset, const char *name) {
    for (int i = 0; i < dataset->classes; i++)
        if (!strcmp(dataset->class_names[i], name)) return i;
    return -1;
}

/* Takes the names over as the classes of the data set. */
static void take_classes(rb_dataset *dataset, rb_names *names) {
    dataset->class_names = names->items;
    dataset->classes = (int)names->count;
    *names = (rb_names){0};
}

static revbifpn_status copy_classes(rb_dataset *dataset, const rb_dataset_options *options, rb_error *err) {
    rb_names names = {0};
    revbifpn_status status = REVBIFPN_OK;
    for (int i = 0; !status && i < options->classes; i++)
        status = rb_names_add(&names, options->class_names[i], err);
    take_classes(dataset, &names); /* also when it failed: closing the data set frees them */
    return status;
}

static revbifpn_status find_classes(rb_dataset *dataset, const char *folder, rb_error *err) {
    rb_names names = {0};
    revbifpn_status status = rb_folder_classes(folder, &names, err);
    if (!status && !names.count)
        status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: no class folders in it", folder);
    take_classes(dataset, &names);
    return status;
}

/* The folders of a data set, NULL where absent. */
typedef struct layout {
    const char *root;
    char *train, *val; /* owned */
    bool single;       /* ROOT/CLASS/… */
    const char *known; /* where the classes come from, for errors */
} layout;

/* ---- reading one folder of classes ---- */

static revbifpn_status read_class(rb_split *split, const char *folder, const char *name, int label,
                                  bool needs_some, rb_error *err) {
    revbifpn_status status;
    rb_names paths = {0};
    char *path = rb_path_join(folder, name);
    if (!path) return no_memory(err);
    TRY(rb_folder_pictures(path, &paths, err));
    if (!paths.count && needs_some) {
        status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: no pictures in this class folder", path);
        goto fail;
    }
    TRY(append(split, &paths, label, err));
fail:
    rb_names_free(&paths);
    rb_free(path);
    return status;
}

/* Fills `split` with the pictures of `folder`'s class folders, which must be classes of the data set. */
static revbifpn_status read_split(const rb_dataset *dataset, rb_split *split, const layout *l,
                                  const char *folder, bool needs_all, rb_error *err) {
    revbifpn_status status;
    rb_names names = {0};
    TRY(rb_folder_classes(folder, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        int label = label_of(dataset, names.items[i]);
        if (label < 0) {
            status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: the class '%.200s' is not in %s", folder,
                             names.items[i], l->known);
            goto fail;
        }
        TRY(read_class(split, folder, names.items[i], label, needs_all, err));
    }
    if (!split->count) {
        status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: no pictures in it", folder);
        goto fail;
    }
    sort(split);
fail:
    rb_names_free(&names);
    return status;
}

/* ---- holding out a part for validation ---- */

static int held_out(int count, double fraction) {
    int k = (int)floor(count * fraction + 0.5);
    if (k > count - 1) k = count - 1;
    return k < 1 && count > 1 ? 1 : k;
}

/* Marks, of the samples `members`, those that go to validation: the first of a permutation keyed by seed and
 * class. */
static void choose_held_out(const rb_dataset_options *options, int label, int *members, int count,
                            bool *to_val) {
    rb_rng rng = rb_rng_open(options->seed, RB_PURPOSE_SPLIT, (uint64_t)label, 0);
    int k = held_out(count, options->val_fraction);
    for (int i = 0; i < k; i++) {
        int j = i + (int)rb_rng_below(&rng, (uint32_t)(count - i));
        to_val[members[j]] = true;
        members[j] = members[i];
    }
}

/* Goes through the classes, whose samples need not lie together: a counting sort by label first. */
static revbifpn_status mark_held_out(const rb_split *all, int classes, const rb_dataset_options *options,
                                     bool *to_val, rb_error *err) {
    int *members = rb_alloc((size_t)all->count * sizeof *members);
    int *end = rb_alloc(((size_t)classes + 1) * sizeof *end);
    bool ok = members && end;
    for (int i = 0; ok && i < all->count; i++) end[all->samples[i].label + 1]++;
    for (int c = 0; ok && c < classes; c++) end[c + 1] += end[c];
    for (int i = 0; ok && i < all->count; i++) members[end[all->samples[i].label]++] = i;
    for (int c = 0; ok && c < classes; c++) { /* filling moved each start to its end */
        int start = c ? end[c - 1] : 0;
        choose_held_out(options, c, members + start, end[c] - start, to_val);
    }
    rb_free(members);
    rb_free(end);
    return ok ? REVBIFPN_OK : no_memory(err);
}

/* Moves the held out samples from train to val; both keep the natural order. */
static revbifpn_status hold_out(rb_dataset *dataset, const rb_dataset_options *options, rb_error *err) {
    rb_split *train = &dataset->train, *val = &dataset->val;
    int all = train->count, kept = 0;
    bool *to_val = rb_alloc((size_t)all * sizeof *to_val);
    revbifpn_status status = to_val ? reserve(val, (size_t)all, err) : no_memory(err);
    if (!status) status = mark_held_out(train, dataset->classes, options, to_val, err);
    for (int i = 0; !status && i < all; i++) {
        rb_split *to = to_val[i] ? val : train;
        to->samples[to_val[i] ? val->count++ : kept++] = train->samples[i];
    }
    if (!status) train->count = kept;
    rb_free(to_val);
    return status;
}

/* ---- the whole ---- */

static void layout_free(layout *l) {
    rb_free(l->train);
    rb_free(l->val);
}

static revbifpn_status find_layout(layout *l, const char *root, rb_error *err) {
    *l = (layout){.root = root};
    if (!rb_is_folder(root)) return rb_fail(err, REVBIFPN_BAD_DATA, "%s: there is no such folder", root);
    l->train = rb_path_join(root, "train");
    l->val = rb_path_join(root, "val");
    if (!l->train || !l->val) return no_memory(err);
    char **each[2] = {&l->train, &l->val};
    for (int i = 0; i < 2; i++) {
        if (rb_is_folder(*each[i])) continue;
        rb_free(*each[i]);
        *each[i] = NULL;
    }
    l->single = !l->train && !l->val;
    return REVBIFPN_OK;
}

static revbifpn_status open_classes(rb_dataset *dataset, const layout *l, const rb_dataset_options *options,
                                    rb_error *err) {
    if (options->purpose == RB_DATASET_TRAIN && !l->single && !l->train)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no folder 'train' beside 'val'", l->root);
    if (options->class_names) return copy_classes(dataset, options, err);
    const char *folder = l->single ? l->root : l->train ? l->train : l->val;
    revbifpn_status status = find_classes(dataset, folder, err);
    if (status || options->purpose != RB_DATASET_TRAIN || dataset->classes > 1) return status;
    return rb_fail(err, REVBIFPN_BAD_DATA, "%s: only one class ('%.200s'); two are needed", folder,
                   dataset->class_names[0]);
}

static revbifpn_status open_for_training(rb_dataset *dataset, const layout *l,
                                         const rb_dataset_options *options, rb_error *err) {
    if (!l->val && options->val_fraction == 0)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no folder 'val'; give one, or --val-fraction", l->root);
    revbifpn_status status =
        read_split(dataset, &dataset->train, l, l->single ? l->root : l->train, true, err);
    if (status) return status;
    if (l->val) return read_split(dataset, &dataset->val, l, l->val, false, err);
    status = hold_out(dataset, options, err);
    if (status || dataset->val.count) return status;
    return rb_fail(err, REVBIFPN_BAD_DATA, "%s: every class has one picture; none is left for validation",
                   l->root);
}

static revbifpn_status open_for_evaluation(rb_dataset *dataset, const layout *l,
                                           const rb_dataset_options *options, rb_error *err) {
    if (l->val) return read_split(dataset, &dataset->val, l, l->val, false, err);
    if (options->val_fraction > 0) { /* what training with the same fraction and seed held out */
        revbifpn_status status = open_for_training(dataset, l, options, err);
        rb_split_close(&dataset->train);
        return status;
    }
    if (!l->single)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no folder 'val'; give one, or --val-fraction", l->root);
    return read_split(dataset, &dataset->val, l, l->root, false, err);
}

static revbifpn_status check_options(const rb_dataset_options *options, rb_error *err) {
    if (!(options->val_fraction >= 0 && options->val_fraction < 1))
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "--val-fraction %g is not in 0 … 1 (1 excluded)",
                       options->val_fraction);
    if (options->class_names && options->classes < 1)
        return rb_fail(err, REVBIFPN_BAD_ARGUMENT, "an empty list of classes");
    return REVBIFPN_OK;
}

revbifpn_status rb_dataset_open(rb_dataset *dataset, const char *root, const rb_dataset_options *options,
                                rb_error *err) {
    *dataset = (rb_dataset){0};
    layout l = {0};
    revbifpn_status status;
    TRY(check_options(options, err));
    TRY(find_layout(&l, root, err));
    l.known = options->class_names ? "the class list of the weights" : l.train ? l.train : root;
    TRY(open_classes(dataset, &l, options, err));
    if (options->purpose == RB_DATASET_TRAIN)
        TRY(open_for_training(dataset, &l, options, err));
    else
        TRY(open_for_evaluation(dataset, &l, options, err));
    TRY(count_classes(&dataset->train, dataset->classes, err));
    TRY(count_classes(&dataset->val, dataset->classes, err));
fail:
    layout_free(&l);
    if (status) rb_dataset_close(dataset);
    return status;
}
