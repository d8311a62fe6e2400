#include <stdio.h>

#include "data/loader.h"

void rb_loader_issue_line(const rb_loader_issue *issue, const char *fate, char *line, size_t size) {
    if (issue->reason)
        snprintf(line, size, "unreadable, %s: %s", fate, issue->reason);
    else
        snprintf(line, size, "damaged, used as far as it goes: %s", issue->path);
}

void rb_loader_issues_tell(const rb_loader_issue *issues, size_t count, const char *fate,
                           void (*note)(void *user, const char *line), void *user) {
    for (size_t i = 0; i < count; i++) {
        char line[1200];
        rb_loader_issue_line(&issues[i], fate, line, sizeof line);
        note(user, line);
    }
}
