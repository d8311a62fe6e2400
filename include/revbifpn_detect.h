/* Detection: the detector, the measure that detections are judged by, and checking and converting data sets
 * of objects. revbifpn.h includes this; its first comment has the conventions. */
#ifndef REVBIFPN_DETECT_H
#define REVBIFPN_DETECT_H

#ifndef REVBIFPN_H
#error "include <revbifpn.h>"
#endif

/* ---- the detector ---- */

/* Faster R-CNN, or with masks Mask R-CNN, on the reversible pyramid with its neck (docs/detection.md). */
typedef struct revbifpn_detector_config {
    size_t struct_size;
    revbifpn_model_config backbone; /* its neck is on, its classes are 0, whatever they say */
    int classes;
    int masks;    /* a mask for each box, too */
    int channels; /* of the feature pyramid: 256 */
    int features; /* of the box head's two layers: 1024 */
    /* Boxes that the proposal network gives, of a level before suppression and of a picture after it: in
     * training 2000 and 1000, else 1000 and 1000. */
    int train_per_level, train_proposals, test_per_level, test_proposals;
    int anchors_drawn, boxes_drawn; /* of a picture, to learn from: 256, 512; 0: all there are */
    int most_objects;               /* of a picture in training, for which memory is planned: 100 */
    int long_side, short_side;      /* what sides of pictures are scaled up or down to, at most: 1333, 800 */
} revbifpn_detector_config;
/* The numbers of the HRNet configurations that the paper's detectors follow, with an S0 and COCO's 80
 * classes, without masks. */
REVBIFPN_API void revbifpn_init_detector_config(revbifpn_detector_config *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_detector_config, detector_config)

/* For one picture: 1000 boxes for the box head and 100 for the mask head, as such papers count. */
typedef struct revbifpn_detector_cost {
    uint64_t parameters;
    uint64_t macs; /* products of convolutions and linear layers, in the order the papers write them */
    uint64_t
        macs_run; /* … that this engine forms for the same result: less for the pyramid's 1×1 convolution */
    uint64_t macs_published; /* by the rule of the published figures, batch norms not counted (S4 … S6) */
    uint64_t macs_published_norms; /* … with norms and squeeze-excite's means (S0 … S2) */
} revbifpn_detector_cost;
/* Calls `visit` (may be NULL) for each layer in order and sums the costs, for a picture padded to width ×
 * height, multiples of 32. A layer's macs_published is by the second rule. */
REVBIFPN_API revbifpn_status revbifpn_inspect_detector(revbifpn *ctx, const revbifpn_detector_config *config,
                                                       int width, int height,
                                                       void (*visit)(void *user, const revbifpn_layer *layer),
                                                       void *user,
                                                       revbifpn_detector_cost *total) REVBIFPN_CHECKED;
/* Bytes of a step on `batch` pictures padded to width × height, multiples of 32, from a dry run (with
 * training: REVBIFPN_MOMENTUM). The same however many objects the pictures have, up to most_objects. Norms
 * use running statistics for less than 16 pictures. */
REVBIFPN_API revbifpn_status revbifpn_plan_detector(revbifpn *ctx, const revbifpn_detector_config *config,
                                                    int width, int height, int batch, int training,
                                                    revbifpn_activations activations,
                                                    revbifpn_memory *out) REVBIFPN_CHECKED;

/* ---- a trained detector ---- */

typedef struct revbifpn_detector revbifpn_detector;
/* What a weights file is for. BAD_FILE, IO_FAILED. */
REVBIFPN_API revbifpn_status revbifpn_weights_task(revbifpn *ctx, const char *path,
                                                   revbifpn_task *out) REVBIFPN_CHECKED;
/* Loads weights that a detector's run has written, or MMDetection's of a RevBiFPN: their names of classes
 * come from the checkpoint's "meta", their other numbers are the defaults. UNSUPPORTED for those of a
 * classifier; BAD_FILE. */
REVBIFPN_API revbifpn_status revbifpn_detector_load(revbifpn *ctx, const char *path,
                                                    revbifpn_detector **out) REVBIFPN_CHECKED;
REVBIFPN_API void revbifpn_detector_free(revbifpn_detector **detector);
REVBIFPN_API const revbifpn_detector_config *
revbifpn_detector_configuration(const revbifpn_detector *detector);
/* Name of class 0 … classes − 1; NULL when the weights have none. */
REVBIFPN_API const char *revbifpn_detector_class(const revbifpn_detector *detector, int index);
/* From now on pictures are scaled within these limits instead of those of the training; 32 … 16384. */
REVBIFPN_API revbifpn_status revbifpn_detector_limits(revbifpn_detector *detector, int long_side,
                                                      int short_side) REVBIFPN_CHECKED;

