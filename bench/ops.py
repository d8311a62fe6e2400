#!/usr/bin/env python3
"""Each kernel alone, on the calls that training steps really make, raced against oneDNN where that has the operator: 1×1
and depthwise convolution, forward, data gradient, weight gradient, float32.

usage: ops.py [--work s0:224:16,s3:288:2,s6:352:2] [--rounds 7] [--threads N] [--filter TEXT] [--openmp] [--build build]
              [--out bench/results/ops.json] [--doc docs/kernels.md]
       ops.py --table [--out …] [--doc …]: no run, only the tables of what --out holds

oneDNN comes from PyPI into a virtual environment below the build folder: the newest (which runs its primitives through
SYCL and TBB), or with --openmp the last that was published with OpenMP. bench/ops/*.c is compiled against it; nothing of
it belongs to the project's build, where `bench_ops` times our kernels alone.
With --doc the tables replace what is between `<!-- ops: begin -->` and `<!-- ops: end -->` of that file."""
import argparse, datetime, json, os, re, statistics, subprocess, sys, venv

import meter

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--work", default="s0:224:16,s3:288:2,s6:352:2")
p.add_argument("--rounds", type=int, default=7)
p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
p.add_argument("--filter", default="")
p.add_argument("--openmp", action="store_true")
p.add_argument("--out", default="bench/results/ops.json")
p.add_argument("--doc")
p.add_argument("--table", action="store_true")
a = p.parse_args()

SOURCES = [f"bench/ops/{name}.c" for name in ("race", "ours", "shapes", "theirs_onednn")]
FLAGS = ["-std=c17", "-O2", "-Iinclude", "-Isrc"]
LIBRARIES = "libjpeg libpng libwebp libwebpdemux jansson libxxhash".split()


def output(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def install():
    """The folder of a virtual environment that holds oneDNN."""
    packages = ["onednn-cpu-gomp", "onednn-devel-cpu-gomp"] if a.openmp else ["onednn", "onednn-devel"]
    home = os.path.abspath(f"{a.build}/{packages[0]}")
    if not os.path.exists(f"{home}/include/dnnl.h"):
        venv.create(home, with_pip=True)
        subprocess.run([f"{home}/bin/pip", "install", "--quiet", *packages], check=True)
    return home


def compile_race(home):
    subprocess.run(["cmake", "--build", a.build, "--target", "revbifpn_static"], check=True, stdout=sys.stderr)
    race = f"{home}/race"
    libraries = output("pkg-config", "--libs", *LIBRARIES).split()
    subprocess.run(["cc", *FLAGS, f"-I{home}/include", *SOURCES, f"{a.build}/librevbifpn.a", f"-L{home}/lib", "-ldnnl",
                    "-Wl,--allow-shlib-undefined", *libraries, "-lgif", "-lpthread", "-lm", "-o", race], check=True)
    return race


def run(race, home, work):
    env = {**os.environ, "LD_LIBRARY_PATH": f"{home}/lib", "OMP_NUM_THREADS": str(a.threads),
           "OCL_ICD_FILENAMES": f"{home}/lib/libintelocl.so"}
    processors = sorted(os.sched_getaffinity(0))[:a.threads]
    text = subprocess.run([race, work, str(a.threads), str(a.rounds), *([a.filter] if a.filter else [])], check=True, env=env,
                          stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, processors)).stdout
    head, *lines = map(json.loads, text.splitlines())
    for line in lines:
        for side in line.get("sides", {}).values():
            s = side.pop("seconds")
            side.update(median=statistics.median(s), least=min(s), most=max(s))
    return head, lines


def processor():
    with open("/proc/cpuinfo") as f:
        return next((line.split(": ", 1)[1].strip() for line in f if line.startswith("model name")), "unknown")


def measure():
    os.makedirs(os.path.dirname(a.out) or ".", exist_ok=True)
    home = install()
    race = compile_race(home)
    with open(f"{a.build}/CMakeCache.txt") as f:
        cache = dict(re.findall(r"^(\w+):\w+=(.*)$", f.read(), flags=re.M))
    found = {"date": datetime.date.today().isoformat(), "processor": processor(), "commit": output("git", "describe", "--always", "--dirty"),
             "compiler": output(cache["CMAKE_C_COMPILER"], "--version").splitlines()[0], "flags": cache["CMAKE_C_FLAGS_RELEASE"],
             "load": os.getloadavg()[0], "works": []}
    for work in a.work.split(","):
        head, lines = run(race, home, work)
        found.update(head)
        found["works"].append({"work": work, "calls": lines})
        with open(a.out, "w") as f: # after each network: a run that is stopped leaves what it has
            json.dump(found, f, indent=0)


