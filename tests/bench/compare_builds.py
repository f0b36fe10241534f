#!/usr/bin/env python3
"""Two builds of winnow on this machine: no model may become slower, sweeps of small trials are to become faster.

Both are measured in turns, so that both meet the same load; the table shows medians over the rounds, how many times as fast the second one is by them, and by
the least times, which a machine shared with others disturbs less. All on one core (taskset). What a build does not know (a model, a method) is left out and named.

    tests/bench/compare_builds.py BEFORE AFTER [--rounds 5] [--seconds 2] [--models ...] [--methods ...] [--trials 200]
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

MODELS = ["lenet300", "lenet5", "conv2", "conv4", "conv6", "vgg11", "vgg13", "vgg16", "vgg19", "resnet20", "resnet32", "resnet44",
          "resnet56", "resnet110", "resnet18", "resnet34", "resnet50", "wide_resnet"]
LARGE = {"resnet18", "resnet34", "resnet50", "wide_resnet", "resnet110", "vgg13", "vgg16", "vgg19", "conv6"}
METHODS = ["snip", "rigl", "gmp", "freezenet", "edge_popup"]

SWEEP = """
sweep: small
schema: 1
trial:
  data:  {name: synthetic, height: 8, width: 8, channels: 1, examples: 640, test_examples: 100, validation: 0}
  model: {name: lenet300}
  train: {epochs: STEPSit, batch: 32, lr: 0.01, precision: f32}
  method: {name: dense}
axes:
  - train.lr: [0.01, 0.02, 0.03, 0.05]
  - replicate: COUNT
"""
ENVIRONMENT = dict(os.environ, OMP_WAIT_POLICY="passive")


def step_seconds(winnow, model, method, seconds, batch):
    command = ["taskset", "-c", "0", winnow, "bench", "--model", model, "--method", method, "--precision", "f32", "--batch", str(batch),
               "--seconds", str(seconds), "--json"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    step = json.loads(done.stdout)["step_seconds"] if done.returncode == 0 else None
    return step and (step["median"], step["least"])


def sweep_seconds(winnow, text):
    with tempfile.TemporaryDirectory() as folder:
        sweep = Path(folder) / "sweep.yaml"
        sweep.write_text(text)
        began = time.perf_counter()
        subprocess.run(["taskset", "-c", "0", winnow, "run", sweep, "-o", Path(folder) / "out", "--threads", "1"], env=ENVIRONMENT, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        return seconds, seconds


# `measure` gives the median and the least of what it saw, in seconds.
def in_turns(name, measure, builds, rounds, unit=1e3, what="ms"):
    times = {build: [] for build in builds}
    for _ in range(rounds):
        for build in builds:
            seconds = measure(build)
            if seconds is None:
                print(f"{name:28} not known to {build}", flush=True)
                return
            times[build].append(seconds)
    before, after = (statistics.median(median for median, _ in times[build]) * unit for build in builds)
    least_before, least_after = (min(least for _, least in times[build]) for build in builds)
    print(f"{name:28} {before:10.2f} {what} {after:10.2f} {what}   {before / after:5.2f}x   {least_before / least_after:5.2f}x", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("before")
    options.add_argument("after")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2)
    options.add_argument("--models", nargs="*", default=MODELS)
    options.add_argument("--methods", nargs="*", default=METHODS)
    options.add_argument("--trials", type=int, default=200)
    given = options.parse_args()
    builds = [given.before, given.after]
    print(f"{'':28} {'before':>13} {'after':>13}   {'median':>6}   {'least':>6}")
    for model in given.models:
        batch = 16 if model in LARGE else 64
        in_turns(f"{model}, batch {batch}", lambda build: step_seconds(build, model, "dense", given.seconds, batch), builds, given.rounds)
    for method in given.methods:
        in_turns(f"lenet300 {method}, batch 64", lambda build: step_seconds(build, "lenet300", method, given.seconds, 64), builds, given.rounds)
    for steps in (1, 20) if given.trials else ():
        text = SWEEP.replace("STEPS", str(steps)).replace("COUNT", str(max(1, given.trials // 4)))
        in_turns(f"{given.trials} trials of {steps} steps", lambda build: sweep_seconds(build, text), builds, given.rounds, 1, " s")


if __name__ == "__main__":
    main()
