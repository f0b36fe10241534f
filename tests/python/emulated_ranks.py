#!/usr/bin/env python3
"""The whole program under MPI, each rank with an emulated GPU: emulated_ranks.py WINNOW_EMULATED MPIEXEC

Results are those of a run without MPI; two ranks on one GPU are refused in a line; a word to one rank stops the job. Whatever
happens the job ends within the time limit of run().
"""
import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import ENVIRONMENT

WINNOW, MPIEXEC = Path(sys.argv[1]).resolve(), sys.argv[2]
LIMIT = 60  # seconds; a loaded machine takes some of them to start a job
ON_GPUS = ("--device", "cuda", "--threads", 1)

SWEEP = """
trial:
  data:  {name: synthetic, height: 8, width: 8, channels: 1, examples: 64, test_examples: 16, validation: 0}
  model: {name: lenet300}
  train: {epochs: EPOCHS, batch: 16, lr: 0.02, precision: f32}
  method: {name: dense}
axes:
  - cases:
      - dense
      - {name: rigl, method.density: 0.2, method.delta_t: 2it}
    key: method.name
  - replicate: 2
"""


def start(*command):
    command = [str(part) for part in command]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(job):
    try:
        out, err = job.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired as hang:
        job.kill()
        raise AssertionError(f"hangs: {' '.join(job.args)}\n{job.communicate()[1]}") from hang
    return job.returncode, out, err


def two_ranks(*arguments):
    return start(MPIEXEC, "--oversubscribe", "-n", 2, WINNOW, "run", *arguments, *ON_GPUS)


def measured(out):
    """Every figure of a report but those of time."""
    code, text, err = ended(start(WINNOW, "report", out, "--csv"))
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 and all(row["n"] == "2" for row in rows), text
    kept = [key for key in rows[0] if "second" not in key and "images_per" not in key and "utc" not in key]
    assert any("test_loss" in key or "test_acc" in key for key in kept), kept
    return [{key: row[key] for key in kept} for row in rows]


def trials_are_those_of_a_run_without_mpi(folder, sweep, _):
    code, _, err = ended(two_ranks(sweep, "-o", folder / "ranks"))
    assert code == 0 and "4 trained, 0 diverged, 0 failed" in err, err
    assert "trained on 1 GPU (Emulated GPU)" in err and "4 of 4 trials to train on 2 ranks" in err, err
    code, _, err = ended(start(WINNOW, "run", sweep, "-o", folder / "alone", *ON_GPUS))
    assert code == 0, err
    assert measured(folder / "ranks") == measured(folder / "alone")


def two_ranks_on_one_gpu_are_refused(folder, sweep, _):
    out = folder / "one-gpu"
    code, _, err = ended(two_ranks(sweep, "-o", out, "--ranks-per-trial", 2))
    said = [line for line in err.splitlines() if "ranks 0 and 1 of a trial have the same GPU, Emulated GPU GPU-01000000" in line]
    assert code == 78 and said, f"{code}\n{err}"
    reasons = [json.loads(path.read_text())["reason"] for path in (out / "failed").glob("*.json")]
    assert len(reasons) == 1 and "have the same GPU" in reasons[0], reasons
    assert not list(out.glob("trials/*/*.h5"))


def a_word_to_one_rank_stops_the_job(folder, _, endless):
    out = folder / "stop"
    job = two_ranks(endless, "-o", out)
    end = time.monotonic() + LIMIT
    in_work = {}
    while len(in_work) < 2:
        assert time.monotonic() < end and job.poll() is None, f"no two trials in work: {in_work}"
        for path in (out / "running").glob("*.json"):
            try:
                in_work[json.loads(path.read_text())["process"]] = path
            except (OSError, ValueError):  # just being written
                pass
        time.sleep(0.05)
    os.kill(next(iter(in_work)), signal.SIGTERM)
    code, _, err = ended(job)
    assert code == 75 and "stopped on request" in err, f"{code}\n{err}"
    assert not (out / "failed").exists() and not list((out / "running").glob("*.json"))


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sweeps = [folder / "short.yaml", folder / "endless.yaml"]
        for sweep, epochs in zip(sweeps, ("2", "1000000")):
            sweep.write_text(SWEEP.replace("EPOCHS", epochs))
        for part in (trials_are_those_of_a_run_without_mpi, two_ranks_on_one_gpu_are_refused, a_word_to_one_rank_stops_the_job):
            began = time.monotonic()
            part(folder, *sweeps)
            print(f"{part.__name__}: as it should be ({time.monotonic() - began:.1f} s)", flush=True)


main()
