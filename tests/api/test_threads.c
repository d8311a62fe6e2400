/* Several contexts in several threads at once, each with threads of its own: what one does shows in no other.
 * THREAD-TEST: `make tsan` has the thread sanitizer watch it. */
#include "check.h"

#include <pthread.h>
#include <revbifpn.h>
#include <stdatomic.h>

#include "api/tiny.h"
#include "data/synth.h"

enum { CONTEXTS = 3, ROUNDS = 2 };

static char work[4096], data[4200], picture[4400];

typedef struct job {
    int number;
    char out[4300];
    double top1, loss, probability;
    char message[200],
        failure[400]; /* failure: told by the main thread, since cmocka's checks belong to it */
} job;

/* Trains an epoch of steps, saves, loads, evaluates and predicts. */
static revbifpn_status train_and_use(revbifpn *ctx, job *j) {
    revbifpn_status status;
    revbifpn_trainer *trainer = NULL;
    revbifpn_model *model = NULL;
    revbifpn_report report = {0};
    revbifpn_metrics metrics;
    revbifpn_prediction best[2];
    int found;
    char weights[4400];
    revbifpn_train_config c = revbifpn_default_train();
    revbifpn_val_options val = revbifpn_default_val();
    status = tiny_config(ctx, &c.model);
    c.data = val.data = data;
    c.out = j->out;
    c.epochs = 1;
    c.batch = 4;
    c.seed = 5;
    snprintf(weights, sizeof weights, "%s/weights/last.safetensors", j->out);
    if (!status) status = revbifpn_trainer_open(ctx, &c, 0, &trainer);
    while (!status && !report.finished) status = revbifpn_trainer_step(trainer, &report);
    revbifpn_trainer_close(&trainer);
    if (!status) status = revbifpn_model_load(ctx, weights, &model);
    if (!status) status = revbifpn_evaluate(model, &val, &metrics);
    if (!status) status = revbifpn_predict_file(model, picture, best, 2, &found);
    revbifpn_model_free(&model);
    if (status) return status;
    j->top1 = metrics.top1;
    j->loss = metrics.loss;
    j->probability = best[0].probability;
    return REVBIFPN_OK;
}

static void *run(void *arg) {
    job *j = arg;
    revbifpn *ctx = NULL;
    revbifpn_options options = revbifpn_default_options();
    revbifpn_model_config c;
    char wrong[32];
    options.threads = 1 + j->number % 2;
    snprintf(wrong, sizeof wrong, "nonsense-%d", j->number);
    if (revbifpn_open(&ctx, &options) || train_and_use(ctx, j))
        snprintf(j->failure, sizeof j->failure, "%.380s", revbifpn_message(ctx));
    else if (!revbifpn_config(ctx, wrong, &c))
        snprintf(j->failure, sizeof j->failure, "'%s' is no network", wrong);
    else
        snprintf(j->message, sizeof j->message, "%.190s", revbifpn_message(ctx));
    revbifpn_close(&ctx);
    return NULL;
}

static void contexts_side_by_side(void **state) {
    (void)state;
    job jobs[CONTEXTS];
    pthread_t threads[CONTEXTS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONTEXTS; i++) {
            jobs[i] = (job){.number = i};
            snprintf(jobs[i].out, sizeof jobs[i].out, "%s/run-%d-%d", work, round, i);
            assert_int_equal(pthread_create(&threads[i], NULL, run, &jobs[i]), 0);
        }
        for (int i = 0; i < CONTEXTS; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < CONTEXTS; i++) {
            char wrong[32];
            snprintf(wrong, sizeof wrong, "nonsense-%d", i);
            if (jobs[i].failure[0]) fail_msg("context %d: %s", i, jobs[i].failure);
            assert_non_null(strstr(jobs[i].message, wrong)); /* its own message, not another's */
            assert_memory_equal(&jobs[i].loss, &jobs[0].loss, sizeof jobs[0].loss);
            assert_memory_equal(&jobs[i].top1, &jobs[0].top1, sizeof jobs[0].top1);
            assert_memory_equal(&jobs[i].probability, &jobs[0].probability, sizeof jobs[0].probability);
        }
    }
}

