#!/usr/bin/env python3
"""Writes tests/golden/raster_vectors.json: what Pillow makes of 16-bit noise ("I;16"), cut to a box and resized.

Source samples are 8192 + the three high half-bytes (12 bits) of x <- 1664525 x + 1013904223 mod 2^32 times 12, started
at the case's seed: within 8192 ... 57332, so that no result leaves 0 ... 65535, where Pillow wraps. A result is kept as
the FNV-1a hash (64 bits) of its little-endian bytes. Run it with a Python that has Pillow and numpy.
"""
import random

import numpy
from PIL import Image

from resize_cases import FILTERS, fnv, stream, write

SEED = 20261129


def noise(width, height, seed):
    out = numpy.empty(width * height, numpy.uint16)
    for i, x in enumerate(stream(seed, out.size)):
        out[i] = 8192 + 12 * (x >> 20)
    return Image.fromarray(out.reshape(height, width))


def case(seed, src, box, dst, name):
    x, y, w, h = box
    picture = noise(*src, seed)
    assert picture.mode == "I;16", picture.mode
    result = numpy.asarray(picture.crop((x, y, x + w, y + h)).resize(dst, FILTERS[name]))
    return {"seed": seed, "src": src, "box": box, "dst": dst, "filter": name,
            "fnv1a": fnv(result.astype("<u2").tobytes())}


def cases():
    rng = random.Random(SEED)
    for i in range(80):
        side = 24 if i < 40 else 90
        src = [rng.randint(1, side), rng.randint(1, side)]
        w, h = rng.randint(1, src[0]), rng.randint(1, src[1])
        box = [rng.randint(0, src[0] - w), rng.randint(0, src[1] - h), w, h]
        dst = [rng.randint(1, side), rng.randint(1, side)]
        if i % 10 == 1:
            dst[0] = w
        if i % 10 == 2:
            dst[1] = h
        yield case(i + 1, src, box, dst, rng.choice(sorted(FILTERS)))
    for i, (src, dst) in enumerate([([9, 900], [5, 300]), ([9, 901], [5, 300]), ([3, 1200], [7, 5]),
                                    ([901, 9], [300, 5])]):
        for name in sorted(FILTERS):
            yield case(1000 + i, src, [0, 0] + src, dst, name)


write("raster", SEED, cases())
