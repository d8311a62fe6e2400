/* io/pickle: what must be refused is refused by name, with bounded memory; what is allowed has its value. */
#include "check.h"

#include "base/memory.h"
#include "io/pickle.h"

/* A pickle as C text; the zero byte at the end is not part of it. */
#define PICKLE(text) (const unsigned char *)(text), sizeof(text) - 1
#define P2 "\x80\x02"
#define TENSOR "ctorch._utils\n_rebuild_tensor_v2\n"
#define STORAGE(count)                                                                                       \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                                       \
    "0X\3\0\0\0cpu" count "tQ"

static void hostile_pickles_are_refused(void **state) {
    (void)state;
    static const struct {
        const unsigned char *bytes;
        size_t size;
        const char *reason;
    } cases[] = {
        {PICKLE(P2 "cos\nsystem\nX\2\0\0\0ls\x85R."), "the global 'os.system'"},
        {PICKLE(P2 "cposix\nsystem\nX\2\0\0\0ls\x85R."), "the global 'posix.system'"},
        {PICKLE(P2 "c__builtin__\neval\nX\1\0\0\0"
                   "1\x85R."),
         "the global '__builtin__.eval'"},
        {PICKLE(P2 "cbuiltins\ngetattr\n)R."), "the global 'builtins.getattr'"},
        {PICKLE("\x80\x04\x8c\2os\x8c\6system\x93)R."), "the global 'os.system'"},
        {PICKLE("\x80\x04\x8c\5torch\x8c\22FloatStorage.fill_\x93)R."),
         "the global 'torch.FloatStorage.fill_'"},
        {PICKLE(P2 "ctorch\nload\n)R."), "the global 'torch.load'"},
        {PICKLE(P2 "ctorch.hub\nload\n)R."), "the global 'torch.hub.load'"},
        {PICKLE(P2 "ccollections\nOrderedDict \n)R."), "the global 'collections.OrderedDict '"},
        {PICKLE(P2 "c\n\n)R."), "the global '.'"},
        {PICKLE(P2 "ca\x01\x1b[2J\nb\n)R."), "the global 'a??[2J.b'"},
        {PICKLE(P2 "(ios\nsystem\n."), "opcode 0x69"},            /* INST */
        {PICKLE(P2 "(X\2\0\0\0lsos\nsystem\no."), "opcode 0x6f"}, /* OBJ */
        {PICKLE(P2 "\x82\1."), "opcode 0x82"},                    /* EXT1 */
        {PICKLE(P2 "Pos.system\n."), "opcode 0x50"},              /* PERSID */
        {PICKLE(P2 "K\1\x97."), "opcode 0x97"},                   /* NEXT_BUFFER */
        {PICKLE("I1\n."), "opcode 0x49"},                         /* protocol 0 */
        {PICKLE("\x80\1K\1."), "protocol 1"},
        {PICKLE("\x80\6K\1."), "protocol 6"},
        {PICKLE(""), "truncated"},
        {PICKLE(P2), "truncated"},
        {PICKLE(P2 "."), "0 values on the stack"},
        {PICKLE(P2 "K\1K\2."), "2 values on the stack"},
        {PICKLE(P2 "K\1(."), "1 values on the stack"},
        {PICKLE(P2 "X\xff\xff\xff\xff"
                   "abc."),
         "needs 4294967295 bytes more, 4 are left"},
        {PICKLE("\x80\4\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
                "abc."),
         "needs 18446744073709551615 bytes"},
        {PICKLE(P2 "\x8a\xff"
                   "abc."),
         "needs 255 bytes"},
        {PICKLE(P2 "K"), "truncated"},
        {PICKLE(P2 "G\0\0."), "truncated"},
        {PICKLE(P2 "cos"), "a line does not end"},
        {PICKLE(P2 "h\0."), "memo entry 0 is empty"},
        {PICKLE(P2 "K\1q\1h\0."), "memo entry 0 is empty"},
        {PICKLE(P2 "j\xff\xff\xff\xff."), "memo entry 4294967295 is empty"},
        {PICKLE(P2 "K\1r\xff\xff\xff\xff."), "memo entry 4294967295 is too many"},
        {PICKLE(P2 "q\0."), "takes 1 values, the stack has 0"},
        {PICKLE(P2 "K\1(q\0."), "takes 1 values, the stack has 0"}, /* not below a mark */
        {PICKLE(P2 "t."), "no mark"},
        {PICKLE(P2 "e."), "no mark"},
        {PICKLE(P2 "\x87."), "takes 3 values"},
        {PICKLE(P2 "K\1(K\2K\3\x87."), "takes 3 values, the stack has 2"},
        {PICKLE(P2 "K\1K\2a."), "no list"},
        {PICKLE(P2 ")K\2a."), "no list"},
        {PICKLE(P2 "N(K\2e."), "no list"},
        {PICKLE(P2 "]K\2K\3s."), "no dictionary"},
        {PICKLE(P2 "}(K\2u."), "a key without a value"},
        {PICKLE(P2 "(K\2u."), "takes 2 values"},
        {PICKLE(P2 "K\1)R."), "a call of something that is no global"},
        {PICKLE(P2 "ccollections\nOrderedDict\n]R."), "without arguments"},
        {PICKLE(P2 "ccollections\nOrderedDict\nK\1\x85R."), "a dictionary made from arguments"},
        {PICKLE(P2 "ctorch\nFloatStorage\n)R."), "a storage that is made"},
        {PICKLE(P2 "ctorch\nFloatStorage\n)\x81."), "an object of a class"},
        {PICKLE(P2 "cnumpy\ndtype\n)\x81."), "an object of a class"},
        {PICKLE(P2 "ctorch\nSize\nK\1\x85R."), "torch.Size of something that is no tuple"},
        {PICKLE(P2 TENSOR ")R."), "a tensor of other arguments"},
        {PICKLE(P2 TENSOR "(NNNNNNtR."), "a tensor of other arguments"},
        {PICKLE(P2 TENSOR "(" STORAGE("K\1") "K\0]]\x89"
                                             "}tR."),
         "a tensor of other arguments"},
        {PICKLE(P2 "ctorch._utils\n_rebuild_parameter\n(N\x89NtR."), "a parameter of other arguments"},
        {PICKLE(P2 "NQ."), "a persistent id"},
        {PICKLE(P2 "(NNNNNtQ."), "a persistent id"},
        {PICKLE(P2 "(X\7\0\0\0storagecnumpy\ndtype\nX\1\0\0\0"
                   "0NK\1tQ."),
         "a storage without a type"},
        {PICKLE(P2 STORAGE("N") "."), "a persistent id"},
        {PICKLE(P2 "K\1}b."), "attributes for something that has none"},
        {PICKLE(P2 "}Nb."), "attributes for something that has none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rb_pickle p;
        rb_error err = {0};
        revbifpn_status status = rb_pickle_read(&p, cases[i].bytes, cases[i].size, &err);
        if (status != REVBIFPN_BAD_FILE || !strstr(err.text, cases[i].reason) || strchr(err.text, '\n'))
            fail_msg("case %zu: wanted '%s', got %d: %s", i, cases[i].reason, (int)status, err.text);
        rb_pickle_close(&p);
    }
}

/* `unit` repeated until `size` bytes, between a head and STOP. */
static revbifpn_status read_many(const char *head, const char *unit, size_t unit_size, size_t size,
                                 rb_error *err) {
    rb_pickle p;
    unsigned char *bytes = rb_alloc(size + 64);
    assert_non_null(bytes);
    size_t used = strlen(head);
    memcpy(bytes, head, used);
    for (; used + unit_size <= size; used += unit_size) memcpy(bytes + used, unit, unit_size);
    bytes[used++] = '.';
    revbifpn_status status = rb_pickle_read(&p, bytes, used, err);
    rb_pickle_close(&p);
    rb_free(bytes);
    return status;
}

/* Eight million opcodes of one byte, or two: each vector stops at its limit. */
static void pickles_without_end_are_refused(void **state) {
    (void)state;
    static const char *const units[] = {"(", "]", "}", "K1", "h0", "N", ")", "\x94", "h0a"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        rb_error err;
        assert_int_equal(read_many("]q0", units[i], strlen(units[i]), 1 << 23, &err), REVBIFPN_BAD_FILE);
    }
    rb_error err;
    assert_int_equal(read_many("\x80\2", "N", 1, 1 << 23, &err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(err.text, "more than 2097152 values"));
    assert_int_equal(read_many("\x80\2", "(", 1, 1 << 23, &err), REVBIFPN_BAD_FILE);
    assert_non_null(strstr(err.text, "more than 2097152 values"));
    assert_int_equal(read_many("\x80\2]", "(e", 2, 1 << 23, &err), REVBIFPN_OK); /* long, and takes no room */
}

/* A list that contains itself, and nesting of a million: nothing recurses. */
static void cycles_and_depth_are_harmless(void **state) {
    (void)state;
    rb_pickle p;
    rb_error err;
    CHECK_OK(rb_pickle_read(&p, PICKLE(P2 "]q\0h\0a."), &err), &err);
    assert_int_equal(rb_pickle_item(&p, p.root, 0), p.root);
    rb_pickle_close(&p);
    CHECK_OK(rb_pickle_read(&p, PICKLE(P2 "}q\0X\1\0\0\0ah\0s."), &err), &err);
    assert_int_equal(rb_pickle_get(&p, p.root, "a"), p.root);
    rb_pickle_close(&p);
    size_t depth = 1000000;
    unsigned char *bytes = rb_alloc(depth + 3);
    memcpy(bytes, P2 ")", 3);
    memset(bytes + 3, 0x85, depth - 3);
    bytes[depth] = '.';
    CHECK_OK(rb_pickle_read(&p, bytes, depth + 1, &err), &err);
    rb_pickle_close(&p);
    rb_free(bytes);
}

static const rb_pickle_value *only(rb_pickle *p, const unsigned char *bytes, size_t size) {
    rb_error err;
    CHECK_OK(rb_pickle_read(p, bytes, size, &err), &err);
    assert_int_equal(p->used, size);
    return &p->values[p->root];
}

static void values_are_what_they_say(void **state) {
    (void)state;
    static const struct {
        const unsigned char *bytes;
        size_t size;
        int64_t value;
    } integers[] = {{PICKLE(P2 "K\xff."), 255},
                    {PICKLE(P2 "M\xff\xff."), 65535},
                    {PICKLE(P2 "J\xff\xff\xff\xff."), -1},
                    {PICKLE(P2 "J\0\0\0\x80."), INT32_MIN},
                    {PICKLE(P2 "\x8a\0."), 0},
                    {PICKLE(P2 "\x8a\1\xff."), -1},
                    {PICKLE(P2 "\x8a\2\xff\0."), 255},
                    {PICKLE(P2 "\x8a\5\0\0\0\0\1."), (int64_t)1 << 32},
                    {PICKLE(P2 "\x8a\10\0\0\0\0\0\0\0\x80."), INT64_MIN}};
    rb_pickle p;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        const rb_pickle_value *v = only(&p, integers[i].bytes, integers[i].size);
        assert_int_equal(v->kind, RB_PICKLE_INTEGER);
        assert_true(v->as.integer == integers[i].value);
        rb_pickle_close(&p);
    }
    assert_true(only(&p, PICKLE(P2 "G\xbf\xf8\0\0\0\0\0\0."))->as.real == -1.5);
    rb_pickle_close(&p);
    assert_int_equal(only(&p, PICKLE(P2 "\x8a\11\0\0\0\0\0\0\0\0\1."))->kind, RB_PICKLE_BYTES); /* 2^64 */
    rb_pickle_close(&p);
    only(&p, PICKLE("\x80\4\x95\20\0\0\0\0\0\0\0}\x94(\x8c\1a\x94K\1h\1K\2\x8c\1bNu."));
    assert_true(p.values[rb_pickle_get(&p, p.root, "a")].as.integer == 2); /* of equal keys the last */
    assert_int_equal(rb_pickle_get(&p, p.root, "b"), 0);
    assert_int_equal(rb_pickle_get(&p, p.root, "c"), 0);
    rb_pickle_close(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_pickles_are_refused),
        cmocka_unit_test(pickles_without_end_are_refused),
        cmocka_unit_test(cycles_and_depth_are_harmless),
        cmocka_unit_test(values_are_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
