#!/usr/bin/env python3
"""Trains Faster or Mask R-CNN in PyTorch (detector_peer.py) from nothing on a COCO folder, as the published pipeline has it; after
each epoch prints `epoch N loss L AP A AP50 B S s`, judged by pycocotools (boxes, or with --task segment masks).

usage: train_detector.py --official DIR --peer FILE.py --data DIR [--task detect|segment] [--model s0] [--fpn 64] [--fc 256]
                         [--imgsz 320] [--epochs 12] [--batch 4] [--lr 0.01] [--milestones 8,11] [--warmup-steps 100] [--seed 0]
                         [--threads 2] [--start FILE.pth]
DIR holds images/ and annotations/instances_{train,val}.json. Norms take the statistics of the batch; random flips; SGD with
momentum 0.9 and decay 1e-4 on everything; the rate rises over the first steps and falls to a tenth after each milestone.
--start: where the starting weights are written."""
import argparse, collections, contextlib, io, json, os, random, time, warnings

warnings.filterwarnings("ignore")
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as runs
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import detector_peer

p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--peer", required=True)
p.add_argument("--data", required=True)
p.add_argument("--task", default="detect", choices=["detect", "segment"])
p.add_argument("--model", default="s0")
p.add_argument("--fpn", type=int, default=64)
p.add_argument("--fc", type=int, default=256)
p.add_argument("--imgsz", type=int, default=320)
p.add_argument("--epochs", type=int, default=12)
p.add_argument("--batch", type=int, default=4)
p.add_argument("--lr", type=float, default=0.01)
p.add_argument("--milestones", default="8,11")
p.add_argument("--warmup-steps", type=int, default=100)
p.add_argument("--seed", type=int, default=0)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--start")
a = p.parse_args()
torch.manual_seed(a.seed)
random.seed(a.seed)
torch.set_num_threads(a.threads)
folder = os.path.realpath(a.data)
peer = detector_peer.definition(a.peer, a.official)
MEAN, DEVIATION = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])


def split(name):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(os.path.join(folder, "annotations", f"instances_{name}.json"))


train, val = split("train"), split("val")
classes = train.getCatIds()
spec = {"arch": "revbifpn_" + a.model, "fpn": a.fpn, "fc": a.fc, "classes": len(classes), "mask": a.task == "segment"}


def read(info):
    """The picture, resized so that its longer side is imgsz, and (width, height) factors."""
    picture = cv2.cvtColor(cv2.imread(os.path.join(folder, "images", info["file_name"])), cv2.COLOR_BGR2RGB)
    h, w = picture.shape[:2]
    s = a.imgsz / max(h, w)
    new_w, new_h = int(w * s + 0.5), int(h * s + 0.5)
    return cv2.resize(picture, (new_w, new_h), interpolation=cv2.INTER_LINEAR), (new_w / w, new_h / h), (h, w)


def batch_of(pictures):
    """One tensor n,3,h,w, normalised, zeros at the right and below."""
    high, wide = (max(detector_peer.padded(x.shape[:2])[i] for x in pictures) for i in (0, 1))
    x = np.zeros((len(pictures), high, wide, 3), np.float32)
    for to, picture in zip(x, pictures):
        to[:picture.shape[0], :picture.shape[1]] = (picture - MEAN) / DEVIATION
    return torch.from_numpy(x).permute(0, 3, 1, 2)  # in memory NHWC


def learned(annotation, info):
    x, y, w, h = annotation["bbox"]
    inside = min(x + w, info["width"]) - max(x, 0) > 0 and min(y + h, info["height"]) - max(y, 0) > 0
    return not annotation.get("ignore") and not annotation.get("iscrowd") and inside and annotation["area"] > 0 and w >= 1 and h >= 1


def truth_of(info, annotations, scale, size, flip, canvas):
    h, w = size
    boxes = np.float32([[x, y, x + bw, y + bh] for x, y, bw, bh in (o["bbox"] for o in annotations)]).reshape(-1, 4)
    boxes *= np.float32(scale * 2)
    boxes[:, 0::2], boxes[:, 1::2] = boxes[:, 0::2].clip(0, w), boxes[:, 1::2].clip(0, h)
    if flip:
        boxes = boxes * np.float32([-1, 1, -1, 1]) + np.float32([w, 0, w, 0])
        boxes = boxes[:, [2, 1, 0, 3]]

    def mask(i):
        bits = cv2.resize(train.annToMask(annotations[i]), (w, h), interpolation=cv2.INTER_NEAREST)
        full = np.zeros(canvas, np.float32)
        full[:h, :w] = bits[:, ::-1] if flip else bits
        return torch.from_numpy(full)
    labels = torch.tensor([classes.index(o["category_id"]) for o in annotations], dtype=torch.long)
    return {"boxes": torch.from_numpy(boxes), "labels": labels, "size": (h, w), "mask": mask}


