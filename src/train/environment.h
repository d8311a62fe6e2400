/* Arguments and environment of a run as pairs of texts, for its report. */
#ifndef RB_TRAIN_ENVIRONMENT_H
#define RB_TRAIN_ENVIRONMENT_H

#include "base/text.h"
#include "report/page.h"

enum { RB_FACTS_MAX = 128 };

typedef struct rb_facts {
    rb_fact list[RB_FACTS_MAX];                     /* into `text`, once they are closed off */
    size_t name[RB_FACTS_MAX], value[RB_FACTS_MAX]; /* where they begin in it */
    int count;
    rb_text text;
} rb_facts;

void rb_facts_close(rb_facts *facts);
/* Every argument as args.json has it, the network last. OUT_OF_MEMORY. */
revbifpn_status rb_facts_of_arguments(rb_facts *facts, const revbifpn_train_config *args,
                                      rb_error *err) RB_CHECKED;
/* Versions, processor, memory, system. OUT_OF_MEMORY. */
revbifpn_status rb_facts_of_environment(rb_facts *facts, const char *kernels, int threads,
                                        rb_error *err) RB_CHECKED;

#endif
