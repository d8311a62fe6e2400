#!/usr/bin/env python3
"""How time and memory of a training step grow with picture side, batch, width, depth and threads: measures what is not yet
in the result file, each point in a process of its own, then draws the pictures and writes docs/scaling.md.

usage: scaling.py [--build build] [--official DIR --python PYTHON_WITH_TORCH] [--axes side,batch,width,depth,threads,large]
                  [--budget 540] [--limit 300] [--memory 20] [--largest X] [--rounds 5] [--retry] [--draw]
                  [--out bench/results/scaling.json] [--docs docs]
Resumable: a point in the result file is kept, and no new one is begun once `budget` seconds have passed; run it until it
says that nothing is left. A point that takes more than `limit` seconds or `memory` GiB is ended and kept as such; larger
ones of its series are then left out. --retry measures those again; --largest leaves out larger values on each axis (for
trying the command; 0 only plans); --draw only draws. Without --official there is no published code in what is measured."""
import argparse, json, os, statistics, sys, tempfile, time

import meter, scaling_page

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--official")
p.add_argument("--python", default=sys.executable)
p.add_argument("--axes", default="side,batch,width,depth,threads,large")
p.add_argument("--budget", type=float, default=540)
p.add_argument("--limit", type=float, default=300)
p.add_argument("--memory", type=float, default=20)
p.add_argument("--largest", type=float, default=float("inf"))
p.add_argument("--rounds", type=int, default=5)
p.add_argument("--retry", action="store_true")
p.add_argument("--draw", action="store_true")
p.add_argument("--out", default="bench/results/scaling.json")
p.add_argument("--docs", default="docs")
a = p.parse_args()
HERE = os.path.dirname(os.path.abspath(__file__))
COMMAND = os.path.join(a.build, "revbifpn")
begun = time.monotonic()


def load():
    if not os.path.exists(a.out):
        return {"points": {}, "threads": {}}
    with open(a.out) as f:
        return json.load(f)


result = load()


def save():
    meter.save(a.out, result)


def in_time():
    return time.monotonic() - begun < a.budget


def words_of(series, model, side, batch, levels, folder):
    """The commands that measure a point, and that plan it (None for the published code)."""
    activations = "stored" if "stored" in series else "reversible"
    size = ["--imgsz", side, "--batch", batch, "--activations", activations]
    steps = ["--steps", 1 if side * side * batch > 3e6 else 3]
    if series.startswith("published"):
        extra = ["--levels", levels] if levels else []
        return [a.python, os.path.join(HERE, "peers", "published.py"), "--official", a.official, "--model", model, "--channels-last",
                *size, *steps, *extra], None
    network = model
    if levels:
        network = os.path.join(folder, f"{model}-{levels}.json")
        with open(network, "w") as f:
            json.dump({"base": model, "name": f"{model}-{levels}", "extension_levels": levels}, f)
    return [COMMAND, "bench", "--model", network, *size, *steps, "--json"], [COMMAND, "plan", "--model", network, *size, "--json"]


def fill(point, series, model, side, batch, levels, run):
    """Plans the point, and measures it if `run`."""
    with tempfile.TemporaryDirectory() as folder:
        bench, plan = words_of(series, model, side, batch, levels, folder)
        if plan:
            point["plan"] = meter.measure(plan)["said"]
        if not run:
            return
        got = meter.measure(bench, a.limit, int(a.memory * 2**30))
    point["rss_bytes"] = got["peak_rss_bytes"]
    point.pop("failed", None)
    if "failed" in got:
        point["failed"] = got["failed"]
    else:
        point["seconds"] = batch / got["said"]["images_per_second_median"]
        point["commit"] = got["said"].get("commit")


def wanted(axis, series, value):
    """Is the point to be measured now? Not where a smaller one of its series failed."""
    if value > a.largest or (series.startswith("published") and not a.official):
        return False
    for other, point in result["points"].get(axis, {}).get(series, {}).items():
        if "failed" in point and not a.retry and float(other) <= value:
            return False
    point = result["points"].get(axis, {}).get(series, {}).get(str(value), {})
    return "seconds" not in point and ("failed" not in point or a.retry)


def run_axis(axis):
    """Smallest values first, the series in turn. True when something is left."""
    spec = scaling_page.AXES[axis]
    for value in spec["values"]:
        for series in spec["series"]:
            points = result["points"].setdefault(axis, {}).setdefault(series, {})
            point, run = points.get(str(value), {}), wanted(axis, series, value)
            if run and not in_time():
                return True
            if run or ("seconds" not in point and not series.startswith("published")):
                fill(point, series, *spec["work"](value), run)
                points[str(value)] = point
                save()
            if run:
                print(axis, series, value, point.get("failed") or f"{point['seconds']:.4g} s", file=sys.stderr, flush=True)
    return False


def run_threads():
    """Steps with one and with two threads in turn. True when something is left."""
    for work in scaling_page.THREADS["works"]:
        if work in result["threads"] or int(work.split(":")[1]) > a.largest:
            continue
        if not in_time():
            return True
        model, side, batch = work.split(":")
        seconds = {1: [], 2: []}
        for _ in range(a.rounds):
            for threads in seconds:
                got = meter.measure([COMMAND, "bench", "--model", model, "--imgsz", side, "--batch", batch, "--steps", 2, "--json",
                                     "--threads", threads], a.limit)
                seconds[threads].append(int(batch) / got["said"]["images_per_second_median"])
        result["threads"][work] = {"seconds": {str(t): s for t, s in seconds.items()},
                                   "gain": statistics.median(seconds[1]) / statistics.median(seconds[2])}
        save()
        print("threads", work, f"{result['threads'][work]['gain']:.2f} ×", file=sys.stderr, flush=True)
    return False


left = False
if not a.draw:
    result["machine"] = meter.machine()
    for axis in a.axes.split(","):
        left = (run_threads() if axis == "threads" else run_axis(axis)) or left
    save()
scaling_page.write(result, a.docs)
print("something is left: run it again" if left else "nothing is left", file=sys.stderr)
