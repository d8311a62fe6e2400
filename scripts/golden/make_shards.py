#!/usr/bin/env python3
"""Writes the small tar files of tests/data/shards/: the forms of tar that other programs make.
usage: make_shards.py DIR    (Python's tarfile; no other package)"""
import io
import struct
import sys
import tarfile
import zlib
from pathlib import Path


def png(red, green, blue):
    """A picture of 2 x 2 pixels of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = b"\0" + bytes((red, green, blue)) * 2
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 2)) +
            chunk(b"IEND", b""))


def add(tar, name, content, **more):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in more.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(content))


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    long_folder = "folder/" * 30
    for name, form in (("ustar", tarfile.USTAR_FORMAT), ("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT)):
        with tarfile.open(out / f"{name}.tar", "w", format=form) as tar:
            deep = "d" * 90 + "/" + "e" * 60 if form == tarfile.USTAR_FORMAT else long_folder + "e" * 120
            info = tarfile.TarInfo("folder")
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
            add(tar, f"{deep}/b.png", png(0, 0, 200))
            add(tar, f"{deep}/b.cls", b"1\n")
            add(tar, "a.json", b'{"caption": "x", "label": 0}', mtime=1.5)
            add(tar, "a.seg.png", png(1, 1, 1))  # two extensions: not the picture
            add(tar, "a.png", png(200, 0, 0))
            add(tar, "._a.png", b"of another system")
            link = tarfile.TarInfo("c.png")
            link.type, link.linkname = tarfile.SYMTYPE, "a.png"
            tar.addfile(link)
            add(tar, "notes.txt", b"no picture")
            add(tar, "d.PNG", png(0, 200, 0))
            add(tar, "d.cls", b" 2 ")


main()
