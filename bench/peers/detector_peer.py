"""The detector in PyTorch that this program is measured against: the published RevBiFPN backbone with its neck, HRFPN and heads from
a file that defines them, torchvision's RoIAlign and NMS; its losses on anchors and boxes that are drawn.

The file defines Detector, anchors, encode, decode, assign, proposals and roi, and then runs something, from `S = json.load` on,
which is cut off. The truth of a picture is a dict: boxes (n,4), labels (n), size (height, width, before padding) and mask, a
function from an object's index to its mask (height, width of the batch)."""
import contextlib, io, math, os

import torch
import torch.nn.functional as F
from torchvision.ops import nms, roi_align

STRIDES = (4, 8, 16, 32, 64)


def definition(path, official):
    """The names that the file defines. The process moves to its folder: it reads a neighbour."""
    os.environ["OFFICIAL"] = os.path.realpath(official)
    path = os.path.realpath(path)
    os.chdir(os.path.dirname(path))
    with open(path) as f:
        source = f.read().split("\nS = json.load")[0]
    names = {}
    exec(compile(source, path, "exec"), names)
    return names


def build(peer, spec, reversible=False):
    model = peer["Detector"](spec)
    if reversible:
        with contextlib.redirect_stdout(io.StringIO()):
            model.backbone = peer["R"].RevBiFPN_S(arch=spec["arch"], classes=0, stochastic_depth=0.0)
    return model.to(memory_format=torch.channels_last)


def draw(assigned, count, share):
    """Indices of a random subset of those with an object and of the others."""
    positive, negative = (assigned > 0).nonzero()[:, 0], (assigned == 0).nonzero()[:, 0]
    positive = positive[torch.randperm(len(positive))[:int(count * share)]]
    negative = negative[torch.randperm(len(negative))[:count - len(positive)]]
    return positive, negative


