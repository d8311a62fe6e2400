"""Runs that take hours, in a file of results: those that it has are not repeated, and each is saved when it ends."""
import csv, json, os, re, statistics, subprocess, sys, time

import meter


def load(path):
    if not os.path.exists(path):
        return {"runs": {}}
    with open(path) as f:
        return json.load(f)


def run_all(path, keys, run, budget):
    """run(*key) → a dict, for each key (words and numbers) that is missing; none is begun once `budget` seconds have passed. Several
    processes may work on different keys of one file."""
    result, begun = load(path), time.monotonic()
    for key in keys:
        name = " ".join(str(part) for part in key)
        if name in result["runs"] or time.monotonic() - begun > budget:
            continue
        found = run(*key)
        print(name, found, file=sys.stderr, flush=True)
        result = load(path)  # another process may have added to it
        result["runs"][name] = found
        result.update(meter.machine())
        meter.save(path, result)
    return result


def by_epoch(log, words, pattern):
    """The numbers that a program prints by epoch, by the pattern's groups; it is begun anew unless its log is whole."""
    if not os.path.exists(log):
        with open(log + ".part", "w") as f:
            subprocess.run([str(w) for w in words], check=True, stdout=f)
        os.replace(log + ".part", log)
    with open(log) as f:
        return [float(value) for value in re.findall(pattern, f.read(), re.M)]


def train(command, run, words, column, threads=None):
    """A column of results.csv, of a run of ours that goes on where it was; `threads`: None is the command's own choice."""
    again = os.path.exists(os.path.join(run, "args.json"))
    start = ["--resume", run] if again else [*words, "--out", run]
    now = ["--progress", "none", *(["--threads", threads] if threads else [])]
    subprocess.run([str(w) for w in [command, "train", *start, *now]], check=True)
    with open(os.path.join(run, "results.csv")) as f:
        return [float(row[column]) for row in csv.DictReader(f)]


def mean_and_spread(values):
    return statistics.mean(values), (statistics.stdev(values) if len(values) > 1 else float("nan"))


def compared(ours, published):
    """The difference of the means ± what of it may be chance (twice its standard error, by the spread of the seeds), and a verdict."""
    (m1, s1), (m2, s2) = mean_and_spread(ours), mean_and_spread(published)
    if min(len(ours), len(published)) < 2:
        return f"{m1 - m2:+.4f}", "one seed: no noise known"
    noise = 2 * (s1 * s1 / len(ours) + s2 * s2 / len(published)) ** 0.5
    return f"{m1 - m2:+.4f} ± {noise:.4f}", "above" if m1 >= m2 else "within" if m1 - m2 >= -noise else "**below**"
