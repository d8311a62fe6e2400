#!/usr/bin/env python3
"""Weights of this program in the published PyTorch code: load_state_dict(strict=True), then the same probabilities.

usage: load_into_published.py --official DIR --weights W.safetensors --pictures FOLDER [--command build/revbifpn] [--count 20]
Prepares each picture with Pillow as the file's metadata says, compares the published model's probabilities with those of
`revbifpn predict`, prints the largest difference, and fails above 1e-5. Needs torch, safetensors and Pillow."""
import argparse, contextlib, io, json, math, os, subprocess, sys, warnings

warnings.filterwarnings("ignore")
import numpy, torch
from PIL import Image
from safetensors import safe_open

p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--weights", required=True)
p.add_argument("--pictures", required=True)
p.add_argument("--command", default="build/revbifpn")
p.add_argument("--count", type=int, default=20)
a = p.parse_args()
sys.path.insert(0, a.official)
import revbifpn

with safe_open(a.weights, "pt") as f:
    metadata, state = f.metadata(), {k: f.get_tensor(k) for k in f.keys()}
config, prepare, classes = (json.loads(metadata[k]) for k in ("config", "preprocessing", "classes"))
with contextlib.redirect_stdout(io.StringIO()):
    model = revbifpn.RevBiFPN_S(arch="revbifpn_" + config["name"], classes=config["classes"])
model.load_state_dict(state, strict=True)
model.eval()
side = config["image_width"]
filter = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}[prepare["interpolation"]]


def tensor(path):
    im = Image.open(path).convert("RGB")
    short = math.floor(side / prepare["crop_pct"])
    w, h = im.size
    size = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
    im = im.resize(size, filter)
    left, top = round((im.size[0] - side) / 2), round((im.size[1] - side) / 2)
    pixels = numpy.asarray(im.crop((left, top, left + side, top + side)), numpy.float32)
    mean, std = (numpy.array(prepare[k], numpy.float32) for k in ("mean", "std"))
    return torch.from_numpy(((pixels - 255 * mean) / (255 * std)).transpose(2, 0, 1).copy())


paths = sorted(os.path.join(d, f) for d, _, files in os.walk(a.pictures) for f in files)[:: max(1, 7)][: a.count]
worst = 0
for path in paths:
    with torch.no_grad():
        want = torch.softmax(model(tensor(path)[None]), 1)[0]
    words = [a.command, "predict", "--weights", a.weights, "--source", path, "--topk", str(len(classes)), "--json"]
    got = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    for entry in got["predictions"]:
        worst = max(worst, abs(entry["probability"] - float(want[classes.index(entry["class"])])))
print(f"{len(paths)} pictures, {len(state)} tensors, largest difference of a probability: {worst:.2g}")
sys.exit(worst > 1e-5)
