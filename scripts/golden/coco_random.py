#!/usr/bin/env python3
"""Makes random annotation and result files and judges them with pycocotools and with `revbifpn eval`: the twelve numbers,
and those of every category, must agree to 1e-12.

usage: coco_random.py [--sets 200] [--seed 0] [--command build/revbifpn] [--keep DIR]
       coco_random.py --golden tests/golden/coco_sets.json     writes four small sets and their numbers for tests/eval
Needs numpy and pycocotools. The sets have crowd regions, equal scores, classes without objects or without detections,
areas on the limits, more than 100 detections of a class in a picture, polygons of several parts, compressed and plain run
lengths, masks of another size than the picture, pictures without anything. A set that differs is kept in DIR."""
import argparse, contextlib, io, json, os, subprocess, sys, tempfile
from importlib.metadata import version

import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

LIMIT = 1e-12  # sums of up to 80·1010 doubles, taken in another order


def polygon(rng, box, step):
    """Corners around the middle of a box, in order of their angle, a few outside of the picture."""
    x, y, w, h = box
    count = int(rng.integers(3, 12))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = rng.uniform(0.4, 1.1, count)
    points = np.stack([x + w / 2 + radii * np.cos(angles) * w / 2, y + h / 2 + radii * np.sin(angles) * h / 2], 1)
    return [round(float(v), 4 if step else 2) for v in points.ravel()]


def bits_of(rng, box, height, width):
    bits = np.zeros((height, width), np.uint8, order="F")
    x, y, w, h = (int(v) for v in box)
    bits[max(y, 0):y + h, max(x, 0):x + w] = 1
    if rng.random() < 0.5:
        bits[rng.random((height, width)) < 0.05] ^= 1
    return bits


def plain_counts(bits):
    flat = bits.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return ([0] if flat[0] else []) + runs


def outline(rng, box, height, width, forms):
    form = rng.choice(forms)
    if form == "polygons":
        return [polygon(rng, box, rng.random() < 0.3) for _ in range(int(rng.integers(1, 4)))]
    bits = bits_of(rng, box, height, width)
    if form == "plain":
        return {"size": [height, width], "counts": plain_counts(bits)}
    return {"size": [height, width], "counts": mask_utils.encode(bits)["counts"].decode()}


def near(rng, segment, height, width):
    """A mask like another one: moved a little, a few pixels changed."""
    rle = segment
    if isinstance(segment, list):
        rle = mask_utils.merge(mask_utils.frPyObjects(segment, height, width))
    elif isinstance(segment["counts"], list):
        rle = mask_utils.frPyObjects(segment, height, width)
    bits = np.roll(mask_utils.decode(rle), rng.integers(-1, 2, 2) * int(rng.integers(0, 4)), (0, 1))
    bits ^= (rng.random(bits.shape) < rng.choice([0, 0.001, 0.01])).astype(np.uint8)
    return {"size": [height, width], "counts": mask_utils.encode(np.asfortranarray(bits))["counts"].decode()}


def random_box(rng, height, width, whole):
    w, h = np.exp(rng.uniform(np.log(3), np.log(width))), np.exp(rng.uniform(np.log(3), np.log(height)))
    box = [rng.uniform(-2, width - w + 2), rng.uniform(-2, height - h + 2), w, h]
    if rng.random() < 0.15:  # areas on the limits
        side = float(rng.choice([32, 96]))
        box[2:] = [side, side]
    return [float(round(v)) if whole else round(float(v), 3) for v in box]


def jitter(rng, box, whole):
    scale = rng.choice([0, 0.02, 0.1, 0.3])
    moved = [v + rng.normal() * scale * box[2 + i % 2] for i, v in enumerate(box)]
    moved[2:] = [max(1.0, v) for v in moved[2:]]
    return [float(round(v)) if whole else float(v) for v in moved]


