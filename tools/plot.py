#!/usr/bin/env python3
"""Draws a comparison: test accuracy against density, or against any column of the report. Needs Matplotlib.

    winnow report out/survey.h5 --plot comparison.svg
    plot.py out/survey.h5 -o bits.pdf --x stored.ratio
    winnow report out/survey.h5 --json | plot.py -o comparison.svg

One panel per table of the report, one line per method (and per combination of its other settings), error bars of one
standard deviation over seeds, the dense baseline as a band. The ending of the output chooses the format.
"""
import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import textwrap

SYSTEM_PYTHON = "/usr/bin/python3"
NO_LIBRARY = 69  # winnow's exit code for it

try:
    import matplotlib
except ImportError:
    # A Python of its own (a virtual environment, say) may lack what the distribution's package has.
    if os.path.exists(SYSTEM_PYTHON) and os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
    print("plot.py: needs Matplotlib (package python3-matplotlib)", file=sys.stderr)
    sys.exit(NO_LIBRARY)

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
LABEL_WIDTH = 34  # characters of a line of the legend


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


def wrapped(text, width):
    return "\n".join(textwrap.wrap(text, width, subsequent_indent="  ")) or text


def draw(panel, group, x):
    for row in group["rows"]:
        mean, sd = 100 * number(row["test_acc_mean"]), 100 * number(row["test_acc_sd"])
        if row["method"] == "dense" and math.isfinite(mean):
            label = " ".join(filter(None, ("dense", row["settings"])))
            panel.axhline(mean, color="0.35", linewidth=1.2, linestyle="--", label=wrapped(label, LABEL_WIDTH))
            if math.isfinite(sd):
                panel.axhspan(mean - sd, mean + sd, color="0.35", alpha=0.12, linewidth=0)
    for i, (label, points) in enumerate(lines(group["rows"], x).items()):
        xs, means, sds = zip(*points)
        bars = [sd if math.isfinite(sd) else 0 for sd in sds]
        # A method goes on in another line style when the colours come round again.
        panel.errorbar(xs, means, yerr=bars, label=wrapped(label, LABEL_WIDTH), color=f"C{i % 10}",
                       marker=MARKERS[i % len(MARKERS)], markersize=5, linewidth=1.4, elinewidth=1, capsize=2,
                       linestyle=("-", "--", ":", "-.")[i // 10 % 4])
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ticks = sorted({number(row[x]) for row in group["rows"] if row["method"] != "dense" and math.isfinite(number(row[x]))})
    if len(ticks) <= 6:
        panel.set_xticks(ticks)
        panel.minorticks_off()
    panel.set_xlabel(AXES.get(x, x))
    panel.set_ylabel("test accuracy, %")
    panel.set_title(wrapped(group["title"], 56), fontsize=11)
    panel.grid(True, alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def size_of(group, x):
    """Inches that a panel needs for itself and its legend."""
    labels = [wrapped(label, LABEL_WIDTH).split("\n") for label in lines(group["rows"], x)]
    longest = max(len(line) for label in labels for line in label)
    return 4.4 + 0.068 * longest, max(3.6, 0.6 + 0.155 * sum(len(label) for label in labels))


def winnow():
    """The program, to read a survey with: $WINNOW, installed with this file, built beside it, or on the path."""
    here = os.path.dirname(os.path.realpath(__file__))
    for place in ("../../bin/winnow", "../build/release/winnow"):
        program = os.path.normpath(os.path.join(here, place))
        if os.access(program, os.X_OK):
            return os.environ.get("WINNOW", program)
    return os.environ.get("WINNOW") or shutil.which("winnow") or sys.exit("plot.py: no winnow to read a survey with")


def load(path):
    """A report: JSON of `winnow report --json` in a file or on standard input, or a survey or output directory."""
    if path is None:
        return json.load(sys.stdin)
    if os.path.isdir(path) or open(path, "rb").read(4) == b"\x89HDF":
        made = subprocess.run([winnow(), "report", path, "--json"], stdout=subprocess.PIPE)
        return json.loads(made.stdout) if made.returncode == 0 else sys.exit(made.returncode)
    with open(path) as source:
        return json.load(source)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", help="survey file, output directory, or JSON of `winnow report --json`; "
                        "without it the JSON comes from standard input")
    parser.add_argument("-o", "--out", required=True, help="picture to write: .svg, .pdf or .png")
    parser.add_argument("--x", default="density_set", help="column of the horizontal axis (default: density_set)")
    given = parser.parse_args()
    try:
        report = load(given.report)
    except (OSError, ValueError) as error:
        sys.exit(f"plot.py: {given.report or 'standard input'}: {error}")
    if not isinstance(report, dict) or report.get("schema") != "winnow-report":
        sys.exit("plot.py: this is not the output of `winnow report --json`")
    groups = [group for group in report["groups"] if lines(group["rows"], given.x)] if all(
        given.x in row for group in report["groups"] for row in group["rows"]) else []
    if not groups:
        sys.exit(f"plot.py: no method of this report has a value in column '{given.x}'")
    plt.rcParams.update({"svg.hashsalt": "winnow", "font.size": 9.5})
    across = min(len(groups), 2 if len(groups) == 4 else 3)
    down = math.ceil(len(groups) / across)
    widths, heights = zip(*(size_of(group, given.x) for group in groups))
    figure, panels = plt.subplots(down, across, figsize=(across * max(widths), down * max(heights)), squeeze=False,
                                  layout="constrained")
    for panel in panels.flat[len(groups):]:
        panel.set_visible(False)
    for panel, group in zip(panels.flat, groups):
        draw(panel, group, given.x)
    # Without a date the same report gives the same file.
    figure.savefig(given.out, metadata={"Date": None} if given.out.endswith(".svg") else None, dpi=150)


if __name__ == "__main__":
    main()
