#!/usr/bin/env python3
"""Prints the Markdown table of a race (bench/results/race.json); with --readme FILE puts it between that file's
`<!-- race: begin -->` and `<!-- race: end -->`.

usage: table.py bench/results/race.json [--readme README.md]"""
import json, re, sys

import goals

with open(sys.argv[1]) as f:
    race = json.load(f)
lines = [f"Training, images a second, median of {race['rounds']} interleaved rounds (lowest … highest); {race['processor']}, "
         f"{race['threads']} threads, PyTorch {race['torch']}, {race['date']}, commit {race['commit']}.", "",
         "| network, side, batch | side | images a second | against ours reversible | peak RSS | goal |",
         "|---|---|---|---|---|---|"]
for row in race["rows"]:
    ours = next(r["median"] for r in race["rows"] if r["work"] == row["work"] and r["side"] == "ours reversible")
    model, side, batch = row["work"].split(":")
    speeds = row["images_per_second"]
    lines.append(f"| {model.upper()} {side} b{batch} | {row['side']} | {row['median']:.3g} ({min(speeds):.3g} … {max(speeds):.3g}) "
                 f"| {row['median'] / ours:.2f} × | {row['peak_rss_bytes'] / 2**20:.0f} MiB |" + goals.cell(race, row))
table = "\n".join(lines)
if "--readme" not in sys.argv:
    print(table)
    sys.exit()
path = sys.argv[sys.argv.index("--readme") + 1]
with open(path) as f:
    text = f.read()
text, found = re.subn(r"(<!-- race: begin -->\n).*?(<!-- race: end -->)", lambda m: m[1] + table + "\n" + m[2], text, flags=re.S)
if not found:
    sys.exit(f"{path}: no place for the table")
with open(path, "w") as f:
    f.write(text)
