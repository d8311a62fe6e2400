#!/usr/bin/env python3
"""Speed of ONNX Runtime on an exported model, as one process; prints one JSON line.

usage: onnx_runtime.py --folder FOLDER [--steps 10] [--threads 2]
FOLDER is what export.py wrote. One step of warm-up is not counted."""
import argparse, json, os, resource, time

import numpy, onnxruntime

p = argparse.ArgumentParser()
p.add_argument("--folder", required=True)
p.add_argument("--steps", type=int, default=10)
p.add_argument("--threads", type=int, default=2)
a = p.parse_args()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = a.threads
session = onnxruntime.InferenceSession(os.path.join(a.folder, "model.onnx"), options, providers=["CPUExecutionProvider"])
images = numpy.load(os.path.join(a.folder, "images.npy"))
seconds = []
for step in range(a.steps + 1):
    start = time.perf_counter()
    session.run(None, {"images": images})
    if step:
        seconds.append(time.perf_counter() - start)
seconds.sort()
print(json.dumps({
    "images_per_second_best": len(images) / seconds[0],
    "images_per_second_median": len(images) / seconds[len(seconds) // 2],
    "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "onnxruntime": onnxruntime.__version__}), flush=True)
