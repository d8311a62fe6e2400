/* Event files: framing, checksums, fields, read by a small reader of protocol buffers of the test's own; and
 * by TensorBoard where a Python with it is named by REVBIFPN_PYTHON. */
#include "check.h"

#include <glob.h>
#include <math.h>

#include "io/events.h"

static char root[4096];

/* RFC 3720, appendix B.4 */
static void the_checksum_is_crc32c(void **state) {
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) rising[i] = (uint8_t)i;
    assert_int_equal(rb_crc32c(zeros, 32), 0x8a9136aau);
    assert_int_equal(rb_crc32c(ones, 32), 0x62a8ab43u);
    assert_int_equal(rb_crc32c(rising, 32), 0x46dd794eu);
    assert_int_equal(rb_crc32c("123456789", 9), 0xe3069283u);
}

/* ---- a reader ---- */

typedef struct span {
    const uint8_t *at, *end;
} span;

typedef struct field {
    int number;
    uint64_t bits; /* of a varint or fixed field */
    span bytes;
} field;

static uint64_t read_varint(span *s) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        assert_true(s->at < s->end);
        uint8_t byte = *s->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    fail_msg("a varint of more than ten bytes");
    return 0;
}

static uint64_t read_fixed(span *s, int bytes) {
    uint64_t value = 0;
    assert_true(s->end - s->at >= bytes);
    for (int i = 0; i < bytes; i++) value |= (uint64_t)*s->at++ << 8 * i;
    return value;
}

static bool next_field(span *s, field *f) {
    if (s->at == s->end) return false;
    uint64_t key = read_varint(s);
    *f = (field){.number = (int)(key >> 3)};
    switch (key & 7) {
    case 0: f->bits = read_varint(s); break;
    case 1: f->bits = read_fixed(s, 8); break;
    case 5: f->bits = read_fixed(s, 4); break;
    case 2: {
        uint64_t size = read_varint(s);
        assert_true(size <= (uint64_t)(s->end - s->at));
        f->bytes = (span){s->at, s->at + size};
        s->at += size;
        break;
    }
    default: fail_msg("wire type %d", (int)(key & 7));
    }
    return true;
}

