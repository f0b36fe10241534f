#!/usr/bin/env python3
"""Verbs that only look try to write nothing: look_only.py WINNOW FAULTS

Of a finished sweep, of one with failed, diverged and stopped trials, while another run is at work there, and after that was killed. The
library FAULTS (tests/faults), preloaded, logs whatever would write, make, rename or remove something below the output directory, opens
what is there for writing, or changes rights and times: also what fails, or is undone before anybody compares.
"""
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import ENVIRONMENT, Winnow, digests

LIBRARY = Path(sys.argv[2]).resolve()
winnow = Winnow(Path(sys.argv[1]).resolve(), None)

SWEEP = """
sweep: looked-at
trial:
  data:  {name: synthetic, height: 16, width: 16, channels: 1, examples: 640, test_examples: 100, validation: 64}
  model: {name: lenet300}
  train: {epochs: EPOCHS, batch: 32, lr: LR, precision: f32}
axes:
  - cases:
      - dense
      - {name: born_again, method.teacher: dense}
      - {name: snip, method.density: 0.1, train.lr: 0.02}
    key: method.name
"""
IDLE = 0.02  # s


def write_sweep(folder, name, epochs, lr):
    path = folder / f"{name}.yaml"
    path.write_text(SWEEP.replace("EPOCHS", str(epochs)).replace("LR", str(lr)))
    return path


def watched(folder, out, *args):
    """The exit code and the words of a command that is started in the folder, and all that it tried to write there."""
    log = folder / "operations"
    environment = dict(ENVIRONMENT, LD_PRELOAD=str(LIBRARY), FAULT_FOLDER=str(out), FAULT_ALL="1", FAULT_LOG=str(log))
    done = subprocess.run(winnow.command(*args), cwd=out, env=environment, capture_output=True, text=True, timeout=winnow.limit)
    operations = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return done, operations


def looks(sweep, out, trials):
    """Every way to look that ends by itself."""
    yield from (["status", out], ["status", out, "--all"], ["status", out, "--json"])
    yield from (["report", out], ["report", out, "--json", "--wide"], ["report", out, "--trials"])
    yield from (["tail", out, "--once"], ["tail", sweep, "-o", out, "--once", "--json"])
    yield from (["verify", out], ["verify", out, "--json"])
    yield from (["plan", sweep, "-o", out], ["plan", sweep, "-o", out, "--json", "--all"], ["plan", sweep, "-o", out, "--events"],
                ["plan", sweep, "-o", out, "--shards", "2"])
    yield from (["retry", out, "-n"], ["retry", sweep, "-o", out, "-n", "--json"])
    yield from (["forget", out], ["forget", out, "--json"])
    yield ["doctor"]
    for trial in trials:
        yield from (["show", trial, "-o", out], ["show", trial, "-o", out, "--json"], ["forget", out, "--trial", trial])
    if (out / "survey.h5").exists():
        yield from (["report", out / "survey.h5"], ["verify", out / "survey.h5"])


def nothing_is_tried(folder, sweep, out, trials, *more):
    (out / "results.index").unlink(missing_ok=True)  # what could be written is there to be written
    for args in (*looks(sweep, out, trials), *more):
        done, operations = watched(folder, out, *args)
        refused = done.returncode == 64 and "is being trained" in done.stderr
        assert done.returncode == 0 or refused, f"{args}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        assert not operations, f"{args}: {operations}"


def names(out):
    return sorted(path.name.removesuffix(".h5") for path in (out / "trials").glob("*/*.h5"))


def of_a_finished_sweep(folder):
    sweep, out = write_sweep(folder, "finished", 2, 0.02), folder / "finished"
    winnow("run", sweep, "-o", out, "--threads", "1", "--workers", "2")
    winnow("collect", out)
    trials = names(out)
    assert len(trials) == 3
    (folder / "scratch").mkdir()
    nothing_is_tried(folder, sweep, out, trials, ["status", out, "--watch"], ["tail", out], ["report", out, "--plot", folder / "plot.svg"],
                     ["verify", out, "--replay", trials[0], "--scratch", folder / "scratch"])
    # What does write is seen to.
    (out / "survey.h5").unlink()
    for args in (["collect", out], ["run", sweep, "-o", out], ["forget", out, "--trial", trials[0], "--yes"]):
        done, operations = watched(folder, out, *args)
        assert done.returncode == 0 and operations, f"{args}: {done.stderr}"


def of_one_in_progress(folder):
    """Its teacher diverges, and so the pupil fails; the third trial is stopped, then at work, then killed."""
    sweep, out = write_sweep(folder, "progress", 4000, 10**9), folder / "progress"

    def start():
        job = subprocess.Popen(winnow.command("run", sweep, "-o", out, "--threads", "1", "--workers", "2"), env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        limit = time.monotonic() + winnow.limit
        while not (list((out / "failed").glob("*")) and list((out / "running").glob("*.json"))):
            assert job.poll() is None and time.monotonic() < limit, "it is not at work"
            time.sleep(IDLE)
        return job

    job = start()
    job.send_signal(signal.SIGTERM)
    assert job.wait(winnow.limit) == 75
    winnow("collect", out)
    assert len(digests(out)) == 1 and list((out / "checkpoints").glob("*/*.ck"))
    trials = [*names(out), *(path.stem for path in (out / "failed").glob("*.json")), *(path.name for path in (out / "checkpoints").glob("*"))]
    assert len(trials) == 3, trials
    nothing_is_tried(folder, sweep, out, trials)
    job = start()
    try:
        nothing_is_tried(folder, sweep, out, trials)
        assert job.poll() is None
    finally:
        job.kill()
        job.wait()
    assert list((out / "running").glob("*.json"))
    nothing_is_tried(folder, sweep, out, trials)


def of_nothing(folder):
    """There is no folder, and there is none afterwards; or an empty one."""
    sweep, out = folder / "finished.yaml", folder / "empty"
    out.mkdir()
    for place in (out, out / "none"):
        for args in (["plan", sweep, "-o", place], ["status", place], ["report", place], ["verify", place], ["tail", place, "--once"], ["show", "ab", "-o", place],
                     ["retry", place, "-n"], ["forget", place]):
            done, operations = watched(folder, out, *args)
            assert (done.returncode == 0) == (args[0] == "plan") and not operations, f"{args}: {done.returncode} {operations}\n{done.stderr}"
    assert not os.listdir(out)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        of_a_finished_sweep(folder)
        of_one_in_progress(folder)
        of_nothing(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
