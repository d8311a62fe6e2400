#!/usr/bin/env python3
"""The published PyTorch RevBiFPN on one batch again and again: all pictures of DIR/train/CLASS, as they are. Writes the weights it
starts with and prints `step N loss L`.

usage: same_steps.py --official DIR --data DIR --start FILE.pth [--model s0] [--steps 20] [--lr 0.1] [--seed 0] [--double] [--threads 2]
SGD with Nesterov momentum 0.9, decay 5e-5 of all but norms and biases, label smoothing 0.1, no dropping; the rate is whole in the
first step and falls by half a cosine from the second on. --double: the same weights and steps in float64."""
import argparse, contextlib, io, math, os, sys, warnings

warnings.filterwarnings("ignore")
p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--data", required=True)
p.add_argument("--start", required=True)
p.add_argument("--model", default="s0")
p.add_argument("--steps", type=int, default=20)
p.add_argument("--lr", type=float, default=0.1)
p.add_argument("--seed", type=int, default=0)
p.add_argument("--double", action="store_true")
p.add_argument("--threads", type=int, default=2)
a = p.parse_args()
import numpy as np
import torch
from PIL import Image

sys.path.insert(0, a.official)
import revbifpn

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def batch(folder):
    pictures, labels = [], []
    for label, name in enumerate(sorted(os.listdir(folder))):
        for file in sorted(os.listdir(os.path.join(folder, name))):
            picture = np.asarray(Image.open(os.path.join(folder, name, file)).convert("RGB"), np.float32)
            pictures.append(((picture / 255 - MEAN) / DEVIATION).transpose(2, 0, 1))
            labels.append(label)
    return torch.from_numpy(np.stack(pictures)), torch.tensor(labels)


def rate(step):
    return a.lr if step == 0 else a.lr / 2 * (1 + math.cos(math.pi * (step - 1) / (a.steps - 1)))


torch.manual_seed(a.seed)
torch.set_num_threads(a.threads)
x, y = batch(os.path.join(a.data, "train"))
with contextlib.redirect_stdout(io.StringIO()):
    model = revbifpn.RevBiFPN_S(arch="revbifpn_" + a.model, classes=int(y.max()) + 1, head_dropout=0.0, stochastic_depth=0.0)
torch.save(model.state_dict(), a.start)
if a.double:
    model, x = model.double(), x.double()
decayed = [w for w in model.parameters() if w.ndim > 1]
others = [w for w in model.parameters() if w.ndim <= 1]
optimizer = torch.optim.SGD([{"params": decayed, "weight_decay": 5e-5}, {"params": others, "weight_decay": 0.0}], a.lr,
                            momentum=0.9, nesterov=True)
model.train()
for step in range(a.steps):
    for group in optimizer.param_groups:
        group["lr"] = rate(step)
    loss = torch.nn.functional.cross_entropy(model(x.clone()), y, label_smoothing=0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step + 1} loss {float(loss):.9f}", flush=True)