def batches():
    """Of one epoch: pictures wider than high, and others, each in batches of their own, filled up by repetition."""
    groups = collections.defaultdict(list)
    for info in train.dataset["images"]:
        if min(info["width"], info["height"]) >= 32 and train.getAnnIds(info["id"]):
            groups[info["width"] > info["height"]].append(info)
    found = []
    for group in groups.values():
        random.shuffle(group)
        group += group[:-len(group) % a.batch]
        found += [group[i:i + a.batch] for i in range(0, len(group), a.batch)]
    random.shuffle(found)
    return found


def load(infos):
    pictures, facts = [], []
    for info in infos:
        picture, scale, _ = read(info)
        flip = random.random() < 0.5
        pictures.append(np.ascontiguousarray(picture[:, ::-1]) if flip else picture)
        annotations = [o for o in train.loadAnns(train.getAnnIds(info["id"])) if learned(o, info)]
        facts.append((info, annotations, scale, picture.shape[:2], flip))
    x = batch_of(pictures)
    return x, [truth_of(*fact, tuple(x.shape[2:])) for fact in facts]


def outline(probability, box, h, w):
    """The mask as run lengths: where the bilinear value of the probabilities is at least a half."""
    x1, y1, x2, y2 = box
    x, y = ((torch.arange(n) + 0.5 - low) / (high - low) * 2 - 1 for n, low, high in ((w, x1, x2), (h, y1, y2)))
    grid = torch.stack([x[None].expand(h, -1), y[:, None].expand(-1, w)], -1)[None]
    value = F.grid_sample(probability[None, None], grid, align_corners=False)[0, 0]
    found = runs.encode(np.asfortranarray((value >= 0.5).numpy().astype(np.uint8)))
    return {"size": found["size"], "counts": found["counts"].decode()}


def results():
    found = []
    for info in val.dataset["images"]:
        picture, scale, (h, w) = read(info)
        boxes, scores, labels, masks = detector_peer.find(peer, model, batch_of([picture]), picture.shape[:2], spec)
        boxes = boxes / torch.tensor(scale * 2, dtype=torch.float32)
        for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
            one = {"image_id": info["id"], "category_id": classes[labels[i]], "score": float(scores[i])}
            one.update({"segmentation": outline(masks[i], boxes[i], h, w)} if spec["mask"] else {"bbox": [x1, y1, x2 - x1, y2 - y1]})
            found.append(one)
    return found


def judge():
    model.eval()
    with torch.no_grad():
        found = results()
    if not found:
        return 0.0, 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        e = COCOeval(val, val.loadRes(found), "segm" if spec["mask"] else "bbox")
        e.evaluate(), e.accumulate(), e.summarize()
    return e.stats[0], e.stats[1]


def rate(step, epoch):
    rise = min(step / a.warmup_steps, 1) if a.warmup_steps else 1
    return a.lr * (1 - (1 - rise) * (1 - 0.001)) * 0.1 ** sum(epoch >= int(m) for m in a.milestones.split(","))


def begin(module):
    """MMDetection's starting values of what stands on the backbone."""
    def uniform(weight, limit): torch.nn.init.uniform_(weight, -limit, limit)
    for m in [module.neck.reduction_conv, *module.neck.fpn_convs]:
        uniform(m.conv.weight, (3 / m.conv.weight[0].numel()) ** 0.5)
        torch.nn.init.zeros_(m.conv.bias)
    rpn, head = module.rpn_head, module.roi_head.bbox_head
    for m, deviation in ((rpn.rpn_conv, 0.01), (rpn.rpn_cls, 0.01), (rpn.rpn_reg, 0.01), (head.fc_cls, 0.01), (head.fc_reg, 0.001)):
        torch.nn.init.normal_(m.weight, 0, deviation)
        torch.nn.init.zeros_(m.bias)
    for m in head.shared_fcs:
        torch.nn.init.xavier_uniform_(m.weight)
        torch.nn.init.zeros_(m.bias)
    if spec["mask"]:
        mask = module.roi_head.mask_head
        for m in [*(c.conv for c in mask.convs), mask.upsample, mask.conv_logits]:
            torch.nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            torch.nn.init.zeros_(m.bias)


model = detector_peer.build(peer, spec)
begin(model)
if a.start:
    torch.save(model.state_dict(), a.start)
optimizer = torch.optim.SGD(model.parameters(), a.lr, momentum=0.9, weight_decay=1e-4)
start, step = time.monotonic(), 0
for epoch in range(a.epochs):
    model.train()
    total, count = 0.0, 0
    for infos in batches():
        x, truth = load(infos)
        for group in optimizer.param_groups:
            group["lr"] = rate(step, epoch)
        optimizer.zero_grad(set_to_none=True)
        loss = detector_peer.loss_of(peer, model, x, truth, spec)
        loss.backward()
        optimizer.step()
        total, count, step = total + float(loss), count + 1, step + 1
    ap, ap50 = judge()
    print(f"epoch {epoch + 1} loss {total / count:.4f} AP {ap:.4f} AP50 {ap50:.4f} {time.monotonic() - start:.0f} s", flush=True)
