# What the demonstrations share; sourced with the command and a folder as arguments. Everything a demonstration writes lies in
# that folder, which is removed first.
revbifpn=$(realpath "${1:?usage: $0 COMMAND FOLDER}")
folder=${2:?usage: $0 COMMAND FOLDER}
started=$SECONDS

if [ -e "$folder" ]; then
    # only what an earlier demo made is removed
    [ -f "$folder/made-by-demo" ] || { echo "demo: $folder exists and is not from an earlier demo" >&2; exit 1; }
    rm -rf "$folder"
fi
mkdir -p "$folder"
touch "$folder/made-by-demo"

say() { printf '\n== %s\n' "$*"; }
show() { # prints the command as one would type it, then runs it
    printf '$ revbifpn %s\n' "$*"
    "$revbifpn" "$@"
}
# NAME VALUE WANTED: ends the demonstration with an error unless the value is above.
hold() {
    if ! awk -v a="$2" -v b="$3" 'BEGIN { exit !(a + 0 > b) }'; then
        echo "demo: $1 is ${2:-missing}, wanted more than $3" >&2
        exit 1
    fi
    echo "$1 is $2 (wanted: more than $3)"
}
