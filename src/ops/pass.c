#include "ops/pass.h"

revbifpn_status rb_pass_check(rb_pass *pass, const rb_watch *watch, const char *operation, int stream) {
    if (watch->largest > pass->largest) pass->largest = watch->largest;
    if (watch->not_finite)
        return rb_fail(pass->err, REVBIFPN_NOT_FINITE, "%s adds a value that is not finite (%g) to stream %d",
                       operation, (double)watch->value, stream);
    if (watch->out_of_range)
        return rb_fail(pass->err, REVBIFPN_OUT_OF_RANGE,
                       "%s takes stream %d to %g, outside the range of the grid 2^%d", operation, stream,
                       (double)watch->value, -pass->k);
    return REVBIFPN_OK;
}
