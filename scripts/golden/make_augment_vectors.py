#!/usr/bin/env python3
"""Writes tests/golden/augment_vectors.json: what Pillow, torchvision and timm make of noise, given their random draws.

Each case holds the draws (noted while timm makes them) and the result, so that the engine, given the same draws, must give
the same bytes. Pictures are kept as the FNV-1a hash (64 bits) of their bytes, targets as the bits of their floats.
Run it with a Python that has Pillow 13.0.0, torch, torchvision and timm 1.0.28 (whose CutMix boxes are those of all
versions from 0.5.4 on; 1.0.31 changed them): scripts/golden/make_augment_vectors.py
"""
import json
import math
import os
import random
import sys
from unittest import mock

import numpy as np
import PIL
import timm
import torch
from PIL import Image, ImageEnhance, ImageOps
from timm.data import auto_augment as aa
from timm.data import mixup, random_erasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from timm.data.transforms_factory import transforms_imagenet_train
from torchvision.transforms import ColorJitter
from torchvision.transforms import functional as tv

SEED = 20240612
SAMPLINGS = [Image.NEAREST, Image.BILINEAR, Image.BICUBIC]
FILL = (124, 116, 104)
MEAN = (0.485, 0.456, 0.406)


def noise(width, height, seed, low=0, high=255):
    """Bytes low + (n·(high - low + 1) >> 8), where n are the high bytes of x <- 1664525 x + 1013904223 mod 2^32."""
    out = np.empty(width * height * 3, np.uint8)
    x = seed
    for i in range(out.size):
        x = (1664525 * x + 1013904223) & 0xFFFFFFFF
        out[i] = low + ((x >> 24) * (high - low + 1) >> 8)
    return Image.fromarray(out.reshape(height, width, 3))


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "%016x" % h


class Source:
    """A random picture and how to make it again."""

    def __init__(self, rng, seed, side=30, square=False):
        self.size = [rng.randint(1, side), rng.randint(1, side)]
        if square:
            self.size[1] = self.size[0]
        self.seed = seed
        self.range = sorted([rng.randint(0, 255), rng.randint(0, 255)]) if rng.random() < 0.5 else [0, 255]
        self.picture = noise(*self.size, seed, *self.range)

    def entry(self, **more):
        return {"seed": self.seed, "size": self.size, "range": self.range, **more}


# ---- single operations ----

def pillow_operations(rng):
    fill = {"fillcolor": FILL}
    def matrix():
        kind = rng.randint(0, 3)
        m = [rng.gauss(1, 0.3), rng.gauss(0, 0.4), rng.gauss(0, 6), rng.gauss(0, 0.4), rng.gauss(1, 0.3), rng.gauss(0, 6)]
        if kind == 1:
            m[1] = m[3] = 0.0
        if kind == 2:
            m = [1.0, rng.uniform(-0.3, 0.3), 0.0, 0.0, 1.0, 0.0]
        if kind == 3:
            m[2] *= 1e5
        return m
    yield "affine", matrix, lambda p, s, *m: p.transform(p.size, Image.AFFINE, m, SAMPLINGS[s], **fill), 60
    yield "rotate", lambda: [rng.choice([0.0, 90.0, 180.0, 270.0, -90.0, 27.0, rng.gauss(0, 200)])], \
        lambda p, s, d: p.rotate(d, SAMPLINGS[s], **fill), 60
    yield "posterize", lambda: [rng.randint(1, 8)], lambda p, s, b: ImageOps.posterize(p, b), 8
    yield "solarize", lambda: [rng.randint(0, 256)], lambda p, s, t: ImageOps.solarize(p, t), 8
    yield "solarize_add", lambda: [rng.randint(0, 128)], lambda p, s, a: aa.solarize_add(p, a), 8
    yield "invert", lambda: [], lambda p, s: ImageOps.invert(p), 2
    yield "autocontrast", lambda: [], lambda p, s: ImageOps.autocontrast(p), 12
    yield "equalize", lambda: [], lambda p, s: ImageOps.equalize(p), 16
    for name in ("color", "contrast", "brightness", "sharpness"):
        enhancer = getattr(ImageEnhance, name.capitalize())
        yield name, lambda: [rng.choice([0.0, 1.0, 0.19, 1.72, rng.uniform(0, 1), rng.uniform(1, 3)])], \
            lambda p, s, f, enhancer=enhancer: enhancer(p).enhance(f), 16
    yield "hue", lambda: [rng.uniform(-0.5, 0.5)], lambda p, s, f: tv.adjust_hue(p, f), 16
    yield "flip_rows", lambda: [], lambda p, s: tv.vflip(p), 2


