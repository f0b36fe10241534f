#!/usr/bin/env python3
"""Training matches PyTorch: same start weights, same batches, plain SGD, f32; the losses of 12 steps agree.

A deep net without residuals amplifies rounding by a factor of about two a step at any rate (MobileNet). Where the two
differ by more than TOLERANCE, PyTorch in f64 is the referee: ours may stray from it ten times as far as PyTorch's f32.

    match_torch.py WINNOW [MODEL ...]     needs torch, numpy and h5py (Debian: python3-torch, python3-h5py)

The images are random bytes in the file layout of MNIST, written to a temporary folder, so that no data set is needed. VGG's
five poolings need larger ones: its network is compared by synflow_masks.py.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F

STEPS, BATCH, TOLERANCE = 12, 64, 1e-4
AS_FAR_AS_TORCH = 10
# Small enough that rounding is not amplified: at larger rates these untrained nets are chaotic in any framework.
LR = {"lenet5": 0.002, "resnet20": 0.005, "mobilenet_v1": 0.00003, "densenet_bc": 0.005, "cct2_3x2": 0.005}
SETTINGS = {"mobilenet_v1": {"width": 0.25}, "densenet_bc": {"depth": 22}, "cct2_3x2": {"attention_dropout": 0, "drop_path": 0}}
MEAN, DEVIATION = np.float32(0.1307), np.float32(0.3081)


def random_images(rng, count, size):
    """Labels and pixels; brightness depends on the label, so that there is something to learn."""
    labels = rng.integers(0, 10, (count, 1), dtype=np.uint8)
    return labels, rng.integers(0, 200, (count, size), dtype=np.uint8) + labels * 5


def write_mnist(folder):
    """The training labels and images: as many as are used."""
    rng = np.random.default_rng(7)
    folder.mkdir()
    for split, count in (("t10k", 100), ("train", STEPS * BATCH)):
        labels, pixels = random_images(rng, count, 784)
        header = np.array([0x801, count], ">i4").tobytes()
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
        header = np.array([0x803, count, 28, 28], ">i4").tobytes()
        (folder / f"{split}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
    return labels, pixels.reshape(-1, 1, 28, 28)


def batches(labels, images):
    labels = torch.from_numpy(labels[:, 0].astype(np.int64))
    images = (images.astype(np.float32) / np.float32(255) - MEAN) / DEVIATION
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


def mobilenet_v1(x, p):
    x = F.relu(norm(F.conv2d(x, p["conv1.weight"], padding=1), p, "bn1"))
    for stage, blocks in enumerate((1, 2, 2, 6, 2)):
        for block in range(blocks):
            name = f"stage{stage}.block{block}."
            stride = 2 if stage > 0 and block == 0 else 1
            x = F.conv2d(x, p[name + "conv1.weight"], stride=stride, padding=1, groups=x.shape[1])
            x = F.relu(norm(x, p, name + "bn1"))
            x = F.relu(norm(F.conv2d(x, p[name + "conv2.weight"]), p, name + "bn2"))
    return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])


def densenet_bc(x, p):
    x = F.conv2d(x, p["conv1.weight"], padding=1)
    for stage in range(3):
        for layer in range(3):
            name = f"stage{stage}.block{layer}."
            y = F.conv2d(F.relu(norm(x, p, name + "bn1")), p[name + "conv1.weight"])
            y = F.conv2d(F.relu(norm(y, p, name + "bn2")), p[name + "conv2.weight"], padding=1)
            x = torch.cat([x, y], 1)
        if stage < 2:
            name = f"transition{stage}."
            x = F.avg_pool2d(F.conv2d(F.relu(norm(x, p, name + "bn")), p[name + "conv.weight"]), 2)
    return F.linear(F.relu(norm(x, p, "bn_last")).mean((2, 3)), p["fc.weight"], p["fc.bias"])


def cct2_3x2(x, p):
    def linear(x, name):
        return F.linear(x, p[name + ".weight"], p.get(name + ".bias"))

    def layer_norm(x, name):
        return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p[name + ".bias"], 1e-6)

    for i in (1, 2):
        x = F.max_pool2d(F.relu(F.conv2d(x, p[f"conv{i}.weight"], padding=1)), 3, 2, 1)
    x = x.flatten(2).transpose(1, 2) + p["positions"]
    images, tokens, width = x.shape
    for block in range(2):
        name = f"block{block}."
        qkv = linear(layer_norm(x, name + "norm1"), name + "attention.qkv")
        q, k, v = qkv.reshape(images, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (width // 2) ** -0.5).softmax(-1)
        x = x + linear((weights @ v).transpose(1, 2).reshape(images, tokens, width), name + "attention.proj")
        x = layer_norm(x, name + "norm2")
        x = x + linear(F.gelu(linear(x, name + "mlp.fc1")), name + "mlp.fc2")
    x = layer_norm(x, "norm")
    weights = linear(x, "pool").softmax(1)
    return linear((weights.transpose(1, 2) @ x).squeeze(1), "fc")


MODELS = {model.__name__: model for model in (lenet5, resnet20, mobilenet_v1, densenet_bc, cct2_3x2)}


def winnow_losses(winnow, model, out):
    sweep = out / f"{model}.yaml"
    sweep.write_text(f"""