def of(call, *sides):
    """Median seconds of sides that stand for one of ours together; None where one is missing."""
    if any(s not in call["sides"] for s in sides):
        return None
    return sum(call["sides"][s]["median"] for s in sides)


def times(call):
    """ours as the network runs it, ours plain, oneDNN on NHWC, oneDNN in its own layout"""
    passes = lambda layout: (f"{layout} data", f"{layout} weights") if call["backward"] else (layout,)
    return of(call, "ours"), of(call, "plain"), of(call, *passes("nhwc")), of(call, *passes("any"))


def best(call):
    return min((t for t in times(call)[2:] if t), default=None)


def share(x, y):
    return f"{x / y:.2f}" if x and y else "–"


def summary(calls):
    lines = ["| operator | calls | ours | ours plain | oneDNN, NHWC | oneDNN, its layout | plain against its better | kinds of calls lost |",
             "|---|---|---|---|---|---|---|---|"]
    for kind in ("pointwise", "depthwise"):
        for backward in (False, True):
            rows = [c for c in calls if c["kind"] == kind and c["backward"] == backward and best(c)]
            if not rows:
                continue
            total = lambda number: sum(c["calls"] * number(c) for c in rows)
            t = [1e3 * total(lambda c: times(c)[i] or 0) if all(times(c)[i] for c in rows) else None for i in range(4)]
            lost = sum(times(c)[1] > best(c) for c in rows)
            lines.append(f"| {kind} {'backward' if backward else 'forward'} | {sum(c['calls'] for c in rows)} | "
                         + " | ".join(f"{x:.1f} ms" if x else "–" for x in t)
                         + f" | {share(total(lambda c: times(c)[1]), total(best))} × | {lost} of {len(rows)} |")
    return lines + [""]


def rows(calls):
    """The ten that take most of a step, and all that lose."""
    raced = sorted((c for c in calls if best(c)), key=lambda c: -c["calls"] * times(c)[0])
    lines = ["| call | in a step | ours | ours plain | spread | oneDNN, NHWC | oneDNN, its layout | plain against its better |",
             "|---|---|---|---|---|---|---|---|"]
    for i, c in enumerate(raced):
        mine, plain, nhwc, free = times(c)
        if i >= 10 and plain <= best(c):
            continue
        s = c["sides"]["plain"]
        lines.append(f"| {c['call']} | {c['calls']} | " + " | ".join(f"{1e6 * x:.0f} µs" if x else "–" for x in (mine, plain))
                     + f" | {1e6 * s['least']:.0f} … {1e6 * s['most']:.0f} | "
                     + " | ".join(f"{1e6 * x:.0f} µs" if x else "–" for x in (nhwc, free)) + f" | {share(plain, best(c))} ×{' **lost**' if plain > best(c) else ''} |")
    return lines + [""]


def others(calls):
    """Our passes that oneDNN has no operator for."""
    lines = ["| pass | in a step | time | GB/s |", "|---|---|---|---|"]
    for c in sorted((c for c in calls if c["kind"] not in ("pointwise", "depthwise")), key=lambda c: -c["calls"] * c["sides"]["ours"]["median"])[:10]:
        t = c["sides"]["ours"]["median"]
        lines.append(f"| {c['call']} | {c['calls']} | {1e6 * t:.0f} µs | {c['gbytes'] / t:.0f} |")
    return lines + [""]


def tables(found):
    lines = [f"{found['processor']}, {found['threads']} threads, {found['kernels']} kernels ({found['compiler']}, {found['flags']}), commit "
             f"{found['commit']}; oneDNN {found['version']}, of which a call costs {found['idle_us']:.0f} µs at least; medians of {found['rounds']} "
             f"interleaved rounds, warm caches, {found['date']}, load {found['load']:.1f} at the start.", ""]
    for w in found["works"]:
        model, side, batch = w["work"].split(":")
        refused = [c["call"] for c in w["calls"] if "differ" in c]
        calls = [c for c in w["calls"] if "sides" in c]
        far = max((c.get("difference", 0) for c in calls), default=0)
        lines += [f"**{model.upper()} at {side} px, batch {batch}**, all calls of a training step; results differ by at most {far:.1g} of the largest value"
                  + (f"; not timed, because they differ by more: {', '.join(refused)}" if refused else "") + ".", ""]
        lines += summary(calls) + ["The ten that take most of the step, and all that lose:", ""] + rows(calls)
        lines += ["Passes without a counterpart, the ten that take most:", ""] + others(calls)
    return "\n".join(lines)


if not a.table:
    measure()
with open(a.out) as f:
    text = tables(json.load(f))
if not a.doc:
    print(text)
else:
    meter.put_between(a.doc, "ops", text.rstrip("\n"))