def padded(size):
    return [-(-side // 32) * 32 for side in size]


def valid_anchors(shapes, size):
    """Anchors in cells of the picture's own padded size; shapes: (h, w) of each level."""
    found = []
    for (h, w), stride in zip(shapes, STRIDES):
        cell = torch.arange(h * w * 3) // 3
        high, wide = (math.ceil(side / stride) for side in padded(size))
        found.append((cell // w < high) & (cell % w < wide))
    return torch.cat(found)


def rpn_losses(peer, out, anchors, shapes, truth):
    """Of scores and of boxes, over the drawn anchors of all pictures."""
    total, score, box = 0, 0, 0
    for n, t in enumerate(truth):
        assigned = peer["assign"](anchors, t["boxes"], 0.7, 0.3, 0.3)
        assigned[~valid_anchors(shapes, t["size"])] = -1
        positive, negative = draw(assigned, 256, 0.5)
        total += max(len(positive), 1) + max(len(negative), 1)
        scores, codes = torch.cat([o[0][n] for o in out]), torch.cat([o[1][n] for o in out])
        target = torch.cat([torch.ones(len(positive)), torch.zeros(len(negative))])
        score = score + F.binary_cross_entropy_with_logits(scores[torch.cat([positive, negative])], target, reduction="sum")
        if len(positive):
            wanted = peer["encode"](anchors[positive], t["boxes"][assigned[positive] - 1], [1, 1, 1, 1])
            box = box + (codes[positive] - wanted).abs().sum()
    return (score + box) / total


def drawn_boxes(peer, out, anchors, truth, spec):
    """Boxes that the heads learn from: rois (k,5), labels, codes, whether there is an object, and (picture, object) of those."""
    rois, labels, codes, with_object, which = [], [], [], [], []
    for n, t in enumerate(truth):
        boxes, count = t["boxes"], len(t["boxes"])
        with torch.no_grad():
            found, _ = peer["proposals"](out, anchors, n, 2000, 1000, *t["size"])
        own = peer["assign"](found, boxes, 0.5, 0.5, 0.5 if spec["mask"] else None)
        assigned, every = torch.cat([torch.arange(1, count + 1), own]), torch.cat([boxes, found])
        positive, negative = draw(assigned, 512, 0.25)
        taken = torch.cat([positive, negative])
        rois.append(torch.cat([torch.full((len(taken), 1), float(n)), every[taken]], 1))
        labels.append(torch.cat([t["labels"][assigned[positive] - 1], torch.full((len(negative),), spec["classes"])]))
        codes.append(peer["encode"](every[positive], boxes[assigned[positive] - 1], [0.1, 0.1, 0.2, 0.2]))
        with_object.append(torch.cat([torch.ones(len(positive)), torch.zeros(len(negative))]).bool())
        which += [(n, int(k) - 1) for k in assigned[positive]]
    return torch.cat(rois), torch.cat(labels), torch.cat(codes), torch.cat(with_object), which


def mask_loss(peer, model, features, rois, which, labels, truth):
    logits = model.roi_head.mask_head(peer["roi"](features, rois, 14))
    target = torch.zeros(len(rois), 28, 28)
    for i, (image, object_) in enumerate(which):
        mask = truth[image]["mask"](object_)
        box = rois[i:i + 1] * torch.tensor([0.0, 1, 1, 1, 1])
        target[i] = (roi_align(mask[None, None], box, 28, 1.0, 0, True)[0, 0] >= 0.5).float()
    return F.binary_cross_entropy_with_logits(logits[torch.arange(len(logits)), labels], target)


def head_losses(peer, model, features, out, anchors, truth, spec):
    rois, labels, codes, with_object, which = drawn_boxes(peer, out, anchors, truth, spec)
    scores, deltas = model.roi_head.bbox_head(peer["roi"](features, rois, 7))
    loss = F.cross_entropy(scores, labels, reduction="sum") / len(rois)
    count = int(with_object.sum())
    own = deltas[with_object].reshape(-1, spec["classes"], 4)[torch.arange(count), labels[with_object]]
    loss = loss + (own - codes).abs().sum() / len(rois)
    if spec["mask"] and count:
        loss = loss + mask_loss(peer, model, features, rois[with_object], which, labels[with_object], truth)
    return loss


def loss_of(peer, model, x, truth, spec):
    features = model.neck(model.backbone(x.clone()))
    out = model.rpn_head(features)
    shapes = [f.shape[2:] for f in features]
    levels = peer["anchors"](shapes, torch.float32)
    return rpn_losses(peer, out, torch.cat(levels), shapes, truth) + head_losses(peer, model, features, out, levels, truth, spec)


def find(peer, model, x, size, spec):
    """Boxes, scores, labels and mask probabilities (k,28,28; None without masks) of the one picture x, the best hundred."""
    features = model.neck(model.backbone(x.clone()))
    out = model.rpn_head(features)
    levels = peer["anchors"]([f.shape[2:] for f in features], torch.float32)
    proposed, _ = peer["proposals"](out, levels, 0, 1000, 1000, *size)
    rois = torch.cat([torch.zeros(len(proposed), 1), proposed], 1)
    scores, deltas = model.roi_head.bbox_head(peer["roi"](features, rois, 7))
    share, boxes, kept, labels = scores.softmax(1), [], [], []
    for c in range(spec["classes"]):
        box = peer["decode"](proposed, deltas[:, 4 * c:4 * c + 4], [0.1, 0.1, 0.2, 0.2], *size)
        above = share[:, c] > 0.05
        box, score = box[above], share[above, c]
        best = nms(box, score, 0.5)
        boxes.append(box[best])
        kept.append(score[best])
        labels += [c] * len(best)
    boxes, kept, labels = torch.cat(boxes), torch.cat(kept), torch.tensor(labels, dtype=torch.long)
    order = torch.argsort(kept, descending=True, stable=True)[:100]
    boxes, kept, labels = boxes[order], kept[order], labels[order]
    if not spec["mask"] or not len(boxes):
        return boxes, kept, labels, None
    logits = model.roi_head.mask_head(peer["roi"](features, torch.cat([torch.zeros(len(boxes), 1), boxes], 1), 14))
    return boxes, kept, labels, logits.sigmoid()[torch.arange(len(boxes)), labels]
