#!/usr/bin/env python3
"""Do revbifpn and every form of the published code compute the same? Fresh published weights (running statistics of one
batch), written as revbifpn reads them; two pictures; the logarithms of all probabilities compared, and the training loss
of the published forms among themselves. Prints the largest differences as one JSON line.

usage: same_outputs.py --official DIR --model s0 --imgsz 224 [--command build/revbifpn]
Needs torch, numpy, Pillow and safetensors."""
import argparse, contextlib, io, json, os, subprocess, sys, tempfile, warnings

warnings.filterwarnings("ignore")
p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--model", default="s0")
p.add_argument("--imgsz", type=int, default=224)
p.add_argument("--command", default="build/revbifpn")
a = p.parse_args()
import numpy, torch
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, a.official)
import revbifpn

MEAN, STD = numpy.array([0.485, 0.456, 0.406], numpy.float32), numpy.array([0.229, 0.224, 0.225], numpy.float32)


def published(**options):
    with contextlib.redirect_stdout(io.StringIO()):
        return revbifpn.RevBiFPN_S(arch="revbifpn_" + a.model, head_dropout=0.0, stochastic_depth=0.0, **options)


def normalised(pixels):
    return torch.from_numpy(((pixels.astype(numpy.float32) - 255 * MEAN) / (255 * STD)).transpose(0, 3, 1, 2).copy())


def weights():
    """A state dict whose running statistics are those of one batch, so that values are of the usual size."""
    model = published(disable_rev=True, disable_recomp=True)
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.momentum = None
    with torch.no_grad():
        model.train()(normalised(random.integers(0, 256, (4, a.imgsz, a.imgsz, 3), numpy.uint8)))
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


def form(state, channels_last=False, **options):
    """(log probabilities, training loss) of one form of the published code."""
    model, x = published(**options), images.clone()
    model.load_state_dict(state)
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    with torch.no_grad():
        said = torch.log_softmax(model.eval()(x.clone()).double(), 1)
    loss = torch.nn.functional.cross_entropy(model.train()(x.clone()), torch.arange(len(x)))
    return said.numpy(), float(loss.detach())


def ours(state, folder):
    """Log probabilities that `predict` gives for the same weights and pictures."""
    path, rows = os.path.join(folder, "weights.safetensors"), []
    config = {"base": a.model, "classes": 1000, "image_width": a.imgsz, "image_height": a.imgsz}
    prepare = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "crop_pct": 1, "interpolation": "bicubic"}
    save_file(state, path, {"format": "pt", "config": json.dumps(config), "classes": json.dumps([str(i) for i in range(1000)]),
                            "preprocessing": json.dumps(prepare), "grid": "22"})
    for picture in pixels:
        name = os.path.join(folder, "picture.png")
        Image.fromarray(picture).save(name)
        words = [a.command, "predict", "--weights", path, "--source", name, "--topk", "1000", "--json"]
        got = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        rows.append(numpy.log([e["probability"] for e in sorted(got["predictions"], key=lambda e: int(e["class"]))]))
    return numpy.stack(rows)


torch.manual_seed(0)
random = numpy.random.default_rng(0)
state = weights()
pixels = random.integers(0, 256, (2, a.imgsz, a.imgsz, 3), numpy.uint8)
images = normalised(pixels)
wanted, loss = form(state)
forms = [form(state, True), form(state, True, disable_rev=True, disable_recomp=True)]
with tempfile.TemporaryDirectory() as folder:
    found = abs(ours(state, folder) - wanted).max()
print(json.dumps({"ours": float(found), "published_forms": float(max(abs(f[0] - wanted).max() for f in forms)),
                  "published_losses": max(abs(f[1] - loss) for f in forms)}), flush=True)
