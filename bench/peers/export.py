#!/usr/bin/env python3
"""The published model, with weights, for a race in inference: into FOLDER go model.onnx (opset 17, fixed batch),
weights.safetensors (for revbifpn), the batch as pictures 000.png … and as images.npy (normalised, n,c,h,w), and the
published code's own logits.npy.

usage: export.py --official DIR --model s0 --imgsz 224 --batch 16 --folder FOLDER
The weights are fresh, the running statistics those of one batch of such pictures, so that values are of the usual size.
Needs torch, onnx, numpy, Pillow and safetensors."""
import argparse, contextlib, io, json, os, sys, warnings

warnings.filterwarnings("ignore")
import numpy, torch
from PIL import Image
from safetensors.torch import save_file

p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--model", required=True)
p.add_argument("--imgsz", type=int, required=True)
p.add_argument("--batch", type=int, required=True)
p.add_argument("--folder", required=True)
a = p.parse_args()
sys.path.insert(0, a.official)
import revbifpn

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def normalised(pixels):
    mean, std = numpy.array(MEAN, numpy.float32), numpy.array(STD, numpy.float32)
    return torch.from_numpy(((pixels.astype(numpy.float32) - 255 * mean) / (255 * std)).transpose(0, 3, 1, 2).copy())


def random_pictures(seed, count):
    return numpy.random.default_rng(seed).integers(0, 256, (count, a.imgsz, a.imgsz, 3), numpy.uint8)


def model_with_statistics():
    with contextlib.redirect_stdout(io.StringIO()):
        model = revbifpn.RevBiFPN_S(arch="revbifpn_" + a.model, disable_rev=True, disable_recomp=True)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean over all batches seen: here of one
    with torch.no_grad():
        model.train()(normalised(random_pictures(1, 8)))
    return model.eval()


torch.manual_seed(0)
model = model_with_statistics()
pixels = random_pictures(0, a.batch)
images = normalised(pixels)
with torch.no_grad():
    logits = model(images.clone())
    torch.onnx.export(model, (images.clone(),), os.path.join(a.folder, "model.onnx"), opset_version=17, dynamo=False,
                      input_names=["images"], output_names=["logits"])
for i, picture in enumerate(pixels):
    Image.fromarray(picture).save(os.path.join(a.folder, f"{i:03}.png"))
numpy.save(os.path.join(a.folder, "images.npy"), images.numpy())
numpy.save(os.path.join(a.folder, "logits.npy"), logits.numpy())
config = {"base": a.model, "classes": logits.shape[1], "image_width": a.imgsz, "image_height": a.imgsz}
prepare = {"mean": MEAN, "std": STD, "crop_pct": 1, "interpolation": "bicubic"}
save_file({k: v.contiguous() for k, v in model.state_dict().items()}, os.path.join(a.folder, "weights.safetensors"), {
    "format": "pt", "config": json.dumps(config), "classes": json.dumps([str(i) for i in range(logits.shape[1])]),
    "preprocessing": json.dumps(prepare), "grid": "22"})
