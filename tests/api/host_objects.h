/* What a program does with objects and needs no weights for: the measure of COCO, a set checked and
 * converted. */
#ifndef RB_TESTS_API_HOST_OBJECTS_H
#define RB_TESTS_API_HOST_OBJECTS_H

#include "check.h"

#include <revbifpn.h>
#include <sys/stat.h>

#include "base/status.h"

enum { ROOM = 4400 }; /* of a path */

static const char *inside(const char *folder, const char *name, char path[ROOM]) {
    int length = snprintf(path, ROOM, "%s/%s", folder, name);
    assert_in_range(length, 1, ROOM - 1);
    return path;
}

static const char annotations[] =
    "{\"images\": [{\"id\": 1, \"width\": 9, \"height\": 9, \"file_name\": \"x.png\"}], \"categories\": "
    "[{\"id\": 1}], \"annotations\": [{\"id\": 1, \"image_id\": 1, \"category_id\": 1, \"iscrowd\": 0, "
    "\"area\": 16, \"bbox\": [2, 2, 4, 4], \"segmentation\": [[2, 2, 6, 2, 6, 6, 2, 6]]}]}";

/* One object, found exactly. */
static revbifpn_status judge(revbifpn *ctx, const char *folder) {
    static const char dt[] = "[{\"image_id\": 1, \"category_id\": 1, \"score\": 0.5, "
                             "\"segmentation\": [[2, 2, 6, 2, 6, 6, 2, 6]]}]";
    revbifpn_status status;
    revbifpn_coco_report report;
    revbifpn_coco_options options = revbifpn_default_coco();
    char dt_path[ROOM], gt_path[ROOM];
    options.gt = inside(folder, "annotations/instances_train.json", gt_path);
    options.masks = 1;
    mkdir(inside(folder, "annotations", dt_path), 0700);
    options.dt = inside(folder, "dt.json", dt_path);
    TRY(revbifpn_file_write(ctx, gt_path, annotations, sizeof annotations - 1));
    TRY(revbifpn_file_write(ctx, dt_path, dt, sizeof dt - 1));
    TRY(revbifpn_eval_coco(ctx, &options, &report));
    assert_true(report.stats[REVBIFPN_COCO_AP] > 1 - 1e-12); /* the rule adds 2e-16 below the line */
fail:
    return status;
}

/* The same annotations as a data set, whose picture is missing: a finding, and no error. */
static revbifpn_status handle_objects(revbifpn *ctx, const char *folder) {
    revbifpn_status status;
    char out[ROOM];
    revbifpn_object_check_options check = revbifpn_default_object_check();
    revbifpn_object_convert_options convert = revbifpn_default_object_convert();
    revbifpn_object_check_report checked;
    revbifpn_object_convert_report converted;
    check.data = convert.data = folder;
    convert.out = inside(folder, "as-yolo", out);
    convert.form = REVBIFPN_YOLO;
    convert.outlines = 1;
    assert_true(revbifpn_is_objects(folder) && !revbifpn_is_objects(out));
    TRY(revbifpn_check_objects(ctx, &check, &checked));
    TRY(revbifpn_convert_objects(ctx, &convert, &converted));
    assert_true(checked.train_objects == 1 && converted.objects == 1 && converted.missing == 1);
fail:
    return status;
}

#endif
