#!/usr/bin/env python3
"""What it costs to feed training steps from JPEG files: `revbifpn bench --data` on drawn picture sets of several sides and
on folders of one's own; the goal is a fed step within 5 % of one that is not. Goals and rows that miss them stay in.

usage: feeding.py [--build build] [--work s0:224:16,s2:256:8] [--sides 256,512] [--data DIR,DIR] [--steps 40]
                  [--out bench/results/feeding.json] [--doc FILE.md]
With --doc the table replaces what is between `<!-- feeding: begin -->` and `<!-- feeding: end -->` of that file."""
import argparse, os, subprocess, sys, tempfile

import meter

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--work", default="s0:224:16,s2:256:8")
p.add_argument("--sides", default="256,512")
p.add_argument("--data", default="")
p.add_argument("--steps", type=int, default=40)
p.add_argument("--out", default="bench/results/feeding.json")
p.add_argument("--doc")
a = p.parse_args()
COMMAND, GOAL = os.path.join(a.build, "revbifpn"), 1.05


def draw(folder, side):
    path = os.path.join(folder, f"drawn, {side} × {side}")
    subprocess.run([COMMAND, "synth", "--out", path, "--imgsz", side, "--images", "256", "--val-images", "8"], check=True, capture_output=True)
    return path


def measure(work, pictures):
    model, side, batch = work.split(":")
    got = meter.measure([COMMAND, "bench", "--model", model, "--imgsz", side, "--batch", batch, "--steps", a.steps, "--data", pictures, "--json"])
    if "failed" in got:
        sys.exit(f"{work}, {pictures}: {got['failed']}")
    print(work, pictures, got["said"]["data"], file=sys.stderr, flush=True)
    return {"work": work, "pictures": os.path.basename(pictures.rstrip("/")), **got["said"]}


def line(row):
    model, side, batch = row["work"].split(":")
    data, step = row["data"], row["step_cpu_seconds_per_image"]
    share = data["preparing_cpu_seconds_per_image"] / step
    reached = "reached" if data["time_ratio"] <= GOAL else "**not reached**"
    return (f"| {model.upper()} {side} b{batch} | {row['pictures']} | {row['images_per_second_median']:.3g} | {data['images_per_second_median']:.3g} "
            f"| {data['time_ratio']:.3f} × | {1e3 * data['wait_seconds_per_step']:.1f} | {1e3 * step:.3g} "
            f"| {1e3 * data['preparing_cpu_seconds_per_image']:.2g} ({100 * share:.1f} %) | ≤ {GOAL} ×: {reached} |")


with tempfile.TemporaryDirectory() as folder:
    sets = [draw(folder, side) for side in a.sides.split(",") if side] + [d for d in a.data.split(",") if d]
    rows = [measure(work, pictures) for work in a.work.split(",") for pictures in sets]
meter.save(a.out, {**meter.machine(), "rows": rows})
table = "\n".join([
    f"{rows[0]['processor']}, {rows[0]['threads']} threads and {rows[0]['data']['workers']} loader threads, commit {rows[0]['commit']}, {meter.machine()['date']}.", "",
    "| network, side, batch | pictures | images a second | fed | fed step / step | wait, ms a step | processor time in the step, ms a picture "
    "| … to prepare one | goal |", "|---|---|---|---|---|---|---|---|---|", *map(line, rows)])
if a.doc:
    meter.put_between(a.doc, "feeding", table)
else:
    print(table)