/* A box in a picture, most likely first. */
typedef struct revbifpn_detection {
    double x1, y1, x2, y2; /* corners in pixels of the picture, from its first corner */
    double score;
    int label;        /* class */
    const char *name; /* of the class; its number as text when it has none */
    const char *mask; /* COCO's compressed run lengths of a picture-sized mask; NULL without masks */
} revbifpn_detection;
/* Finds what is in an 8-bit RGB picture: *found of them, at most 100, the detector's until its next call. */
REVBIFPN_API revbifpn_status revbifpn_detect(revbifpn_detector *detector, const revbifpn_image *image,
                                             const revbifpn_detection **detections,
                                             int *found) REVBIFPN_CHECKED;
/* pixels: height,width of 0 and 1, from such a mask. BAD_ARGUMENT when the runs are not of that size. */
REVBIFPN_API revbifpn_status revbifpn_mask_pixels(revbifpn *ctx, const char *mask, int width, int height,
                                                  uint8_t *pixels) REVBIFPN_CHECKED;
/* Draws boxes with names and scores, and masks, into the picture, which is enlarged by a whole number first
 * when it has less than 240 pixels a row (but not beyond 16384 rows), boxes and masks with it. */
REVBIFPN_API revbifpn_status revbifpn_image_draw(revbifpn *ctx, revbifpn_image *image,
                                                 const revbifpn_detection *detections,
                                                 int count) REVBIFPN_CHECKED;

/* ---- the detector as an ONNX file ---- */

enum { REVBIFPN_DETECTIONS = 100, REVBIFPN_MASK_SIDE = 28, REVBIFPN_DETECTOR_LEVELS = 5 };

/* Writes the detector as an ONNX file (opset 17), for inference. Input "input", float n,3,height,width:
 * pixels / 255, less mean, by deviation, zeros right of and below the picture. The sides are the detector's
 * limits rounded up to multiples of 32, at least 64, wide; with dynamic_size any such. n is 1, and a second
 * input "size", float 2, says height and width of the picture in the input, to which boxes are clipped.
 * Outputs by falling score, k ≤ 100: "boxes" k,4: x1, y1, x2, y2 in pixels of the input, "scores" k, "labels"
 * k (int64), with masks "masks" k,28,28: probabilities, stretched over the box.
 *
 * With `heads` n is free, there is no "size", and the outputs are, for each level i = 2 … 6 of stride 2^i,
 * the pyramid's map "p<i>" n,c,h,w, and of the proposal network "objectness_p<i>" n,3,h,w (logits) and
 * "codes_p<i>" n,12,h,w. metadata_props: model, task, size, preprocessing, classes, config, detector.
 * BAD_ARGUMENT for options->features and limits below 64; otherwise as revbifpn_export_onnx. */
REVBIFPN_API revbifpn_status revbifpn_export_detector_onnx(
    revbifpn_detector *detector, const char *path, const revbifpn_onnx_options *options) REVBIFPN_CHECKED;
/* What the file with `heads` computes for `count` inputs as above: out[0 … 4] maps, out[5 … 9] objectness,
 * out[10 … 14] codes. BAD_ARGUMENT (size), NOT_FINITE, OUT_OF_MEMORY. */
REVBIFPN_API revbifpn_status revbifpn_detector_run_heads(revbifpn_detector *detector, const float *inputs,
                                                         int count, int width, int height,
                                                         float *const *out) REVBIFPN_CHECKED;
typedef struct revbifpn_raw_detections {
    int count; /* by falling score */
    float boxes[REVBIFPN_DETECTIONS][4], scores[REVBIFPN_DETECTIONS];
    int labels[REVBIFPN_DETECTIONS];
    float masks[REVBIFPN_DETECTIONS][REVBIFPN_MASK_SIDE][REVBIFPN_MASK_SIDE]; /* of a detector with masks */
} revbifpn_raw_detections;
/* … and what the other file computes: of one input, covered by a picture of seen_width × seen_height. */
REVBIFPN_API revbifpn_status revbifpn_detector_run(revbifpn_detector *detector, const float *input, int width,
                                                   int height, int seen_width, int seen_height,
                                                   revbifpn_raw_detections *out) REVBIFPN_CHECKED;
/* A picture file as such an input, 3,height,width floats: as large as fits. Its size there: *seen_… */
REVBIFPN_API revbifpn_status revbifpn_detector_input_read(revbifpn_detector *detector, const char *path,
                                                          int width, int height, float *input,
                                                          int *seen_width, int *seen_height) REVBIFPN_CHECKED;

/* ---- COCO's average precision and recall ---- */

/* The twelve numbers in COCO's order: average precision (AP) and recall (AR), means over categories and, but
 * for AP50 and AP75, over the overlaps 0.50, 0.55 … 0.95. SMALL is an area below 32², LARGE above 96²; AR1
 * and AR10 let 1 and 10 detections of each category in a picture count, all others 100. */
