"""Speed on the device: single trials, several side by side, and PyTorch on the same device."""
import json
import subprocess
import sys
import time

from accuracy import SYNTHETIC, sweep
from common import ROOT, Failed, Skipped, last_line

CASES = (("lenet300", "bf16", 128), ("lenet5", "bf16", 128), ("resnet20", "f32", 128), ("resnet20", "bf16", 128),
         ("resnet20", "bf16", 1024), ("vgg16", "bf16", 128), ("wide_resnet", "bf16", 128), ("resnet50", "bf16", 128))
# Once more with train.fuse_statistics, which is for whoever it makes faster.
FUSED = ("resnet20", "vgg16", "wide_resnet", "resnet50")


def speed(part):
    """Images/s, TFLOP/s and bandwidth of training steps (winnow bench), by the counts of `winnow bench --dry`."""
    small = part.options.rehearse
    cases = [(*case, fuse) for case in ((("lenet300", "f32", 2),) if small else CASES)
             for fuse in ((False, True) if small or case[0] in FUSED else (False,))]
    for model, precision, batch, fuse in cases:
        if part.left() < 30:
            part.note(f"no time left for {model} {precision}, batch {batch}" + (", fused statistics" if fuse else ""))
            continue
        more = ["--seconds", "0.01", "--set", "data.height=4", "--set", "data.width=4"] if small else ["--seconds", "3"]
        more += ["--set", f"train.fuse_statistics={str(fuse).lower()}"]
        done = part.winnow("bench", "--device", part.device, "--model", model, "--precision", precision, "--batch", batch,
                           "--json", *more, check=False)
        if done.returncode != 0:
            part.figure(model=model, precision=precision, batch=batch, fuse=fuse, problem=last_line(done.stderr))
            continue
        part.figure(**row_of(json.loads(done.stdout), fuse))
    rows = part.record["figures"]
    wrong = [f"{row['model']} {row['precision']}: {row['problem']}" for row in rows if "problem" in row]
    if wrong:
        raise Failed("; ".join(wrong))
    return f"{len(rows)} cases"


def row_of(bench, fuse):
    fused = bench.get("gpu", {}).get("statistics_fused")
    row = {"model": bench["model"], "precision": bench["precision"], "batch": bench["batch"], "fuse": fuse,
           "fused": f"{fused['fused']} of {fused['batch_norms']}" if fused else None, "images_s": bench["images_per_second"], "step_ms": 1e3 * bench["step_seconds"]["median"]}
    gpu = bench.get("gpu")
    if gpu is None:
        return {**row, "TFLOP_s": 1e-3 * bench["gflops"]}
    row |= {"launches": int(gpu["kernels_per_step"] + gpu["library_calls_per_step"]), "TFLOP_s": gpu["tflops"],
            "GB_s": 1e-9 * gpu["bytes_per_second"], "of_copy_%": 100 * gpu["share_of_copy"]}
    for sheet in gpu["by_data_sheet"]:
        row |= {"of_peak_%": 100 * sheet["share_of_peak"]}
        row |= {"of_bandwidth_%": 100 * sheet["share_of_bandwidth"], "of_bound_%": 100 * sheet["share_of_bound"]}
    return row


def side_by_side(part):
    """1 to 32 trials at a time on one device: images/s of all of them, as processes and, where this build can, in one process."""
    small = part.options.rehearse
    ways = {"processes": lambda count: ["--workers", count]}
    if "--trials-per-device" in part.winnow("help", "run").stdout:
        ways = {"processes": lambda count: ["--workers", count, "--trials-per-device", 1],
                "one process": lambda count: ["--workers", 1, "--trials-per-device", count]}
    else:
        part.note("this build has no run --trials-per-device: many trials in one process are not measured")
    cases = ((("lenet300", 4, 1, 32, 1, 2),) if small else
             (("resnet20", 32, 3, 12800, 1, 11), ("lenet5", 28, 1, 12800, 1, 21)))
    for model, size, channels, examples, short, long in cases:
        for way, arguments in ways.items():
            for count in (1, 2) if small else (1, 2, 4, 8, 16, 32):
                if part.left() < 60 and not small:
                    part.note(f"no time left for {count} trials of {model}, {way}")
                    break
                # What starting takes is in both.
                data = SYNTHETIC.format(size=size, channels=channels, examples=examples)
                spent = [timed(part, f"{model}-{way.replace(' ', '-')}-{count}-{epochs}", model, data, epochs, count, arguments(count))
                         for epochs in (short, long)]
                trained = count * examples * (long - short)
                more = spent[1] - spent[0]
                part.figure(model=model, way=way, trials=count, images_s=trained / more if more > 0 else None,
                            seconds_short=spent[0], seconds_long=spent[1])
    rates = [row["images_s"] for row in part.record["figures"] if row["images_s"] is not None]
    if not rates and not small:
        raise Failed("longer trainings take no longer")
    return f"up to {max(rates, default=0):.0f} images/s"


