#!/usr/bin/env python3
"""Writes tests/golden/opencv_vectors.json: what OpenCV makes of noise, bilinear and nearest (src/image/opencv.h).

Source pixels are the high bytes of x <- 1664525 x + 1013904223 mod 2^32, started at the case's seed, three a pixel. Of a
bilinear result the FNV-1a hash (64 bits) is kept; of nearest the sources that columns and rows take, hashed as
little-endian 32-bit numbers. IPP, which some builds use and which may differ by 1, is switched off.
Run it with a Python that has opencv-python-headless and numpy: scripts/golden/make_opencv_vectors.py
"""
import json
import os
import random
import sys

import cv2
import numpy

SEED = 20261129


def noise(width, height, seed):
    out = numpy.empty(width * height * 3, numpy.uint8)
    x = seed
    for i in range(out.size):
        x = (1664525 * x + 1013904223) & 0xFFFFFFFF
        out[i] = x >> 24
    return out.reshape(height, width, 3)


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "%016x" % h


def nearest(n, m):
    """The source that each of m results takes, asked of OpenCV itself."""
    row = numpy.arange(n, dtype=numpy.int32).reshape(1, n).astype(numpy.float32)
    return cv2.resize(row, (m, 1), interpolation=cv2.INTER_NEAREST).reshape(m).astype("<u4")


def case(seed, src, dst):
    result = cv2.resize(noise(*src, seed), tuple(dst), interpolation=cv2.INTER_LINEAR)
    return {"seed": seed, "src": src, "dst": dst, "fnv1a": fnv(result.tobytes()),
            "columns": fnv(nearest(src[0], dst[0]).tobytes()), "rows": fnv(nearest(src[1], dst[1]).tobytes())}


def cases():
    rng = random.Random(SEED)
    for i in range(120):
        side = 20 if i < 60 else 120
        src, dst = [rng.randint(1, side), rng.randint(1, side)], [rng.randint(1, side), rng.randint(1, side)]
        if i % 8 == 1:
            src = [2 * dst[0], 2 * dst[1]]  # the average of four
        if i % 8 == 2:
            src = [2 * dst[0], 2 * dst[1] + 1]
        if i % 8 == 3:
            dst[0] = src[0]
        if i % 8 == 4:
            dst = list(src)
        if i % 8 == 5:
            src = [3 * dst[0], 3 * dst[1]]
        yield case(i + 1, src, dst)
    for i, (src, dst) in enumerate([([640, 480], [320, 240]), ([100, 75], [333, 250]), ([500, 333], [200, 133]),
                                    ([333, 500], [133, 200]), ([1, 300], [1, 77]), ([300, 1], [77, 1])]):
        yield case(1000 + i, src, dst)


def main():
    cv2.ipp.setUseIPP(False)
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = os.path.join(root, "tests", "golden", "opencv_vectors.json")
    lines = [json.dumps(c, separators=(",", ":")) for c in cases()]
    head = {"made_by": "scripts/golden/make_opencv_vectors.py", "opencv": cv2.__version__, "seed": SEED}
    with open(path, "w") as f:
        f.write('{"head":%s,\n"cases":[\n%s\n]}\n' % (json.dumps(head), ",\n".join(lines)))
    print(path, len(lines), "cases", os.path.getsize(path), "bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
