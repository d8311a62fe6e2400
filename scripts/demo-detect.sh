#!/usr/bin/env bash
# A detector in a few minutes: draws pictures of several shapes with their outlines as a COCO folder, trains a small Mask R-CNN
# on S0 from nothing, judges it, draws what it finds. Fails when AP50 of masks is not above 0.15.
# usage: demo-detect.sh COMMAND FOLDER
set -euo pipefail
source "$(dirname "$0")/demo-common.sh"

say "1. a COCO folder: up to four shapes a picture, with boxes and outlines"
show synth --out "$folder/data" --objects 4 --images 120 --val-images 30 --classes 4 --imgsz 160 --seed 0
show check --data "$folder/data"

say "2. what a step will take"
show plan --task segment --model s0 --fpn 64 --fc 128 --classes 4 --imgsz 160 --batch 4

say "3. training a Mask R-CNN on S0, from nothing"
show train --task segment --data "$folder/data" --model s0 --fpn 64 --fc 128 --imgsz 160 --epochs "${DEMO_EPOCHS:-12}" \
    --milestones 9,11 --warmup-steps 40 --batch 4 --lr 0.01 --seed 0 --out "$folder/run"

say "4. COCO's numbers of the best weights"
best=$folder/run/weights/best.safetensors
show val --weights "$best" --data "$folder/data" --results "$folder/results.json"
show val --weights "$best" --data "$folder/data" --json --progress none > "$folder/val.json"
ap50=$(sed -n 's/.*"segm": {"stats": \[[^,]*, *\([0-9.eE+-]*\).*/\1/p' "$folder/val.json" | head -1)

say "5. pictures with what was found"
for i in 1 2 3 4; do
    show predict --weights "$best" --source "$folder/data/images/val_0000$i.jpg" --conf 0.15 --save-pictures "$folder/drawn"
done

say "after $((SECONDS - started)) seconds"
echo "pictures:  $folder/drawn"
echo "curve:     $folder/run/results.csv"
echo "results:   $folder/results.json"
echo "weights:   $best"
hold "AP50 of masks" "$ap50" 0.15
