#!/usr/bin/env python3
"""Writes the pictures that fuzzing begins with, tests/fuzz/seeds_pictures/: every format in its main forms, small.

    scripts/golden/make_fuzz_seeds.py        (needs Pillow and numpy; the committed ones are of Pillow 13.0)
"""
import pathlib
import struct

import numpy
from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/fuzz/seeds_pictures"


def scene(width=19, height=13, seed=0):
    y, x = numpy.mgrid[0:height, 0:width]
    pixels = numpy.stack([x * 13 + seed, y * 19, (x * y * 3) ^ 85], axis=2)
    return Image.fromarray((pixels % 256).astype("uint8"))


def bmp(name, packing, bits, pixels, between=b"", width=4, height=2):
    """A BMP of pixel data that Pillow does not write; `between`: masks or palette."""
    at = 14 + 40 + len(between)
    header = struct.pack("<2sIHHI", b"BM", at + len(pixels), 0, 0, at)
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, packing, len(pixels), 0, 0, 0, 0)
    (FOLDER / name).write_bytes(header + between + pixels)


def main():
    FOLDER.mkdir(exist_ok=True)
    picture, other = scene(), scene(seed=77)
    exif = Image.Exif()
    exif[0x112] = 6
    picture.save(FOLDER / "baseline.jpg", quality=60, exif=exif)
    picture.save(FOLDER / "progressive.jpg", quality=60, progressive=True, subsampling=0)
    picture.convert("L").save(FOLDER / "grey-restarts.jpg", quality=60, restart_marker_blocks=2)
    picture.convert("CMYK").save(FOLDER / "cmyk.jpg", quality=40)
    picture.save(FOLDER / "rgb.png", exif=exif)
    picture.quantize(16).save(FOLDER / "palette.png", bits=4, transparency=3)
    picture.convert("RGBA").save(FOLDER / "rgba.png")
    Image.fromarray(numpy.arange(130, dtype="uint16").reshape(10, 13) * 500).save(FOLDER / "grey16.png")
    picture.convert("1").save(FOLDER / "bits.png")
    picture.save(FOLDER / "lossy.webp", quality=40, exif=exif)
    picture.save(FOLDER / "lossless.webp", lossless=True)
    picture.save(FOLDER / "animated.webp", save_all=True, append_images=[other], quality=30)
    picture.quantize(16).save(FOLDER / "plain.gif", interlace=0)
    picture.quantize(8).save(FOLDER / "animated.gif", save_all=True, append_images=[other.quantize(8)],
                             transparency=2, interlace=1)
    picture.save(FOLDER / "rgb.bmp")
    picture.quantize(16).save(FOLDER / "palette.bmp")
    picture.convert("1").save(FOLDER / "bits.bmp")
    palette = bytes(range(0, 128)) * 8
    bmp("rle8.bmp", 1, 8, bytes([3, 7, 1, 9, 0, 0, 0, 3, 1, 2, 3, 0, 0, 2, 1, 0, 0, 1]), palette)
    bmp("rle4.bmp", 2, 4, bytes([4, 0x12, 0, 0, 0, 4, 0x34, 0x56, 0, 1]), palette[:64])
    bmp("fields16.bmp", 3, 16, bytes(range(16)), struct.pack("<III", 0xF800, 0x7E0, 0x1F))


if __name__ == "__main__":
    main()