typedef enum revbifpn_coco_stat {
    REVBIFPN_COCO_AP,
    REVBIFPN_COCO_AP50,
    REVBIFPN_COCO_AP75,
    REVBIFPN_COCO_AP_SMALL,
    REVBIFPN_COCO_AP_MEDIUM,
    REVBIFPN_COCO_AP_LARGE,
    REVBIFPN_COCO_AR1,
    REVBIFPN_COCO_AR10,
    REVBIFPN_COCO_AR100,
    REVBIFPN_COCO_AR_SMALL,
    REVBIFPN_COCO_AR_MEDIUM,
    REVBIFPN_COCO_AR_LARGE,
    REVBIFPN_COCO_STATS
} revbifpn_coco_stat;

typedef struct revbifpn_coco_class {
    int64_t id;                        /* of the category */
    const char *name;                  /* "" when the file has none; lives as long as the call */
    double stats[REVBIFPN_COCO_STATS]; /* −1: no object to find */
    uint64_t objects, detections;      /* crowd regions are not counted as objects */
} revbifpn_coco_class;

typedef struct revbifpn_coco_options {
    size_t struct_size;
    const char *gt; /* annotations: COCO's instances_….json */
    const char
        *dt;   /* results: a JSON list of {"image_id", "category_id", "bbox" or "segmentation", "score"} */
    int masks; /* 0: boxes overlap, and a result's area is that of its box. 1: masks; a result's bbox is
                  passed over, its area is that of its mask */
    void (*class_stats)(void *user, const revbifpn_coco_class *one); /* by rising id; may be NULL */
    void *user;
} revbifpn_coco_options;
typedef struct revbifpn_coco_report {
    double stats[REVBIFPN_COCO_STATS]; /* −1: there was no object to find */
    uint64_t images, categories, objects, detections;
    uint64_t objects_left_out;    /* of images or categories that `gt` does not list */
    uint64_t detections_left_out; /* of categories that it does not list */
} revbifpn_coco_report;
REVBIFPN_API void revbifpn_init_coco(revbifpn_coco_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_coco_options, coco)
/* Judges results. The numbers equal those of COCO's reference evaluator to rounding, and are the same with
 * any number of threads; an empty list of results has AP and AR 0. Both files are read once, front to back.
 * Errors: BAD_FILE with file, line and byte or number of the entry; BAD_DATA for a result of an image that
 * `gt` does not list; BAD_ARGUMENT, IO_FAILED, OUT_OF_MEMORY. */
REVBIFPN_API revbifpn_status revbifpn_eval_coco(revbifpn *ctx, const revbifpn_coco_options *options,
                                                revbifpn_coco_report *out) REVBIFPN_CHECKED;

/* Judges a detector on the val split of a data set of objects (docs/detection.md). */
typedef struct revbifpn_detector_val_options {
    size_t struct_size;
    const char *data;
    const char *results; /* file for COCO's list of results; NULL: none */
    int workers, max_bad;
    uint64_t max_pixels;
    void (*progress)(void *user, int done, int all);
    void (*note)(void *user, const char *line); /* of each file that could not be used; may be NULL */
    /* of each class, boxes first, then with a segmenter masks; may be NULL */
    void (*class_stats)(void *user, int masks, const revbifpn_coco_class *one);
    void *user;
} revbifpn_detector_val_options;
REVBIFPN_API void revbifpn_init_detector_val(revbifpn_detector_val_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_detector_val_options, detector_val)
/* out->boxes and out->masks are COCO's twelve numbers. Errors: BAD_DATA, BAD_FILE, IO_FAILED, OUT_OF_MEMORY.
 */
REVBIFPN_API revbifpn_status revbifpn_evaluate_detector(revbifpn_detector *detector,
                                                        const revbifpn_detector_val_options *options,
                                                        revbifpn_metrics *out) REVBIFPN_CHECKED;

/* ---- data sets of objects in pictures ---- */

/* What `data` may be here: a folder in the layout of COCO (annotations/instances_{train,val}.json and
 * images/, or the names that COCO itself has), of Pascal VOC (Annotations/, JPEGImages/, ImageSets/Main/), or
 * of YOLO (images/, labels/, data.yaml or classes.txt; or its .yaml file). docs/detection.md says more. */
typedef enum revbifpn_object_form { REVBIFPN_COCO, REVBIFPN_VOC, REVBIFPN_YOLO } revbifpn_object_form;

/* Whether `data` is one of these, by what lies in it: 1 or 0. Any thread. */
REVBIFPN_API int revbifpn_is_objects(const char *data);

