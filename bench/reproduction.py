#!/usr/bin/env python3
"""The paper's claims, one row each: what is published, what was measured here, the command, and whether that checks it.
Runs `revbifpn inspect` and `example_recover`; everything else is read from bench/results.

usage: reproduction.py [--build build] [--results bench/results] [--doc docs/reproduction.md]
With --doc the tables replace what is between `<!-- models: begin -->`, `<!-- accuracy: begin -->`, `<!-- claims: begin -->`
and their ends in that file; without, they are printed. A result file that is missing makes its rows "not measured"."""
import argparse, json, os, subprocess, sys, tempfile

import meter

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
import accuracy_memory_page as memory

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--results", default="bench/results")
p.add_argument("--doc")
a = p.parse_args()
CHECKED, DIFFERS, OPEN = "checked", "**differs**", "not checked here"

# Exact figures, counted by running the authors' code (revbifpn.py with thop); their README.md rounds them.
PARAMETERS = {"s0": 3_419_196, "s1": 5_112_300, "s2": 10_576_528, "s3": 19_574_184, "s4": 48_687_336, "s5": 81_998_976, "s6": 142_307_972}
MACS = {"s0": 308_039_716, "s1": 616_781_508, "s2": 1_370_329_000, "s3": 3_330_873_312, "s4": 10_632_222_080, "s5": 21_848_995_912,
        "s6": 38_084_434_748}
# Table "ImageNet models" of the authors' README.md: parameters, G MACs.
ROUNDED = {"s0": ("3.42M", "0.31"), "s1": ("5.11M", "0.62"), "s2": ("10.6M", "1.37"), "s3": ("19.6M", "3.33"), "s4": ("48.7M", "10.6"),
           "s5": ("82.0M", "21.8"), "s6": ("142.3M", "38.1")}
PICTURES = {"train": 1_281_167, "val": 50_000}  # ImageNet-1k
ARCHIVE_BYTES = {"train": 147_897_477_120, "val": 6_744_924_160}  # ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar


def load(name):
    try:
        with open(os.path.join(a.results, name + ".json")) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def inspect(model):
    words = [f"{a.build}/revbifpn", "inspect", "--model", model, "--json"]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def verdict(equal):
    return CHECKED if equal else DIFFERS


# Published for detectors at 1344 × 800 (the authors' README.md): G MACs, with norms or without; GB a sample in training on a GPU.
DETECTORS = {("detect", "s3"): (180.99, True, 1.31), ("detect", "s5"): (328.91, False, 2.75), ("detect", "s6"): (465.43, False, 3.69),
             ("segment", "s0"): (188.20, True, None), ("segment", "s4"): (304.09, False, 2.05), ("segment", "s6"): (518.50, False, 3.71)}
HRNET = {"s3": ("HRNetV2p-W18", 3.13), "s5": ("HRNetV2p-W32", 4.31), "s6": ("HRNetV2p-W48", 5.82)}  # GB a sample, Faster R-CNN, as published


def ask(verb, task, model):
    words = [f"{a.build}/revbifpn", verb, "--task", task, "--model", model, "--imgsz", "1344x800", "--json"]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def detector_rows():
    """MACs to the published digits; memory by the plan, beside what is published for HRNet and for the authors' own code."""
    cost = {key: ask("inspect", *key) for key in DETECTORS}
    rules = {key: cost[key]["macs_published_rule_with_norms" if norms else "macs_published_rule"] / 1e9 for key, (_, norms, _) in DETECTORS.items()}
    equal = all(round(rules[key], 2) == DETECTORS[key][0] for key in DETECTORS)
    name = {"detect": "Faster", "segment": "Mask"}
    lines = [row("MACs of Faster and Mask R-CNN at 1344 × 800", "figures of the authors' README.md", ", ".join(f"{name[t]} {m.upper()} {v[0]}" for (t, m), v in DETECTORS.items()),
                 ", ".join(f"{v:.2f}" for v in rules.values()) + " G by their rules", "`revbifpn inspect --task detect\\|segment`; all in [detection.md](detection.md#the-papers-coco-tables)",
                 verdict(equal))]
    planned = {m: ask("plan", "detect", m)["activation_bytes_per_sample"] / 1e9 for m in HRNET}
    lines.append(row("2.4 × less training memory than HRNet", "abstract", ", ".join(f"{m.upper()} {DETECTORS['detect', m][2]} GB against {n} {gb}" for m, (n, gb) in HRNET.items()),
                     ", ".join(f"{m.upper()} {gb:.2f} GB: {HRNET[m][1] / gb:.1f} × less than published" for m, gb in planned.items()) + "; planned float32 bytes of one more picture",
                     "`revbifpn plan --task detect --model s6`", verdict(all(HRNET[m][1] / gb >= 2.39 for m, gb in planned.items()))))
    return lines


