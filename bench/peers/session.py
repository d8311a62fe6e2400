"""What the races share: every figure from a process of its own, sides in turn (A B A B), medians, the machine."""
import argparse, datetime, json, os, platform, statistics, subprocess, sys


def options(work, rounds, out):
    """The options of every race, with this race's defaults."""
    p = argparse.ArgumentParser()
    p.add_argument("--official", required=True)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--command", default="build/revbifpn")
    p.add_argument("--rounds", type=int, default=rounds)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--work", default=work)
    p.add_argument("--out", default=out)
    return p


def run(words):
    """The JSON that the command prints: all of it, or its last line."""
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    try:
        return json.loads(out)
    except ValueError:
        return json.loads(out.splitlines()[-1])


def interleave(work, sides, rounds):
    """Measures each side (name → command) once a round; gives one row a side, with every single figure."""
    figures = {name: [] for name in sides}
    for _ in range(rounds):
        for name, words in sides.items():
            figures[name].append(run(words))
            print(work, name, round(figures[name][-1]["images_per_second_median"], 2), file=sys.stderr, flush=True)
    rows = []
    for name, got in figures.items():
        speeds = [g["images_per_second_median"] for g in got]
        rows.append({"work": work, "side": name, "images_per_second": speeds, "median": statistics.median(speeds),
                     "peak_rss_bytes": max(g["peak_rss_bytes"] for g in got), "planned_bytes": got[0].get("planned_bytes")})
    return rows


def cpu_name():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.processor())


def write(path, rows, **facts):
    """The JSON that table.py reads."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as f:
        json.dump({"date": datetime.date.today().isoformat(), "commit": commit, "processor": cpu_name(), **facts, "rows": rows},
                  f, indent=1)