def pillow_cases(rng):
    for name, draw, run, count in pillow_operations(rng):
        for i in range(count):
            source = Source(rng, rng.randint(1, 2**31), square=i % 4 == 0)
            arguments, sampling = draw(), i % 3
            yield source.entry(op=name, arguments=arguments, sampling=sampling,
                               fnv1a=fnv(run(source.picture, sampling, *arguments).tobytes()))


# ---- magnitudes ----

def level_cases(rng):
    for name in aa.NAME_TO_OP:
        if name in ("Desaturate", "GaussianBlur", "GaussianBlurRand", "TranslateX", "TranslateY"):
            continue
        for i in range(8):
            source = Source(rng, rng.randint(1, 2**31))
            magnitude = [0.0, 9.0, 10.0, rng.uniform(0, 10)][i % 4]
            if "Posterize" in name:
                magnitude = min(magnitude, 9.9)  # Pillow refuses to keep 0 bits
                if name == "Posterize":
                    magnitude = max(magnitude, 2.5)
            negative, sampling = i >= 4, i % 2
            operation = aa.AugmentOp(name, prob=1.0, magnitude=magnitude, hparams={"img_mean": FILL})
            with mock.patch.object(random, "random", lambda: 0.75 if negative else 0.25), \
                    mock.patch.object(random, "choice", lambda s: s[sampling]):
                result = operation(source.picture)
            yield source.entry(level=name, magnitude=magnitude, negative=negative, sampling=1 + sampling,
                               fnv1a=fnv(result.tobytes()))


# ---- strings ----

def policy_cases():
    for text in ("rand-m9-mstd0.5", "rand-m9-n2-mstd0.5-inc1", "rand", "rand-n3-m15-mmax20", "rand-m7-mstd101-p0.75",
                 "rand-m5-n4-mstd1-tweights", "v0", "v0r", "original", "originalr", "original-mstd0.5"):
        make = aa.rand_augment_transform if text.startswith("rand") else aa.auto_augment_transform
        policy = make(text, {"img_mean": FILL})
        first = policy.ops[0] if text.startswith("rand") else policy.policy[0][0]
        deviation = "inf" if math.isinf(first.magnitude_std) else first.magnitude_std
        entry = {"text": text, "deviation": deviation, "largest": first.magnitude_max or 10}
        if text.startswith("rand"):
            by_name = sorted(range(len(policy.ops)), key=lambda i: policy.ops[i].name)
            entry.update(layers=policy.num_layers, probability=first.prob, magnitude=first.magnitude,
                         ops=[policy.ops[i].name for i in by_name])
            if policy.choice_weights is not None:
                entry["weights"] = [float(policy.choice_weights[i]) for i in by_name]
        else:
            entry["pairs"] = [[[op.name, op.prob, op.magnitude] for op in pair] for pair in policy.policy]
        yield entry


# ---- whole pictures ----

