#!/usr/bin/env python3
"""Training of timm's EfficientNets, as one process; prints one JSON line.

usage: efficientnet.py --imgsz 600 --batch 1 [--model efficientnet_b7] [--steps 1] [--threads 2] [--contiguous]
Needs torch and timm. Maps are channels_last, with --contiguous PyTorch's default. One step of warm-up is not counted;
with --steps 0 it is the only one, and no speed is told."""
import argparse, json, time, warnings

warnings.filterwarnings("ignore")
p = argparse.ArgumentParser()
p.add_argument("--model", default="efficientnet_b7")
p.add_argument("--imgsz", type=int, default=600)
p.add_argument("--batch", type=int, default=1)
p.add_argument("--steps", type=int, default=1)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--contiguous", action="store_true")
a = p.parse_args()
import timm, torch

torch.manual_seed(0)
torch.set_num_threads(a.threads)
layout = torch.contiguous_format if a.contiguous else torch.channels_last
model = timm.create_model(a.model).train().to(memory_format=layout)
x = torch.randn(a.batch, 3, a.imgsz, a.imgsz).to(memory_format=layout)
y = torch.arange(a.batch) % 1000
optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True)
seconds = []
for step in range(a.steps + 1):
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    if step:
        seconds.append(time.perf_counter() - start)
seconds.sort()
speed = {"images_per_second_best": a.batch / seconds[0], "images_per_second_median": a.batch / seconds[len(seconds) // 2]} if seconds else {}
print(json.dumps({**speed, "parameters": sum(w.numel() for w in model.parameters()), "torch": torch.__version__, "timm": timm.__version__}), flush=True)
