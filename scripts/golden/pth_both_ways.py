#!/usr/bin/env python3
"""Weights between this program and the published PyTorch code, both ways.

usage: pth_both_ways.py --official DIR [--peer FILE.py] [--command build/revbifpn] [--arch revbifpn_s0]
The published model with random weights is saved in each form that `torch.save` has (zip, legacy, a checkpoint with
"module." names and averaged weights, half precision), converted to safetensors and compared bit by bit; our .pth is
read with torch.load(weights_only=True), with and without mmap, and load_state_dict(strict=True). --peer defines a detector with
MMDetection's names (bench/peers/detector_peer.py): a Mask R-CNN as MMDetection saves it goes the same way. Needs torch and
safetensors; the detector pycocotools and torchvision."""
import argparse, collections, contextlib, io, json, os, subprocess, sys, tempfile

import torch
from safetensors import safe_open
from safetensors.torch import load_file

p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--peer")
p.add_argument("--command", default="build/revbifpn")
p.add_argument("--arch", default="revbifpn_s0")
a = p.parse_args()
sys.path.insert(0, a.official)
import revbifpn

with contextlib.redirect_stdout(io.StringIO()):
    model = revbifpn.RevBiFPN_S(arch=a.arch, classes=10)
torch.manual_seed(1)


def random_state(model):
    state = model.state_dict()
    for t in state.values():
        t.copy_(torch.rand_like(t) + 0.5 if t.is_floating_point() else torch.tensor(3 * 10**10))
    return state


state = random_state(model)


def convert(source, target, *more):
    subprocess.run([a.command, "convert", "--weights", source, "--out", target, *more], check=True, stdout=subprocess.DEVNULL)


def same(got, want, what):
    good = list(want) == list(got) if isinstance(got, collections.OrderedDict) else want.keys() == got.keys()
    good = good and all(got[k].dtype == want[k].dtype and torch.equal(got[k], want[k]) for k in want)
    print(f"{what}: {'equal' if good else 'DIFFERS'}, {len(got)} tensors")
    return good


def detector_both_ways(at):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/peers"))
    import detector_peer
    here = os.getcwd()
    peer = detector_peer.definition(a.peer, a.official)
    os.chdir(here)
    detector = peer["Detector"]({"arch": a.arch, "fpn": 24, "fc": 40, "classes": 3, "mask": True})
    state = random_state(detector)
    torch.save({"meta": {"CLASSES": ("one", "two", "three"), "epoch": 12}, "state_dict": state}, at("mmdetection.pth"))
    convert(at("mmdetection.pth"), at("detector.safetensors"))
    good = same(load_file(at("detector.safetensors")), state, "a detector of MMDetection")
    with safe_open(at("detector.safetensors"), "pt") as f:
        names = json.loads(f.metadata()["classes"])
    print("names of its classes:", names)
    convert(at("detector.safetensors"), at("detector.pth"))
    ours = torch.load(at("detector.pth"), weights_only=True)
    good &= same(ours, state, "detector.pth") and names == ["one", "two", "three"]
    detector.load_state_dict(ours, strict=True)
    return good


good = True
with tempfile.TemporaryDirectory() as folder:
    def at(name):
        return os.path.join(folder, name)

    average = collections.OrderedDict((k, v * 2) for k, v in state.items())
    halves = collections.OrderedDict((k, v.half() if v.is_floating_point() else v) for k, v in state.items())
    whole = collections.OrderedDict((k, v.float() if v.is_floating_point() else v) for k, v in halves.items())
    training = {"epoch": 3, "arch": a.arch, "args": argparse.Namespace(lr=0.1), "state_dict_ema": average,
                "state_dict": collections.OrderedDict(("module." + k, v) for k, v in state.items())}
    torch.save(state, at("zip.pth"))
    torch.save(state, at("legacy.pth"), _use_new_zipfile_serialization=False)
    torch.save(training, at("training.pth.tar"))
    torch.save(halves, at("half.pt"))
    for source, want, more in (("zip.pth", state, ()), ("legacy.pth", state, ()), ("training.pth.tar", state, ()),
                               ("training.pth.tar", average, ("--ema",)), ("half.pt", whole, ())):
        convert(at(source), at("out.safetensors"), *more)
        good &= same(load_file(at("out.safetensors")), want, " ".join((source, *more)))
    convert(at("zip.pth"), at("a.safetensors"))
    convert(at("a.safetensors"), at("ours.pth"))
    for options in ({}, {"mmap": True}):
        ours = torch.load(at("ours.pth"), weights_only=True, **options)
        good &= same(ours, state, f"ours.pth {options or ''}")
    model.load_state_dict(ours, strict=True)
    torch.save(ours, at("again.pth"))
    convert(at("again.pth"), at("again.safetensors"))
    with open(at("a.safetensors"), "rb") as x, open(at("again.safetensors"), "rb") as y:
        bits = x.read() == y.read()
    print("safetensors -> .pth -> torch.load, torch.save -> safetensors:", "equal bytes" if bits else "DIFFERS")
    if a.peer:
        good &= detector_both_ways(at)
sys.exit(not (good and bits))
