#!/usr/bin/env python3
"""How much faster a step is once channels have been removed: network slimming on one core, f32, synthetic images.

A trial trains STEPS steps whole and one on what is left; another one STEPS whole and as many on what is left, the making
of the smaller network's programs included. Both in turns; medians of the rounds. The share of multiply-adds that is left
says what could be had.

    tests/bench/shrunk_net.py WINNOW [--prune 0.5] [--rounds 3] [--models resnet20 vgg16 ...]      needs h5py
"""
import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import h5py

STEPS, BATCH = 20, 32
SWEEP = """
sweep: shrunk
schema: 1
trial:
  data:  {{name: synthetic, height: 32, width: 32, channels: 3, examples: 3200, test_examples: 32, validation: 0}}
  model: {{name: {model}}}
  method: {{name: slimming, prune: {prune}, fine_tune: {tail}it}}
  train: {{epochs: {steps}it, batch: {batch}, lr: 0.01, precision: f32}}
save: {{weights: {{form: none}}}}
"""


def seconds(winnow, model, prune, steps, tail):
    with tempfile.TemporaryDirectory() as folder:
        sweep, out = Path(folder) / "s.yaml", Path(folder) / "out"
        sweep.write_text(SWEEP.format(model=model, prune=prune, tail=tail, steps=steps, batch=BATCH))
        subprocess.run(["taskset", "-c", "0", winnow, "run", sweep, "-o", out, "--threads", "1"], check=True, stderr=subprocess.DEVNULL,
                       env=dict(os.environ, OMP_WAIT_POLICY="passive"))
        (result,) = (out / "trials").glob("*/*.h5")
        with h5py.File(result) as f:
            summary = f["summary"]
            assert summary["steps"][()] == steps + tail
            return summary["seconds.train"][()], summary["macs.sparse"][()] / summary["macs.dense"][()]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("winnow")
    options.add_argument("--prune", type=float, default=0.5)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--models", nargs="*", default=["resnet20", "vgg16", "mobilenet_v1", "densenet_bc"])
    given = options.parse_args()
    for model in given.models:
        whole, left = [], []
        for _ in range(given.rounds):
            before, _ = seconds(given.winnow, model, given.prune, STEPS, 1)
            both, share = seconds(given.winnow, model, given.prune, STEPS, STEPS)
            left.append((both - before) / (STEPS - 1))
            whole.append((before - left[-1]) / STEPS)
        step, shrunk = statistics.median(whole), statistics.median(left)
        print(f"{model:14} a step of {BATCH}: {1e3 * step:8.1f} ms whole, {1e3 * shrunk:8.1f} ms with {given.prune:.0%} of the channels removed: "
              f"{step / shrunk:.2f} times as fast; multiply-adds {1 / share:.2f} times fewer", flush=True)


if __name__ == "__main__":
    main()