def models_table():
    lines = ["| network | parameters, published | here | MACs, published | here, by the same rule | here, bare | state |", "|---|---|---|---|---|---|---|"]
    for model in PARAMETERS:
        got = inspect(model)
        equal = got["parameters"] == PARAMETERS[model] and got["macs_published_rule"] == MACS[model]
        lines.append(f"| {model.upper()} | {PARAMETERS[model]:,} ({ROUNDED[model][0]}) | {got['parameters']:,} | {MACS[model]:,} ({ROUNDED[model][1]} G) "
                     f"| {got['macs_published_rule']:,} | {got['macs']:,} | {verdict(equal)} |")
    return "\n".join(lines)


def times(m):
    """What validating, an epoch and all epochs take, from measured rates; dashes without."""
    if not m.get("rates"):
        return ["–"] * 3
    train, infer = (m["rates"][k]["images_per_second_median"] for k in ("train", "infer"))
    hours = (PICTURES["train"] / train + 2 * PICTURES["val"] / infer) / 3600
    return [meter.span(PICTURES["val"] / infer / 3600), meter.span(hours), f"{meter.span(hours * m['epochs'])} ({m['epochs']})"]


def accuracy_table(imagenet):
    """What checking each top-1 would take, from rates and plans in imagenet.json."""
    if not imagenet:
        return "Not measured: run `bench/imagenet.py`."
    rates = next((m["rates"] for m in imagenet["models"].values() if m.get("rates")), None)
    where = (f"Rates of {rates['processor']}, {rates['train']['threads']} threads, {rates['train']['kernels']} kernels, commit {rates['train']['commit']}, "
             f"{rates['date']}.") if rates else "Rates are not measured yet: `bench/imagenet.py` does it."
    lines = [where, "", "| network | top-1, published | validating the published weights | training: an epoch | … all epochs | memory, GB | run folder, GB "
             "| state |", "|---|---|---|---|---|---|---|---|"]
    for model, m in imagenet["models"].items():
        plan = m["plan"]
        lines.append(f"| {model.upper()} | {memory.REVBIFPN[model][2]} | {' | '.join(times(m))} | {plan['total_bytes'] / 1e9:.3g} "
                     f"| {(4 * plan['weights_bytes'] + plan['optimizer_bytes']) / 1e9:.3g} | {OPEN} |")
    size = " and ".join(f"{ARCHIVE_BYTES[k] / 1e9:.3g} GB for {k}" for k in ("train", "val"))
    return "\n".join([*lines, "", f"Besides, the pictures: archives of {size}; {PICTURES['train']:,} and {PICTURES['val']:,} pictures."])


def row(claim, source, published, here, command, state):
    return f"| {claim} | {source} | {published} | {here} | {command} | {state} |"


