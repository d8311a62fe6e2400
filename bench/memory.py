#!/usr/bin/env python3
"""Memory of training: planned, and measured from outside as peak RSS of whole processes at batch b and 2b. Goals and rows
that miss them stay in.

usage: memory.py [--build build] [--work s0:224:16,s4:320:4,s6:352:2] [--out bench/results/memory.json] [--doc FILE.md]
                 [--official DIR --python PYTHON_WITH_TORCH [--efficientnet]]
With --official also the published code, reversible and stored; with --efficientnet also timm's EfficientNet-B7 at 600 px
(timm is installed for that python when it is missing). With --doc the tables replace what is between
`<!-- memory: begin -->` and `<!-- memory: end -->` of that file. MB are 10^6 bytes."""
import argparse, os, subprocess, sys, tempfile

import meter

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--work", default="s0:224:16,s4:320:4,s6:352:2")
p.add_argument("--out", default="bench/results/memory.json")
p.add_argument("--doc")
p.add_argument("--official")
p.add_argument("--python", default=sys.executable)
p.add_argument("--efficientnet", action="store_true")
a = p.parse_args()
PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
COMMAND = os.path.join(a.build, "revbifpn")
# activation bytes a sample, and RSS of a whole run
SAMPLE_GOALS = {"s0:224": 3.5e6, "s4:320": 28e6, "s6:352": 51e6}
WHOLE_GOAL = {"work": "s0:224:16", "bytes": 150e6}


def measure(words):
    print(*words, file=sys.stderr, flush=True)
    return meter.measure(words, seconds=1200)


def growth(name, work, words, plan=None):
    """One row: RSS at b and 2b, and what one more sample adds; `words` is the command but for --batch."""
    batch = int(work.split(":")[2])
    got = [measure([*words, "--batch", b]) for b in (batch, 2 * batch)]
    row = {"side": name, "work": work, "rss_bytes": [g["peak_rss_bytes"] for g in got]}
    failed = next((g["failed"] for g in got if "failed" in g), None)
    if failed:
        return {**row, "failed": failed}
    row["rss_growth_bytes_per_sample"] = (row["rss_bytes"][1] - row["rss_bytes"][0]) / batch
    if plan:
        plans = [plan(b) for b in (batch, 2 * batch)]
        row["planned_bytes"] = [q["total_bytes"] for q in plans]
        row["planned_bytes_per_sample"] = plans[0]["activation_bytes_per_sample"]
        row["arena_equal"] = all(g["said"]["arena_planned_bytes"] == g["said"]["arena_high_bytes"] for g in got)
    return row


def ours(work, activations):
    model, side, _ = work.split(":")
    common = ["--model", model, "--imgsz", side, "--activations", activations, "--json"]
    plan = lambda b: meter.measure([COMMAND, "plan", *common, "--batch", b])["said"]
    return growth(f"ours {activations}", work, [COMMAND, "bench", *common, "--steps", 1], plan)


def published(work, activations):
    model, side, _ = work.split(":")
    return growth(f"published {activations}", work, [
        a.python, os.path.join(PEERS, "published.py"), "--official", a.official, "--model", model, "--imgsz", side,
        "--activations", activations, "--channels-last", "--steps", 1])


def efficientnet():
    if subprocess.run([a.python, "-c", "import timm"], capture_output=True).returncode:
        subprocess.run([a.python, "-m", "pip", "install", "-q", "timm"], check=True)
    return growth("EfficientNet-B7 (timm)", "b7:600:1", [a.python, os.path.join(PEERS, "efficientnet.py"), "--imgsz", 600, "--steps", 1])


