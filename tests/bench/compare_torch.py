#!/usr/bin/env python3
"""Training steps of winnow against PyTorch on this machine.

Both train the same network with SGD and momentum on one batch size and thread count, in turns, so that
both meet the same load; the table shows medians over the rounds. PyTorch runs in its two memory formats
and the faster one counts. With --device cuda both train on the GPU, in f32 without TF32, as winnow does, and
--all-modes adds channels_last in bf16 (autocast), torch.compile and CUDA graphs. On the CPU a PyTorch on the reference BLAS, which Debian installs, is no peer and is
refused: install libopenblas0-pthread. Some OpenBLAS versions do not know new processors; OPENBLAS_CORETYPE
(e.g. SkylakeX) then helps them. The first line says how fast PyTorch multiplies matrices here.

    tests/bench/compare_torch.py --winnow build/release/winnow [--threads 1] [--batch 128] [--rounds 5]
    tests/bench/compare_torch.py --winnow build/gpu/winnow --device cuda --all-modes
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


def lenet300():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(),
                         nn.Linear(100, 10))


def lenet5():
    return nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


class Block(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.pad = channels // 4 if stride > 1 else 0

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x)


def resnet20():
    layers, channels_in = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(3):
            layers.append(Block(channels_in, channels, 2 if stage and not block else 1))
            channels_in = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def vgg16():
    layers, channels_in = [], 3
    for stage in ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)):
        if channels_in > 3:
            layers.append(nn.MaxPool2d(2))
        for channels in stage:
            layers += [nn.Conv2d(channels_in, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
            channels_in = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


MODELS = {"lenet300": (lenet300, (1, 28, 28)), "lenet5": (lenet5, (1, 28, 28)), "resnet20": (resnet20, (3, 32, 32)),
          "vgg16": (vgg16, (3, 32, 32))}


def matrix_gflops(device):
    """What PyTorch's BLAS reaches, in f32."""
    size = 512 if device == "cpu" else 8192
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2e-9 * size**3 / min(times)


class NotHere(Exception):
    """This PyTorch, or this device, has no such way to train."""


# By name: memory format, autocast to bf16, and how a step is run.
PLAIN_MODES = {"nchw": (torch.contiguous_format, False, "eager"), "nhwc": (torch.channels_last, False, "eager")}
ALL_MODES = {**PLAIN_MODES, "nhwc_bf16": (torch.channels_last, True, "eager"),
             "nhwc_bf16_compile": (torch.channels_last, True, "compile"),
             "nhwc_bf16_compile_graphs": (torch.channels_last, True, "reduce-overhead"),
             "nhwc_bf16_graphs": (torch.channels_last, True, "graphs")}


def compiled(model, how):
    if not hasattr(torch, "compile"):
        raise NotHere(f"PyTorch {torch.__version__} has no torch.compile")
    return torch.compile(model, mode="reduce-overhead" if how == "reduce-overhead" else "default")


