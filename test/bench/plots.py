"""Which figures are drawn, and how?  Rows of the report name their figure; one that no row names is not drawn.

Everything is drawn on white, so that it can be read wherever it is shown.
"""

import os
import re
import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "domev", "font.family": "sans-serif", "font.size": 9})
from matplotlib import pyplot  # noqa: E402, its backend had to be chosen

TITLES = {
    "emit": "Time per event, raised",
    "tps": "Transactions per second, as a part of those without an outbox",
    "decode": "Time per event, decoded",
    "mappings": "Cost of mappings by their number",
}
OURS, PEERS = "#1f6feb", "#9aa4af"


def draw(folder, rows):
    """Makes NAME.svg in the folder for each figure that there are rows for; returns their names."""
    drawn = []
    for name, how in (("emit", bars), ("tps", shares), ("decode", bars), ("mappings", lines)):
        chosen = [row for row in rows if row.plot == name and row.figures]
        if chosen:
            figure = how(chosen)
            figure.suptitle(TITLES[name], fontsize=11)
            figure.savefig(os.path.join(folder, name + ".svg"), facecolor="white", metadata={"Date": None}, bbox_inches="tight")
            pyplot.close(figure)
            drawn.append(name)
    return drawn


def is_ours(name):
    return name.startswith("domev")


def bar_axes(counts):
    """Axes one below the other, with room for so many bars each."""
    figure, axes = pyplot.subplots(len(counts), 1, figsize=(7.5, 0.5 + sum(0.28 * count + 0.65 for count in counts)), squeeze=False,
                                   gridspec_kw={"height_ratios": [count + 0.5 for count in counts]}, layout="constrained")
    return figure, [axis for line in axes for axis in line]


def draw_bars(axis, title, bars_of_axis):
    """bars_of_axis: [(name, median, low, high, text)], from top to bottom; the whiskers are from low to high."""
    for position, (name, median, low, high, text) in enumerate(bars_of_axis):
        axis.barh(position, median, height=0.7, color=OURS if is_ours(name) else PEERS,
                  xerr=[[max(median - low, 0)], [max(high - median, 0)]], error_kw={"ecolor": "#24292f", "elinewidth": 0.8, "capsize": 2})
        axis.annotate(text, (high, position), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set_yticks(range(len(bars_of_axis)), [name for name, *_ in bars_of_axis])
    axis.invert_yaxis()
    axis.set_xlim(0, max(high for _, _, _, high, _ in bars_of_axis) * 1.15)
    axis.set_title(title, loc="left", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)


def bars(rows):
    """A bar for each figure, a frame for each row."""
    figure, axes = bar_axes([len(row.figures) for row in rows])
    for row, axis in zip(rows, axes):
        shown = sorted(row.figures.items(), key=lambda item: item[1]["median"])
        draw_bars(axis, f"{row.title} ({row.unit})",
                  [(name, value["median"], value["low"], value["high"], f"{value['median']:.2f}") for name, value in shown])
    return figure


def shares(rows):
    """A bar for each figure, as a part of the row's peer in the same round."""
    found = {}
    for row in rows:
        peer = row.figures[row.peer]["values"]
        for name, value in row.figures.items():
            if name != row.peer:
                found[name] = [ours / other for ours, other in zip(value["values"], peer)]
    listed = sorted(((name, statistics.median(values), min(values), max(values)) for name, values in found.items()), key=lambda item: -item[1])
    figure, (axis,) = bar_axes([len(listed)])
    draw_bars(axis, f"median and spread; 1 is: {rows[0].peer}", [(*item, f"{item[1]:.2f}") for item in listed])
    axis.axvline(1, color="#24292f", linewidth=0.8, linestyle=":")
    return figure


def lines(rows):
    """A line for each kind of mapping.  The title of a row says how many mappings it has; its figures are kinds."""
    kinds = {}
    for row in rows:
        number = int(re.search(r"\d+", row.title).group())
        for name, value in row.figures.items():
            kinds.setdefault(name, []).append((number, value))
    figure, axis = pyplot.subplots(figsize=(6, 3.2), layout="constrained")
    for style, (name, points) in zip(("o-", "s--", "^:", "d-."), kinds.items()):
        points.sort(key=lambda point: point[0])
        numbers, values = [number for number, _ in points], [value for _, value in points]
        medians = [value["median"] for value in values]
        axis.errorbar(numbers, medians, fmt=style, label=name, capsize=2, markersize=4, linewidth=1.2,
                      yerr=[[value["median"] - value["low"] for value in values], [value["high"] - value["median"] for value in values]])
    axis.set_xlabel("mappings of the event type")
    axis.set_ylabel(rows[0].unit)
    axis.set_xticks(sorted({number for points in kinds.values() for number, _ in points}))
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    return figure