/* What can be found; the first eleven are faults, the others may well be meant. */
typedef enum revbifpn_object_finding_kind {
    REVBIFPN_OBJECT_UNREADABLE,     /* a picture's file is missing, or no picture comes out */
    REVBIFPN_OBJECT_DAMAGED,        /* decoded, but data is missing or wrong */
    REVBIFPN_OBJECT_WRONG_SIZE,     /* a picture, turned as it is shown, has not the size that is written */
    REVBIFPN_OBJECT_IN_BOTH_SPLITS, /* the same bytes in train and val */
    REVBIFPN_OBJECT_SAME_BYTES,     /* as another picture of the split */
    REVBIFPN_OBJECT_DANGLING,       /* annotations of pictures or classes that are not listed */
    REVBIFPN_OBJECT_EMPTY_BOX,      /* width, height or area of 0 or less */
    REVBIFPN_OBJECT_OUTSIDE,        /* a box that lies wholly outside of its picture */
    REVBIFPN_OBJECT_BAD_OUTLINE,    /* run lengths that are broken, or of another size than the picture */
    REVBIFPN_OBJECT_EMPTY_OUTLINE,  /* without a pixel, or missing where others have one */
    REVBIFPN_OBJECT_DUPLICATE,      /* the same class and box twice in a picture */
    REVBIFPN_OBJECT_CUT,            /* a box that leaves its picture by more than a pixel; it is clipped */
    REVBIFPN_OBJECT_SMALL,          /* narrower or lower than a pixel; it is not learned */
    REVBIFPN_OBJECT_NOTHING,        /* a picture without objects; training passes it over */
    REVBIFPN_OBJECT_UNUSED_CLASS,   /* a class without objects in train */
    REVBIFPN_OBJECT_FINDINGS
} revbifpn_object_finding_kind;
typedef struct revbifpn_object_finding {
    revbifpn_object_finding_kind kind;
    const char *name;        /* of the kind: "wrong_size" */
    const char *path, *text; /* the picture (or class, or split), and what about it in one line */
} revbifpn_object_finding;
typedef struct revbifpn_object_check_report {
    const char *form; /* "COCO", "VOC", "YOLO" */
    int train, val, classes;
    uint64_t train_objects, val_objects, crowds, outlines; /* crowds, outlines: of both */
    uint64_t found[REVBIFPN_OBJECT_FINDINGS];
    uint64_t faults;  /* of the first eleven kinds */
    int most_objects; /* in one picture, of those that training would learn */
    int min_width, min_height, max_width, max_height;
} revbifpn_object_check_report;
typedef struct revbifpn_object_check_options {
    size_t struct_size;
    const char *data;
    uint64_t max_pixels;
    void (*progress)(void *user, int done, int all); /* all three may be NULL; in the caller's thread */
    void (*found)(void *user, const revbifpn_object_finding *finding); /* in order of the pictures */
    void (*class_count)(void *user, const char *name, uint64_t train, uint64_t val); /* objects */
    void *user;
} revbifpn_object_check_options;
REVBIFPN_API void revbifpn_init_object_check(revbifpn_object_check_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_object_check_options, object_check)
/* Decodes every picture and draws every outline, with the threads of the context; changes nothing.
 * Annotations that cannot be read at all are an error: BAD_FILE or BAD_DATA naming file, line or id. */
REVBIFPN_API revbifpn_status revbifpn_check_objects(revbifpn *ctx,
                                                    const revbifpn_object_check_options *options,
                                                    revbifpn_object_check_report *out) REVBIFPN_CHECKED;

typedef struct revbifpn_object_convert_options {
    size_t struct_size;
    const char *data, *out; /* `out`: a new or empty folder */
    revbifpn_object_form form;
    int outlines; /* not 0: masks are written, too. VOC has none; YOLO's are polygons */
    uint64_t max_pixels;
    void (*progress)(void *user, int done, int all); /* may be NULL */
    void *user;
} revbifpn_object_convert_options;
typedef struct revbifpn_object_convert_report {
    int pictures, classes;
    uint64_t objects;
    uint64_t left_out;         /* objects that the form cannot hold: crowds and ignored ones in YOLO */
    uint64_t outlines_dropped; /* of objects written as boxes alone, though outlines were asked for */
    int missing;               /* pictures without a file, which are written without one */
} revbifpn_object_convert_report;
REVBIFPN_API void revbifpn_init_object_convert(revbifpn_object_convert_options *out, size_t struct_size);
REVBIFPN_DEFAULT(revbifpn_object_convert_options, object_convert)
/* Writes a data set in another form. Picture files are hard links where the file system allows it, else
 * copies; they keep their names unless two are equal. IO_FAILED leaves what was written so far. */
REVBIFPN_API revbifpn_status revbifpn_convert_objects(revbifpn *ctx,
                                                      const revbifpn_object_convert_options *options,
                                                      revbifpn_object_convert_report *out) REVBIFPN_CHECKED;

#endif
