#!/usr/bin/env bash
# The whole way in a few minutes: draws a picture set, trains S0 on it, validates, predicts. Fails when the validation
# top-1 is not above 0.95. Everything it writes lies in one folder, which it removes first.
# usage: demo.sh COMMAND FOLDER
set -euo pipefail
source "$(dirname "$0")/demo-common.sh"

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
hold top-1 "$top1" 0.95
