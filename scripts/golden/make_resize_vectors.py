#!/usr/bin/env python3
"""Writes tests/golden/resize_vectors.json: what Pillow makes of noise, cut to a box and resized.

Source pixels are the high bytes of x <- 1664525 x + 1013904223 mod 2^32, started at the case's seed. A result is kept
as the FNV-1a hash (64 bits) of its bytes and, when it is small, as the bytes themselves, so that a failure shows where.
Run it with a Python that has Pillow and numpy: scripts/golden/make_resize_vectors.py
"""
import random

import numpy
from PIL import Image

from resize_cases import FILTERS, fnv, stream, write

SEED = 20240611


def noise(width, height, seed):
    out = numpy.empty(width * height * 3, numpy.uint8)
    for i, x in enumerate(stream(seed, out.size)):
        out[i] = x >> 24
    return Image.fromarray(out.reshape(height, width, 3))


def case(seed, src, box, dst, name):
    x, y, w, h = box
    picture = noise(*src, seed).crop((x, y, x + w, y + h))
    data = picture.resize(dst, FILTERS[name]).tobytes()
    # what Pillow 9.4 makes of it: rows, then columns, whatever the sizes
    rows_first = picture.resize((dst[0], h), FILTERS[name]).resize(dst, FILTERS[name]).tobytes()
    entry = {"seed": seed, "src": src, "box": box, "dst": dst, "filter": name, "fnv1a": fnv(data),
             "rows_first_fnv1a": fnv(rows_first)}
    if len(data) <= 600:
        entry["hex"] = data.hex()
    return entry


def cases():
    rng = random.Random(SEED)
    for i in range(160):
        side = 24 if i < 60 else 150
        src = [rng.randint(1, side), rng.randint(1, side)]
        w, h = rng.randint(1, src[0]), rng.randint(1, src[1])
        if i % 3 == 0:
            w, h = src
        box = [rng.randint(0, src[0] - w), rng.randint(0, src[1] - h), w, h]
        dst = [rng.randint(1, side), rng.randint(1, side)]
        if i % 10 == 1:
            dst[0] = w
        if i % 10 == 2:
            dst[1] = h
        yield case(i + 1, src, box, dst, rng.choice(sorted(FILTERS)))
    # photographs, the sizes of the usual networks, and the aspect ratios where Pillow changes the order of its passes
    for i, (src, dst) in enumerate([([500, 375], [298, 224]), ([375, 500], [96, 96]), ([640, 480], [32, 32]),
                                    ([96, 96], [224, 224]), ([9, 900], [5, 300]), ([9, 901], [5, 300]),
                                    ([9, 901], [5, 901]), ([9, 901], [30, 1000]), ([3, 1200], [7, 5]),
                                    ([901, 9], [300, 5]), ([1, 500], [4, 3]), ([1500, 2], [1, 1])]):
        for name in sorted(FILTERS):
            yield case(1000 + i, src, [0, 0] + src, dst, name)


write("resize", SEED, cases())
