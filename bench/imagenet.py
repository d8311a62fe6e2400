#!/usr/bin/env python3
"""What training S0 … S6 on ImageNet takes: memory from `revbifpn plan`, time from short runs of `revbifpn bench`, for the
recipe `imagenet` (cli/recipes.c). A few minutes in all on a quiet machine.

usage: imagenet.py [--build build] [--models s0,s1,s2,s3,s4,s5,s6] [--steps 3] [--out bench/results/imagenet.json]
                   [--doc docs/imagenet.md] [--plans | --table]
--plans measures no speed (that of an earlier run is kept), --table runs nothing: only the tables of what --out holds.
With --doc the tables replace what is between `<!-- memory: begin -->`, `<!-- time: begin -->`, `<!-- commands: begin -->`
and their ends in that file. bf16 is measured where the processor has it (AVX512-BF16); elsewhere it is emulated."""
import argparse, json, math, os, re

import meter

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--models", default="s0,s1,s2,s3,s4,s5,s6")
p.add_argument("--steps", type=int, default=3)
p.add_argument("--out", default="bench/results/imagenet.json")
p.add_argument("--doc")
p.add_argument("--plans", action="store_true")
p.add_argument("--table", action="store_true")
a = p.parse_args()
TRAIN, VAL = 1_281_167, 50_000  # pictures
BATCH, ACCUMULATE = 32, 32  # of --recipe imagenet: 1024 pictures a step
BENCH_BATCH = {"s0": 32, "s1": 16, "s2": 16, "s3": 8, "s4": 8, "s5": 4, "s6": 4}  # a step takes seconds, not minutes
OPTIMIZER = ["--opt", "rmsproptf", "--model-ema"]
TOP1 = {"s0": 72.8, "s1": 75.9, "s2": 79.0, "s3": 81.1, "s4": 83.0, "s5": 83.7, "s6": 84.2}  # published, README of the authors' code


def run(*words):
    got = meter.measure([f"{a.build}/revbifpn", *words, "--json"])
    if "failed" in got:
        raise SystemExit(f"{' '.join(map(str, words))}: {got['failed']}")
    return got["said"]


