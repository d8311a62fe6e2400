"""What the scripts that write vectors of Pillow's resizing share: filters, the noise's generator, hash and file."""
import json
import os
import sys

import PIL
from PIL import Image

FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def stream(seed, count):
    """`count` states of x <- 1664525 x + 1013904223 mod 2^32, the first one after the seed."""
    x = seed
    for _ in range(count):
        x = (1664525 * x + 1013904223) & 0xFFFFFFFF
        yield x


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "%016x" % h


def write(name, seed, cases):
    """tests/golden/NAME_vectors.json, a line for each case."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = os.path.join(root, "tests", "golden", name + "_vectors.json")
    lines = [json.dumps(c, separators=(",", ":")) for c in cases]
    head = {"made_by": f"scripts/golden/make_{name}_vectors.py", "pillow": PIL.__version__, "seed": seed}
    with open(path, "w") as f:
        f.write('{"head":%s,\n"cases":[\n%s\n]}\n' % (json.dumps(head), ",\n".join(lines)))
    print(path, len(lines), "cases", os.path.getsize(path), "bytes", file=sys.stderr)