def whole_runs():
    """Training with the loader, everything counted: `bench --data` (1000 classes) and `train` with its validation."""
    model, side, batch = WHOLE_GOAL["work"].split(":")
    with tempfile.TemporaryDirectory() as folder:
        pictures = os.path.join(folder, "set")
        subprocess.run([COMMAND, "synth", "--out", pictures, "--images", "64", "--val-images", "32", "--imgsz", "256"],
                       check=True, capture_output=True)
        common = ["--data", pictures, "--model", model, "--imgsz", side, "--batch", batch]
        runs = {"bench --data": measure([COMMAND, "bench", *common, "--steps", 2, "--json"]),
                "train": measure([COMMAND, "train", *common, "--epochs", 1, "--out", os.path.join(folder, "run")])}
    return [{"run": name, "work": WHOLE_GOAL["work"], "rss_bytes": r["peak_rss_bytes"],
             **({"failed": r["failed"]} if "failed" in r else {})} for name, r in runs.items()]


def verdict(reached):
    return "reached" if reached else "**not reached**"


def mb(number):
    return f"{number / 1e6:.3g}" if number < 1e9 else f"{number / 1e6:.0f}"


def growth_line(row):
    model, side, batch = row["work"].split(":")
    head = f"| {model.upper()} {side} b{batch} | {row['side']} |"
    if "failed" in row:
        return f"{head} – | – | {' → '.join(mb(b) for b in row['rss_bytes'])} | {row['failed']} |"
    goal = SAMPLE_GOALS.get(f"{model}:{side}") if row["side"] == "ours reversible" else None
    most = max(row["rss_growth_bytes_per_sample"], row.get("planned_bytes_per_sample", 0))
    return (f"{head} {mb(row['planned_bytes_per_sample']) if 'planned_bytes' in row else '–'} | {mb(row['rss_growth_bytes_per_sample'])} "
            f"| {' → '.join(mb(b) for b in row['rss_bytes'])} | {f'≤ {mb(goal)}: {verdict(most <= goal)}' if goal else ''} |")


def plan_line(row, i):
    model, side, batch = row["work"].split(":")
    planned, rss = row["planned_bytes"][i], row["rss_bytes"][i]
    held = abs(rss - planned) <= 0.05 * planned + 20e6
    return (f"| {model.upper()} {side} b{int(batch) * (i + 1)} | {row['side']} | {mb(planned)} | {mb(rss)} | {100 * (rss / planned - 1):+.1f} % "
            f"| {verdict(held)} | {'equal to the byte' if row['arena_equal'] else '**differs**'} |")


def tables(result):
    rows = result["growth"]
    lines = [f"{result['processor']}, commit {result['commit']}, {result['date']}. MB are 10⁶ bytes; RSS is the process's peak, read from outside.", "",
             "| network, side, batch | side | planned, MB a sample | RSS growth, MB a sample | RSS b → 2b, MB | goal |", "|---|---|---|---|---|---|"]
    lines += [growth_line(r) for r in rows]
    lines += ["", "| network, side, batch | side | planned, MB | RSS, MB | difference | within 5 % + 20 MB | arena |", "|---|---|---|---|---|---|---|"]
    lines += [plan_line(r, i) for r in rows if "planned_bytes" in r for i in (0, 1)]
    lines += ["", "| whole process, loader and all | RSS, MB | goal |", "|---|---|---|"]
    for r in result["whole"]:
        model, side, batch = r["work"].split(":")
        lines.append(f"| `{r['run']}`, {model.upper()} {side} b{batch} | {mb(r['rss_bytes'])} "
                     f"| {r.get('failed') or '≤ ' + mb(WHOLE_GOAL['bytes']) + ': ' + verdict(r['rss_bytes'] <= WHOLE_GOAL['bytes'])} |")
    return "\n".join(lines)


rows = []
for work in a.work.split(","):
    rows += [ours(work, "reversible"), ours(work, "stored")]
    if a.official:
        rows += [published(work, "reversible"), published(work, "stored")]
if a.efficientnet:
    rows.append(efficientnet())
result = {**meter.machine(), "growth": rows, "whole": whole_runs()}
meter.save(a.out, result)
if a.doc:
    meter.put_between(a.doc, "memory", tables(result))
else:
    print(tables(result))
