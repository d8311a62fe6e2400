#!/usr/bin/env python3
"""Races `revbifpn eval` against pycocotools and faster-coco-eval on a set of val2017's size, interleaved, one meter for all:
wall time and peak memory of the whole process, from the files to the twelve numbers.

usage: coco_eval.py --python PYTHON [--rounds 5] [--images 5000] [--kinds bbox,segm] [--threads N] [--work DIR]
                    [--out bench/results/coco_eval.json] [--doc docs/detection.md]
PYTHON has numpy, pycocotools and faster-coco-eval (PyPI). The set is drawn once into DIR (minutes, a third of a gigabyte) and
found there the next time: 7.2 objects an image on average in 80 classes, 100 detections an image, near an object or anywhere.
The numbers must agree to 1e-12 before anything is timed. Alone, `--table` writes the document again from the JSON."""
import argparse, json, os, statistics, subprocess, sys, time

import meter

SEED, DETECTIONS, LIMIT = 2017, 100, 1e-12
GOALS = {"pycocotools": 10, "faster-coco-eval": 2}  # times as fast


def corners(rng, box, count):
    """Polygons around the middle of boxes: an array of `count` corners for each."""
    import numpy as np
    angles = np.sort(rng.uniform(0, 2 * np.pi, (len(box), count)), 1)
    radii = rng.uniform(0.6, 1, (len(box), count))
    x = box[:, :1] + box[:, 2:3] / 2 * (1 + radii * np.cos(angles))
    y = box[:, 1:2] + box[:, 3:] / 2 * (1 + radii * np.sin(angles))
    return np.stack([x, y], 2).reshape(len(box), 2 * count).round(2)


def boxes(rng, n, width, height):
    import numpy as np
    w, h = np.exp(rng.uniform(np.log(8), np.log(width), n)), np.exp(rng.uniform(np.log(8), np.log(height), n))
    return np.stack([rng.uniform(0, 1, n) * (width - w), rng.uniform(0, 1, n) * (height - h), w, h], 1).round(2)