def timed(part, name, model, data, epochs, count, arguments):
    train = f"{{epochs: {epochs}, batch: {16 if part.options.rehearse else 128}, lr: 0.01, eval_every: 1000}}"
    file = part.folder / f"{name}.yaml"
    file.write_text(sweep(model, data, train, count), encoding="utf-8")
    folder = part.folder / f"{name}-{time.monotonic_ns()}"
    start = time.monotonic()
    part.winnow("run", file, "-o", folder, "--device", part.device, *arguments, "--threads", "1", "--strict", "--quiet")
    return time.monotonic() - start


def python_with_torch(part):
    for python in (sys.executable, "/usr/bin/python3", "python3"):
        try:
            found = subprocess.run([python, "-c", "import torch; print(torch.__version__, torch.cuda.is_available())"],
                                   capture_output=True, text=True, timeout=min(120, max(part.left(), 1)))
        except (OSError, subprocess.TimeoutExpired):
            continue
        if found.returncode == 0:
            version, has_gpu = found.stdout.split()[-2:]
            if has_gpu != "True" and not part.options.rehearse:
                raise Skipped(f"PyTorch {version} here sees no GPU")
            return python
    raise Skipped("no PyTorch here")


def processes_side_by_side(part, python):
    """As far as the time goes; that there is no MPS, or no room for so many, is no fault of ours."""
    small = part.options.rehearse
    for count in (2,) if small else (1, 4, 8, 16, 32):
        for mps in ([],) if small or count == 1 else ([], ["--mps"]):
            if part.left() < 60 and not small:
                return part.note(f"no time left for {count} processes of PyTorch")
            of = ["--model", "lenet300", "--mode", "nchw", "--device", "cpu", "--batch", "4", "--seconds", "0.05"]
            command = [python, ROOT / "tests/bench/torch_side_by_side.py", "--count", count, "--within", int(part.left() - 20)]
            done = part.run(*command, *(of if small else mps), check=False)
            if done.returncode != 0:
                part.note(f"{count} processes{' with MPS' if mps else ''}: {last_line(done.stderr)}")
                continue
            found = json.loads(done.stdout)
            part.figure(model=found["model"], what=f"PyTorch {found['mode']}, processes", processes=count, mps=found["mps"],
                        batch=found["batch"], images_s=found["images_s"])


def peers(part):
    """PyTorch on the same device: eager, channels_last in bf16, torch.compile, CUDA graphs; each beside winnow. And processes
    of it side by side, with CUDA graphs and MPS: what `side_by_side` has to be compared with."""
    python = python_with_torch(part)
    small = part.options.rehearse
    wrong = []
    for model in ("lenet300",) if small else ("resnet20", "lenet5", "vgg16"):
        if part.left() < 60 and not small:
            part.note(f"no time left for {model}")
            continue
        winnow = part.program("winnow")  # in a rehearsal both are on the CPU
        command = [python, ROOT / "tests/bench/compare_torch.py", "--winnow", winnow, "--models", model, "--json",
                   "--device", "cpu" if small else "cuda", "--all-modes"]
        command += ["--batch", "4", "--rounds", "1", "--seconds", "0.01", "--reference-blas"] if small else [
            "--rounds", "2", "--seconds", "1"]
        done = part.run(*command, check=False)
        if done.returncode != 0:
            wrong.append(f"{model}: {last_line(done.stderr)}")
            continue
        compared = json.loads(done.stdout)
        for row in compared["step_seconds"]:
            for key, seconds in row.items():
                if key == "model":
                    continue
                what = f"winnow {key}" if key in ("f32", "bf16") else f"PyTorch {key}"
                part.figure(model=model, what=what, batch=compared["batch"], torch=compared["torch"],
                            step_ms=None if seconds is None else 1e3 * seconds,
                            images_s=None if seconds is None else compared["batch"] / seconds)
        for key, why in compared["left_out"].items():
            part.note(f"{model}: {key}: {why}")
    processes_side_by_side(part, python)
    if wrong:
        raise Failed("; ".join(wrong))
    return f"{len(part.record['figures'])} ways measured"
