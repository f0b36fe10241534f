#!/usr/bin/env python3
"""What PyTorch trains in all where several processes share one GPU, with the MPS daemon or without: the way to run many small
trials there that winnow's trials side by side stand against.

    tests/bench/torch_side_by_side.py --count 8 --model resnet20 --mode nhwc_bf16_graphs --mps

Each process is ready (compiled, recorded, warm) before the first one is measured. Prints one JSON object: images/s of all, and
whether MPS was there. --mps starts a daemon of its own and ends it; where that cannot be done `mps` says why not.
"""
import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time


@contextlib.contextmanager
def mps(wanted):
    """Says whether processes that are started meanwhile share a context on the GPU: "yes", "no" or why not. A daemon of the
    system's is none of theirs: they look for one in a folder of our own."""
    control = shutil.which("nvidia-cuda-mps-control")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ |= {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        if not wanted or control is None:
            yield "no" if not wanted else "there is no nvidia-cuda-mps-control"
            return
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # the daemon would keep a pipe open
        try:
            started = subprocess.run([control, "-d"], timeout=30, check=False, **quiet)
            yield "yes" if started.returncode == 0 else f"nvidia-cuda-mps-control -d: exit code {started.returncode}"
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run([control], input=b"quit\n", timeout=30, check=False, **quiet)


def train(options, ready, said):
    """One process: images/s, or a line that says what went wrong."""
    try:
        import torch  # here, so that the one that starts the others has no context

        from compare_torch import torch_steps
        torch.set_num_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
        steps, together = torch_steps(options.model, options, options.mode)
        ready.wait(options.within)
        end, done = time.perf_counter() + options.seconds, 0
        while time.perf_counter() < end:
            steps()
            # What ends later ends on a device that others have left.
            done += together if time.perf_counter() <= end else 0
        said.put(done * options.batch / options.seconds)
    except BaseException as error:  # the others must not wait for this one
        ready.abort()
        said.put(f"{type(error).__name__}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--mode", default="nhwc_bf16_graphs")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--mps", action="store_true")
    parser.add_argument("--within", type=int, default=300, help="seconds until all must be ready")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with mps(options.mps) as shared:
        ready, said = context.Barrier(options.count), context.Queue()
        processes = [context.Process(target=train, args=(options, ready, said)) for _ in range(options.count)]
        for process in processes:
            process.start()
        rates = [said.get(timeout=options.within + options.seconds + 30) for _ in processes]
        for process in processes:
            process.join()
    wrong = sorted(rate for rate in rates if isinstance(rate, str))
    if wrong:
        own = [line for line in wrong if not line.startswith("BrokenBarrierError")]
        sys.exit(f"torch_side_by_side: {(own or wrong)[0]}")
    print(json.dumps({"model": options.model, "mode": options.mode, "count": options.count, "batch": options.batch,
                      "mps": shared, "images_s": sum(rates)}))


if __name__ == "__main__":
    main()
