#!/usr/bin/env bash
# Pictures a second and memory of some networks on this machine, one JSON object a line.
# usage: bench.sh COMMAND [bench options for all, for instance --threads 2]
set -euo pipefail
revbifpn=${1:?usage: bench.sh COMMAND [bench options]}
shift
for activations in reversible stored; do
    "$revbifpn" bench --model s0 --imgsz 224 --batch 16 --mode train --activations $activations --json "$@"
    "$revbifpn" bench --model s3 --imgsz 288 --batch 2 --mode train --activations $activations --steps 2 --json "$@"
done
"$revbifpn" bench --model s0 --imgsz 224 --batch 16 --mode infer --json "$@"
"$revbifpn" bench --model s3 --imgsz 288 --batch 2 --mode infer --steps 2 --json "$@"
