#!/usr/bin/env python3
"""Polygons, and the masks that pycocotools draws of them, for tests/mask.

usage: make_mask_vectors.py [--count 300] [--out tests/golden/mask_vectors.json]
Needs numpy and pycocotools. The committed file has 300; with more, in a file of its own:
    make_mask_vectors.py --count 3000 --out /tmp/masks.json
    REVBIFPN_MASK_VECTORS=/tmp/masks.json ctest --test-dir build -R mask/mask"""
import argparse, json
from importlib.metadata import version

import numpy as np
from pycocotools import mask as mask_utils

p = argparse.ArgumentParser()
p.add_argument("--count", type=int, default=300)
p.add_argument("--out", default="tests/golden/mask_vectors.json")
a = p.parse_args()
rng = np.random.default_rng(19)


def draw():
    """Height, width and a polygon of 3 to 30 corners, a part of them outside, some with equal or whole coordinates."""
    height, width = (int(v) for v in rng.integers(1, 120, 2))
    corners = rng.uniform([-0.2 * width, -0.2 * height], [1.2 * width, 1.2 * height], (int(rng.integers(3, 31)), 2))
    if rng.random() < 0.5:  # small: around one place
        corners = corners.mean(0) + (corners - corners.mean(0)) * rng.uniform(0.02, 0.3)
    corners = corners.round(int(rng.choice([0, 1, 2, 2, 2, 6])))
    if rng.random() < 0.2:
        corners[1] = corners[0]
    return height, width, corners.ravel().tolist()


cases = []
for _ in range(a.count):
    height, width, polygon = draw()
    rle = mask_utils.frPyObjects([polygon], height, width)[0]
    cases.append({"height": height, "width": width, "polygon": polygon, "counts": rle["counts"].decode(),
                  "area": int(mask_utils.area(rle)), "box": mask_utils.toBbox(rle).tolist()})
with open(a.out, "w") as f:
    f.write('{"pycocotools": "%s", "cases": [\n' % version("pycocotools"))
    f.write(",\n".join(json.dumps(c) for c in cases))
    f.write("\n]}\n")