def invertible():
    """Runs the network forward and back on a drawn picture and compares bytes."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = os.path.join(folder, "set")
        subprocess.run([f"{a.build}/revbifpn", "synth", "--out", drawn, "--images", "2", "--val-images", "2", "--classes", "2", "--imgsz", "256"],
                       check=True, capture_output=True)
        picture = next(os.path.join(d, f) for d, _, files in sorted(os.walk(drawn)) for f in sorted(files) if f.endswith(".jpg"))
        done = subprocess.run([f"{a.build}/example_recover", picture, os.path.join(folder, "out.png")], capture_output=True, text=True)
    equal = done.returncode == 0 and "equal to the byte" in done.stdout
    return row("the network can be inverted", "abstract", "recomputes hidden activations", "a picture comes back " + ("to the byte" if equal else "**changed**"),
               "`build/example_recover PICTURE OUT.png`", verdict(equal))


def memory_rows(found):
    command = "`bench/peers/accuracy_memory.py`, then `--draw --doc docs/reproduction.md`"
    get = lambda series, model: memory.per_sample(found, series, model) if found else None
    s6, b7 = get(memory.OURS, "s6"), get(memory.EFFICIENTNET, "b7")
    ratio = f"{b7 / s6:.1f} × less ({memory.mb(s6)} and {memory.mb(b7)} MB a sample)" if s6 and b7 else "not measured"
    state = OPEN if not (s6 and b7) else verdict(b7 / s6 >= memory.PAPER_RATIO) + " (CPU, float32)"
    yield row("S6 trains with 19.8 × less memory a sample than EfficientNet-B7: S6 at 352 px, 38 G MACs, 84.2 %, B7 at 600 px, 37 G MACs, 84.3 %",
              "abstract; README of the code", f"{memory.PAPER_RATIO} ×", ratio, command, state)
    pairs = [(m, e) for m, e in zip(memory.REVBIFPN, memory.EFFICIENTNETS)]
    got = [(m, e, get(memory.OURS, m), get(memory.EFFICIENTNET, e)) for m, e in [*pairs, ("s6", "b7")]]
    if all(x[2] and x[3] for x in got):
        least = min(got, key=lambda x: x[3] / x[2])
        here = f"S0 and B0 … S6 and B7: {least[3] / least[2]:.1f} × less at least ({least[0].upper()}, {least[1].upper()})"
        state = verdict(least[3] > least[2])
    else:
        here, state = "not measured in full", OPEN
    yield row("less memory than EfficientNet at all scales", "README of the code, figure", "one curve below the other", here, command, state)
    of = lambda m: get(memory.OURS, m)
    figures = [f"{m.upper()} {memory.PAPER_GB[m]:.2f}" for m in ("s4", "s5", "s6")]
    here = ", ".join(f"{m.upper()} {of(m) / 1e9:.3f}" for m in ("s4", "s5", "s6") if of(m)) or "not measured"
    state = verdict(all(of(m) <= 1e9 * memory.PAPER_GB[m] for m in ("s4", "s5", "s6"))) if all(of(m) for m in ("s4", "s5", "s6")) else OPEN
    yield row("memory a sample in training", "the same figure", f"GB: {', '.join(figures)}", f"GB: {here}", command, state)


def depth_row(scaling):
    if not scaling or "depth" not in scaling["points"]:
        return row("memory of activations does not grow with depth", "abstract", "–", "not measured", "`bench/scaling.py --axes depth`", OPEN)
    points = scaling["points"]["depth"]

    def grown(series):
        ends = [points[series][levels]["plan"]["activation_bytes"] for levels in ("2", "32")]
        rss = [points[series][levels]["rss_bytes"] - sum(points[series][levels]["plan"][k] for k in ("weights_bytes", "gradient_bytes", "optimizer_bytes"))
               for levels in ("2", "32")]
        return ends[1] / ends[0], rss[1] / rss[0]

    ours, stored = grown("ours reversible"), grown("ours stored")
    here = (f"2 → 32 extension levels: activations {ours[0]:.2f} × (RSS beyond weights, gradients, momenta {ours[1]:.2f} ×), stored "
            f"{stored[0]:.2f} × ({stored[1]:.2f} ×); what grows is statistics of norms")
    return row("memory of activations does not grow with depth", "abstract", "recomputed instead of kept", here, "`bench/scaling.py --axes depth`",
               verdict(ours[0] < 1.2 < stored[0]))


def speed_rows(races):
    """Against the authors' code in its best form, on the same processor; the paper's own figures are of GPUs."""
    found = [r for race in races if race for r in race["rows"]]
    parts, won = [], True
    for work in dict.fromkeys(r["work"] for r in found):
        side = {r["side"]: r["median"] for r in found if r["work"] == work}
        theirs = max(v for k, v in side.items() if k.startswith("published reversible"))
        parts.append(f"{work.split(':')[0].upper()} {side['ours reversible'] / theirs:.1f} ×")
        won = won and side["ours reversible"] > theirs
    return row("training speed, beside the published code on the same processor", "none published for CPUs", "–",
               "against the published reversible code in its best form: " + ", ".join(parts) if parts else "not measured",
               "`bench/peers/race.py --official DIR`", verdict(won) if parts else OPEN)


def claims_table():
    lines = ["| claim | where | published | here | command | state |", "|---|---|---|---|---|---|"]
    equal = all(inspect(m)["parameters"] == PARAMETERS[m] and inspect(m)["macs_published_rule"] == MACS[m] for m in PARAMETERS)
    lines.append(row("parameters and MACs of S0 … S6", "README of the code, table", "see [Size](#size)", "equal" if equal else "**not equal**", "`revbifpn inspect --model s6`",
                     verdict(equal)))
    lines.append(row("top-1 on ImageNet, S0 … S6", "the same table", ", ".join(str(v[2]) for v in memory.REVBIFPN.values()), "what it would take: [Accuracy](#accuracy)",
                     "`revbifpn val`, or `train` ([imagenet.md](imagenet.md))", OPEN))
    lines.append(invertible())
    lines += memory_rows(load("accuracy-memory"))
    lines.append(depth_row(load("scaling")))
    lines.append(speed_rows([load("race"), load("race-large")]))
    lines += detector_rows()
    lines.append(row("AP of detectors and segmenters on COCO, up to 2.5 above HRNet", "abstract", "Faster S6 42.2, Mask S6 38.7 / 43.3",
                     "not trained here: 118,000 pictures, 12 epochs", "the commands of [detection.md](detection.md#the-papers-coco-tables)", OPEN))
    return "\n".join(lines)


for mark, words in (("models", models_table()), ("accuracy", accuracy_table(load("imagenet"))), ("claims", claims_table())):
    if a.doc:
        meter.put_between(a.doc, mark, words)
    else:
        print(words, end="\n\n")
