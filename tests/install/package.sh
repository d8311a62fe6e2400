#!/usr/bin/env bash
# The Debian package: what it says of itself, what it holds, and that what it holds works where it is unpacked. Nothing is
# installed on this machine.
# usage: package.sh BUILD
set -euo pipefail
export LC_ALL=C

build=$(realpath "${1:?usage: package.sh BUILD}")
for tool in dpkg-deb dpkg-shlibdeps cpack file; do
    command -v $tool > /dev/null || { echo "SKIPPED: there is no $tool here"; exit 77; }
done
if grep -q '^REVBIFPN_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
    echo "SKIPPED: nobody packs a sanitized build"
    exit 77
fi
work=$build/package
rm -rf "$work" && mkdir -p "$work"
case_begin() { echo "[ RUN      ] $1"; current=$1; }
case_end() { echo "[       OK ] $current"; }
trap '[ $? = 0 ] || echo "[  FAILED  ] ${current:-start}"' EXIT
wrong() { echo "$*"; exit 1; }

case_begin it_is_made
(cd "$build" && cpack -G DEB -B "$work") > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
deb=$(find "$work" -maxdepth 1 -name 'revbifpn_*.deb')
[ -s "$deb" ]
case_end

case_begin what_it_says
field() { dpkg-deb -f "$deb" "$1"; }
[ "$(field Package)" = revbifpn ]
[[ "$(field Maintainer)" =~ ^[^\<]+\ \<[^@\ ]+@[^@\ ]+\>$ ]] || wrong "maintainer: $(field Maintainer)"
[[ "$(field Maintainer)" != *@localhost\> ]] || wrong "maintainer: $(field Maintainer)"
[ "$(field Description | wc -l)" -ge 3 ] || wrong "description: $(field Description)"
# every library that the command needs comes with a package
for library in c6 gif7 jansson4 png16 webp7 webpdemux2 xxhash0 jpeg; do
    [[ "$(field Depends)" == *lib$library* ]] || wrong "depends: $(field Depends), not on lib$library"
done
dpkg-deb -I "$deb" triggers | grep '^activate-noawait ldconfig$' > /dev/null
dpkg-deb -I "$deb" shlibs | grep '^librevbifpn 0 revbifpn' > /dev/null
case_end

case_begin what_it_holds
dpkg-deb -x "$deb" "$work/root"
usr=$work/root/usr
for file in bin/revbifpn include/revbifpn.h share/bash-completion/completions/revbifpn \
    share/zsh/vendor-completions/_revbifpn share/fish/vendor_completions.d/revbifpn.fish \
    share/doc/revbifpn/copyright share/doc/revbifpn/README.md; do
    [ -s "$usr/$file" ] || wrong "no $file"
done
gzip -dc "$usr/share/man/man1/revbifpn.1.gz" | grep '^\.TH REVBIFPN 1' > /dev/null
gzip -dc "$usr/share/doc/revbifpn/changelog.gz" | grep "^revbifpn ($(field Version))" > /dev/null
[ ! -e "$usr/share/man/man1/revbifpn.1" ]
dpkg-deb -c "$deb" | awk '$2 != "root/root" || ($1 ~ /^d/ && $1 != "drwxr-xr-x") || ($1 ~ /^-/ && $1 !~ /^-rw[x-]r-[x-]r-[x-]$/) { print; bad = 1 } END { exit bad }'
! nm "$usr/bin/revbifpn" 2>&1 | grep ' T main' > /dev/null || wrong "bin/revbifpn is not stripped"
case_end

case_begin it_works
"$usr/bin/revbifpn" --version | grep '^revbifpn [0-9]' > /dev/null
"$usr/bin/revbifpn" synth --out "$work/data" --images 4 --val-images 2 --classes 2 --imgsz 64 > "$work/log"
lib=$(dirname "$(find "$usr" -name librevbifpn.a)")
PKG_CONFIG_PATH=$lib/pkgconfig pkg-config --exists --print-errors revbifpn
case_end

# No container engine runs here; but what the Containerfile calls and copies must be there.
case_begin containerfile
source=$(realpath "$(dirname "$0")/../..")
for script in $(grep -o 'scripts/[a-z-]*' "$source/Containerfile"); do [ -x "$source/$script" ] || wrong "no $script"; done
make -C "$source" -n deb BUILD=/build > "$work/deb-commands"
grep -q 'cd /build && cpack -G DEB' "$work/deb-commands"
grep -q 'make deb BUILD=/build' "$source/Containerfile"
grep -q '^COPY --from=build /build/\*\.deb ' "$source/Containerfile"
grep -q '^ENTRYPOINT \["revbifpn"\]' "$source/Containerfile"
case_end

case_begin lintian
if command -v lintian > /dev/null; then
    # one package instead of three, and postinst's ldconfig is CPack's
    lintian --allow-root --suppress-tags bogus-mail-host "$deb" > "$work/lintian" 2>&1 || true
    ! grep '^E:' "$work/lintian" || exit 1
    case_end
else
    echo "[  SKIPPED ] lintian"
fi
