/* Looks at every picture and annotation of a data set of objects and says what is wrong with it
 * (revbifpn_detect.h). Changes nothing. */
#ifndef RB_DATA_CHECK_OBJECTS_H
#define RB_DATA_CHECK_OBJECTS_H

#include "base/threads.h"
#include "data/objects.h"

/* `set` was opened with RB_OBJECTS_ALL and outlines. The report does not depend on the number of threads.
 * OUT_OF_MEMORY. */
revbifpn_status rb_check_objects(const rb_objects *set, const revbifpn_object_check_options *options,
                                 rb_pool *pool, revbifpn_object_check_report *report,
                                 rb_error *err) RB_CHECKED;

#endif
