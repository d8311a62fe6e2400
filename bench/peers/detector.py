#!/usr/bin/env python3
"""Speed of a training step of Faster or Mask R-CNN in PyTorch, as one process: the published RevBiFPN backbone with its neck,
HRFPN and heads from a file that defines them, torchvision's RoIAlign and NMS; prints one JSON line.

usage: detector.py --official DIR --peer FILE.py [--model s0] [--imgsz 512] [--batch 2] [--task detect|segment] [--fpn 256]
                   [--fc 1024] [--classes 80] [--activations stored|reversible] [--steps 3] [--threads 2]
FILE.py defines Detector, anchors, encode, assign, proposals and roi, and then runs something, from `S = json.load` on, which is
cut off. Weights are random, norms in inference mode, 256 anchors and 512 boxes a picture are drawn, eight objects a picture;
channels_last. One step of warm-up is not counted."""
import argparse, contextlib, io, json, os, resource, sys, time, warnings

warnings.filterwarnings("ignore")
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
os.environ["OFFICIAL"] = os.path.realpath(a.official)
a.peer = os.path.realpath(a.peer)
os.chdir(os.path.dirname(a.peer))  # it reads a neighbour
with open(a.peer) as f:
    source = f.read().split("\nS = json.load")[0]
peer = {}
exec(compile(source, a.peer, "exec"), peer)
import torch
import torch.nn.functional as F
from torchvision.ops import roi_align

torch.manual_seed(0)
torch.set_num_threads(a.threads)
SIDE, OBJECTS = a.imgsz, 8
spec = {"arch": "revbifpn_" + a.model, "fpn": a.fpn, "fc": a.fc, "classes": a.classes, "mask": a.task == "segment"}
model = peer["Detector"](spec)
if a.activations == "reversible":
    with contextlib.redirect_stdout(io.StringIO()):
        model.backbone = peer["R"].RevBiFPN_S(arch=spec["arch"], classes=0, stochastic_depth=0.0)
model.eval()
model = model.to(memory_format=torch.channels_last)
x = torch.randn(a.batch, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)


def objects():
    size = SIDE * (0.05 + 0.45 * torch.rand(OBJECTS, 2))
    corner = torch.rand(OBJECTS, 2) * (SIDE - size)
    return torch.cat([corner, corner + size], 1), torch.randint(a.classes, (OBJECTS,))


truth = [objects() for _ in range(a.batch)]


def draw(assigned, count, share):
    """Indices of a random subset of those with an object and of the others."""
    positive, negative = (assigned > 0).nonzero()[:, 0], (assigned == 0).nonzero()[:, 0]
    positive = positive[torch.randperm(len(positive))[:int(count * share)]]
    negative = negative[torch.randperm(len(negative))[:count - len(positive)]]
    return positive, negative


def rpn_losses(out, anchors):
    """Sums of both losses over the drawn anchors, and what they are divided by."""
    total, score, box = 0, 0, 0
    for n, (boxes, _) in enumerate(truth):
        assigned = peer["assign"](anchors, boxes, 0.7, 0.3, 0.3)
        positive, negative = draw(assigned, 256, 0.5)
        total += max(len(positive), 1) + max(len(negative), 1)
        scores, codes = torch.cat([o[0][n] for o in out]), torch.cat([o[1][n] for o in out])
        target = torch.cat([torch.ones(len(positive)), torch.zeros(len(negative))])
        score = score + F.binary_cross_entropy_with_logits(scores[torch.cat([positive, negative])], target, reduction="sum")
        wanted = peer["encode"](anchors[positive], boxes[assigned[positive] - 1], [1, 1, 1, 1])
        box = box + (codes[positive] - wanted).abs().sum()
    return (score + box) / total


def mask_losses(features, rois, which, labels):
    logits = model.roi_head.mask_head(peer["roi"](features, rois, 14))
    full = torch.zeros(1, SIDE, SIDE)
    target = torch.zeros(len(rois), 28, 28)
    for i, (image, object_) in enumerate(which):
        x1, y1, x2, y2 = truth[image][0][object_].int().tolist()
        full.zero_()
        full[:, :, x1:x2 + 1] = 1
        target[i] = (roi_align(full[None], rois[i:i + 1] * torch.tensor([0, 1, 1, 1, 1]), 28, 1.0, 0, True)[0, 0] >= 0.5).float()
    return F.binary_cross_entropy_with_logits(logits[torch.arange(len(logits)), labels], target)


def head_losses(features, out, anchors):
    rois, labels, codes, with_object, which = [], [], [], [], []
    for n, (boxes, classes) in enumerate(truth):
        with torch.no_grad():
            found, _ = peer["proposals"](out, anchors, n, 2000, 1000, SIDE, SIDE)
        assigned = torch.cat([torch.arange(1, OBJECTS + 1), peer["assign"](found, boxes, 0.5, 0.5, 0.5 if spec["mask"] else None)])
        boxes_all = torch.cat([boxes, found])
        positive, negative = draw(assigned, 512, 0.25)
        taken = torch.cat([positive, negative])
        rois.append(torch.cat([torch.full((len(taken), 1), float(n)), boxes_all[taken]], 1))
        labels.append(torch.cat([classes[assigned[positive] - 1], torch.full((len(negative),), a.classes)]))
        codes.append(peer["encode"](boxes_all[positive], boxes[assigned[positive] - 1], [0.1, 0.1, 0.2, 0.2]))
        with_object.append(torch.cat([torch.ones(len(positive)), torch.zeros(len(negative))]).bool())
        which += [(n, int(k) - 1) for k in assigned[positive]]
    rois, labels, codes, with_object = torch.cat(rois), torch.cat(labels), torch.cat(codes), torch.cat(with_object)
    scores, deltas = model.roi_head.bbox_head(peer["roi"](features, rois, 7))
    loss = F.cross_entropy(scores, labels, reduction="sum") / len(rois)
    own = deltas[with_object].reshape(-1, a.classes, 4)[torch.arange(int(with_object.sum())), labels[with_object]]
    loss = loss + (own - codes).abs().sum() / len(rois)
    return loss + mask_losses(features, rois[with_object], which, labels[with_object]) if spec["mask"] else loss


def step():
    optimizer.zero_grad(set_to_none=True)
    features = model.neck(model.backbone(x.clone()))
    out = model.rpn_head(features)
    levels = peer["anchors"]([f.shape[2:] for f in features], torch.float32)
    (rpn_losses(out, torch.cat(levels)) + head_losses(features, out, levels)).backward()
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
