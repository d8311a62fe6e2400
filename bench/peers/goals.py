"""The goals of the training race, held against its rows."""

# by network and side: ours reversible is to be so many times as fast as …
REVERSIBLE = {"s0:224": 4, "s2:256": 3, "s4:320": 2.2, "s6:352": 1.8}  # … published reversible, channels_last
STORED = {"s0:224": 3.1, "s2:256": 2.2, "s4:320": 1.5, "s6:352": 1.3}  # … published stored in its best form
PEAK = {"s0:224": 0.40, "s2:256": 0.50, "s4:320": 0.55, "s6:352": 0.60}  # share of the measured multiply-add peak
BF16 = {"s4:320": 1.5, "s6:352": 1.5}  # bf16 over float32
OWN_STORED = 1.3  # a reversible step takes at most so many times our own stored one


def verdict(words, reached):
    return f"{words}, {'reached' if reached else '**not reached**'}"


def speed(race, work, side):
    return next((r["median"] for r in race["rows"] if r["work"] == work and r["side"] == side), None)


def at_least(goal, ratio):
    return verdict(f"≥ {goal} ×: {ratio:.2f}", ratio >= goal) if goal else ""


def is_best_stored(race, row):
    """Is the row the fastest form of published stored?"""
    forms = [r for r in race["rows"] if r["work"] == row["work"] and r["side"].startswith("published stored")]
    return bool(forms) and row is max(forms, key=lambda r: r["median"])


def words(race, row):
    place, ours = ":".join(row["work"].split(":")[:2]), speed(race, row["work"], "ours reversible")
    if row["side"] == "ours reversible" and place in PEAK and race.get("peak_gflops"):
        share = 8e-9 * row["macs"] * ours / race["peak_gflops"]  # bare MACs × 8 operations a training image
        return verdict(f"≥ {100 * PEAK[place]:.0f} % of the peak: {100 * share:.0f} %", share >= PEAK[place])
    if row["side"] == "ours stored":
        ratio = row["median"] / ours
        return verdict(f"reversible takes ≤ {OWN_STORED} × its time: {ratio:.2f}", ratio <= OWN_STORED)
    if row["side"] == "ours reversible, bf16":
        return at_least(BF16.get(place), row["median"] / ours)
    if row["side"] == "published reversible, channels_last":
        return at_least(REVERSIBLE.get(place), ours / row["median"])
    return at_least(STORED.get(place), ours / row["median"]) if is_best_stored(race, row) else ""


def cell(race, row):
    """The last cell of a row: goal, figure, reached or not."""
    return f" {words(race, row)} |"