def recorded(step, optimizer):
    """The step as one CUDA graph; as PyTorch's notes on CUDA graphs do it."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(beside)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def torch_steps(name, options, mode):
    """Runs training steps, and how many they are: on a GPU some that are queued together, as winnow bench does."""
    memory_format, in_bf16, how = ALL_MODES[mode]
    on_gpu = options.device == "cuda"
    if how == "graphs" and not on_gpu:
        raise NotHere("CUDA graphs need a GPU")
    make, shape = MODELS[name]
    torch.manual_seed(1)
    model = make().to(options.device, memory_format=memory_format)
    images = torch.randn(options.batch, *shape).to(options.device).contiguous(memory_format=memory_format)
    labels = torch.randint(0, 10, (options.batch,)).to(options.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    network = compiled(model, how) if how in ("compile", "reduce-overhead") else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(options.device, dtype=torch.bfloat16, enabled=in_bf16, cache_enabled=how != "graphs"):
            loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()

    once, together = (recorded(step, optimizer) if how == "graphs" else step), 32 if on_gpu else 1

    def steps():
        for _ in range(together):
            once()
        if on_gpu:
            torch.cuda.synchronize()

    for _ in range(3):
        steps()
    return steps, together


def torch_step_seconds(name, options, mode):
    """The median time of a training step."""
    clock = time.thread_time if options.cpu_time else time.perf_counter
    steps, together = torch_steps(name, options, mode)
    times, end = [], time.perf_counter() + options.seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = clock()
        steps()
        times.append((clock() - start) / together)
    return statistics.median(times)


def winnow_step_seconds(winnow, name, precision, options):
    command = [winnow, "bench", "--model", name, "--precision", precision, "--batch", str(options.batch), "--threads",
               str(options.threads), "--seconds", str(options.seconds), "--device", options.device, "--json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result["step_seconds"]["cpu_median" if options.cpu_time else "median"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--winnow", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--cpu-time", action="store_true", help="time of the thread, for a busy machine; one thread")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--all-modes", action="store_true", help="bf16, torch.compile and CUDA graphs too")
    parser.add_argument("--reference-blas", action="store_true", help="measure even if PyTorch has no fast BLAS")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.cpu_time and options.threads != 1:
        parser.error("--cpu-time needs --threads 1")
    if options.device == "cuda" and (options.cpu_time or not torch.cuda.is_available()):
        parser.error("--cpu-time is for the CPU" if options.cpu_time else "this PyTorch sees no GPU")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)

    gflops = matrix_gflops(options.device)
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        reference = "/blas/libblas.so" in maps.read()
    if reference and options.device == "cpu" and not options.reference_blas:
        sys.exit(f"compare_torch: PyTorch uses the reference BLAS ({gflops:.0f} GFLOP/s): install libopenblas0-pthread, "
                 "or give --reference-blas")

    rows, left_out = [], {}
    for name in options.models:
        times = {}
        for _ in range(options.rounds):
            for key in ALL_MODES if options.all_modes else PLAIN_MODES:
                if key in left_out:
                    continue
                try:
                    times.setdefault(key, []).append(torch_step_seconds(name, options, key))
                except NotHere as reason:
                    left_out[key] = str(reason)
                except (RuntimeError, OSError) as error:  # PyTorch's own limits, such as a compiler that is not there
                    left_out[key] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            for precision in ("f32", "bf16"):
                times.setdefault(precision, []).append(
                    winnow_step_seconds(options.winnow, name, precision, options))
        rows.append({"model": name, **{key: statistics.median(values) if values else None for key, values in times.items()}})

    if options.json:
        print(json.dumps({"torch": torch.__version__, "threads": options.threads, "batch": options.batch,
                          "rounds": options.rounds, "cpu_time": options.cpu_time, "cpus": os.cpu_count(), "torch_matrix_gflops": gflops,
                          "device": options.device, "left_out": left_out, "step_seconds": rows}, indent=2))
        return 0
    for key, why in left_out.items():
        print(f"without {key}: {why}")
    if options.device == "cuda" or options.all_modes:
        for row in rows:
            print(f"{row['model']}: " + ", ".join(f"{key} {1e3 * seconds:.3f} ms" for key, seconds in row.items()
                                                  if key != "model" and seconds is not None))
        return 0
    print(f"PyTorch {torch.__version__}, {options.threads} thread(s), batch {options.batch}, medians of "
          f"{options.rounds} rounds, {'CPU ' if options.cpu_time else ''}milliseconds a step; PyTorch's matrix product "
          f"{gflops:.0f} GFLOP/s")
    print(f"{'model':10} {'torch nchw':>10} {'torch nhwc':>10} {'winnow f32':>10} {'winnow bf16':>11} "
          f"{'f32 ratio':>9} {'bf16 ratio':>10}")
    for row in rows:
        best = min(row["nchw"], row["nhwc"])
        print(f"{row['model']:10} {1e3 * row['nchw']:10.2f} {1e3 * row['nhwc']:10.2f} {1e3 * row['f32']:10.2f} "
              f"{1e3 * row['bf16']:11.2f} {best / row['f32']:8.2f}x {best / row['bf16']:9.2f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
