#!/usr/bin/env python3
"""Speed of the published PyTorch RevBiFPN in training or inference, as one process; prints one JSON line.

usage: published.py --official DIR --model s0 --imgsz 224 --batch 16 [--mode train|infer]
                    [--activations reversible|stored] [--channels-last] [--compile] [--steps 4] [--threads 2]
DIR holds the published code (revbifpn.py, rev_structs/). One step of warm-up is not counted."""
import argparse, contextlib, io, json, resource, sys, time, warnings

warnings.filterwarnings("ignore")
p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--model", default="s0")
p.add_argument("--imgsz", type=int, default=224)
p.add_argument("--batch", type=int, default=16)
p.add_argument("--mode", default="train", choices=["train", "infer"])
p.add_argument("--activations", default="reversible", choices=["reversible", "stored"])
p.add_argument("--channels-last", action="store_true")
p.add_argument("--compile", action="store_true")
p.add_argument("--steps", type=int, default=4)
p.add_argument("--threads", type=int, default=2)
a = p.parse_args()
import torch

sys.path.insert(0, a.official)
import revbifpn

torch.manual_seed(0)
torch.set_num_threads(a.threads)
stored = {"disable_rev": True, "disable_recomp": True} if a.activations == "stored" else {}
with contextlib.redirect_stdout(io.StringIO()):
    model = revbifpn.RevBiFPN_S(arch="revbifpn_" + a.model, **stored)
x = torch.randn(a.batch, 3, a.imgsz, a.imgsz)
y = torch.arange(a.batch) % 1000
if a.channels_last:
    model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
run = torch.compile(model) if a.compile else model
optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True)
model.train(a.mode == "train")


def train():
    optimizer.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(run(x.clone()), y).backward()
    optimizer.step()


def infer():
    with torch.no_grad():
        run(x.clone())


seconds = []
for step in range(a.steps + 1):
    start = time.perf_counter()
    train() if a.mode == "train" else infer()
    if step:
        seconds.append(time.perf_counter() - start)
seconds.sort()
print(json.dumps({
    "images_per_second_best": a.batch / seconds[0],
    "images_per_second_median": a.batch / seconds[len(seconds) // 2],
    "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "torch": torch.__version__}), flush=True)
