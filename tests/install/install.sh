#!/usr/bin/env bash
# Installs a build into a folder inside it and uses what lies there: exported names, the pkg-config file and the CMake
# package from C and from C++, shared and static, the command, its manual page and completions.
# usage: install.sh BUILD
set -euo pipefail
export LC_ALL=C

build=$(realpath "${1:?usage: install.sh BUILD}")
source=$(realpath "$(dirname "$0")/../..")
prefix=$build/installed
rm -rf "$prefix"
case_begin() { echo "[ RUN      ] $1"; current=$1; }
case_end() { echo "[       OK ] $current"; }
trap '[ $? = 0 ] || echo "[  FAILED  ] ${current:-start}"' EXIT

case_begin installed_files
cmake --install "$build" --prefix "$prefix" > "$build/installed.log"
lib=$(dirname "$(find "$prefix" -name 'librevbifpn.so')")
for file in bin/revbifpn include/revbifpn.h share/man/man1/revbifpn.1 share/bash-completion/completions/revbifpn \
    share/zsh/vendor-completions/_revbifpn share/fish/vendor_completions.d/revbifpn.fish; do
    [ -s "$prefix/$file" ] || { echo "$file is not there"; exit 1; }
done
[ -f "$lib/librevbifpn.a" ] && [ -f "$lib/cmake/revbifpn/revbifpn-config.cmake" ]
"$prefix/bin/revbifpn" --version | grep '^revbifpn [0-9]' > /dev/null
case_end

case_begin only_public_names_are_exported
nm -D --defined-only "$lib/librevbifpn.so" | awk '{print $NF}' | sed 's/@.*//' | sort -u > "$build/exported"
grep -v -E '^(revbifpn_|REVBIFPN_0$)' "$build/exported" && { echo "these names are not public"; exit 1; }
# every function that the headers declare, and no other
cat "$prefix"/include/revbifpn*.h | tr '\n' ' ' | grep -o -E 'REVBIFPN_API [^;(]*\(' | grep -o -E 'revbifpn_[a-z_]+\($' |
    tr -d '(' | sort -u > "$build/declared"
grep '^revbifpn_' "$build/exported" | diff "$build/declared" -
case_end

export PKG_CONFIG_PATH=$lib/pkgconfig:${PKG_CONFIG_PATH:-} LD_LIBRARY_PATH=$lib
work=$build/installed-use
rm -rf "$work" && mkdir -p "$work"
"$prefix/bin/revbifpn" synth --out "$work/data" --images 4 --val-images 2 --classes 2 --imgsz 64 > "$work/log"
picture=$(find "$work/data" -name '*.jpg' | sort | head -1)

# A sanitized library needs the sanitizer in the program as well.
flags=$(sed -n 's/^REVBIFPN_SANITIZE:STRING=\(..*\)/-fsanitize=\1/p' "$build/CMakeCache.txt")
for language in c c++; do
    case_begin "pkg_config_$language"
    compiler=${CC:-cc} standard=c17
    [ $language = c ] || { compiler=${CXX:-c++} standard=c++17; }
    for example in "$source"/examples/*.c; do
        program=$work/$(basename "$example" .c)-$language
        # shellcheck disable=SC2046,SC2086
        $compiler -x $language -std=$standard -Wall -Werror $flags "$example" -x none -o "$program" $(pkg-config --cflags --libs revbifpn)
    done
    "$work/recover-$language" "$picture" "$work/$language.png" > "$work/log"
    [ -s "$work/$language.png" ]
    case_end
done

case_begin find_package
cat > "$work/CMakeLists.txt" << CMAKE
cmake_minimum_required(VERSION 3.22)
project(use LANGUAGES C)
find_package(revbifpn 0.1 REQUIRED)
find_package(PkgConfig REQUIRED)
add_executable(shared $source/examples/recover.c)
target_link_libraries(shared PRIVATE revbifpn::revbifpn)
add_executable(static $source/examples/recover.c)
target_link_libraries(static PRIVATE revbifpn::static)
CMAKE
cmake -S "$work" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS="$flags" > "$work/log"
cmake --build "$work/cmake" >> "$work/log" || { cat "$work/log"; exit 1; }
for kind in shared static; do "$work/cmake/$kind" "$picture" "$work/$kind.png" > "$work/log"; done
cmp "$work/shared.png" "$work/static.png"
case_end

case_begin completion_and_manual
bash -n "$prefix/share/bash-completion/completions/revbifpn"
offered() { # WORDS…: what bash would offer for the last one
    bash -c 'source "$1"; shift; COMP_WORDS=(revbifpn "$@"); COMP_CWORD=$#; _revbifpn; echo "${COMPREPLY[*]}"' - \
        "$prefix/share/bash-completion/completions/revbifpn" "$@"
}
[ "$(offered tra)" = train ]
[ "$(offered train --activations st)" = stored ]
[ "$(offered plan --max-mem)" = --max-memory ]
for shell in zsh fish; do
    command -v $shell > /dev/null || { echo "$shell is not here: its completion is not tried"; continue; }
    find "$prefix/share/$shell" -type f -exec $shell -n {} \;
done
if command -v man > /dev/null; then
    man --warnings -l "$prefix/share/man/man1/revbifpn.1" 2> "$work/man" | grep -e --checkpoint-steps > /dev/null
    [ ! -s "$work/man" ] || { cat "$work/man"; exit 1; }
fi
case_end
