#!/usr/bin/env bash
# What the library holds outside its contexts: every variable that can change, of the whole process or of a thread, must be
# in the list below, which docs/decisions.md explains.
# usage: globals.sh BUILD
set -euo pipefail
export LC_ALL=C

build=$(realpath "${1:?usage: globals.sh BUILD}")
if grep -q '^REVBIFPN_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
    echo "SKIPPED: a sanitizer adds variables of its own"
    exit 77
fi
work=$build/globals
rm -rf "$work" && mkdir -p "$work"
case_begin() { echo "[ RUN      ] $1"; current=$1; }
case_end() { echo "[       OK ] $current"; }
trap '[ $? = 0 ] || echo "[  FAILED  ] ${current:-start}"' EXIT

# FILE…: "object name" of each variable in a section that is written to. Constants with addresses in them
# (.data.rel.ro) are not: the loader closes their pages.
variables() {
    objdump -t "$@" | awk '
        /file format/ { object = $1; sub(/\.o:$|\.c\.o:$/, "", object) }
        $NF !~ /^\./ && /[ \t](\.data|\.bss|\.tdata|\.tbss|\.data\.[^r][^\t]*|\.[tb]*bss\.[^\t]*|\*COM\*)\t/ { print object, $NF }
    ' | sed 's/\.[0-9]* *$//' | sort -u
}

case_begin a_new_one_is_seen
printf '%s\n' 'static int hidden; int shown = 1; _Thread_local int own; static const char *const fixed[] = {"a"};' \
    'int f(int i) { static long inner; return (int)++inner + ++hidden + ++own + fixed[i][0]; }' > "$work/seen.c"
${CC:-cc} -O1 -fPIC -c "$work/seen.c" -o "$work/seen.o"
[ "$(variables "$work/seen.o" | awk '{print $2}' | tr '\n' ' ')" = "hidden inner own shown " ] ||
    { variables "$work/seen.o"; exit 1; }
case_end

case_begin only_known_ones
cat > "$work/known" << 'LIST'
check sorted
fault fail_from
fault fail_with
fault operations
host in_use
memory alloc_fail_after
memory hostless_calls
LIST
[ -f "$build/librevbifpn.a" ]
variables "$build/librevbifpn.a" > "$work/found"
diff "$work/known" "$work/found" || { echo "known (<) and found (>) variables differ"; exit 1; }
case_end
