/* Top-1, top-5 and mean cross entropy of a classifier on a split, in inference. */
#ifndef RB_EVAL_EVALUATE_H
#define RB_EVAL_EVALUATE_H

#include "data/loader.h"
#include "model/plan.h"

/* A picture that has been judged. */
typedef struct rb_judgement {
    const char *path;
    int label, predicted;
    double probability;    /* of the predicted class */
    const uint8_t *pixels; /* as the network saw it: height,width,3; NULL when there are … */
    const uint16_t *words; /* … height,width,channels */
    int height, width, channels;
} rb_judgement;

typedef struct rb_evaluation {
    rb_model *model;
    rb_exec *exec; /* opened with at least rb_evaluation_bytes */
    int k;         /* the saved grid */
    const float *mean, *std;
    const rb_loader_options *data; /* an evaluation split; its batch size is the largest that comes */
    void (*progress)(void *user, int done, int all);
    /* of each file that could not be read or is damaged, and of pictures judged one by one */
    void (*note)(void *user, const char *line);
    /* of each picture, in order; may be NULL, and may fail */
    revbifpn_status (*judged)(void *user, const rb_judgement *judgement, rb_error *err);
    void *user;
} rb_evaluation;

/* Bytes for batches of image.n pictures, for a last one of `last`, and for one picture alone. */
rb_step_bytes rb_evaluation_bytes(rb_model *model, const struct rb_ops *ops, rb_pool *pool, rb_shape image,
                                  int last);
/* A plan under which both run: kept arena (in `kept`) and scratch arena (in `scratch`) of the larger one. */
rb_step_bytes rb_step_bytes_join(rb_step_bytes a, rb_step_bytes b);

/* Pictures that cannot be read are left out and counted. A batch in which states leave the range of
 * RB_GRID_FLOOR is judged picture by picture, which the note says. Errors: of the loader, of the forward
 * pass. */
revbifpn_status rb_evaluate(const rb_evaluation *e, revbifpn_metrics *out, rb_error *err) RB_CHECKED;

#endif
