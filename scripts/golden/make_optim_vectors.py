#!/usr/bin/env python3
"""Writes tests/golden/optim_vectors.json: steps of PyTorch's and timm's optimizers, their gradient clipping, learning
rates and losses, on random numbers that float32 holds exactly, worked out in float64.
Run it with a Python that has PyTorch and timm: scripts/golden/make_optim_vectors.py
"""
import json
import os
import sys

import numpy
import timm
import timm.optim
import torch
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.scheduler.scheduler_factory import create_scheduler_v2
from timm.utils.clip_grad import dispatch_clip_grad

SEED = 20241124
SHAPES = [[3, 2, 3, 3], [5, 4], [7], [4, 7], [4]]  # the last two stand for the classifier
STEPS = 6
DECAY = 0.03
SEEN = [1, 3, 6]  # steps after which the weights are written down

torch.set_default_dtype(torch.float64)
rng = numpy.random.default_rng(SEED)


def random(shape, scale=1.0):
    return torch.tensor(rng.normal(0, scale, shape).astype(numpy.float32).astype(numpy.float64))


def flat(tensors):
    return [x for t in tensors for x in t.detach().reshape(-1).tolist()]


WEIGHTS = [random(s) for s in SHAPES]
# small and large gradients, so that some steps of lamb are clipped and some are not
GRADIENTS = [[random(s, 0.02 if i % 2 else 0.7) for s in SHAPES] for i in range(STEPS)]
RATES = [0.1, 0.05, 0.2, 0.01, 0.1, 0.03]

OPTIMIZERS = {
    "sgd": lambda g: torch.optim.SGD(g, lr=1, momentum=0.9, nesterov=True),
    "momentum": lambda g: torch.optim.SGD(g, lr=1, momentum=0.85),
    "rmsproptf": lambda g: timm.optim.RMSpropTF(g, lr=1, alpha=0.9, momentum=0.9, eps=1e-3),
    "adamw": lambda g: torch.optim.AdamW(g, lr=1, betas=(0.9, 0.999), eps=1e-8),
    "lamb": lambda g: timm.optim.Lamb(g, lr=1, betas=(0.9, 0.999), eps=1e-6),
    "lambc": lambda g: timm.optim.Lamb(g, lr=1, betas=(0.8, 0.99), eps=1e-6, trust_clip=True),
}


def steps_of(name):
    parameters = [torch.nn.Parameter(w.clone()) for w in WEIGHTS]
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": DECAY},
              {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}]
    optimizer = OPTIMIZERS[name](groups)
    seen = []
    for i in range(STEPS):
        for p, g in zip(parameters, GRADIENTS[i]):
            p.grad = g.clone()
        for group in optimizer.param_groups:
            group["lr"] = RATES[i]
        optimizer.step()
        if i + 1 in SEEN:
            seen.append(flat(parameters))
    return {"name": name, "weights": seen}


def clipped(mode, limit):
    parameters = [torch.nn.Parameter(w.clone()) for w in WEIGHTS]
    for p, g in zip(parameters, GRADIENTS[0]):
        p.grad = g.clone()
    dispatch_clip_grad(parameters[:-2] if mode == "agc" else parameters, limit, mode=mode)
    return {"mode": mode, "limit": limit, "gradients": flat([p.grad for p in parameters])}


