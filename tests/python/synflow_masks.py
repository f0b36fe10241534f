#!/usr/bin/env python3
"""SynFlow keeps the weights that the official procedure keeps, run by PyTorch in double precision.

    synflow_masks.py WINNOW [MODEL ...]     needs torch, numpy and h5py (Debian: python3-torch, python3-h5py)

The procedure is that of ganguli-lab/Synaptic-Flow: absolute values of parameters and statistics, an image of ones,
evaluation mode, 100 rounds (a tenth for the large net), the k-th smallest score as threshold.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F

DENSITY = 0.01
ROUNDS = {"conv4": 100, "resnet20": 100, "vgg11": 10}
SIZE = {"conv4": 16, "resnet20": 16, "vgg11": 32}  # of the images


def norm(x, p, name):
    return F.batch_norm(x, p[name + ".running_mean"], p[name + ".running_var"], p[name + ".weight"], p[name + ".bias"],
                        training=False, eps=1e-5)


def conv4(x, p):
    for i in range(1, 5):
        x = F.relu(F.conv2d(x, p[f"conv{i}.weight"], p[f"conv{i}.bias"], padding=1))
        if i % 2 == 0:
            x = F.max_pool2d(x, 2)
    x = F.relu(F.linear(x.flatten(1), p["fc1.weight"], p["fc1.bias"]))
    x = F.relu(F.linear(x, p["fc2.weight"], p["fc2.bias"]))
    return F.linear(x, p["fc3.weight"], p["fc3.bias"])


def resnet20(x, p):
    x = F.relu(norm(F.conv2d(x, p["conv1.weight"], padding=1), p, "bn1"))
    for stage in range(3):
        for block in range(3):
            name = f"stage{stage}.block{block}."
            stride = 2 if stage > 0 and block == 0 else 1
            y = F.relu(norm(F.conv2d(x, p[name + "conv1.weight"], stride=stride, padding=1), p, name + "bn1"))
            y = norm(F.conv2d(y, p[name + "conv2.weight"], padding=1), p, name + "bn2")
            if stride == 2:
                quarter = y.shape[1] // 4
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
            x = F.relu(x + y)
    return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])


def vgg11(x, p):
    for stage, convs in enumerate((1, 1, 2, 2, 2)):
        for block in range(convs):
            name = f"stage{stage}.block{block}."
            x = F.relu(norm(F.conv2d(x, p[name + "conv.weight"], padding=1), p, name + "bn"))
        x = F.max_pool2d(x, 2)
    return F.linear(x.flatten(1), p["fc.weight"], p["fc.bias"])


MODELS = {model.__name__: model for model in (conv4, resnet20, vgg11)}


def winnow_weights(winnow, model, out):
    """The weights that training starts from: without a mask, and with SynFlow's."""
    sweep = out / f"{model}.yaml"
    sweep.write_text(f"""
sweep: masks
schema: 1
pair: all
trial:
  data: {{name: synthetic, height: {SIZE[model]}, width: {SIZE[model]}, channels: 3, examples: 64, test_examples: 16, validation: 0}}
  model: {{name: {model}}}
  train: {{epochs: 1it, batch: 16, lr: 0.01, precision: f32}}
save: {{weights: {{when: both, form: dense}}}}
axes:
  - cases: [{{name: dense}}, {{name: synflow, method.density: {DENSITY}, method.iterations: {ROUNDS[model]}}}]
""")
    subprocess.run([winnow, "run", sweep, "-o", out / model], check=True, stderr=subprocess.DEVNULL)
    found = {}
    for path in (out / model / "trials").glob("*/*.h5"):
        with h5py.File(path) as f:
            method = "synflow" if "method.name=synflow" in f["settings/canonical"][()].decode() else "dense"
            found[method] = {name: torch.from_numpy(np.asarray(w)) for name, w in f["weights_start"].items()}
    return found["dense"], found["synflow"]


def official_masks(model, start):
    flow = {name: w.double().abs() for name, w in start.items()}
    pruned = [name for name, w in flow.items() if w.dim() >= 2]
    masks = {name: torch.ones_like(flow[name]) for name in pruned}
    ones, rounds = torch.ones(1, 3, SIZE[model], SIZE[model], dtype=torch.float64), ROUNDS[model]
    for i in range(rounds):
        params = {name: flow[name].clone().requires_grad_(True) for name in pruned}
        MODELS[model](ones, {**flow, **{name: params[name] * masks[name] for name in pruned}}).sum().backward()
        scores = {name: (params[name].grad * params[name]).detach().abs() for name in pruned}
        together = torch.cat([s.flatten() for s in scores.values()])
        k = int((1 - DENSITY ** ((i + 1) / rounds)) * together.numel())
        if k < 1:
            continue
        threshold = torch.kthvalue(together, k).values
        masks = {name: (s > threshold).double() for name, s in scores.items()}
    return masks


def main():
    winnow, models = Path(sys.argv[1]).resolve(), sys.argv[2:] or list(MODELS)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            start, pruned = winnow_weights(winnow, model, Path(folder))
            masks = official_masks(model, start)
            kept = sum(int(m.sum()) for m in masks.values())
            other = sum(int(((pruned[name] != 0) != (m != 0)).sum()) for name, m in masks.items())
            print(f"{model}: {kept} weights kept, {other} entries of the masks differ")
            bad += other
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
