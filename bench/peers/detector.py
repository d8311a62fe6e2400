#!/usr/bin/env python3
"""Speed of a training step of Faster or Mask R-CNN in PyTorch (detector_peer.py), as one process; prints one JSON line.

usage: detector.py --official DIR --peer FILE.py [--model s0] [--imgsz 512] [--batch 2] [--task detect|segment] [--fpn 256]
                   [--fc 1024] [--classes 80] [--activations stored|reversible] [--steps 3] [--threads 2]
Weights are random, norms in inference mode, 256 anchors and 512 boxes a picture are drawn, eight objects a picture;
channels_last. One step of warm-up is not counted."""
import argparse, json, resource, time, warnings

warnings.filterwarnings("ignore")
import torch

import detector_peer

p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--peer", required=True)
p.add_argument("--model", default="s0")
p.add_argument("--imgsz", type=int, default=512)
p.add_argument("--batch", type=int, default=2)
p.add_argument("--task", default="detect", choices=["detect", "segment"])
p.add_argument("--fpn", type=int, default=256)
p.add_argument("--fc", type=int, default=1024)
p.add_argument("--classes", type=int, default=80)
p.add_argument("--activations", default="stored", choices=["stored", "reversible"])
p.add_argument("--steps", type=int, default=3)
p.add_argument("--threads", type=int, default=2)
a = p.parse_args()

torch.manual_seed(0)
torch.set_num_threads(a.threads)
SIDE, OBJECTS = a.imgsz, 8
peer = detector_peer.definition(a.peer, a.official)
spec = {"arch": "revbifpn_" + a.model, "fpn": a.fpn, "fc": a.fc, "classes": a.classes, "mask": a.task == "segment"}
model = detector_peer.build(peer, spec, a.activations == "reversible").eval()
x = torch.randn(a.batch, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)


def picture():
    size = SIDE * (0.05 + 0.45 * torch.rand(OBJECTS, 2))
    corner = torch.rand(OBJECTS, 2) * (SIDE - size)
    boxes = torch.cat([corner, corner + size], 1)

    def mask(i):
        x1, y1, x2, y2 = boxes[i].int().tolist()
        full = torch.zeros(SIDE, SIDE)
        full[y1:y2 + 1, x1:x2 + 1] = 1
        return full
    return {"boxes": boxes, "labels": torch.randint(a.classes, (OBJECTS,)), "size": (SIDE, SIDE), "mask": mask}


truth = [picture() for _ in range(a.batch)]


def step():
    optimizer.zero_grad(set_to_none=True)
    detector_peer.loss_of(peer, model, x, truth, spec).backward()
    optimizer.step()


seconds = []
for i in range(a.steps + 1):
    start = time.perf_counter()
    step()
    if i:
        seconds.append(time.perf_counter() - start)
seconds.sort()
print(json.dumps({
    "images_per_second_best": a.batch / seconds[0],
    "images_per_second_median": a.batch / seconds[len(seconds) // 2],
    "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "torch": torch.__version__}), flush=True)
