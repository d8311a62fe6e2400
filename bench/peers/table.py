#!/usr/bin/env python3
"""Prints the Markdown table of a race in training (race.json) or inference (inference.json); with --readme FILE puts it
between that file's `<!-- race: begin -->` and `<!-- race: end -->`, or `inference:` for inference, or NAME.

usage: table.py bench/results/race.json [--readme README.md [--mark NAME]]"""
import json, os, sys

import goals

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import meter

with open(sys.argv[1]) as f:
    race = json.load(f)
inference = race.get("mode") == "inference"
baseline, mark, title = ("ours", "inference", "Inference") if inference else ("ours reversible", "race", "Training")
goal = race.get("goal")
versions = f"PyTorch {race['torch']}" + (f", ONNX Runtime {race['onnxruntime']}" if inference else "")


def goal_cell(row, ours):
    """Of inference, the goal is ours over one named side; those of training are in goals.py."""
    if not inference:
        return goals.cell(race, row)
    if row["side"] != goal["side"]:
        return " |"
    ratio = ours / row["median"]
    verdict = "reached" if ratio >= goal["ratio"] else "not reached"
    return f" ours ≥ {goal['ratio']} × this: {verdict}, {ratio:.2f} × |"


lines = [f"{title}, images a second, median of {race['rounds']} interleaved rounds (lowest … highest); {race['processor']}, "
         f"{race['threads']} threads, {versions}, {race['date']}, commit {race['commit']}.", "",
         f"| network, side, batch | side | images a second | against {baseline} | peak RSS | goal |",
         "|---|---|---|---|---|---|"]
for row in race["rows"]:
    ours = next(r["median"] for r in race["rows"] if r["work"] == row["work"] and r["side"] == baseline)
    model, side, batch = row["work"].split(":")[:3]
    speeds = row["images_per_second"]
    lines.append(f"| {model.upper()} {side} b{batch} | {row['side']} | {row['median']:.3g} ({min(speeds):.3g} … {max(speeds):.3g}) "
                 f"| {row['median'] / ours:.2f} × | {row['peak_rss_bytes'] / 2**20:.0f} MiB |" + goal_cell(row, ours))
table = "\n".join(lines)
if "--readme" not in sys.argv:
    print(table)
    sys.exit()
if "--mark" in sys.argv:
    mark = sys.argv[sys.argv.index("--mark") + 1]
meter.put_between(sys.argv[sys.argv.index("--readme") + 1], mark, table)
