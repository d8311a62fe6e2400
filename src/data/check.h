/* Looks at every picture of a data set and says what is wrong with it (revbifpn_data.h). Changes nothing. */
#ifndef RB_DATA_CHECK_H
#define RB_DATA_CHECK_H

#include "base/threads.h"
#include "data/dataset.h"

/* `dataset` was opened with RB_DATASET_ALL. The report does not depend on the number of threads.
 * OUT_OF_MEMORY.
 */
revbifpn_status rb_check(const rb_dataset *dataset, const revbifpn_check_options *options, rb_pool *pool,
                         revbifpn_check_report *report, rb_error *err) RB_CHECKED;

#endif
