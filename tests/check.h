/* What the test programs share: cmocka's includes in order, a skip that is counted, and the one comparer of
 * tensors. */
#ifndef RB_TESTS_CHECK_H
#define RB_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/status.h"

/* Fails the test with the error's text when `expression` is not REVBIFPN_OK. */
#define CHECK_OK(expression, error) check_ok((expression), (error), #expression, __FILE__, __LINE__)
void check_ok(revbifpn_status status, const rb_error *error, const char *what, const char *file, int line);

/* How two tensors differ. NaN or infinity on either side counts as an infinite difference. */
typedef struct rb_diff {
    double max_abs; /* largest |a − b| */
    double rel_l2;  /* sqrt(Σ(a−b)²) / sqrt(Σb²); 0 when both are all zero */
    size_t worst;   /* index of max_abs */
    bool equal_bits;
} rb_diff;

rb_diff rb_diff_f32(const float *a, const float *b, size_t count);
rb_diff rb_diff_f32_f64(const float *a, const double *b, size_t count);

/* Path of `relative` inside ../shared beside the checkout (or REVBIFPN_SHARED), or NULL when it is not there.
 */
const char *shared_path(const char *relative);
/* Path of `relative` inside the source tree. */
const char *source_path(const char *relative);
/* The built command, or NULL. */
const char *command_path(void);
/* Says so when it is not there. */
bool command_is_missing(void);
/* A fresh empty folder under the system's temporary folder; removed by remove_folder. */
void make_folder(char path[4096]);
void remove_folder(const char *path);

/* Fails the test, naming both, unless the files have the same bytes. */
void check_same_files(const char *a, const char *b);

/* Prints why and ends the program with exit status 77: CTest counts it as skipped. Call it before running any
 * test. */
_Noreturn void skip_all(const char *why);

#endif
