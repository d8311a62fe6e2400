#!/usr/bin/env python3
"""Races revbifpn's inference against ONNX Runtime on the exported published model and against the published code itself:
the same network, outputs on the same weights and pictures compared before anything is timed, then interleaved A B A B.

usage: inference.py --official DIR --python PYTHON [--command build/revbifpn] [--rounds 5]
                    [--work s0:224:1:100,s0:224:16:10,s4:320:1:10] [--out bench/results/inference.json]
A work is network:side:batch:steps. PYTHON has torch, onnx, onnxruntime, numpy, Pillow and safetensors. Ours starts from
bytes, the others from normalised floats. Refuses to time sides whose outputs differ by more than 1e-4 (the outputs
are of the size 0.1)."""
import os, subprocess, sys, tempfile

import session

a = session.options("s0:224:1:100,s0:224:16:10,s4:320:1:10", 5, "bench/results/inference.json").parse_args()
here = os.path.dirname(os.path.abspath(__file__))
GOAL, LIMIT = {"side": "ONNX Runtime", "ratio": 1.3}, 1e-4


def script(name, *words):
    return [a.python, os.path.join(here, name), *words]


def contestants(folder, model, side, batch, steps):
    measured = ["--steps", steps, "--threads", str(a.threads)]
    common = ["--model", model, "--imgsz", side, "--batch", batch, *measured, "--mode", "infer"]
    published = script("published.py", "--official", a.official, *common, "--activations", "stored")
    return {
        "ours": [a.command, "bench", *common, "--json"],
        "ONNX Runtime": script("onnx_runtime.py", "--folder", folder, *measured),
        "published, eager": published,
        "published, channels_last": [*published, "--channels-last"],
    }


def race(work):
    model, side, batch, steps = work.split(":")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(script("export.py", "--official", a.official, "--model", model, "--imgsz", side, "--batch", batch,
                              "--folder", folder), check=True, capture_output=True)
        found = session.run(script("compare.py", "--folder", folder, "--command", a.command))
        print(work, "largest difference to the published output:", found, file=sys.stderr, flush=True)
        if not max(found.values()) <= LIMIT:
            sys.exit(f"{work}: outputs differ by more than {LIMIT}: nothing is timed")
        rows = session.interleave(work, contestants(folder, model, side, batch, steps), a.rounds)
    return [{**row, "difference": found.get(row["side"])} for row in rows]


rows = [row for work in a.work.split(",") for row in race(work)]
versions = session.run([a.python, "-c", "import json, onnxruntime, torch; "
                        "print(json.dumps({'torch': torch.__version__, 'onnxruntime': onnxruntime.__version__}))"])
session.write(a.out, rows, mode="inference", goal=GOAL, threads=a.threads, rounds=a.rounds, **versions)
