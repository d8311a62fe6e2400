/* Data sets (dataset.h): layout, classes, split. What finds the pictures is in source*.c. */
#include "data/dataset.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/source.h"

static revbifpn_status no_memory(rb_error *err) {
    return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
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
    for (size_t i = 0; i < dataset->container_count; i++) rb_free(dataset->containers[i]);
    rb_free(dataset->containers);
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

static revbifpn_status count_classes(rb_split *split, int classes, rb_error *err) {
    split->per_class = rb_alloc((size_t)classes * sizeof *split->per_class);
    if (!split->per_class) return no_memory(err);
    for (int i = 0; i < split->count; i++) split->per_class[split->samples[i].label]++;
    return REVBIFPN_OK;
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

/* The parts of a data set, NULL where absent. */
typedef struct layout {
    const char *root;
    char *train, *val;      /* owned; of a single one, what there is is `train` */
    rb_source_kind kind[2]; /* of train and val */
    bool single;            /* nothing is set apart for validation */
    char *class_list;       /* owned; classes.txt */
    const char *known;      /* where the classes come from, for errors */
} layout;

/* ---- reading one part ---- */

static rb_source_place place_of(const layout *l, bool val, bool needs_all) {
    return (rb_source_place){.kind = l->kind[val],
                             .path = val ? l->val : l->train,
                             .class_list = l->class_list,
                             .validation = val,
                             .needs_all = needs_all};
}

static revbifpn_status found_classes(rb_dataset *dataset, const char *path, rb_names *names, rb_error *err) {
    if (!names->count) return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no class folders in it", path);
    take_classes(dataset, names);
    return REVBIFPN_OK;
}

/* From the source's labels to those of the data set, whose classes are its classes. */
static revbifpn_status translate(const rb_dataset *dataset, rb_source *source, const char *path,
                                 const char *known, rb_error *err) {
    size_t classes = source->classes.count;
    int *map = rb_alloc(rb_size_mul(classes, sizeof *map));
    if (!map) return no_memory(err);
    revbifpn_status status = REVBIFPN_OK;
    for (size_t i = 0; !status && i < classes; i++) {
        map[i] = source->numbered ? (int)i : label_of(dataset, source->classes.items[i]);
        if (map[i] < 0 || map[i] >= dataset->classes)
            status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: the class '%.200s' is not in %s", path,
                             source->classes.items[i], known);
    }
    for (int i = 0; !status && i < source->split.count; i++)
        source->split.samples[i].label = map[source->split.samples[i].label];
    rb_free(map);
    return status;
}

/* Moves the source's containers, to which its samples point. */
static revbifpn_status keep_containers(rb_dataset *dataset, rb_source *source, rb_error *err) {
    size_t count = source->containers.count, all = dataset->container_count + count;
    if (!count) return REVBIFPN_OK;
    char **containers = rb_alloc(rb_size_mul(all, sizeof *containers));
    if (!containers) return no_memory(err);
    if (dataset->container_count)
        memcpy(containers, dataset->containers, dataset->container_count * sizeof *containers);
    memcpy(containers + dataset->container_count, source->containers.items, count * sizeof *containers);
    rb_free(dataset->containers);
    dataset->containers = containers;
    dataset->container_count = all;
    source->containers.count = 0;
    return REVBIFPN_OK;
}

/* Fills `split`; the classes of the first part read are those of the data set, unless it has some. */
static revbifpn_status read_part(rb_dataset *dataset, rb_split *split, const layout *l, bool val,
                                 bool needs_all, rb_error *err) {
    revbifpn_status status;
    rb_source source = {.numbered = false};
    rb_source_place place = place_of(l, val, needs_all);
    TRY(rb_source_read(&source, &place, err));
    if (dataset->class_names)
        TRY(translate(dataset, &source, place.path, l->known, err));
    else
        TRY(found_classes(dataset, place.path, &source.classes, err));
    if (!source.split.count) {
        status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: no pictures in it", place.path);
        goto fail;
    }
    TRY(keep_containers(dataset, &source, err));
    *split = source.split;
    source.split = (rb_split){0};
fail:
    rb_source_close(&source);
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
    rb_free(l->class_list);
}

static bool is_file(const char *path) {
    struct stat info;
    return !stat(path, &info) && S_ISREG(info.st_mode);
}

/* *path = FOLDER/NAME where `is` finds it, else NULL. */
static revbifpn_status look_for(const char *folder, const char *name, bool (*is)(const char *path),
                                char **path, rb_error *err) {
    *path = rb_path_join(folder, name);
    if (!*path) return no_memory(err);
    if (is(*path)) return REVBIFPN_OK;
    rb_free(*path);
    *path = NULL;
    return REVBIFPN_OK;
}

/* A path as it is. */
static revbifpn_status take(const char *path, char **copy, rb_error *err) {
    *copy = rb_alloc(strlen(path) + 1);
    if (!*copy) return no_memory(err);
    strcpy(*copy, path);
    return REVBIFPN_OK;
}

/* The two files or folders of those names, if there is one of them. */
static revbifpn_status look_for_two(layout *l, const char *train, const char *val,
                                    bool (*is)(const char *path), rb_error *err) {
    revbifpn_status status = look_for(l->root, train, is, &l->train, err);
    return status ? status : look_for(l->root, val, is, &l->val, err);
}

static revbifpn_status find_cifar(layout *l, rb_error *err) {
    revbifpn_status status = look_for_two(l, "data_batch_1.bin", "test_batch.bin", is_file, err);
    l->kind[0] = l->kind[1] = RB_SOURCE_CIFAR;
    for (int i = 0; !status && i < 2; i++) { /* its reader wants the folder */
        char **path = i ? &l->val : &l->train;
        if (!*path) continue;
        rb_free(*path);
        status = take(l->root, path, err);
    }
    return status;
}

/* classes.txt in the folder `root`, or beside what is no folder. */
static revbifpn_status find_class_list(layout *l, rb_error *err) {
    char *folder;
    revbifpn_status status = take(l->root, &folder, err);
    if (status) return status;
    char *slash = strrchr(folder, '/');
    if (!rb_is_folder(folder) && slash) slash[slash == folder] = 0;
    bool here = !slash && !rb_is_folder(folder);
    status = look_for(here ? "." : folder, "classes.txt", is_file, &l->class_list, err);
    rb_free(folder);
    return status;
}

static revbifpn_status find_parts(layout *l, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    bool folder = rb_is_folder(l->root);
    if (!folder && !is_file(l->root) && !strchr(l->root, '{'))
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: there is no such folder", l->root);
    if (folder) TRY(find_cifar(l, err));
    if (l->train || l->val) return REVBIFPN_OK;
    if (folder) TRY(look_for_two(l, "train", "val", rb_is_folder, err));
    if (folder && !l->train && !l->val) TRY(look_for_two(l, "train.txt", "val.txt", is_file, err));
    l->single = !l->train && !l->val;
    if (l->single) TRY(take(l->root, &l->train, err));
    if (l->train) l->kind[0] = rb_source_kind_of(l->train);
    if (l->val) l->kind[1] = rb_source_kind_of(l->val);
fail:
    return status;
}

static revbifpn_status find_layout(layout *l, const char *root, const char *val_root, rb_error *err) {
    revbifpn_status status;
    *l = (layout){.root = root};
    TRY(find_class_list(l, err));
    if (!val_root) return find_parts(l, err);
    TRY(take(root, &l->train, err));
    TRY(take(val_root, &l->val, err));
    l->kind[0] = rb_source_kind_of(root);
    l->kind[1] = rb_source_kind_of(val_root);
fail:
    return status;
}

/* The class list that was given, or that of the training pictures where only others are read. */
static revbifpn_status open_classes(rb_dataset *dataset, const layout *l, const rb_dataset_options *options,
                                    rb_error *err) {
    if (options->class_names) return copy_classes(dataset, options, err);
    if (options->purpose != RB_DATASET_EVALUATE || l->single || !l->train) return REVBIFPN_OK;
    rb_source source = {.numbered = false};
    rb_source_place place = place_of(l, false, false);
    revbifpn_status status = rb_source_classes(&source, &place, err);
    if (!status) status = found_classes(dataset, place.path, &source.classes, err);
    rb_source_close(&source);
    return status;
}

static revbifpn_status nothing_to_validate_on(const layout *l, rb_error *err) {
    return rb_fail(err, REVBIFPN_BAD_DATA,
                   l->kind[0] == RB_SOURCE_FOLDER
                       ? "%s: no folder 'val'; give one, or --val-fraction"
                       : "%s: nothing to validate on; give --val-data, or --val-fraction",
                   l->root);
}

static revbifpn_status open_for_training(rb_dataset *dataset, const layout *l,
                                         const rb_dataset_options *options, rb_error *err) {
    bool named = dataset->class_names;
    if (!l->train) return rb_fail(err, REVBIFPN_BAD_DATA, "%s: no folder 'train' beside 'val'", l->root);
    revbifpn_status status = read_part(dataset, &dataset->train, l, false, true, err);
    if (status) return status;
    if (!named && options->purpose == RB_DATASET_TRAIN && dataset->classes < 2)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: only one class ('%.200s'); two are needed", l->train,
                       dataset->class_names[0]);
    if (l->val) return read_part(dataset, &dataset->val, l, true, false, err);
    if (options->val_fraction == 0) return nothing_to_validate_on(l, err);
    status = hold_out(dataset, options, err);
    if (status || dataset->val.count) return status;
    return rb_fail(err, REVBIFPN_BAD_DATA, "%s: every class has one picture; none is left for validation",
                   l->root);
}

