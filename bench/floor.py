#!/usr/bin/env python3
"""Holds a profiled step against what the machine can do: runs bench_peak and `revbifpn bench --profile`, and writes, by
operator, the time, the floor (operations over the peak or bytes over the bandwidth, whichever is more) and the share of
the floor in the time.

usage: floor.py [--build build] [--work s0:224:16,s2:256:8] [--steps 5] [--out bench/results/floor.json] [--doc FILE.md]
With --doc the tables replace what is between `<!-- floor: begin -->` and `<!-- floor: end -->` of that file."""
import argparse, datetime, json, os, re, subprocess

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--work", default="s0:224:16,s2:256:8")
p.add_argument("--steps", type=int, default=5)
p.add_argument("--out", default="bench/results/floor.json")
p.add_argument("--doc")
a = p.parse_args()


def run(*words):
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


peaks = [run(f"{a.build}/bench_peak") for _ in range(3)]
peak = {k: max(x[k] for x in peaks) for k in ("gflops", "read_gbs", "triad_gbs")}
works = []
for work in a.work.split(","):
    model, side, batch = work.split(":")
    b = run(f"{a.build}/revbifpn", "bench", "--model", model, "--imgsz", side, "--batch", batch, "--steps", str(a.steps), "--profile", "--json")
    cost = run(f"{a.build}/revbifpn", "inspect", "--model", model, "--imgsz", side, "--json")
    works.append({"work": work, "bench": b, "macs": cost["macs"]})
os.makedirs(os.path.dirname(a.out), exist_ok=True)
with open(a.out, "w") as f:
    json.dump({"date": datetime.date.today().isoformat(), "peak": peak, "works": works}, f, indent=1)

b0 = works[0]["bench"]
lines = [f"{b0['processor']}, {b0['threads']} threads, {b0['kernels']} kernels, commit {b0['commit']}, {datetime.date.today().isoformat()}: "
         f"{peak['gflops']:.0f} GFLOP/s, reading {peak['read_gbs']:.0f} GB/s, triad {peak['triad_gbs']:.0f} GB/s.", ""]
for w in works:
    model, side, batch = w["work"].split(":")
    speed = w["bench"]["images_per_second_median"]
    share = 8e-9 * w["macs"] * speed / peak["gflops"]
    lines += [f"{model.upper()} at {side} px, batch {batch}: {speed:.1f} images a second; {100 * share:.0f} % of the peak "
              "(bare MACs × 8 operations a training image).", "",
              "| operator | ms a step | share of the step | GFLOP/s | GB/s | floor, ms | floor in time |", "|---|---|---|---|---|---|---|"]
    total = sum(r["seconds_per_step"] for r in w["bench"]["profile"])
    for r in w["bench"]["profile"]:
        s = r["seconds_per_step"]
        floor = max(r["gflop"] / peak["gflops"], r["gbytes"] / peak["read_gbs"])
        rate = lambda x: f"{x / s:.0f}" if x and s else "–"
        lines.append(f"| {r['operator']} | {1e3 * s:.1f} | {100 * s / total:.0f} % | {rate(r['gflop'])} | {rate(r['gbytes'])} "
                     f"| {f'{1e3 * floor:.1f}' if floor else '–'} | {f'{100 * floor / s:.0f} %' if floor and s else '–'} |")
    lines.append("")
table = "\n".join(lines)
if not a.doc:
    print(table)
else:
    with open(a.doc) as f:
        text = f.read()
    text, found = re.subn(r"(<!-- floor: begin -->\n).*?(<!-- floor: end -->)", lambda m: m[1] + table + m[2], text, flags=re.S)
    if not found:
        raise SystemExit(f"{a.doc}: no place for the tables")
    with open(a.doc, "w") as f:
        f.write(text)