def draw(folder, images):
    """gt.json, bbox.json and segm.json. Run by PYTHON."""
    import numpy as np
    from pycocotools import mask as mask_utils
    rng = np.random.default_rng(SEED)
    share = 1 / np.arange(3, 83)
    share /= share.sum()
    truth = {"images": [], "annotations": [], "categories": [{"id": i + 1, "name": f"class {i + 1}"} for i in range(80)]}
    comma = False
    files = {kind: open(os.path.join(folder, kind + ".json"), "w") for kind in ("bbox", "segm")}
    for number in range(1, images + 1):
        width, height = (640, 480) if rng.random() < 0.7 else (480, 640)
        truth["images"].append({"id": number, "width": width, "height": height, "file_name": f"{number:012d}.jpg"})
        n = int(rng.poisson(7.2))
        box, category = boxes(rng, n, width, height), rng.choice(80, n, p=share) + 1
        polygon = corners(rng, box, 24)
        runs = mask_utils.frPyObjects(polygon.tolist(), height, width) if n else []
        for i in range(n):
            crowd = rng.random() < 0.012
            segment = {"size": [height, width], "counts": runs[i]["counts"].decode()} if crowd else [polygon[i].tolist()]
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, "image_id": number, "category_id": int(category[i]),
                                         "bbox": box[i].tolist(), "area": float(mask_utils.area(runs[i])), "iscrowd": int(crowd),
                                         "segmentation": segment})
        found, found_category = boxes(rng, DETECTIONS, width, height), rng.choice(80, DETECTIONS, p=share) + 1
        found_polygon = corners(rng, found, 24)
        if n:  # half of them near an object
            near = rng.integers(0, n, DETECTIONS // 2)
            shift = rng.normal(0, 0.08, (len(near), 2)) * box[near, 2:]
            found[:len(near)] = box[near] + np.concatenate([shift, shift * 0], 1)
            found_category[:len(near)] = category[near]
            found_polygon[:len(near)] = polygon[near] + np.tile(shift, 24)
        score = np.sort(rng.random(DETECTIONS))[::-1]
        runs = mask_utils.frPyObjects(found_polygon.tolist(), height, width)
        for i in rng.permutation(DETECTIONS) if number % 10 == 0 else range(DETECTIONS):
            r = {"image_id": number, "category_id": int(found_category[i]), "score": float(score[i])}
            files["bbox"].write((",\n" if comma else "[") + json.dumps({**r, "bbox": found[i].tolist()}))
            segment = {"size": [height, width], "counts": runs[i]["counts"].decode()}
            files["segm"].write((",\n" if comma else "[") + json.dumps({**r, "segmentation": segment}))
            comma = True
    for f in files.values():
        f.write("]\n")
        f.close()
    with open(os.path.join(folder, "gt.json"), "w") as f:
        json.dump(truth, f)


def theirs(name, gt, dt, kind):
    """One of the others, alone in its process. Its last line is the JSON that the meter wants."""
    if name == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Eval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Eval
    coco = COCO(gt)
    e = Eval(coco, coco.loadRes(dt), kind)
    e.evaluate(), e.accumulate(), e.summarize()
    print()
    print(json.dumps({"stats": [float(v) for v in e.stats[:12]]}))


def contestants(a, kind):
    gt, dt = os.path.join(a.work, "gt.json"), os.path.join(a.work, kind + ".json")
    ours = [a.command, "eval", "--gt", gt, "--dt", dt, "--type", kind, "--json", "--threads", str(a.threads)]
    return {"ours": ours, **{name: [a.python, __file__, "--contestant", f"{name},{gt},{dt},{kind}"] for name in GOALS}}


def run(words):
    begin = time.monotonic()
    result = meter.measure(words, seconds=1800)
    if "failed" in result:
        raise SystemExit(f"{words[0]}: {result['failed']}")
    return {"seconds": time.monotonic() - begin, "peak_rss_bytes": result["peak_rss_bytes"], "stats": result["said"]["stats"]}


def race(a):
    rows, far = [], 0.0
    for kind in a.kinds.split(","):
        sides, runs = contestants(a, kind), {}
        for number in range(-1, a.rounds):  # the first round warms up the files, and its numbers are compared
            for name, words in sides.items():
                one = run(words)
                if number < 0:
                    first = runs.setdefault("stats", one["stats"])
                    far = max([far] + [abs(x - y) for x, y in zip(first, one["stats"])])
                    if not far <= LIMIT:
                        raise SystemExit(f"{kind}: {name} says {one['stats']}, not {first}")
                else:
                    runs.setdefault(name, []).append(one)
                print(kind, name, f"{one['seconds']:.2f} s, {one['peak_rss_bytes'] / 2**20:.0f} MiB", file=sys.stderr, flush=True)
        for name in sides:
            rows.append({"kind": kind, "side": name, "seconds": [r["seconds"] for r in runs[name]],
                         "peak_rss_bytes": max(r["peak_rss_bytes"] for r in runs[name])})
    versions = subprocess.run([a.python, "-c", "from importlib.metadata import version as v\n"
                               "print(v('pycocotools'), v('faster-coco-eval'), v('numpy'))"], capture_output=True, text=True, check=True)
    return {**meter.machine(), "threads": a.threads, "images": a.images, "versions": versions.stdout.split(), "largest_difference": far,
            "rows": rows}


def table(found):
    pycocotools, faster, numpy = found["versions"]
    lines = [f"Seconds of wall time, median of {len(found['rows'][0]['seconds'])} interleaved rounds (lowest … highest); "
             f"{found['images']} images, 100 detections each; {found['processor']}, {found['threads']} threads, pycocotools {pycocotools}, "
             f"faster-coco-eval {faster}, numpy {numpy}, {found['date']}, commit {found['commit']}.", "",
             "| type | side | seconds | ours is faster | peak RSS | goal |", "|---|---|---|---|---|---|"]
    for row in found["rows"]:
        ours = next(r for r in found["rows"] if r["kind"] == row["kind"] and r["side"] == "ours")
        middle, mine = statistics.median(row["seconds"]), statistics.median(ours["seconds"])
        goal = ""
        if row["side"] in GOALS:
            good = middle / mine >= GOALS[row["side"]] and ours["peak_rss_bytes"] < row["peak_rss_bytes"]
            goal = f"≥ {GOALS[row['side']]} ×, less memory: " + ("reached" if good else "**not reached**")
        lines.append(f"| {row['kind']} | {row['side']} | {middle:.2f} ({min(row['seconds']):.2f} … {max(row['seconds']):.2f}) | "
                     f"{middle / mine:.1f} × | {row['peak_rss_bytes'] / 2**20:.0f} MiB | {goal} |")
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--command", default="build/revbifpn")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--images", type=int, default=5000)
    p.add_argument("--kinds", default="bbox,segm")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--work", default="/tmp/revbifpn-coco-eval")
    p.add_argument("--out", default="bench/results/coco_eval.json")
    p.add_argument("--doc")
    p.add_argument("--draw", action="store_true", help="only draw the set, into --work")
    p.add_argument("--table", action="store_true")
    p.add_argument("--contestant")
    a = p.parse_args()
    if a.contestant:
        return theirs(*a.contestant.split(","))
    if a.draw:
        return draw(a.work, a.images)
    if not a.table:
        a.work = os.path.join(a.work, str(a.images))
        if not os.path.exists(os.path.join(a.work, "gt.json")):  # written last
            os.makedirs(a.work, exist_ok=True)
            subprocess.run([a.python, __file__, "--draw", "--work", a.work, "--images", str(a.images)], check=True)
        meter.save(a.out, race(a))
    with open(a.out) as f:
        found = json.load(f)
    print(table(found))
    if a.doc:
        meter.put_between(a.doc, "coco-eval", table(found))


if __name__ == "__main__":
    main()
