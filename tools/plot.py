#!/usr/bin/env python3
"""Draws a comparison: test accuracy against density, or against any column of the report. Needs Matplotlib.

    winnow report out/survey.h5 --json | tools/plot.py -o comparison.svg
    winnow report out/survey.h5 --json | tools/plot.py -o bits.pdf --x stored.ratio

One panel per table of the report, one line per method (and per combination of its other settings), error bars of one
standard deviation over seeds, the dense baseline as a band. The ending of the output chooses the format.
"""
import argparse
import json
import math
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

AXES = {
    "density_set": "density of the prunable weights",
    "stored.ratio": "dense bits over stored bits",
    "flops.train_ratio": "training FLOPs, relative to dense",
    "speedup.theoretical": "theoretical speed-up",
    "compression": "compression (parameters over non-zero ones)",
}
MARKERS = "osD^vP*Xph<>"


def number(value):
    """A cell as a float; what does not apply becomes NaN."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def lines(rows, x):
    """{label: sorted [(x, mean %, sd %)]} of everything but the dense baseline."""
    found = {}
    for row in rows:
        if row["method"] == "dense":
            continue
        label = " ".join(filter(None, (row["method"], row["settings"])))
        point = (number(row[x]), 100 * number(row["test_acc_mean"]), 100 * number(row["test_acc_sd"]))
        if math.isfinite(point[0]) and math.isfinite(point[1]):
            found.setdefault(label, []).append(point)
    # The legend follows the order of the lines at the sparsest point.
    return dict(sorted(((k, sorted(v)) for k, v in found.items()), key=lambda item: -item[1][0][1]))


def draw(panel, group, x):
    for row in group["rows"]:
        mean, sd = 100 * number(row["test_acc_mean"]), 100 * number(row["test_acc_sd"])
        if row["method"] == "dense" and math.isfinite(mean):
            panel.axhline(mean, color="0.35", linewidth=1.2, linestyle="--", label="dense")
            if math.isfinite(sd):
                panel.axhspan(mean - sd, mean + sd, color="0.35", alpha=0.12, linewidth=0)
    for i, (label, points) in enumerate(lines(group["rows"], x).items()):
        xs, means, sds = zip(*points)
        bars = [sd if math.isfinite(sd) else 0 for sd in sds]
        panel.errorbar(xs, means, yerr=bars, label=label, color=f"C{i % 10}", marker=MARKERS[i % len(MARKERS)], markersize=5,
                       linewidth=1.4, elinewidth=1, capsize=2)
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ticks = sorted({number(row[x]) for row in group["rows"] if row["method"] != "dense" and math.isfinite(number(row[x]))})
    if len(ticks) <= 6:
        panel.set_xticks(ticks)
        panel.minorticks_off()
    panel.set_xlabel(AXES.get(x, x))
    panel.set_ylabel("test accuracy, %")
    panel.set_title(group["title"], fontsize=11)
    panel.grid(True, alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", help="JSON of `winnow report --json`; standard input if absent")
    parser.add_argument("-o", "--out", required=True, help="picture to write: .svg, .pdf or .png")
    parser.add_argument("--x", default="density_set", help="column of the horizontal axis (default: density_set)")
    given = parser.parse_args()
    with open(given.report) if given.report else sys.stdin as source:
        report = json.load(source)
    if report.get("schema") != "winnow-report":
        sys.exit("plot.py: this is not the output of `winnow report --json`")
    groups = [group for group in report["groups"] if lines(group["rows"], given.x)] if all(
        given.x in row for group in report["groups"] for row in group["rows"]) else []
    if not groups:
        sys.exit(f"plot.py: no method of this report has a value in column '{given.x}'")
    plt.rcParams.update({"svg.hashsalt": "winnow", "font.size": 9.5})
    figure, panels = plt.subplots(1, len(groups), figsize=(5.6 * len(groups), 3.6), squeeze=False, layout="constrained")
    for panel, group in zip(panels[0], groups):
        draw(panel, group, given.x)
    # Without a date the same report gives the same file.
    figure.savefig(given.out, metadata={"Date": None} if given.out.endswith(".svg") else None, dpi=150)


if __name__ == "__main__":
    main()