sweep: match
schema: 1
trial:
  data: {{name: mnist, root: {out / "mnist"}, shuffle: false, augment: none, validation: 0}}
  model: {{{", ".join(f"{k}: {v}" for k, v in {"name": model, **SETTINGS.get(model, {})}.items())}}}
  method: {{name: dense}}
  train: {{epochs: {STEPS}it, batch: {BATCH}, lr: {LR[model]}, momentum: 0, precision: f32}}
save: {{metrics: {{every: 1}}, weights: {{when: both, form: dense}}}}
""")
    subprocess.run([winnow, "run", sweep, "-o", out / model], check=True, stderr=subprocess.DEVNULL)
    (result,) = (out / model / "trials").glob("*/*.h5")
    with h5py.File(result) as f:
        start = {name: torch.from_numpy(np.asarray(w)) for name, w in f["weights_start"].items()}
        return f["metrics/step/train_loss"][:], start


def torch_losses(model, start, data, dtype=torch.float32):
    params = {k: v.to(dtype, copy=True).requires_grad_(True) for k, v in start.items() if "running" not in k}
    optimizer = torch.optim.SGD(params.values(), lr=LR[model])
    losses = []
    for images, labels in batches(*data):
        loss = F.cross_entropy(MODELS[model](images.to(dtype), params), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def allowed(theirs, exact):
    """How far a loss may lie from `exact` at each step: by what rounding had moved PyTorch's own f32 until then."""
    strayed = np.maximum.accumulate(np.abs(theirs - exact) / np.abs(exact))
    return np.maximum(TOLERANCE, AS_FAR_AS_TORCH * strayed)


def main():
    winnow, models = Path(sys.argv[1]).resolve(), sys.argv[2:] or list(MODELS)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        data = write_mnist(out / "mnist")
        for model in models:
            ours, start = winnow_losses(winnow, model, out)
            theirs = torch_losses(model, start, data)
            worst = np.max(np.abs(ours - theirs) / np.abs(theirs))
            verdict = worst < TOLERANCE
            if not verdict:
                exact = torch_losses(model, start, data, torch.float64)
                verdict = bool(np.all(np.abs(ours - exact) / np.abs(exact) <= allowed(theirs, exact)))
                rows = zip(range(STEPS), ours, theirs, exact)
                print("step, winnow, torch f32, torch f64:", *("\n  %2d %.7f %.7f %.7f" % row for row in rows))
            print(f"{model}: {len(ours)} losses, first {ours[0]:.6f}, last {ours[-1]:.6f}, largest relative difference {worst:.2e}")
            bad += len(ours) != STEPS or not verdict
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