static revbifpn_status open_for_evaluation(rb_dataset *dataset, const layout *l,
                                           const rb_dataset_options *options, rb_error *err) {
    if (l->val) return read_part(dataset, &dataset->val, l, true, false, err);
    if (options->val_fraction > 0) { /* what training with the same fraction and seed held out */
        revbifpn_status status = open_for_training(dataset, l, options, err);
        rb_split_close(&dataset->train);
        return status;
    }
    if (!l->single) return nothing_to_validate_on(l, err);
    return read_part(dataset, &dataset->val, l, false, false, err);
}

static revbifpn_status open_all(rb_dataset *dataset, const layout *l, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    if (l->train) status = read_part(dataset, &dataset->train, l, false, false, err);
    return status || !l->val ? status : read_part(dataset, &dataset->val, l, true, false, err);
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
    TRY(find_layout(&l, root, options->val_root, err));
    l.known = options->class_names ? "the class list of the weights" : l.train ? l.train : root;
    dataset->in_files =
        (!l.train || l.kind[0] == RB_SOURCE_FOLDER) && (!l.val || l.kind[1] == RB_SOURCE_FOLDER);
    TRY(open_classes(dataset, &l, options, err));
    if (options->purpose == RB_DATASET_TRAIN)
        TRY(open_for_training(dataset, &l, options, err));
    else if (options->purpose == RB_DATASET_EVALUATE)
        TRY(open_for_evaluation(dataset, &l, options, err));
    else
        TRY(open_all(dataset, &l, err));
    TRY(count_classes(&dataset->train, dataset->classes, err));
    TRY(count_classes(&dataset->val, dataset->classes, err));
fail:
    layout_free(&l);
    if (status) rb_dataset_close(dataset);
    return status;
}
