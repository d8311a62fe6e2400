#!/usr/bin/env python3
"""Writes tests/io/pth/: small files as PyTorch saves them, and expected.json with the values that must come out.

usage: make_pth_files.py [FOLDER]       needs torch and numpy; the files of the tests were written by torch 2.15
Every file holds tensors with known values; a checkpoint has what timm puts beside them."""
import argparse, collections, json, os, sys

import numpy, torch

folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../tests/io/pth")
os.makedirs(folder, exist_ok=True)
base = torch.arange(24, dtype=torch.float32) / 8 - 1
shared = torch.tensor([1.5, -2.5, 3.5, 0.25])
NAMES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
special = [0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, float("inf"), float("-inf")]


def tensors():
    return collections.OrderedDict([
        ("plain", base.reshape(2, 3, 4).clone()),
        ("transposed", base.reshape(4, 6).t()),              # strides 1, 6
        ("part", base.reshape(4, 6)[1:3, 2:5]),              # an offset, and gaps, in the storage of the one above
        ("expanded", shared[:1].expand(3, 2)),               # strides 0
        ("tied.a", shared), ("tied.b", shared),              # one storage, twice
        ("tail", shared[2:]),
        ("parameter", torch.nn.Parameter(torch.tensor([[4.0], [5.0]]))),
        ("half", torch.tensor(special, dtype=torch.float16)),
        ("bfloat16", torch.tensor(special, dtype=torch.bfloat16)),
        ("double", torch.tensor([0.1, 1e-300, 3.0], dtype=torch.float64)),
        ("num_batches_tracked", torch.tensor(12345678901)),
        ("int32", torch.tensor([[-7]], dtype=torch.int32)),
        ("int16", torch.tensor([300, -300], dtype=torch.int16)),
        ("int8", torch.tensor([-128, 127], dtype=torch.int8)),
        ("uint8", torch.tensor([255, 0, 1], dtype=torch.uint8)),
        ("bool", torch.tensor([True, False])),
        ("empty", torch.zeros(3, 0, 2)),
        ("größe", torch.ones(1)),
    ])


def small():
    """As few bytes as show everything: for the test that cuts a file at every byte."""
    w = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    return collections.OrderedDict([("w", w), ("w.t", w.t()), ("half", torch.tensor([0.5], dtype=torch.float16)),
                                    ("n", torch.tensor(7))])


def checkpoint():
    module = torch.nn.BatchNorm2d(2)
    module.running_var += torch.tensor([0.5, 0.25])
    state = module.state_dict()                              # has _metadata
    parallel = collections.OrderedDict(("module." + k, v) for k, v in state.items())
    average = {k: v * 2 for k, v in state.items()}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    return {"epoch": 7, "arch": "revbifpn_s0", "state_dict": parallel, "state_dict_ema": average,
            "optimizer": optimizer.state_dict(), "version": 2, "metric": numpy.float64(76.25), "seen": numpy.int64(5),
            "args": argparse.Namespace(lr=0.1, opt="sgd", crop=None, sizes=(3, 224, 224), mean=[0.5, 2**70], amp=True),
            "shape": torch.Size([1, 2]), "text": b"bytes"}


def values(state):
    out = collections.OrderedDict()
    for name, t in state.items():
        t = t.detach()
        bits = t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex() if t.numel() else ""
        floats = [float.hex(x) for x in t.to(torch.float32).reshape(-1).tolist()] if t.is_floating_point() else None
        out[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "bytes": bits, "floats": floats}
    return out


def save(name, what, **options):
    torch.save(what, os.path.join(folder, name), **options)


LEGACY = {"_use_new_zipfile_serialization": False}
save("views.pth", tensors())
save("views-legacy.pth", tensors(), **LEGACY)
save("views-protocol4.pth", tensors(), pickle_protocol=4)
save("small.pth", small())
save("small-legacy.pth", small(), **LEGACY)
save("checkpoint.pth.tar", checkpoint())
save("checkpoint-legacy.pth.tar", checkpoint(), **LEGACY)
save("checkpoint-protocol5.pth.tar", checkpoint(), pickle_protocol=5)
save("model-key.pt", {"epoch": 1, "model": small()})
save("mmdetection.pth", {"meta": {"mmdet_version": "2.25.0", "CLASSES": ("red cell", 'a "b"', "größe"), "epoch": 12,
                                  "hook_msgs": {}}, "state_dict": small()})
save("mmdetection-one.pth", {"meta": {"CLASSES": "balloon"}, "state_dict": small()})  # a text: no list of names
state = checkpoint()
plain = collections.OrderedDict((k[len("module."):], v) for k, v in state["state_dict"].items())
expected = {"views": values(tensors()), "small": values(small()), "checkpoint": values(plain),
            "average": values(state["state_dict_ema"])}
with open(os.path.join(folder, "expected.json"), "w") as f:
    json.dump(expected, f, indent=0, ensure_ascii=False)