def make(rng, kind):
    """One set: ground truth, results."""
    categories = sorted(rng.choice(np.arange(1, 91), int(rng.integers(1, 9)), replace=False).tolist())
    count, whole = int(rng.integers(1, 13)), rng.random() < 0.3
    ids = rng.choice(np.arange(1, 10000), count, replace=False).tolist()
    sizes = {i: (int(rng.integers(20, 200)), int(rng.integers(20, 200))) for i in ids}
    scores = [None, 0.1, 0.5][int(rng.integers(3))]  # None: all different; else steps, so that many are equal
    silent = set(categories[:1]) if rng.random() < 0.3 else set()  # no objects
    undetected = set(categories[-1:]) if rng.random() < 0.3 else set()
    annotations, results = [], []

    def score():
        s = float(rng.random())
        return s if scores is None else round(s / scores) * scores

    def add_result(image, category, box, like=None):
        height, width = sizes[image]
        r = {"image_id": image, "category_id": category, "score": score()}
        if kind == "bbox":
            r["bbox"] = box
        else:
            wrong = rng.random() < 0.02  # a mask of another size never matches
            r["segmentation"] = near(rng, like, height, width) if like and rng.random() < 0.7 else \
                outline(rng, box, height + wrong, width, ["string"])
        results.append(r)

    for image in ids:
        height, width = sizes[image]
        if rng.random() < 0.15:
            continue  # nothing there
        for category in categories:
            boxes = [random_box(rng, height, width, whole) for _ in range(int(rng.poisson(1.5)))]
            if rng.random() < 0.05:
                boxes += [random_box(rng, height, width, whole) for _ in range(20)]
            segments = [None] * len(boxes)
            for i, box in enumerate(boxes if category not in silent else []):
                crowd = int(rng.random() < 0.12)
                forms = ["plain", "string"] if crowd else ["polygons", "polygons", "string"]
                segment = segments[i] = outline(rng, box, height, width, forms)
                area = box[2] * box[3] if rng.random() < 0.5 else float(round(box[2] * box[3] * rng.uniform(0.5, 1)))
                annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": category, "bbox": box,
                                    "area": area, "iscrowd": crowd, "segmentation": segment})
            if category in undetected:
                continue
            for box, segment in zip(boxes, segments):
                for _ in range(int(rng.integers(0, 4))):
                    add_result(image, category, jitter(rng, box, whole), segment)
            for _ in range(int(rng.poisson(1)) if rng.random() > 0.03 else 130):
                add_result(image, category, random_box(rng, height, width, whole))
    if not results:
        add_result(ids[0], categories[0], [1.0, 1.0, 5.0, 5.0])
    order = rng.permutation(len(annotations))
    truth = {"images": [{"id": i, "height": sizes[i][0], "width": sizes[i][1], "file_name": f"{i}.jpg"} for i in ids],
             "annotations": [annotations[i] for i in order], "categories": [{"id": c, "name": f"c{c}"} for c in categories]}
    return truth, [results[i] for i in rng.permutation(len(results))]


def judged(gt, dt, kind):
    """The twelve numbers and AP, AP50, AR100 of each category, by pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(gt)
        e = COCOeval(coco, coco.loadRes(dt), kind)
        e.evaluate(), e.accumulate(), e.summarize()
    classes = {}
    for k, category in enumerate(e.params.catIds):
        p, r = e.eval["precision"][:, :, k, 0, -1], e.eval["recall"][:, k, 0, -1]
        classes[category] = [float(v[v > -1].mean()) if (v > -1).any() else -1.0 for v in (p, p[0], r)]
    return e.stats.tolist(), classes


def ours(command, gt, dt, kind):
    run = subprocess.run([command, "eval", "--gt", gt, "--dt", dt, "--type", kind, "--json", "--per-class"],
                         capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    said = json.loads(run.stdout)
    return said["stats"], {c["id"]: [c["stats"][i] for i in (0, 1, 8)] for c in said["per_class"]}


def write_golden(path):
    """Sets whose results have boxes and masks. The masks are judged without the boxes."""
    cases = []
    for number in range(1000):
        truth, results = make(np.random.default_rng([77, number]), "segm")
        if len(truth["annotations"]) < 8 or not 20 < len(results) < 60 or len(json.dumps([truth, results])) > 25000:
            continue
        with tempfile.TemporaryDirectory() as folder:
            gt, dt = os.path.join(folder, "gt.json"), os.path.join(folder, "dt.json")
            json.dump(truth, open(gt, "w")), json.dump(results, open(dt, "w"))
            case = {"truth": truth, "results": results, "segm": judged(gt, dt, "segm")[0]}
            for r in results:
                r["bbox"] = mask_utils.toBbox(r["segmentation"]).tolist()
            json.dump(results, open(dt, "w"))
            case["bbox"] = judged(gt, dt, "bbox")[0]
        if min(case["segm"][0], case["bbox"][0]) > 0.1:
            cases.append(case)
        if len(cases) == 4:
            break
    with open(path, "w") as f:
        f.write('{"pycocotools": "%s", "cases": [\n' % version("pycocotools"))
        f.write(",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--sets", type=int, default=200)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--command", default="build/revbifpn")
    p.add_argument("--keep", default="/tmp/coco_random")
    p.add_argument("--golden")
    a = p.parse_args()
    if a.golden:
        return write_golden(a.golden)
    worst, wrong = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(a.sets):
            kind = ["bbox", "segm"][number % 2]
            rng = np.random.default_rng([a.seed, number])
            truth, results = make(rng, kind)
            gt, dt = os.path.join(folder, "gt.json"), os.path.join(folder, "dt.json")
            json.dump(truth, open(gt, "w")), json.dump(results, open(dt, "w"))
            (stats, classes), (our_stats, our_classes) = judged(gt, dt, kind), ours(a.command, gt, dt, kind)
            far = max(abs(x - y) for x, y in zip(stats, our_stats))
            far = max([far] + [abs(x - y) for c in classes for x, y in zip(classes[c], our_classes[c])])
            worst = max(worst, far)
            if not far <= LIMIT:
                wrong += 1
                os.makedirs(a.keep, exist_ok=True)
                for name, value in (("gt", truth), ("dt", results)):
                    json.dump(value, open(os.path.join(a.keep, f"{number}-{kind}-{name}.json"), "w"))
                print(f"set {number} ({kind}) differs by {far:g}: {stats} {our_stats}")
    print(f"{a.sets} sets, largest difference {worst:g}, {wrong} beyond {LIMIT:g}")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
