#!/usr/bin/env python3
"""The golden weights through `revbifpn export` and ONNX Runtime, against the published model's float64 logits.

usage: onnx_runtime.py [--golden tests/golden/s0_64_b2_c10.json] [--command build/revbifpn]
Weights and pictures follow the formula of the golden files (tests/golden/README.md); the logits must be within 1e-4
of the golden ones and, by `export --verify`, of the command's own. Needs numpy, safetensors, onnx and onnxruntime."""
import argparse, json, os, subprocess, sys, tempfile

import numpy, onnx, onnxruntime
from safetensors.numpy import save_file

p = argparse.ArgumentParser()
p.add_argument("--golden", default="tests/golden/s0_64_b2_c10.json")
p.add_argument("--command", default="build/revbifpn")
a = p.parse_args()
golden = json.load(open(a.golden))
n, h, w = golden["batch"], golden["height"], golden["width"]


def u(name, count):
    """u(name, i) in [-1, 1): FNV-1a of the name, then splitmix64."""
    state, mask = 0xCBF29CE484222325, (1 << 64) - 1
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 & mask
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(state) + (numpy.arange(count, dtype="u8") + numpy.uint64(1)) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z ^= z >> numpy.uint64(31)
    return (z >> numpy.uint64(11)).astype("f8") * 2.0**-53 * 2 - 1


def formula(name, t):
    v = u(name, t.size).reshape(t.shape)
    leaf = name.rsplit(".", 1)[1]
    if ".norm." in name:
        v = 1 + 0.1 * v if leaf in ("weight", "running_var") else 0.1 * v
    elif leaf == "bias":
        v = 0.1 * v
    else:
        v = v * (3 / (t.size / t.shape[0])) ** 0.5
    return v.astype("f4")


shapes = {name: t["shape"] for part in ("grad", "running") for name, t in golden["train"][part].items()}
weights = {name: formula(name, numpy.empty(shape)) for name, shape in shapes.items()}
for name in list(weights):
    if name.endswith(".running_mean"):
        weights[name.replace("running_mean", "num_batches_tracked")] = numpy.zeros((), "i8")
pictures = u("input", n * 3 * h * w).reshape(n, 3, h, w).astype("f4")
good = True
with tempfile.TemporaryDirectory() as folder:
    file, out = os.path.join(folder, "golden.safetensors"), os.path.join(folder, "golden.onnx")
    save_file(weights, file)
    for option in ([], ["--no-fold"], ["--dynamic-size"]):
        subprocess.run([a.command, "export", "--weights", file, "--imgsz", f"{w}x{h}", "--out", out, "--verify",
                        "--python", sys.executable, *option], check=True)
        onnx.checker.check_model(out, full_check=True)
        session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
        error = numpy.abs(session.run(["logits"], {"input": pictures})[0] - numpy.array(golden["eval"]["logits"])).max()
        good &= bool(error <= 1e-4)
        print(f"{' '.join(option) or 'folded'}: largest difference to the golden logits {error:.3g}, {'good' if good else 'TOO LARGE'}")
sys.exit(not good)
