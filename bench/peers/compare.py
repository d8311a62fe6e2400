#!/usr/bin/env python3
"""Largest differences to the published code's output on the batch that export.py wrote; prints one JSON line.

usage: compare.py --folder FOLDER [--command build/revbifpn]
ONNX Runtime by logits; revbifpn, picture by picture, by the logarithms of all probabilities (the logits but for one
constant a picture)."""
import argparse, json, os, subprocess, tempfile

import numpy, onnxruntime

p = argparse.ArgumentParser()
p.add_argument("--folder", required=True)
p.add_argument("--command", default="build/revbifpn")
a = p.parse_args()


def log_probabilities(picture, classes):
    words = [a.command, "predict", "--weights", os.path.join(a.folder, "weights.safetensors"), "--source", picture,
             "--topk", str(classes), "--json"]
    got = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return numpy.log([e["probability"] for e in sorted(got["predictions"], key=lambda e: int(e["class"]))])


logits = numpy.load(os.path.join(a.folder, "logits.npy")).astype(float)
wanted = logits - numpy.log(numpy.exp(logits).sum(1, keepdims=True))
ours = numpy.stack([log_probabilities(os.path.join(a.folder, f"{i:03}.png"), logits.shape[1]) for i in range(len(logits))])
model = onnxruntime.InferenceSession(os.path.join(a.folder, "model.onnx"), providers=["CPUExecutionProvider"])
theirs = model.run(None, {"images": numpy.load(os.path.join(a.folder, "images.npy"))})[0]
print(json.dumps({"ours": float(abs(ours - wanted).max()), "ONNX Runtime": float(abs(theirs - logits).max())}))
