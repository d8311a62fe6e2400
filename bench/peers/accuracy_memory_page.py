"""What bench/peers/accuracy_memory.py measures, and its table and picture, made from the result file."""
import plot

OURS, OURS_STORED, PUBLISHED = "ours reversible", "ours stored", "published reversible"
LAYOUTS = ["EfficientNet channels_last", "EfficientNet contiguous"]
EFFICIENTNET = "EfficientNet stored"
COLOURS = {OURS: "#2f7fd6", OURS_STORED: "#17a398", PUBLISHED: "#b565c9", EFFICIENTNET: "#e0693b"}

# name → side, batch b of the measurement (2b is the other), top-1 in percent.
# RevBiFPN: table "ImageNet models" of the authors' repository (CerebrasResearch/RevBiFPN, README.md).
REVBIFPN = {"s0": (224, 8, 72.8), "s1": (256, 8, 75.9), "s2": (256, 4, 79.0), "s3": (288, 4, 81.1), "s4": (320, 2, 83.0),
            "s5": (352, 2, 83.7), "s6": (352, 2, 84.2)}
# EfficientNet: Tan and Le, arXiv 1905.11946, table 2; sides as timm and the authors' code have them.
EFFICIENTNETS = {"b0": (224, 4, 77.1), "b1": (240, 4, 79.1), "b2": (260, 4, 80.1), "b3": (300, 2, 81.6), "b4": (380, 1, 82.9),
                 "b5": (456, 1, 83.6), "b6": (528, 1, 84.0), "b7": (600, 1, 84.3)}
MACS = {"b0": 0.39e9, "b1": 0.70e9, "b2": 1.0e9, "b3": 1.8e9, "b4": 4.2e9, "b5": 9.9e9, "b6": 19e9, "b7": 37e9}  # the same table
# The paper's own measurement on one GPU, GB a sample (figures/macs_vs_mem.png of the authors' repository).
PAPER_GB = {"s4": 0.11, "s5": 0.23, "s6": 0.25, "b5": 1.44, "b6": 2.61, "b7": 5.05}
PAPER_PAIRS = [("s4", "b5"), ("s5", "b6"), ("s6", "b7")]
PAPER_RATIO = 19.8  # S6 against B7: abstract, and README.md of the authors' repository


def works(official):
    """(series, network, side, batch) of all that is measured."""
    of = lambda networks, *sides: [(series, model, *v[:2]) for series in sides for model, v in networks.items()]
    return of(REVBIFPN, OURS) + of(EFFICIENTNETS, *LAYOUTS) + of(REVBIFPN, OURS_STORED) + (of(REVBIFPN, PUBLISHED) if official else [])


def growth(point):
    """Bytes that one more sample adds; None when not measured."""
    rss = sorted((int(b), r) for b, r in point.get("rss_bytes", {}).items())
    return (rss[1][1] - rss[0][1]) / (rss[1][0] - rss[0][0]) if len(rss) == 2 else None


def best(result, model):
    """(layout, point) of an EfficientNet: the layout that takes less, unless neither was measured."""
    found = [(layout, result["points"].get(layout, {}).get(model, {})) for layout in LAYOUTS]
    measured = [f for f in found if growth(f[1])]
    return min(measured, key=lambda f: growth(f[1])) if measured else found[0]


def per_sample(result, series, model):
    point = best(result, model)[1] if series == EFFICIENTNET else result["points"].get(series, {}).get(model, {})
    return growth(point)


def mb(number):
    return f"{number / 1e6:.3g}" if number < 1e9 else f"{number / 1e6:.0f}"


def line(name, form, point, macs, top1, model):
    rss = " → ".join(mb(r) for _, r in sorted((int(b), r) for b, r in point.get("rss_bytes", {}).items()))
    grown, planned = growth(point), point.get("planned_bytes_per_sample")
    paper = f"{1e3 * PAPER_GB[model]:.0f}" if model in PAPER_GB and form != OURS_STORED else ""
    parameters = f"{point['parameters'] / 1e6:.1f} M" if "parameters" in point else "–"
    side = {**REVBIFPN, **EFFICIENTNETS}[model][0]
    rss = f"b{point['batch']}: {rss}" if rss else "–"
    return (f"| {name} | {side} | {top1} | {parameters} | {macs / 1e9:.3g} G | {form} | {rss} "
            f"| {mb(planned) if planned else ''} | {mb(grown) if grown else point.get('failed', '–')} | {paper} |")


def rows(result):
    for model, (_, _, top1) in REVBIFPN.items():
        macs = result["points"].get(OURS, {}).get(model, {}).get("macs", 0)
        parameters = result["points"].get(OURS, {}).get(model, {}).get("parameters")
        for series in (OURS, OURS_STORED, PUBLISHED):
            point = result["points"].get(series, {}).get(model)
            if point:
                yield line(model.upper(), series, {"parameters": parameters, **point}, macs, top1, model)
    for model, (_, _, top1) in EFFICIENTNETS.items():
        layout, point = best(result, model)
        yield line(model.upper(), layout.replace("EfficientNet", "stored,"), point, MACS[model], top1, model)


def ratios(result):
    """One line a pair that the paper compares."""
    for s, b in PAPER_PAIRS:
        ours, theirs = per_sample(result, OURS, s), per_sample(result, EFFICIENTNET, b)
        if ours and theirs:
            said = f"{PAPER_GB[b] / PAPER_GB[s]:.1f} × by the rounded figures" + (f", {PAPER_RATIO} × in words" if s == "s6" else "")
            yield f"| {s.upper()} and {b.upper()} | {mb(ours)} | {mb(theirs)} | {theirs / ours:.1f} × | {said} |"


def versions(result):
    point = next((p for layout in LAYOUTS for p in result["points"].get(layout, {}).values() if "torch" in p), {})
    return f"PyTorch {point['torch']}, timm {point['timm']}" if point else "PyTorch not measured"


def missing(result):
    """What is not measured yet, in a sentence; empty when all is."""
    lacks = {}
    for series, model, _, _ in works(True):
        if not growth(result["points"].get(series, {}).get(model, {})):
            lacks.setdefault(series, []).append(model.upper())
    return " Not measured yet: " + "; ".join(f"{series}, {' '.join(models)}" for series, models in lacks.items()) + "." if lacks else ""


def table(result):
    m = result.get("machine", {})
    lines = [f"{m.get('processor', '')}, commit {m.get('commit', '')}, {versions(result)}, {m.get('date', '')}; float32, SGD with momentum. "
             "MB are 10⁶ bytes." + missing(result), "",
             "| network | side | top-1, published | parameters | MACs | form | RSS b → 2b, MB | planned, MB a sample | RSS growth, MB a sample "
             "| the paper's, MB a sample |", "|---|---|---|---|---|---|---|---|---|---|", *rows(result), "",
             "| compared by the paper | RevBiFPN here, MB a sample | EfficientNet, MB a sample | ratio here | ratio of the paper |",
             "|---|---|---|---|---|", *ratios(result)]
    return "\n".join(lines)


def draw(result, path):
    series = {}
    for name, networks in ((OURS, REVBIFPN), (OURS_STORED, REVBIFPN), (PUBLISHED, REVBIFPN), (EFFICIENTNET, EFFICIENTNETS)):
        points = [(per_sample(result, name, model), v[2], model.upper()) for model, v in networks.items()]
        series[name] = [(x / 1e6, y, label) for x, y, label in points if x]
    plot.named_points(path, "ImageNet top-1 as published, %", "memory of training, MB a sample (measured, RSS growth)", series, COLOURS)
