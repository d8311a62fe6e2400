#include <stdio.h>

#include "data/loader.h"

void rb_loader_issue_line(const rb_loader_issue *issue, const char *fate, char *line, size_t size) {
    if (issue->reason)
        snprintf(line, size, "unreadable, %s: %s", fate, issue->reason);
    else
        snprintf(line, size, "damaged, used as far as it goes: %s", issue->path);
}
