#!/usr/bin/env python3
"""A trial in progress is killed and goes on: resume_trial.py WINNOW MPIEXEC

Trials of two ranks, each killed at random moments by SIGTERM and SIGKILL (of all processes and of one), have the results of
trials that were left alone; no step before the newest checkpoint is trained again, and no checkpoint is left at the end.
"""
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import ENVIRONMENT, digests, goes_on, newest_step

WINNOW, MPIEXEC = Path(sys.argv[1]).resolve(), sys.argv[2]
LIMIT = 120  # seconds

SWEEP = """
sweep: long
trial:
  ranks: RANKS
  data:  {name: synthetic, height: 16, width: 16, channels: 1, examples: EXAMPLES, test_examples: 200, validation: 64}
  model: {name: lenet300}
  train: {epochs: EPOCHS, batch: 64, lr: 0.02, precision: f32}
save: {checkpoint: {every: 1}, weights: {when: both}}
axes:
  - cases:
CASES
    key: method.name
"""
IMP = "      - {name: imp, method.levels: 2}"
RIGL = "      - {name: rigl, model.name: resnet20, method.density: 0.3, data.examples: 1600}"


class TooShort(Exception):
    """The trials ended before they could be killed often enough."""


def write_sweep(folder, cases, epochs, ranks=2, examples=6400):
    folder.mkdir(exist_ok=True)
    path = folder / f"{ranks}.yaml"
    values = {"RANKS": ranks, "EXAMPLES": examples, "EPOCHS": epochs, "CASES": "\n".join(cases)}
    path.write_text(re.sub("|".join(values), lambda found: str(values[found[0]]), SWEEP))
    return path


def command(sweep, out, ranks):
    return [MPIEXEC, "--oversubscribe", "-n", str(ranks), str(WINNOW), "run", str(sweep), "-o", str(out), "--threads", "1"]


def finish(sweep, out, ranks=2):
    done = subprocess.run(command(sweep, out, ranks), env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stderr


def processes(which, job):
    """Of its session ("-s"), since ranks have process groups of their own, or the ranks below mpirun ("-P")."""
    found = subprocess.run(["pgrep", "-r", "D,R,S,T", which, str(job.pid)], capture_output=True, text=True).stdout.split()
    return [int(pid) for pid in found]


def end(job, how):
    """What the job said, after it and all of its ranks ended within ten seconds of being hit; nothing if some had ended before."""
    ranks = processes("-P", job)
    if len(ranks) < 2:
        assert job.communicate(timeout=30) and job.returncode == 0, f"exit code {job.returncode}"
        return None
    if how == "TERM":
        job.send_signal(signal.SIGTERM)
    else:
        for pid in processes("-s", job) if how == "all" else [random.choice(ranks)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    hit = time.monotonic()
    said = job.communicate(timeout=30)[1]
    while processes("-s", job) and time.monotonic() - hit < 10:  # a rank that lives on may be saving
        time.sleep(0.02)
    assert time.monotonic() - hit < 10, f"{how}: it took more than 10 s to end\n{said}"
    return said


def killed(sweep, out, how, seconds):
    """Runs until it has written a checkpoint, and for that long. What it said, or nothing if it had ended by itself."""
    job = subprocess.Popen(command(sweep, out, 2), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           start_new_session=True)
    before, limit = checkpoints(out), time.monotonic() + LIMIT
    while not checkpoints(out) - before and job.poll() is None:
        assert time.monotonic() < limit, "no checkpoint"
        time.sleep(0.02)
    try:
        job.wait(timeout=seconds)
        job.stderr.close()
        return None
    except subprocess.TimeoutExpired:
        return end(job, how)


def checkpoints(out):
    return set((out / "checkpoints").glob("*/*.ck"))


def killed_again_and_again(folder, epochs):
    sweep = write_sweep(folder, [IMP, RIGL], epochs)
    finish(sweep, folder / "alone")
    alone = digests(folder / "alone")
    assert len(alone) == 2
    out = folder / "killed"
    resumed = 0
    for attempt in range(40):
        if resumed >= 6:
            break
        before = newest_step(out)
        said = killed(sweep, out, ["TERM", "all", "one rank"][attempt % 3], random.uniform(0, 0.5))
        if said is None:
            break
        for name, step in goes_on(said).items():
            assert step == before[name], f"goes on from {step}, saved was {before}"
            resumed += 1
    finish(sweep, out)
    assert digests(out) == alone, f"{digests(out)}\n{alone}"
    assert not list((out / "checkpoints").glob("*/*.ck"))
    if resumed < 2:
        raise TooShort(f"went on {resumed} times: proves too little")
    print(f"killed {attempt} times, went on {resumed} times")


def with_other_ranks(folder, epochs):
    """Without batch norm the number of ranks is no part of a trial's identity, so another number may finish it."""
    import h5py

    out = folder / "other"
    sweep = write_sweep(folder, [IMP], epochs, examples=12800)
    if killed(sweep, out, "TERM", 0) is None or digests(out):
        raise TooShort("it ended before it could be stopped")
    said = finish(write_sweep(folder, [IMP], epochs, ranks=1, examples=12800), out, ranks=1)
    assert len(goes_on(said)) == 1, said
    with h5py.File(next((out / "trials").glob("*/*.h5"))) as f:
        attempts = f["provenance/attempts"][()].decode().split("; ")
    assert len(attempts) == 2 and " 2 ranks, " in attempts[0] and " 1 rank, " in attempts[1], attempts


def long_enough(test, folder):
    """A test with as many epochs as this machine needs: before the first checkpoint a second goes by, which may be a trial."""
    for epochs in (16, 64, 256):
        try:
            return test(folder / f"{test.__name__}{epochs}", epochs)
        except TooShort as why:
            print(f"{epochs} epochs: {why}", flush=True)
    raise AssertionError(f"{test.__name__}: no trial was long enough")


def main():
    random.seed(int(os.environ.get("WINNOW_SEED", "1")))
    with tempfile.TemporaryDirectory() as folder:
        long_enough(with_other_ranks, Path(folder))
        long_enough(killed_again_and_again, Path(folder))


main()