class Notes:
    """Runs a training transform and notes what it draws."""

    def __init__(self):
        self.draws = {"changes": [], "flip": False, "flip_rows": False}

    def run(self, transform, picture):
        choice, draws = random.choice, self.draws
        crop, operation, jitter = RandomResizedCropAndInterpolation.get_params, aa.AugmentOp.__call__, ColorJitter.get_params
        level = {"operation": None}

        def noted_crop(img, scale, ratio):
            y, x, h, w = crop(img, scale, ratio)
            draws["crop"] = [x, y, w, h]
            return y, x, h, w

        def noted_choice(sequence):
            chosen = choice(sequence)
            if isinstance(sequence, tuple):  # (bilinear, bicubic), by the names of Pillow or of torchvision
                where = draws["changes"][-1] if level["operation"] else draws
                where["sampling"] = 1 + sequence.index(chosen)
            return chosen

        def noted_operation(self, img):
            level["operation"] = self
            draws["changes"].append({"level": self.name, "magnitude": None, "negative": False})
            real_level, clean = self.level_fn, self.aug_fn

            def noted_level(magnitude, hparams):
                draws["changes"][-1]["magnitude"] = magnitude
                return real_level(magnitude, hparams)

            def noted_function(img, *a, **k):
                draws["changes"][-1]["happens"] = True
                return clean(img, *a, **k)

            self.level_fn = noted_level if real_level else None
            self.aug_fn = noted_function
            try:
                return operation(self, img)
            finally:
                self.level_fn, self.aug_fn = real_level, clean
                if not draws["changes"][-1].pop("happens", False):
                    draws["changes"].pop()
                level["operation"] = None

        def noted_negate(v):
            negative = random.random() > 0.5
            draws["changes"][-1]["negative"] = negative
            return -v if negative else v

        def noted_jitter(*ranges):
            order, *factors = jitter(*ranges)
            names = ("brightness", "contrast", "color", "hue")
            draws["jitter"] = [[names[i], factors[i]] for i in order.tolist() if factors[i] is not None]
            return (order, *factors)

        def noted_flip(name, real):
            def flip(img):
                draws[name] = True
                return real(img)
            return flip

        with mock.patch.object(RandomResizedCropAndInterpolation, "get_params", staticmethod(noted_crop)), \
                mock.patch.object(random, "choice", noted_choice), \
                mock.patch.object(aa.AugmentOp, "__call__", noted_operation), \
                mock.patch.object(aa, "_randomly_negate", noted_negate), \
                mock.patch.object(ColorJitter, "get_params", staticmethod(noted_jitter)), \
                mock.patch.object(tv, "hflip", noted_flip("flip", tv.hflip)), \
                mock.patch.object(tv, "vflip", noted_flip("flip_rows", tv.vflip)):
            return transform(picture)