/* The field of that number; the test fails without one. */
static field field_of(span message, int number) {
    field f;
    while (next_field(&message, &f))
        if (f.number == number) return f;
    fail_msg("no field %d", number);
    return f;
}

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float as_float(uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

/* The next record's message; both checksums are compared. */
static span next_record(span *file) {
    span head = *file;
    uint64_t size = read_fixed(file, 8);
    assert_int_equal(read_fixed(file, 4), rb_crc32c_masked(head.at, 8));
    assert_true(size <= (uint64_t)(file->end - file->at));
    span message = {file->at, file->at + size};
    file->at += size;
    assert_int_equal(read_fixed(file, 4), rb_crc32c_masked(message.at, size));
    return message;
}

/* Reads event file number `number` of the folder; freed by the caller through .at. */
static span event_file(int number) {
    char pattern[4200];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/events.out.tfevents.*", root);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true((int)found.gl_pathc > number);
    FILE *f = fopen(found.gl_pathv[number], "rb");
    globfree(&found);
    uint8_t *bytes = malloc(1 << 16);
    assert_true(f && bytes);
    size_t size = fread(bytes, 1, 1 << 16, f);
    fclose(f);
    assert_true(size < 1 << 16);
    return (span){bytes, bytes + size};
}

static void assert_text(span s, const char *text) {
    assert_int_equal(s.end - s.at, strlen(text));
    assert_memory_equal(s.at, text, strlen(text));
}

/* Two files of one run: the second begins again at step 2. */
static void write_files(void) {
    rb_error err;
    rb_events *e = NULL;
    static const float values[] = {-1, 0, 0.5f, 2, NAN, INFINITY, 2};
    CHECK_OK(rb_events_open(&e, root, 1, &err), &err);
    for (int step = 1; step <= 3; step++) {
        rb_events_scalar(e, "loss", 10.0 / step);
        CHECK_OK(rb_events_write(e, step, &err), &err);
    }
    CHECK_OK(rb_events_flush(e, &err), &err);
    rb_events_close(&e);
    CHECK_OK(rb_events_open(&e, root, 2, &err), &err);
    rb_events_scalar(e, "loss", 7);
    rb_events_image(e, "picture", 2, 3, "JPEG", 4);
    rb_events_histogram(e, "weights", values, 7);
    rb_events_histogram(e, "constant", values, 1);
    rb_events_histogram(e, "empty", values + 4, 2);
    CHECK_OK(rb_events_write(e, 300, &err), &err);
    CHECK_OK(rb_events_write(e, 301, &err), &err); /* nothing was added: nothing is written */
    rb_events_close(&e);
}

static int prepare(void **state) {
    (void)state;
    make_folder(root);
    write_files();
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    remove_folder(root);
    return 0;
}

static void a_file_begins_with_its_version_and_a_session(void **state) {
    (void)state;
    for (int number = 0; number < 2; number++) {
        span file = event_file(number), rest = file, first = next_record(&rest);
        assert_text(field_of(first, 3).bytes, "brain.Event:2");
        assert_true(as_double(field_of(first, 1).bits) > 1.7e9); /* seconds since 1970 */
        span session = next_record(&rest);
        assert_int_equal(field_of(session, 2).bits, number ? 2 : 1);
        assert_int_equal(field_of(field_of(session, 7).bytes, 1).bits, 1); /* START */
        free((void *)file.at);
    }
}

static void scalars_have_tag_step_and_value(void **state) {
    (void)state;
    span file = event_file(0), rest = file;
    (void)next_record(&rest);
    (void)next_record(&rest);
    for (int step = 1; step <= 3; step++) {
        span event = next_record(&rest), value = field_of(field_of(event, 5).bytes, 1).bytes;
        assert_int_equal(field_of(event, 2).bits, step);
        assert_text(field_of(value, 1).bytes, "loss");
        assert_true(as_float(field_of(value, 2).bits) == 10.0f / (float)step);
    }
    assert_true(rest.at == rest.end);
    free((void *)file.at);
}

static void check_histogram(span histo) {
    assert_true(as_double(field_of(histo, 1).bits) == -1 && as_double(field_of(histo, 2).bits) == 2);
    assert_true(as_double(field_of(histo, 3).bits) == 5 && as_double(field_of(histo, 4).bits) == 3.5);
    assert_true(as_double(field_of(histo, 5).bits) == 9.25);
    span limits = field_of(histo, 6).bytes, counts = field_of(histo, 7).bytes;
    assert_int_equal(limits.end - limits.at, counts.end - counts.at);
    double sum = 0, limit = -1, below_one = 0;
    while (limits.at < limits.end) {
        double next = as_double(read_fixed(&limits, 8)), count = as_double(read_fixed(&counts, 8));
        assert_true(next > limit);
        limit = next;
        sum += count;
        if (limit <= 1) below_one += count;
    }
    assert_true(limit == 2 && sum == 5 && below_one == 3);
}

static void pictures_and_histograms_have_their_fields(void **state) {
    (void)state;
    span file = event_file(1), rest = file;
    (void)next_record(&rest);
    (void)next_record(&rest);
    span event = next_record(&rest), summary = field_of(event, 5).bytes;
    assert_int_equal(field_of(event, 2).bits, 300);
    static const char *const tags[] = {"loss", "picture", "weights", "constant"};
    field value;
    int count = 0;
    for (; next_field(&summary, &value); count++) {
        assert_int_equal(value.number, 1);
        assert_true(count < 4);
        assert_text(field_of(value.bytes, 1).bytes, tags[count]);
        if (count == 1) {
            span image = field_of(value.bytes, 4).bytes;
            assert_int_equal(field_of(image, 1).bits, 3);
            assert_int_equal(field_of(image, 2).bits, 2);
            assert_int_equal(field_of(image, 3).bits, 3);
            assert_text(field_of(image, 4).bytes, "JPEG");
        }
        if (count == 2) check_histogram(field_of(value.bytes, 5).bytes);
    }
    assert_int_equal(count, 4);
    assert_true(rest.at == rest.end);
    free((void *)file.at);
}

static void a_folder_that_is_not_there_is_told(void **state) {
    (void)state;
    rb_error err;
    rb_events *e = NULL;
    assert_int_equal(rb_events_open(&e, "/nowhere/at/all", 0, &err), REVBIFPN_IO_FAILED);
    assert_null(e);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

static const char SCRIPT[] =
    "import sys\n"
    "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
    "a = EventAccumulator(sys.argv[1]); a.Reload()\n"
    "loss = [(e.step, round(e.value, 4)) for e in a.Scalars('loss')]\n"
    "assert loss == [(1, 10.0), (300, 7.0)], loss\n" /* steps 2 and 3 of the first file are void */
    "i = a.Images('picture')[0]; assert (i.width, i.height, i.encoded_image_string) == (2, 3, b'JPEG')\n"
    "h = a.Histograms('weights')[0].histogram_value; assert (h.num, h.min, h.max) == (5, -1, 2), h\n"
    "assert sum(h.bucket) == 5\n"
    "assert sorted(a.Tags()['histograms']) == ['constant', 'weights']\n";

static void tensorboard_reads_them(void **state) {
    (void)state;
    char line[9000], script[4200];
    const char *python = getenv("REVBIFPN_PYTHON");
    snprintf(line, sizeof line, "'%s' -c 'import tensorboard' 2> /dev/null", python ? python : "");
    if (!python || system(line)) {
        printf("no Python with tensorboard: name one by REVBIFPN_PYTHON\n");
        skip();
    }
    snprintf(script, sizeof script, "%s/read.py", root);
    FILE *f = fopen(script, "w");
    assert_true(f && fputs(SCRIPT, f) >= 0 && !fclose(f));
    snprintf(line, sizeof line, "'%s' '%s' '%s'", python, script, root);
    assert_int_equal(system(line), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_crc32c),
        cmocka_unit_test(a_file_begins_with_its_version_and_a_session),
        cmocka_unit_test(scalars_have_tag_step_and_value),
        cmocka_unit_test(pictures_and_histograms_have_their_fields),
        cmocka_unit_test(a_folder_that_is_not_there_is_told),
        cmocka_unit_test(tensorboard_reads_them),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
