#!/usr/bin/env python3
"""Accuracy against the memory of training, as the paper draws it: RevBiFPN-S0 … S6 of this program beside timm's
EfficientNet-B0 … B7, each at its published side. Memory is measured, as the growth of peak RSS a sample between batch b
and 2b, one process a measurement, the same meter for all; top-1 is what the papers publish.

usage: accuracy_memory.py [--build build] [--python PYTHON_WITH_TORCH_AND_TIMM] [--official DIR] [--memory 12]
                          [--budget 540] [--only SERIES] [--networks s6,b7] [--out bench/results/accuracy-memory.json]
                          [--doc docs/reproduction.md] [--draw]
Resumable: what the result file holds is not measured again, and nothing is begun after `budget` seconds; run it until it
says that nothing is left. EfficientNet is measured in both memory layouts, and the one that takes less counts. With
--official also the published code, reversible. A process that passes --memory GiB is ended, and kept as such; none is begun
while less is available. --only takes series whose names begin so ("ours", "EfficientNet channels_last"), --networks those
named. --doc writes the table between `<!-- accuracy-memory: begin -->` and its end, and the picture accuracy-memory.svg
beside that file; --draw measures nothing. MB are 10^6 bytes."""
import argparse, json, os, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, os.pardir))
import accuracy_memory_page as page
import meter
from session import run as said

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--python", default=sys.executable)
p.add_argument("--official")
p.add_argument("--memory", type=float, default=12)
p.add_argument("--budget", type=float, default=540)
p.add_argument("--only", default="")
p.add_argument("--networks", default="")
p.add_argument("--out", default="bench/results/accuracy-memory.json")
p.add_argument("--doc")
p.add_argument("--draw", action="store_true")
a = p.parse_args()
COMMAND = os.path.join(a.build, "revbifpn")
begun = time.monotonic()


def load():
    if not os.path.exists(a.out):
        return {"points": {}}
    with open(a.out) as f:
        return json.load(f)


result = load()


def available():
    """Bytes that new processes can have before the machine runs out."""
    with open("/proc/meminfo") as f:
        return next(1024 * int(line.split()[1]) for line in f if line.startswith("MemAvailable"))


def words_of(series, model, side):
    """The command that trains for two steps, but for --batch; one step of EfficientNet, whose peak is in the backward pass
    of each. Time does not matter, so one thread."""
    size = ["--model", model, "--imgsz", side, "--threads", 1, "--steps"]
    if series.startswith("ours"):
        return [COMMAND, "bench", *size, 1, "--activations", series.split()[1], "--json"]
    if series.startswith("published"):
        return [a.python, os.path.join(HERE, "published.py"), "--official", a.official, *size, 1, "--channels-last"]
    layout = ["--contiguous"] if series.endswith("contiguous") else []
    return [a.python, os.path.join(HERE, "efficientnet.py"), "--model", f"efficientnet_{model}", *size[2:], 0, *layout]


def facts(series, model, side, batch):
    """Parameters and MACs of ours, and what its plan says a sample takes."""
    if not series.startswith("ours"):
        return {}
    network = ["--model", model, "--imgsz", str(side), "--json"]
    cost = said([COMMAND, "inspect", *network])
    plan = said([COMMAND, "plan", "--activations", series.split()[1], "--batch", str(batch), *network])
    return {"parameters": cost["parameters"], "macs": cost["macs"], "planned_bytes_per_sample": plan["activation_bytes_per_sample"]}


def measure(point, series, model, side, batch):
    """Batch b, then 2b; a batch that is there already is not measured again."""
    for b in (batch, 2 * batch):
        if str(b) in point["rss_bytes"] or "failed" in point:
            continue
        got = meter.measure([*words_of(series, model, side), "--batch", b], 3600, int(a.memory * 2**30))
        print(series, model, side, b, got.get("failed") or f"{got['peak_rss_bytes'] / 1e6:.0f} MB", file=sys.stderr, flush=True)
        if "failed" in got:
            point["failed"] = got["failed"]
            return
        point["rss_bytes"][str(b)] = got["peak_rss_bytes"]
        point.update({k: got["said"][k] for k in ("parameters", "torch", "timm") if k in got["said"]})


def measure_all():
    """Smallest networks first. True when something is left."""
    left = False
    for series, model, side, batch in page.works(bool(a.official)):
        if not series.startswith(a.only) or (a.networks and model not in a.networks.split(",")):
            continue
        points = result["points"].setdefault(series, {})
        point = points.get(model, {"side": side, "batch": batch, "rss_bytes": {}, **facts(series, model, side, batch)})
        if "failed" in point or len(point["rss_bytes"]) == 2:
            continue
        if time.monotonic() - begun > a.budget or available() < a.memory * 2**30:
            left = True
            continue
        measure(point, series, model, side, batch)
        points[model] = point
        meter.save(a.out, result)
    return left


if not a.draw:
    result["machine"] = meter.machine()
    left = measure_all()
    meter.save(a.out, result)
    print("something is left: run it again" if left else "nothing is left", file=sys.stderr)
if a.doc:
    meter.put_between(a.doc, "accuracy-memory", page.table(result))
    page.draw(result, os.path.join(os.path.dirname(a.doc), "accuracy-memory.svg"))
else:
    print(page.table(result))
