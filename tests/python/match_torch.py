#!/usr/bin/env python3
"""Training matches PyTorch: same start weights, same batches, plain SGD, f32; the losses of 20 steps agree.

    match_torch.py WINNOW [MODEL ...]     needs torch, numpy and h5py (Debian: python3-torch, python3-h5py)

The images are random bytes in CIFAR-10's file layout, written to a temporary folder, so that no data set is needed.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F

STEPS, BATCH, TOLERANCE = 20, 64, 1e-4
# Small enough that rounding is not amplified: at larger rates these untrained nets are chaotic in any framework.
LR = {"lenet5": 0.002, "resnet20": 0.005, "vgg11": 0.0001}
MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)
DEVIATION = np.array([0.2470, 0.2435, 0.2616], np.float32)


def write_cifar(folder):
    """Random images whose brightness depends on the label, so that there is something to learn."""
    rng = np.random.default_rng(7)
    folder.mkdir()
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    first = None
    for name in names:
        labels = rng.integers(0, 10, (10000, 1), dtype=np.uint8)
        pixels = rng.integers(0, 200, (10000, 3072), dtype=np.uint8) + labels * 5
        records = np.concatenate([labels, pixels], axis=1)
        records.tofile(folder / name)
        first = records if first is None else first
    return first


def batches(records):
    labels = torch.from_numpy(records[:, 0].astype(np.int64))
    images = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255)
    images = (images - MEAN[:, None, None]) / DEVIATION[:, None, None]
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        yield torch.from_numpy(np.ascontiguousarray(images[rows])), labels[rows]


def norm(x, p, name):
    return F.batch_norm(x, None, None, p[name + ".weight"], p[name + ".bias"], training=True, eps=1e-5)


def lenet5(x, p):
    x = F.max_pool2d(F.conv2d(x, p["conv1.weight"], p["conv1.bias"]), 2)
    x = F.max_pool2d(F.conv2d(x, p["conv2.weight"], p["conv2.bias"]), 2)
    x = F.relu(F.linear(x.flatten(1), p["fc1.weight"], p["fc1.bias"]))
    return F.linear(x, p["fc2.weight"], p["fc2.bias"])


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


MODELS = {"lenet5": lenet5, "resnet20": resnet20, "vgg11": vgg11}


def winnow_losses(winnow, model, root, out):
    sweep = out / f"{model}.yaml"
    sweep.write_text(f"""
sweep: match
schema: 1
trial:
  data: {{name: cifar10, root: {root}, shuffle: false, augment: none, validation: 0, fraction: 0.04}}
  model: {{name: {model}}}
  method: {{name: dense}}
  train: {{epochs: {STEPS}it, batch: {BATCH}, lr: {LR[model]}, momentum: 0, precision: f32}}
save: {{metrics: {{every: 1}}, weights: {{when: both, form: dense}}}}
""")
    subprocess.run([winnow, "run", sweep, "-o", out / model], check=True, stderr=subprocess.DEVNULL)
    (result,) = (out / model / "trials").glob("*/*.h5")
    with h5py.File(result) as f:
        start = {name: torch.from_numpy(np.asarray(w)) for name, w in f["weights_start"].items()}
        return f["metrics/step/train_loss"][:], start


def torch_losses(model, start, records):
    params = {k: v.clone().requires_grad_(True) for k, v in start.items() if "running" not in k}
    optimizer = torch.optim.SGD(params.values(), lr=LR[model])
    losses = []
    for images, labels in batches(records):
        loss = F.cross_entropy(MODELS[model](images, params), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def main():
    winnow, models = Path(sys.argv[1]).resolve(), sys.argv[2:] or list(MODELS)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        root = out / "cifar-10-batches-bin"
        records = write_cifar(root)
        for model in models:
            ours, start = winnow_losses(winnow, model, root, out)
            theirs = torch_losses(model, start, records)
            worst = np.max(np.abs(ours - theirs) / np.abs(theirs))
            if not worst < TOLERANCE:
                print("step, winnow, torch:", *(f"\n  {i:2d} {a:.7f} {b:.7f}" for i, (a, b) in enumerate(zip(ours, theirs))))
            print(f"{model}: {len(ours)} losses, first {ours[0]:.6f}, last {ours[-1]:.6f}, largest relative difference {worst:.2e}")
            bad += len(ours) != STEPS or not worst < TOLERANCE
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
