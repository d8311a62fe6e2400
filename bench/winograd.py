#!/usr/bin/env python3
"""Rounding of Winograd's F(m×m, 3×3) in float32, by its points: relative L2 error of results and of both gradients against
float64, beside the direct sum in float32. src/ops/conv3x3/winograd_simd.h uses the last row.

usage: winograd.py [--channels 256] [--tiles 200]
Needs numpy."""
import argparse

import numpy as np

p = argparse.ArgumentParser()
p.add_argument("--channels", type=int, default=256)
p.add_argument("--tiles", type=int, default=200)
a = p.parse_args()

SETS = {"F(2×2), 0 ±1": (2, [0, 1, -1]), "F(4×4), 0 ±1 ±2": (4, [0, 1, -1, 2, -2]), "F(4×4), 0 ±1 ±1/2": (4, [0, 1, -1, 0.5, -0.5]),
        "F(4×4), 0 ±5/8 ±3/2": (4, [0, 0.625, -0.625, 1.5, -1.5])}


def matrices(m, points):
    """Aᵀ (m,n), G (n,3), Bᵀ (n,n) of Toom and Cook with these points and infinity; n = m + 2."""
    n = m + 2
    at = np.array([[x**i for x in points] + [float(i == m - 1)] for i in range(m)])
    g = np.array([[x**k / np.prod([x - y for y in points if y != x]) for k in range(3)] for x in points] + [[0, 0, 1]])
    bt = np.zeros((n, n))
    for i, x in enumerate(points):
        bt[i, :n - 1] = np.poly([y for y in points if y != x])[::-1]
    bt[n - 1] = np.poly(points)[::-1]
    return at, g, bt


def error(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def both_sides(matrix, planes):
    """matrix · planes · matrixᵀ over axes 1 and 2, rounded to float32 after each."""
    half = np.einsum("ab,tbcd->tacd", matrix, planes).astype(np.float32)
    return np.einsum("ab,tcbd->tcad", matrix, half).astype(np.float32)


def taps(x, m):
    return np.stack([x[:, i:i + m, j:j + m] for i in range(3) for j in range(3)], 3)


def measure(m, points):
    random, c, n = np.random.default_rng(0), a.channels, m + 2
    x = random.standard_normal((a.tiles, n, n, c)).astype(np.float32)
    w = (random.standard_normal((c, c, 3, 3)) / 20).astype(np.float32)
    d = random.standard_normal((a.tiles, m, m, c)).astype(np.float32)
    wide = taps(x.astype(float), m)
    y = np.einsum("tabkc,ock->tabo", wide, w.reshape(c, c, 9).astype(float), optimize=True)
    d_w = np.einsum("tabkc,tabo->ock", wide, d.astype(float), optimize=True).reshape(w.shape)
    d_x = np.zeros(x.shape)
    for i in range(3):
        for j in range(3):
            d_x[:, i:i + m, j:j + m] += np.einsum("tabo,oc->tabc", d.astype(float), w[:, :, i, j].astype(float), optimize=True)
    direct = np.einsum("tabkc,ock->tabo", taps(x, m), w.reshape(c, c, 9), optimize=True)
    at, g, bt = matrices(m, points)
    at32, bt32 = at.astype(np.float32), bt.astype(np.float32)
    u = np.einsum("ab,ocbd,ed->ocae", g, w.astype(float), g, optimize=True).astype(np.float32)
    v, d_m = both_sides(bt32, x), both_sides(at32.T, d)
    got = both_sides(at32, np.einsum("tabc,ocab->tabo", v, u, optimize=True))
    d_u = np.einsum("tabc,tabo->ocab", v, d_m, optimize=True).astype(float)
    got_w = np.einsum("ba,ocbd,de->ocae", g, d_u, g, optimize=True)
    got_x = both_sides(bt32.T, np.einsum("tabo,ocab->tabc", d_m, u, optimize=True))
    return error(direct, y), error(got, y), error(got_w, d_w), error(got_x, d_x)


print("| method | products a result | direct sum | result | weight gradient | data gradient |\n|---|---|---|---|---|---|")
for name, (m, points) in SETS.items():
    print(f"| {name} | {(m + 2) ** 2 / m ** 2:.2f} of 9 |" + "".join(f" {e:.1e} |" for e in measure(m, points)))