def epochs_of_recipe():
    """Epochs by network, from where the recipe has them."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "cli", "recipes.c")) as f:
        table = f.read().split("imagenet_of[]", 1)[1].split("};", 1)[0]
    found = [int(n) for n in re.findall(r'"epochs", "(\d+)"', table)]
    if len(found) != len(TOP1):
        raise SystemExit("cli/recipes.c: no epochs for each network in imagenet_of")
    return dict(zip(TOP1, found))


def has_bf16():
    with open("/proc/cpuinfo") as f:
        return " avx512_bf16" in f.read()


def rates(model):
    """Pictures a second: training, training in bf16 where the processor has it, inference."""
    common = ["bench", "--model", model, "--batch", BENCH_BATCH[model], "--steps", a.steps]
    runs = {"train": run(*common), "infer": run(*common, "--mode", "infer")}
    if has_bf16():
        runs["train_bf16"] = run(*common, "--precision", "bf16")
    print(model, {k: round(r["images_per_second_median"], 2) for k, r in runs.items()}, flush=True)
    wanted = ("images_per_second_median", "images_per_second_best", "batch", "peak_rss_bytes", "threads", "kernels", "commit")
    return {k: {m: r[m] for m in wanted} for k, r in runs.items()}


def load():
    if not os.path.exists(a.out):
        return {"models": {}}
    with open(a.out) as f:
        return json.load(f)


def of_model(model, epochs, old):
    batch = ["plan", "--model", model, "--batch", BATCH, *OPTIMIZER]
    return {"epochs": epochs[model], "plan": run(*batch), "plan_stored": run(*batch, "--activations", "stored"),
            "largest": run("plan", "--model", model, *OPTIMIZER, "--max-memory", "8G", "--solve", "batch"),
            "rates": old.get("rates") if a.plans else {**meter.machine(), "steps": a.steps, **rates(model)}}


def gb(number):
    return f"{number / 1e9:.3g}" if number < 1e11 else f"{number / 1e9:.0f}"


def memory_table(found):
    lines = ["| network | side | planned, GB | of them weights, gradients, optimizer, average | activations, MB a picture | with stored activations, GB "
             "| largest batch in 8 GiB | run folder, GB |", "|---|---|---|---|---|---|---|---|"]
    for model, m in found["models"].items():
        plan = m["plan"]
        fixed = plan["weights_bytes"] + plan["gradient_bytes"] + plan["optimizer_bytes"]
        folder = 4 * plan["weights_bytes"] + plan["optimizer_bytes"]  # best, last, last_ema; the checkpoint has one more and the optimizer
        lines.append(f"| {model.upper()} | {plan['width']} | {gb(plan['total_bytes'])} | {gb(fixed)} | {plan['activation_bytes_per_sample'] / 1e6:.3g} "
                     f"| {gb(m['plan_stored']['total_bytes'])} | {m['largest']['batch']} | {gb(folder)} |")
    return "\n".join(lines)


def speed(m, kind):
    """Pictures a second, or None."""
    return m["rates"][kind]["images_per_second_median"] if m.get("rates") and kind in m["rates"] else None


def hours_an_epoch(m, train="train"):
    """Training pictures once, and validation twice: of the weights and of their average. None when not measured."""
    return (TRAIN / speed(m, train) + 2 * VAL / speed(m, "infer")) / 3600 if speed(m, train) else None


def measured_on(found):
    """Where the rates are from, in a line."""
    rates = next((m["rates"] for m in found["models"].values() if m.get("rates")), None)
    if not rates:
        return "Speed is not measured yet: `bench/imagenet.py --doc docs/imagenet.md` does it."
    return (f"{rates['processor']}, {rates['train']['threads']} threads, {rates['train']['kernels']} kernels, commit {rates['train']['commit']}, "
            f"{rates['date']}; median of {rates['steps']} steps.")


def time_line(model, m):
    hours, bf16 = hours_an_epoch(m), hours_an_epoch(m, "train_bf16")
    cells = ["–"] * 4 if hours is None else [f"{speed(m, 'train'):.3g}", f"{speed(m, 'infer'):.3g}", meter.span(hours), meter.span(m["epochs"] * hours)]
    in_bf16 = f"{speed(m, 'train_bf16'):.3g}, {meter.span(m['epochs'] * bf16)}" if bf16 else "–"
    return f"| {model.upper()} | {' | '.join(cells[:3])} | {m['epochs']} | {cells[3]} | {in_bf16} | {meter.span(VAL / speed(m, 'infer') / 3600) if hours else '–'} |"


def time_table(found):
    steps = math.ceil(TRAIN // BATCH / ACCUMULATE)
    return "\n".join([
        measured_on(found), "",
        "| network | training, pictures a second | inference | an epoch | epochs of the recipe | the whole run | in bf16 | validating the published weights |",
        "|---|---|---|---|---|---|---|---|", *[time_line(model, m) for model, m in found["models"].items()], "",
        f"An epoch is {steps} steps of {BATCH * ACCUMULATE} pictures and two validations of {VAL} pictures (the weights, and their average)."])


def commands(found):
    lines = []
    for model, m in found["models"].items():
        lines += [f"    revbifpn train --data imagenet --model {model} --recipe imagenet --checkpoint-steps 50 --out runs/imagenet/{model}"
                  f"    # {m['epochs']} epochs; to be reached: {TOP1[model]} %"]
    return "\n".join(lines)


if not a.table:
    old = load()["models"]
    new = {model: of_model(model, epochs_of_recipe(), old.get(model, {})) for model in a.models.split(",")}
    meter.save(a.out, {**meter.machine(), "models": {m: new.get(m) or old[m] for m in TOP1 if m in new or m in old}})
result = load()
for mark, text in (("memory", memory_table(result)), ("time", time_table(result)), ("commands", commands(result))):
    if a.doc:
        meter.put_between(a.doc, mark, text)
    else:
        print(text, end="\n\n")
