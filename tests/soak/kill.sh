#!/usr/bin/env bash
# Kills short runs with SIGKILL at random moments, resumes them with other numbers of threads, kills again, and wants
# the bytes of the run that nothing disturbed: weights, results.csv, steps.jsonl, tensors.hash. Counts only kills that
# hit a living run.
# usage: kill.sh BUILD [KILLS [SEED [TASK]]]    default: 200 kills, seed 1, classify; or segment
set -euo pipefail
export LC_ALL=C

command=$(realpath "${1:?usage: kill.sh BUILD [KILLS [SEED [TASK]]]}")/revbifpn
kills=${2:-200}
RANDOM=${3:-1}
task=${4:-classify}
files="weights/last.safetensors weights/best.safetensors results.csv steps.jsonl"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$task" = classify ]; then
    streams=2 settings=(--batch 8) drawn=(--images 73 --val-images 18 --imgsz 40)
    recipes=("" "--checkpoint-steps 1" "--model-ema --opt rmsproptf --lr 0.01 --accumulate 2"
        "--hash tensor --checkpoint-steps 2")
else
    streams=4 settings=(--task "$task" --batch 2 --imgsz 64 --fpn 8 --fc 8 --lr 0.005)
    drawn=(--images 14 --val-images 4 --imgsz 64 --objects 3)
    recipes=("" "--checkpoint-steps 1 --accumulate 2" "--mosaic 0.5 --close-mosaic 1 --scale-jitter 0.5..1.5 --color-jitter 0.4"
        "--hash tensor --checkpoint-steps 2 --scales 48..64")
fi
turns() { # A B: by turns, for all streams
    local values=("$1" "$2")
    printf '%s' "$1"
    for ((i = 1; i < streams; i++)); do printf ', %s' "${values[i % 2]}"; done
}
cat > "$work/tiny.json" << JSON
{"base": "s0", "name": "tiny", "streams": $streams, "widths": [$(turns 48 48)], "expansions": [$(turns 1 2)],
 "squeeze_ratios": [$(turns 0 0.25)], "blocks_per_level": 1, "extension_levels": 1, "head_widths": [$(turns 48 48)],
 "head_expansions": [$(turns 1 2)], "fc_features": 32, "drop": 0.1, "drop_path": 0.1, "image_width": 32, "image_height": 32}
JSON
"$command" synth --out "$work/data" --classes 3 "${drawn[@]}" > "$work/log"

begin() { # RUN RECIPE: the command line of a new run
    # shellcheck disable=SC2206
    line=("$command" train --data "$work/data" --model "$work/tiny.json" --epochs 3 --seed 7 --out "$work/$1"
        --threads 2 "${settings[@]}" ${recipes[$2]})
}
resume() { line=("$command" train --resume "$work/run" --threads $((RANDOM % 3 + 1)) --workers $((RANDOM % 3))); }
to_its_end() { "${line[@]}" > "$work/log" 2>&1 || { echo "exit $?: ${line[*]}: $(cat "$work/log")"; exit 1; }; }
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# Runs the line and kills it somewhere within the time of a whole run. 0: it was killed; 1: it was done before.
killed() {
    local code=0 moment=$((RANDOM * 32768 + RANDOM))
    moment=$((moment % (time + time / 8 + 1)))
    "${line[@]}" > "$work/log" 2>&1 &
    local id=$!
    sleep "$((moment / 1000)).$(printf %03d $((moment % 1000)))"
    kill -KILL $id 2> /dev/null || true
    { wait $id; } 2> /dev/null || code=$?
    [ $code = 137 ] && return 0
    [ $code = 0 ] && return 1
    echo "exit $code: ${line[*]}: $(cat "$work/log")"
    exit 1
}

start=$(milliseconds)
for r in "${!recipes[@]}"; do begin "whole$r" "$r" && to_its_end; done
time=$((($(milliseconds) - start) / ${#recipes[@]}))
echo "[ RUN      ] $kills kills, seed ${3:-1}, $task, a run takes $time ms"
done=0 runs=0 early=0
while [ $done -lt "$kills" ]; do
    r=$((runs++ % ${#recipes[@]}))
    rm -rf "$work/run"
    begin run $r
    if killed; then done=$((done + 1)); fi
    if [ ! -f "$work/run/args.json" ]; then
        early=$((early + 1)) # before there was a run
        [ $early -lt $((kills + 10)) ] || { echo "no kill came after the run folder"; exit 1; }
        continue
    fi
    for ((again = RANDOM % 3; again > 0; again--)); do
        resume
        if killed; then done=$((done + 1)); fi
    done
    resume && to_its_end
    for file in $files $([ -f "$work/whole$r/tensors.hash" ] && echo tensors.hash); do
        cmp "$work/run/$file" "$work/whole$r/$file" || { echo "[  FAILED  ] run $runs, recipe '${recipes[$r]}'"; exit 1; }
    done
done
echo "[       OK ] $done kills in $runs runs, $early of them before the run folder, every one ended in the same bytes"
