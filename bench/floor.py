#!/usr/bin/env python3
"""Holds profiled steps against what the machine can do: runs `revbifpn bench --profile`, which measures the peaks, and
writes the time, the floor (operations or bytes at the peaks, whichever is longer, call by call) and the share of the floor
in the time: by operator, and by operation with like ones together.

usage: floor.py [--build build] [--work s0:224:16,s2:256:8] [--steps 5] [--out bench/results/floor.json] [--doc FILE.md]
       floor.py --table [--out …] [--doc …]: no run, only the tables of what --out holds
With --doc the tables replace what is between `<!-- floor: begin -->` and `<!-- floor: end -->` of that file."""
import argparse, datetime, json, os, re, subprocess

import meter

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--work", default="s0:224:16,s2:256:8")
p.add_argument("--steps", type=int, default=5)
p.add_argument("--out", default="bench/results/floor.json")
p.add_argument("--doc")
p.add_argument("--table", action="store_true")
a = p.parse_args()


def run(*words):
    return json.loads(subprocess.run((f"{a.build}/revbifpn", *words, "--json"), check=True, capture_output=True, text=True).stdout)


def measure():
    works = []
    for work in a.work.split(","):
        model, side, batch = work.split(":")
        b = run("bench", "--model", model, "--imgsz", side, "--batch", batch, "--steps", str(a.steps), "--profile")
        works.append({"work": work, "bench": b, "macs": run("inspect", "--model", model, "--imgsz", side)["macs"]})
    os.makedirs(os.path.dirname(a.out) or ".", exist_ok=True)
    with open(a.out, "w") as f:
        json.dump({"date": datetime.date.today().isoformat(), "works": works}, f, indent=1)


MEMBERS = ("seconds_per_step", "gflop", "gbytes", "floor_seconds")


def together(rows, name):
    """Rows with the same name(row), added up, in the order of their first."""
    sums = {}
    for r in rows:
        s = sums.setdefault(name(r), dict.fromkeys(MEMBERS, 0))
        for m in MEMBERS:
            s[m] += r[m]
    return sums


def kind_of(row):
    for pattern, text in ((r"rev_stack\.0$", "picture into the state"), (r"rev_stack\.\d+\.rev_transform_(\d)", r"residual blocks, stream \1"),
                          (r"rev_stack\.\d+", "silos"), (r".*recomp_transform_\d", "neck"), (r"head\.pyramid_heads\.\d", "head, pyramid"),
                          (r"head\.(.*)", r"head, \1")):
        if re.fullmatch(pattern, row["operation"]):
            return f"{re.sub(pattern, text, row['operation'])}, {row['direction']}"
    return row["operation"]


def table(title, sums):
    lines = [f"| {title} | ms a step | share of the step | GFLOP/s | GB/s | floor, ms | floor in time |", "|---|---|---|---|---|---|---|"]
    total = {m: sum(s[m] for s in sums.values()) for m in MEMBERS}
    for name, s in [*sums.items(), ("**step**", total)]:
        seconds, floor = s["seconds_per_step"], s["floor_seconds"]
        rate = lambda x: f"{x / seconds:.0f}" if x and seconds else "–"
        lines.append(f"| {name} | {1e3 * seconds:.1f} | {100 * seconds / total['seconds_per_step']:.0f} % | {rate(s['gflop'])} "
                     f"| {rate(s['gbytes'])} | {f'{1e3 * floor:.1f}' if floor else '–'} | {f'{100 * floor / seconds:.0f} %' if floor and seconds else '–'} |")
    return lines + [""]


def tables(found):
    b0 = found["works"][0]["bench"]
    lines = [f"{b0['processor']}, {b0['threads']} threads, {b0['kernels']} kernels, commit {b0['commit']}, {found['date']}.", ""]
    for w in found["works"]:
        b = w["bench"]
        model, side, batch = w["work"].split(":")
        speed, peak = b["images_per_second_median"], b["peak"]
        lines += [f"{model.upper()} at {side} px, batch {batch}: {speed:.1f} images a second; peaks {peak['gflops']:.0f} GFLOP/s and "
                  f"{peak['gbytes']:.0f} GB/s; {800e-9 * w['macs'] * speed / peak['gflops']:.0f} % of the peak (bare MACs × 8 operations a "
                  "training image).", ""]
        lines += table("operator", together(b["profile"], lambda r: r["operator"]))
        lines += table("operation", together(b["operations"], kind_of))
    return "\n".join(lines)


if not a.table:
    measure()
with open(a.out) as f:
    text = tables(json.load(f))
if not a.doc:
    print(text)
else:
    meter.put_between(a.doc, "floor", text.rstrip("\n"))
