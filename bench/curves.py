"""Panels of curves over a run, as SVG: one panel a data set, one line a run, a colour for each side. Readable on light and on dark
pages."""
from plot import INK, line, text

COLOURS = ("#e0693b", "#2f7fd6", "#17a398")
WIDTH, HEIGHT, LEFT, TOP, GAP, DOWN = 320, 200, 50, 34, 70, 66  # of a panel, before it, and between panels


def panel(title, lines, left, top):
    """`lines`: (colour, values by epoch, from 0 to 1). The epochs of each run are stretched over the whole width."""
    parts = [text(left, top - 12, title), f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{INK}"/>']
    for fifth in range(0, 6):
        y = top + HEIGHT * (1 - fifth / 5)
        parts += [text(left - 8, y + 4, f"{fifth / 5:.1f}", "end"), line(left, y, left + WIDTH, y, 0.3)]
    for colour, values in lines:
        points = " ".join(f"{left + WIDTH * (i + 1) / len(values):.1f},{top + HEIGHT * (1 - v):.1f}" for i, v in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    parts.append(text(left + WIDTH / 2, top + HEIGHT + 18, "part of the run", "middle"))
    return parts


def picture(path, panels, names):
    """Two panels a row, the colours below. `panels`: title → side → runs, each its values by epoch; `names`: side → in words, in
    the order of the colours."""
    colours = dict(zip(names, COLOURS))
    rows = (len(panels) + 1) // 2
    width, height = LEFT + 2 * (WIDTH + GAP) - GAP + 16, TOP + rows * (HEIGHT + DOWN) + 20
    parts = []
    for i, (title, sides) in enumerate(panels.items()):
        lines = [(colours[side], values) for side, runs in sides.items() for values in runs]
        parts += panel(title, lines, LEFT + i % 2 * (WIDTH + GAP), TOP + i // 2 * (HEIGHT + DOWN))
    for i, (side, name) in enumerate(names.items()):
        at = LEFT + 240 * i
        parts += [f'<rect x="{at}" y="{height - 27}" width="18" height="4" fill="{colours[side]}"/>', text(at + 26, height - 20, name)]
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">\n'
                + "\n".join(parts) + "\n</svg>\n")
