#!/usr/bin/env bash
# The whole way in a few minutes: draws a picture set, trains S0 on it, validates, predicts. Fails when the validation
# top-1 is not above 0.95. Everything it writes lies in one folder, which it removes first.
# usage: demo.sh COMMAND FOLDER
set -euo pipefail
revbifpn=$(realpath "${1:?usage: demo.sh COMMAND FOLDER}")
folder=${2:?usage: demo.sh COMMAND FOLDER}
wanted=0.95
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

say "1. a picture set: six classes of shapes over clutter"
show synth --out "$folder/data" --images 600 --val-images 150 --classes 6 --imgsz 64 --seed 0

say "2. training S0, reversibly"
show train --data "$folder/data" --model s0 --imgsz 64 --epochs "${DEMO_EPOCHS:-12}" --batch 32 --lr 0.03 --seed 0 --out "$folder/run"

say "3. validation with the best weights"
best=$folder/run/weights/best.safetensors
show val --weights "$best" --data "$folder/data" --json | tee "$folder/val.json"
top1=$(sed -n 's/.*"top1": *\([0-9.eE+-]*\).*/\1/p' "$folder/val.json")

say "4. predictions: one picture of each class"
for class in "$folder"/data/val/*/; do
    pictures=("$class"*)
    show predict --weights "$best" --source "${pictures[0]}" --topk 2
done

say "after $((SECONDS - started)) seconds"
echo "pictures:  $folder/data"
echo "curve:     $folder/run/results.csv"
echo "arguments: $folder/run/args.json"
echo "weights:   $best"
if ! awk -v a="$top1" -v b=$wanted 'BEGIN { exit !(a + 0 > b) }'; then
    echo "demo: top-1 is ${top1:-missing}, wanted more than $wanted" >&2
    exit 1
fi
echo "top-1 is $top1 (wanted: more than $wanted)"
