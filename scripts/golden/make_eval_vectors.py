#!/usr/bin/env python3
"""Writes tests/golden/eval_vectors.json: what timm's evaluation transform (resize of the short side to
floor(size / crop_pct), bicubic, then the centre) makes of a picture, by Pillow alone.
usage: make_eval_vectors.py > tests/golden/eval_vectors.json    (Pillow, numpy)"""
import json
import math
import zlib

import numpy
import PIL
from PIL import Image


def picture(width, height):
    y, x, c = numpy.mgrid[0:height, 0:width, 0:3]
    return Image.fromarray(((x * 7 + y * 13 + c * 29 + x * y % 31) & 255).astype(numpy.uint8))


def evaluate(image, size, crop_pct):
    short = math.floor(size / crop_pct)
    width, height = image.size
    new = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    resized = image.resize(new, Image.Resampling.BICUBIC)
    left, top = (int(round((n - size) / 2)) for n in new)
    return short, resized.crop((left, top, left + size, top + size))


def main():
    cases = []
    for width, height in ((500, 375), (333, 517)):
        image = picture(width, height)
        for size in (224, 256, 288, 320, 352):
            for crop_pct in (0.875, 0.9, 0.95, 1.0):
                short, result = evaluate(image, size, crop_pct)
                cases.append({"width": width, "height": height, "size": size, "crop_pct": crop_pct, "short": short,
                              "crc32": zlib.crc32(numpy.asarray(result).tobytes())})
    lines = ",\n".join("  " + json.dumps(c) for c in cases)
    print(f'{{"pillow": "{PIL.__version__}", "cases": [\n{lines}\n]}}')


main()
