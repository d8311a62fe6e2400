/* How many processors this process may use. The quota of a cgroup holds for all groups below it, so the
 * smallest on the way from this process's group to the root counts; both hierarchies, v2 (cpu.max) and v1
 * (cpu.cfs_quota_us), are looked at.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/threads.h"

enum { UNLIMITED = 1 << 20, PATH = 4096 };

static bool read_text(const char *folder, const char *name, char text[64]) {
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    bool read = fgets(text, 64, f) != NULL;
    fclose(f);
    return read;
}

/* Processors that the group in this folder grants, rounded up; UNLIMITED without a quota. */
static int quota_of(const char *folder) {
    char text[64];
    long long quota = 0, period = 0;
    if (read_text(folder, "cpu.max", text)) {
        if (sscanf(text, "%lld %lld", &quota, &period) != 2) return UNLIMITED; /* "max 100000" */
    } else if (read_text(folder, "cpu.cfs_quota_us", text) && sscanf(text, "%lld", &quota) == 1) {
        if (!read_text(folder, "cpu.cfs_period_us", text) || sscanf(text, "%lld", &period) != 1)
            return UNLIMITED;
    }
    if (quota <= 0 || period <= 0) return UNLIMITED;
    return (int)((quota + period - 1) / period);
}

/* The smallest quota of `group` (a path below the mount point) and the groups above it. */
static int smallest_quota(const char *mount, const char *group) {
    char folder[PATH + 64];
    int smallest = UNLIMITED;
    size_t root = (size_t)snprintf(folder, sizeof folder, "%s", mount);
    if (strcmp(group, "/")) snprintf(folder + root, sizeof folder - root, "%.*s", PATH - 1, group);
    for (;;) {
        int quota = quota_of(folder);
        if (quota < smallest) smallest = quota;
        char *slash = strrchr(folder + root, '/');
        if (!slash) return smallest;
        *slash = 0;
    }
}

/* Is `cpu` among the controllers of a line "4:cpu,cpuacct:/path"? */
static bool has_cpu(const char *controllers, const char *end) {
    for (const char *p = controllers; p < end; p++) {
        size_t length = strcspn(p, ",:");
        if (length == 3 && !strncmp(p, "cpu", 3)) return true;
        p += length;
    }
    return false;
}

/* One line of /proc/self/cgroup: number, controllers, group. */
static int quota_of_line(char *line) {
    static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/cpu",
                                         "/sys/fs/cgroup/cpu,cpuacct"};
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return UNLIMITED;
    line[strcspn(line, "\n")] = 0;
    bool unified = group == controllers + 1;
    if (!unified && !has_cpu(controllers + 1, group)) return UNLIMITED;
    int first = unified ? 0 : 2, a = smallest_quota(mounts[first], group + 1);
    int b = smallest_quota(mounts[first + 1], group + 1);
    return a < b ? a : b;
}

static int quota_processors(void) {
    char line[PATH];
    int smallest = UNLIMITED;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        int quota = quota_of_line(line);
        if (quota < smallest) smallest = quota;
    }
    if (f) fclose(f);
    return smallest;
}

int rb_usable_processors(void) {
    cpu_set_t set;
    int count = 1;
    if (!sched_getaffinity(0, sizeof set, &set)) count = CPU_COUNT(&set);
    int quota = quota_processors();
    if (quota < count) count = quota;
    return count < 1 ? 1 : count;
}

void rb_thread_step_back(void) {
    struct sched_param none = {0};
    (void)!sched_setscheduler(0, SCHED_IDLE, &none); /* 0: this thread; refused, it stays as it was */
}

double rb_thread_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