/* ---- each its own work ---- */

enum { TRAIN, PREDICT, CHECK, WORKS, PER_WORK = 2 };

static atomic_int training; /* runs that are not done: until then the others go on */

typedef struct task {
    int work, number, times;
    char weights[4400], failure[400];
} task;

static revbifpn_status predict_all(revbifpn *ctx, const char *weights) {
    revbifpn_status status;
    revbifpn_model *model = NULL;
    revbifpn_prediction best[2];
    revbifpn_metrics metrics;
    revbifpn_val_options val = revbifpn_default_val();
    int found;
    val.data = data;
    TRY(revbifpn_model_load(ctx, weights, &model));
    TRY(revbifpn_predict_file(model, picture, best, 2, &found));
    status = revbifpn_evaluate(model, &val, &metrics);
fail:
    revbifpn_model_free(&model);
    return status;
}

static revbifpn_status check_all(revbifpn *ctx) {
    revbifpn_check_report report;
    revbifpn_check_options options = revbifpn_default_check();
    options.data = data;
    revbifpn_status status = revbifpn_check(ctx, &options, &report);
    return status || report.train == 16 ? status : REVBIFPN_BAD_DATA;
}

static void *run_task(void *arg) {
    task *t = arg;
    revbifpn *ctx = NULL;
    revbifpn_options options = revbifpn_default_options();
    job j = {.number = t->number};
    snprintf(j.out, sizeof j.out, "%s/own-%d", work, t->number);
    options.threads = 1 + t->number % 2;
    revbifpn_status status = revbifpn_open(&ctx, &options);
    do {
        if (!status && t->work == TRAIN) status = train_and_use(ctx, &j);
        if (!status && t->work == PREDICT) status = predict_all(ctx, t->weights);
        if (!status && t->work == CHECK) status = check_all(ctx);
        t->times++;
        if (t->work == TRAIN) atomic_fetch_sub(&training, 1);
    } while (!status && t->work != TRAIN && atomic_load(&training) > 0);
    if (status) snprintf(t->failure, sizeof t->failure, "%.380s", revbifpn_message(ctx));
    revbifpn_close(&ctx);
    return NULL;
}

static void different_work_side_by_side(void **state) {
    (void)state;
    task tasks[WORKS * PER_WORK];
    pthread_t threads[WORKS * PER_WORK];
    job first = {.number = 99};
    snprintf(first.out, sizeof first.out, "%s/first", work);
    run(&first);
    if (first.failure[0]) fail_msg("%s", first.failure);
    atomic_store(&training, PER_WORK);
    for (int i = 0; i < WORKS * PER_WORK; i++) {
        tasks[i] = (task){.work = i % WORKS, .number = i};
        snprintf(tasks[i].weights, sizeof tasks[i].weights, "%s/weights/last.safetensors", first.out);
        assert_int_equal(pthread_create(&threads[i], NULL, run_task, &tasks[i]), 0);
    }
    for (int i = 0; i < WORKS * PER_WORK; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < WORKS * PER_WORK; i++) {
        if (tasks[i].failure[0]) fail_msg("context %d, work %d: %s", i, tasks[i].work, tasks[i].failure);
        assert_true(tasks[i].times > 0);
    }
}

static int set_up(void **state) {
    (void)state;
    rb_error err = {0};
    rb_synth_options synth = {.images_train = 16, .images_val = 6, .classes = 2, .side = 32, .seed = 1};
    make_folder(work);
    snprintf(data, sizeof data, "%s/data", work);
    snprintf(picture, sizeof picture, "%s/val/%s/0001.jpg", data, rb_synth_class_name(0));
    CHECK_OK(rb_synth_classify(data, &synth, NULL, NULL, &err), &err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(work);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(contexts_side_by_side),
                                       cmocka_unit_test(different_work_side_by_side)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
