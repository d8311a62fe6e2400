/* base/: the generator's known answers, arena, pool, files, and the comparer itself. */
#define _GNU_SOURCE
#include "check.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/threads.h"

/* Random123 1.14, kat_vectors: philox4x32 10 */
static void philox_gives_the_published_answers(void **state) {
    (void)state;
    static const uint32_t in[3][6] = {
        {0, 0, 0, 0, 0, 0},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0}};
    static const uint32_t out[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        uint32_t got[4];
        rb_philox(in[i], in[i] + 4, got);
        assert_memory_equal(got, out[i], sizeof got);
    }
}

static void streams_repeat_and_differ(void **state) {
    (void)state;
    rb_rng a = rb_rng_open(7, RB_PURPOSE_TEST, 1, 2), b = rb_rng_open(7, RB_PURPOSE_TEST, 1, 2);
    rb_rng c = rb_rng_open(7, RB_PURPOSE_TEST, 1, 3);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint32_t x = rb_rng_u32(&a);
        assert_int_equal(x, rb_rng_u32(&b));
        same += x == rb_rng_u32(&c);
    }
    assert_true(same < 3);
    double mean = 0, square = 0;
    for (int i = 0; i < 20000; i++) {
        double z = rb_rng_normal(&a);
        mean += z / 20000;
        square += z * z / 20000;
        assert_in_range(rb_rng_below(&a, 7), 0, 6);
    }
    assert_true(fabs(mean) < 0.03 && fabs(square - 1) < 0.05); /* four standard errors */
}

static void errors_stay_one_line(void **state) {
    (void)state;
    rb_error err;
    rb_fail(&err, REVBIFPN_BAD_FILE, "the id '%s' of é", "a\n\tb\x7f");
    assert_string_equal(err.text, "the id 'a??b?' of é");
    rb_fail_prefix(&err, "two\nlines.json: ");
    assert_string_equal(err.text, "two?lines.json: the id 'a??b?' of é");
}

static void comparer_fails_on_nan(void **state) {
    (void)state;
    float a[3] = {1, NAN, 3}, b[3] = {1, 2, 3}, c[3] = {1, 2.5f, 3};
    assert_true(isinf(rb_diff_f32(a, b, 3).max_abs) && isinf(rb_diff_f32(b, a, 3).rel_l2));
    assert_int_equal(rb_diff_f32(b, c, 3).worst, 1);
    assert_true(rb_diff_f32(b, b, 3).equal_bits && rb_diff_f32(b, b, 3).rel_l2 == 0);
    assert_false(rb_diff_f32(b, c, 3).equal_bits);
}

static void dry_arena_counts_like_the_real_one(void **state) {
    (void)state;
    rb_error err;
    rb_arena dry = rb_arena_dry(), real;
    CHECK_OK(rb_arena_open(&real, 1000, "test", &err), &err);
    rb_arena *both[2] = {&dry, &real};
    for (int i = 0; i < 2; i++) {
        rb_arena_push(both[i], 100);
        size_t mark = rb_arena_mark(both[i]);
        rb_arena_push(both[i], 500);
        rb_arena_release(both[i], mark);
        rb_arena_push(both[i], 1);
    }
    assert_int_equal(dry.high, real.high);
    assert_int_equal(dry.high, 128 + 512);
    rb_arena_close(&real);
    assert_int_equal(rb_size_mul(SIZE_MAX / 2, 3), SIZE_MAX);
    assert_int_equal(rb_size_add(SIZE_MAX, 1), SIZE_MAX);
}

typedef struct tally {
    atomic_int hits[1000];
    int thread_of[1000];
} tally;

static void count_task(void *arg, int task, int thread) {
    tally *t = arg;
    atomic_fetch_add(&t->hits[task], 1);
    t->thread_of[task] = thread;
}

/* Task 0 waits (ten seconds at most) until all others are done, those of its own thread included. */
static void wait_for_others(void *arg, int task, int thread) {
    (void)thread;
    atomic_int *done = arg;
    if (task) {
        atomic_fetch_add(done, 1);
        return;
    }
    for (int i = 0; i < 10000 && atomic_load(done) < 99; i++) usleep(1000);
    if (atomic_load(done) == 99) atomic_store(done, -1);
}

static void pool_takes_over_what_another_thread_has_left(void **state) {
    (void)state;
    for (int threads = 2; threads <= 5; threads++) {
        rb_pool *pool;
        rb_error err;
        atomic_int done = 0;
        CHECK_OK(rb_pool_open(&pool, threads, &err), &err);
        rb_pool_run(pool, 100, wait_for_others, &done);
        assert_int_equal(atomic_load(&done), -1);
        rb_pool_close(&pool);
    }
}

static void pool_runs_each_task_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 7; threads++) {
        rb_pool *pool;
        rb_error err;
        CHECK_OK(rb_pool_open(&pool, threads, &err), &err);
        for (int round = 0; round < 300; round++) {
            tally t = {0};
            int tasks = round * 7 % 1000;
            rb_pool_run(pool, tasks, count_task, &t);
            for (int i = 0; i < 1000; i++) assert_int_equal(t.hits[i], i < tasks);
            for (int i = 0; i < tasks; i++) assert_in_range(t.thread_of[i], 0, threads - 1);
        }
        rb_pool_close(&pool);
    }
    assert_true(rb_usable_processors() >= 1);
}

/* The affinity mask bounds the number of threads; the cgroup's quota can only lower it. */
static void processors_follow_the_affinity_mask(void **state) {
    (void)state;
    cpu_set_t was, one;
    assert_int_equal(sched_getaffinity(0, sizeof was, &was), 0);
    assert_in_range(rb_usable_processors(), 1, CPU_COUNT(&was));
    size_t first = 0;
    while (!CPU_ISSET(first, &was)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    int alone = rb_usable_processors();
    sched_setaffinity(0, sizeof was, &was);
    assert_int_equal(alone, 1);
}

/* A full disk (here: a limit on file size) while saving leaves the previous file whole and no temporary
 * behind. */
static void failed_write_keeps_the_old_file(void **state) {
    (void)state;
    rb_error err;
    char folder[4096], path[4200], temporary[4300];
    make_folder(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    CHECK_OK(rb_file_replace(path, "old", 3, &err), &err);
    static char big[1 << 20];
    struct rlimit was, small = {.rlim_cur = 1 << 16, .rlim_max = RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &was);
    small.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    revbifpn_status got = rb_file_replace(path, big, sizeof big, &err);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_int_equal(got, REVBIFPN_IO_FAILED);
    assert_non_null(strstr(err.text, path));
    unsigned char *bytes;
    size_t size;
    CHECK_OK(rb_file_read(path, 100, &bytes, &size, &err), &err);
    assert_int_equal(size, 3);
    assert_memory_equal(bytes, "old", 3);
    rb_free(bytes);
    assert_int_equal(access(temporary, F_OK), -1);
    assert_int_equal(rb_file_read(path, 2, &bytes, &size, &err), REVBIFPN_BAD_FILE);
    assert_int_equal(rb_file_read(folder, 2, &bytes, &size, &err), REVBIFPN_BAD_FILE);
    remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(streams_repeat_and_differ),
        cmocka_unit_test(errors_stay_one_line),
        cmocka_unit_test(comparer_fails_on_nan),
        cmocka_unit_test(dry_arena_counts_like_the_real_one),
        cmocka_unit_test(pool_runs_each_task_once),
        cmocka_unit_test(pool_takes_over_what_another_thread_has_left),
        cmocka_unit_test(failed_write_keeps_the_old_file),
        cmocka_unit_test(processors_follow_the_affinity_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