def picture_cases(rng):
    for i in range(60):
        text = [None, "rand-m9-n2-mstd0.5-inc1", "rand-m7-n3-mstd0.5", "v0-mstd0.5", "original-mstd0.5"][i % 5]
        fixed = [None, "bilinear", "bicubic"][i // 5 % 3]
        source = Source(rng, rng.randint(1, 2**31), side=90)
        size = (rng.randint(8, 48), rng.randint(8, 48))
        transform = transforms_imagenet_train(size, hflip=0.5, vflip=0.3, color_jitter=(0.4, 0.4, 0.4, 0.1),
                                              auto_augment=text, interpolation=fixed or "random", mean=MEAN,
                                              use_prefetcher=True)
        notes, done = Notes(), False
        while not done:  # until Pillow does not refuse (posterize to 0 bits)
            notes = Notes()
            try:
                result = notes.run(transform, source.picture)
                done = True
            except ValueError:
                pass
        draws = notes.draws
        if fixed:
            for d in [draws] + draws["changes"]:
                d["sampling"] = 1 if fixed == "bilinear" else 2
        result = np.ascontiguousarray(np.asarray(result).transpose(1, 2, 0))
        yield source.entry(result=[size[1], size[0]], fnv1a=fnv(result.tobytes()), **draws)


# ---- erasing ----

def erase_cases(rng):
    uniform = random.uniform
    for i in range(12):
        width, height, most = rng.randint(8, 300), rng.randint(8, 300), 1 + i % 3
        drawn, boxes = [], []

        def noted(low, high):
            drawn.append(uniform(low, high))
            return drawn[-1]

        def fill(per_pixel, rand_color, size, **_):
            boxes.append([size[2], size[1]])
            return torch.zeros(size)

        eraser = random_erasing.RandomErasing(1.0, mode="pixel", max_count=most, device="cpu")
        with mock.patch.object(random, "uniform", noted), mock.patch.object(random_erasing, "_get_pixels", fill), \
                mock.patch.object(random, "randint", lambda a, b, r=random.randint: most if a == 1 and b == most else r(a, b)):
            eraser(torch.zeros(3, height, width))
        assert len(drawn) == 2 * len(boxes)
        for k, box in enumerate(boxes):
            yield {"size": [width, height], "boxes": most, "share": drawn[2 * k], "log_aspect": drawn[2 * k + 1], "box": box}


# ---- mixing ----

def mix_cases(rng):
    settings = [dict(mixup_alpha=0.4), dict(mixup_alpha=0, cutmix_alpha=1.0), dict(mixup_alpha=0.8, cutmix_alpha=1.0),
                dict(mixup_alpha=0, cutmix_minmax=(0.2, 0.8)), dict(mixup_alpha=0.2, cutmix_alpha=0.2, prob=0.6)]
    for i in range(45):
        mode = ("batch", "pair", "elem")[i % 3]
        batch, width, height, classes = rng.choice([2, 4, 6]), rng.randint(2, 20), rng.randint(5, 20), rng.randint(2, 7)
        smoothing, labels = rng.choice([0.0, 0.1, 0.25]), [rng.randrange(classes) for _ in range(batch)]
        seed = rng.randint(1, 2**31)
        pixels = np.asarray(noise(width, height * batch, seed)).reshape(batch, height, width, 3)
        mixer = mixup.FastCollateMixup(mode=mode, label_smoothing=smoothing, num_classes=classes, **settings[i // 3 % 5])
        draws = []
        boxes = mixup.cutmix_bbox_and_lam
        per_batch, per_elem = mixer._params_per_batch, mixer._params_per_elem
        centre = {}

        def noted_batch():
            lam, cut = per_batch()
            draws.append({"lambda": float(lam).hex(), "cut": bool(cut)})
            return lam, cut

        def noted_elem(count):
            lam, cut = per_elem(count)
            draws.extend({"lambda": float(l).hex(), "cut": bool(c)} for l, c in zip(lam, cut))
            return lam, cut

        def noted_integer(low, high, size=None, real=np.random.randint):
            centre.setdefault("drawn", []).append(int(real(low, high, size=size)))
            return centre["drawn"][-1]

        def noted_box(shape, lam, ratio_minmax=None, correct_lam=True, count=None):
            centre.clear()
            box, corrected = boxes(shape, lam, ratio_minmax, correct_lam, count)
            mine = next(d for d in draws if d["cut"] and d["lambda"] == float(lam).hex() and "box" not in d)
            mine["box"] = [int(v) for v in box]
            if ratio_minmax is None:
                mine["centre"] = centre["drawn"]
            return box, corrected

        with mock.patch.object(mixer, "_params_per_batch", noted_batch), \
                mock.patch.object(mixer, "_params_per_elem", noted_elem), \
                mock.patch.object(mixup, "cutmix_bbox_and_lam", noted_box), \
                mock.patch.object(np.random, "randint", noted_integer):
            images, targets = mixer([(p.transpose(2, 0, 1).copy(), t) for p, t in zip(pixels, labels)])
        images = np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1))
        targets = targets.numpy()
        assert targets.dtype == np.float32
        yield {"mode": mode, "seed": seed, "batch": batch, "size": [width, height], "classes": classes,
               "smoothing": smoothing, "labels": labels, "draws": draws, "fnv1a": fnv(images.tobytes()),
               "targets": targets.astype(">f4").tobytes().hex()}


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    parts = {"pillow": pillow_cases(rng), "levels": level_cases(rng), "policies": policy_cases(),
             "pictures": picture_cases(rng), "erase": erase_cases(rng), "mix": mix_cases(rng)}
    head = {"made_by": "scripts/golden/make_augment_vectors.py", "pillow": PIL.__version__, "timm": timm.__version__,
            "seed": SEED}
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = os.path.join(root, "tests", "golden", "augment_vectors.json")
    with open(path, "w") as f:
        f.write('{"head":%s' % json.dumps(head))
        for name, cases in parts.items():
            lines = [json.dumps(c, separators=(",", ":")) for c in cases]
            f.write(',\n"%s":[\n%s\n]' % (name, ",\n".join(lines)))
            print(name, len(lines), "cases", file=sys.stderr)
        f.write("}\n")
    print(path, os.path.getsize(path), "bytes", file=sys.stderr)


main()