def rates(epochs, steps, times, **options):
    """The rates at `times`: epochs, or updates when steps > 0 (so many an epoch)."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=options.pop("lr"))
    base = optimizer.param_groups[0]["lr"]
    scheduler, total = create_scheduler_v2(optimizer, num_epochs=epochs, step_on_epochs=not steps,
                                           updates_per_epoch=steps, **options)
    out = []
    for t in times:
        (scheduler.step_update if steps else scheduler.step)(t)
        out.append(optimizer.param_groups[0]["lr"])
    return {"epochs": epochs, "steps": steps, "lr": base, "options": options, "total": total, "times": times,
            "rates": out}


def schedules():
    some = [0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 17, 19, 20, 25, 29, 30, 31]
    for steps in (0, 7):
        times = some if not steps else [7 * t + t % 3 for t in some]
        common = dict(epochs=20, steps=steps, times=times, lr=0.3, warmup_epochs=4, warmup_lr=1e-3)
        yield rates(**common, sched="cosine", min_lr=1e-4, cooldown_epochs=3)
        yield rates(**common, sched="cosine", min_lr=1e-4, warmup_prefix=True)
        yield rates(**common, sched="cosine", min_lr=1e-4, k_decay=1.5)
        yield rates(**common, sched="poly", min_lr=2e-3, decay_rate=0.9)
        yield rates(**common, sched="poly", decay_rate=2.0, k_decay=0.5, cycle_limit=2, cycle_decay=0.5)
        yield rates(**common, sched="step", decay_epochs=2.4, decay_rate=0.97)
        yield rates(**common, sched="step", decay_epochs=3, decay_rate=0.5, warmup_prefix=True)
        yield rates(**common, sched="constant")
        common["epochs"] = 9
        yield rates(**common, sched="cosine", min_lr=1e-4, cycle_limit=3, cycle_decay=0.6)
        yield rates(**common, sched="cosine", cycle_limit=2, cycle_decay=0.6, cycle_mul=1.7)


def losses():
    logits, labels = random([5, 6], 2), torch.tensor([0, 3, 5, 2, 3])
    soft = torch.softmax(random([5, 6], 2), 1).to(torch.float32).to(torch.float64)
    yield "ce", 0.0, labels, None, logits, torch.nn.CrossEntropyLoss(), {}
    yield "ce", 0.15, labels, None, logits, LabelSmoothingCrossEntropy(0.15), {}
    yield "ce", 0.0, None, soft, logits, SoftTargetCrossEntropy(), {}
    for threshold in (0, 0.2):
        for total in (False, True):
            options = {"threshold": threshold, "sum": int(total)}
            made = dict(target_threshold=threshold or None, sum_classes=total)
            yield "bce", 0.1, labels, None, logits, BinaryCrossEntropy(smoothing=0.1, **made), options
            yield "bce", 0.0, None, soft, logits, BinaryCrossEntropy(smoothing=0.0, **made), options


def loss_case(kind, smoothing, labels, soft, logits, function, options):
    x = logits.clone().requires_grad_()
    loss = function(x, labels if soft is None else soft)
    loss.backward()
    case = {"kind": kind, "smoothing": smoothing, "classes": x.shape[1], "logits": flat([logits]),
            "loss": loss.item(), "gradient": flat([x.grad]), "threshold": 0, "sum": 0}
    case.update(options)
    case.update({"labels": labels.tolist()} if soft is None else {"soft": flat([soft])})
    return case


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = os.path.join(root, "tests", "golden", "optim_vectors.json")
    content = {
        "head": {"made_by": "scripts/golden/make_optim_vectors.py", "torch": torch.__version__,
                 "timm": timm.__version__, "seed": SEED},
        "shapes": SHAPES, "decay": DECAY, "rates": RATES, "seen": SEEN, "weights": flat(WEIGHTS),
        "gradients": [flat(g) for g in GRADIENTS],
        "optimizers": [steps_of(name) for name in OPTIMIZERS],
        "clipping": [clipped("norm", 1.5), clipped("norm", 100.0), clipped("value", 0.4), clipped("agc", 0.3)],
        "schedules": list(schedules()), "losses": [loss_case(*c) for c in losses()]}
    text = json.dumps(json.loads(json.dumps(content), parse_float=lambda s: float("%.12g" % float(s))),
                      separators=(",", ":"))
    for key in content:
        text = text.replace(',"%s":' % key, ',\n"%s":' % key)
    with open(path, "w") as f:
        f.write(text + "\n")
    print(path, os.path.getsize(path), "bytes", file=sys.stderr)


main()
