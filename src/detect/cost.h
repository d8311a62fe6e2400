/* Parameters and multiply-accumulates of a detector, by the rules of spec 17. */
#ifndef RB_DETECT_COST_H
#define RB_DETECT_COST_H

#include "detect/detector.h"
#include "model/cost.h"

/* For one picture of width × height, multiples of 32. `visit` may be NULL. OUT_OF_MEMORY. */
revbifpn_status rb_detector_cost(const rb_detector *d, int width, int height, rb_cost_visitor *visit,
                                 void *user, revbifpn_detector_cost *total, rb_error *err) RB_CHECKED;

#endif
