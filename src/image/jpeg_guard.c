#include "image/jpeg_guard.h"

static void leave(j_common_ptr jpeg) {
    rb_jpeg_guard *guard = (rb_jpeg_guard *)jpeg->err;
    guard->manager.format_message(jpeg, guard->message);
    longjmp(guard->escape, 1);
}

static void stay_silent(j_common_ptr jpeg) { (void)jpeg; }

void rb_jpeg_guard_open(rb_jpeg_guard *guard) {
    jpeg_std_error(&guard->manager);
    guard->manager.error_exit = leave;
    guard->manager.output_message = stay_silent;
}
