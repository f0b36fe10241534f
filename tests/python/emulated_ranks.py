#!/usr/bin/env python3
"""The whole program under MPI, each rank with an emulated GPU: emulated_ranks.py WINNOW_EMULATED MPIEXEC
[PART...]

Results are those of a run without MPI, one trial or several at a time on each rank; trials of two ranks on one GPU are refused
in a line, and others trained; a word to one rank stops the job; of several trials that a rank had in hand when it crashed none is
blamed. Whatever happens the job ends within the time limit of run().
"""
import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import ENVIRONMENT, digests, newest_step

WINNOW, MPIEXEC = Path(sys.argv[1]).resolve(), sys.argv[2]
LIMIT = 60  # seconds; a loaded machine takes some of them to start a job
LONG = 40  # epochs, that a test has time to see a trial in work
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


def start(*command, gpus=1):
    command = [str(part) for part in command]
    env = dict(ENVIRONMENT, WINNOW_EMULATED_GPUS=str(gpus))
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(job):
    try:
        out, err = job.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired as hang:
        job.kill()
        raise AssertionError(f"hangs: {' '.join(job.args)}\n{job.communicate()[1]}") from hang
    return job.returncode, out, err


def two_ranks(*arguments, gpus=1):
    """Of one machine, whose GPUs they take in turn."""
    return start(MPIEXEC, "--oversubscribe", "-n", 2, WINNOW, "run", *arguments, *ON_GPUS, gpus=gpus)


def in_work(out):
    """Trials that each process has in work."""
    found = {}
    for path in (out / "running").glob("*.json"):
        with contextlib.suppress(OSError, ValueError):  # just being written, or over
            found.setdefault(json.loads(path.read_text())["process"], set()).add(path.name.split(".")[0])
    return found


def until(job, out, processes, trials):
    """Waits until so many processes have so many trials each in work, and says which."""
    end = time.monotonic() + LIMIT
    while True:
        found = in_work(out)
        if len(found) == processes and all(len(names) == trials for names in found.values()):
            return found
        assert time.monotonic() < end and job.poll() is None, f"not {processes} times {trials} trials in work: {found}"
        time.sleep(0.005)


def alone(folder, sweep, *arguments):
    """The results of a run without MPI that trains one trial at a time."""
    code, _, err = ended(start(WINNOW, "run", sweep, "-o", folder / "alone", *ON_GPUS, "--trials-per-device", 1, *arguments))
    assert code == 0, err
    return digests(folder / "alone")


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
    """Of two trials of two ranks one says so and the other is left, with what needs them; those of one rank are trained."""
    out, mixed = folder / "one-gpu", folder / "mixed.yaml"
    mixed.write_text(sweep.read_text().replace("delta_t: 2it}", "delta_t: 2it, ranks: 2}\n      - {name: born_again, method.teacher: rigl}"))
    code, _, err = ended(two_ranks(mixed, "-o", out))
    said = [line for line in err.splitlines() if "ranks 0 and 1 of a trial have the same GPU, Emulated GPU GPU-01000000" in line]
    assert code == 78 and len(said) == 1 and "2 trained, 0 diverged, 1 failed" in err, f"{code}\n{err}"
    assert "the same command with --retry-failed trains what is left" in err, err
    reasons = [json.loads(path.read_text())["reason"] for path in (out / "failed").glob("*.json")]
    assert len(reasons) == 1 and "have the same GPU" in reasons[0], reasons
    assert len(list(out.glob("trials/*/*.h5"))) == 2

    # Nobody comes past the first rung, which ends all the same.
    ruled = folder / "ruled.yaml"
    ruled.write_text(sweep.read_text() + "stop: {halving: {metric: test_acc, min: 1ep, eta: 2}}\n")
    code, _, err = ended(two_ranks(ruled, "-o", folder / "ruled", "--ranks-per-trial", 2))
    assert code == 78 and "0 trained, 0 diverged, 1 failed" in err, f"{code}\n{err}"


def a_word_to_one_rank_stops_the_job(folder, _, endless):
    out = folder / "stop"
    job = two_ranks(endless, "-o", out)
    os.kill(next(iter(until(job, out, processes=2, trials=1))), signal.SIGTERM)
    code, _, err = ended(job)
    assert code == 75 and "stopped on request" in err, f"{code}\n{err}"
    assert not (out / "failed").exists() and not list((out / "running").glob("*.json"))


def several_at_once_have_the_results_of_one(folder, sweep, _):
    expected = alone(folder, sweep)
    assert len(expected) == 4
    for wanted, said in (("2", ", 2 at once on each"), ("auto", ", as many at once as make it faster (--trials-per-device N)")):
        out = folder / f"at-once-{wanted}"
        code, _, err = ended(two_ranks(sweep, "-o", out, "--trials-per-device", wanted, gpus=2))
        assert code == 0 and "4 trained, 0 diverged, 0 failed" in err and "4 of 4 trials to train on 2 ranks" in err, err
        assert f"trained on 2 GPUs (Emulated GPU){said}\n" in err, err
        assert digests(out) == expected, wanted


def auto_is_more_after_a_while(folder, _, endless):
    out = folder / "auto"
    job = two_ranks(endless, "-o", out, gpus=2)
    until(job, out, processes=2, trials=1)
    os.kill(next(iter(until(job, out, processes=2, trials=2))), signal.SIGTERM)
    code, _, err = ended(job)
    assert code == 75 and len(newest_step(out)) == 4, f"{code}\n{err}"


def ranks_that_share_a_gpu_train_one_at_a_time(folder, sweep, _):
    """Unless they are told how many."""
    expected = alone(folder, sweep)
    for number, (wanted, said) in enumerate((("auto", "\n"), ("2", ", 2 at once on each\n"))):
        out = folder / f"shared-{number}"
        code, _, err = ended(two_ranks(sweep, "-o", out, "--trials-per-device", wanted))
        assert code == 0 and f"trained on 1 GPU (Emulated GPU){said}" in err, err
        assert digests(out) == expected, wanted


def a_trial_that_fails_leaves_those_beside_it_alone(folder, sweep, _):
    expected = alone(folder, sweep, "--set", "train.eval_batch=16")
    out = folder / "failing"  # half of them ask for more memory than there is
    code, _, err = ended(two_ranks(sweep, "-o", out, "--trials-per-device", 3, "--strict", "--set", "train.eval_batch=[16, 1000000]", gpus=2))
    assert code == 3 and "4 trained, 0 diverged, 4 failed" in err, err
    assert digests(out) == expected


def a_word_stops_all_of_several_and_the_next_run_goes_on(folder, sweep, _):
    longer = ("--set", f"train.epochs={LONG}")
    expected = alone(folder, sweep, *longer)
    out = folder / "stopped"
    command = (sweep, "-o", out, "--trials-per-device", 2, *longer)
    job = two_ranks(*command, gpus=2)
    os.kill(next(iter(until(job, out, processes=2, trials=2))), signal.SIGTERM)
    code, _, err = ended(job)
    assert code == 75 and "stopped on request" in err, f"{code}\n{err}"
    assert not digests(out) and not (out / "failed").exists() and not in_work(out)
    assert len(newest_step(out)) == 4, "all four were saved"
    code, _, err = ended(two_ranks(*command, gpus=2))
    assert code == 0 and err.count("goes on from step") == 4, err
    assert digests(out) == expected


def of_several_in_a_process_that_crashed_none_is_blamed(folder, sweep, _):
    longer = ("--set", f"train.epochs={LONG}")
    expected = alone(folder, sweep, *longer)
    out = folder / "crashed"
    command = (sweep, "-o", out, "--trials-per-device", 2, *longer)
    job = two_ranks(*command, gpus=2)
    process, trials = next(iter(until(job, out, processes=2, trials=2).items()))
    os.kill(process, signal.SIGABRT)
    code, _, err = ended(job)
    notes = {path.parent.name: json.loads(path.read_text()) for path in out.glob("checkpoints/*/*.crash")}
    assert code != 0 and set(notes) == trials, f"{trials}\n{notes}\n{err}"
    for note in notes.values():
        assert note["beside_others"] and note["reason"].endswith("ended by signal 6 (Aborted)"), note
    shutil.rmtree(out / "running")  # or what is left there passes for trials in work for a while
    job = two_ranks(*command, gpus=2)
    seen = set()
    while job.poll() is None:
        for names in in_work(out).values():
            suspects = names & trials
            assert not suspects or len(names) == 1, f"{suspects} is not alone: {names}"
            seen |= suspects
        time.sleep(0.01)
    code, _, err = ended(job)
    # Those of the other rank may have come to their end before the launcher ended it.
    assert code == 0 and " 0 diverged, 0 failed" in err and seen == trials, f"{seen}\n{err}"
    assert digests(out) == expected and not list(out.glob("checkpoints/*/*.crash"))


def main():
    parts = (trials_are_those_of_a_run_without_mpi, two_ranks_on_one_gpu_are_refused, a_word_to_one_rank_stops_the_job,
             several_at_once_have_the_results_of_one, auto_is_more_after_a_while, ranks_that_share_a_gpu_train_one_at_a_time,
             a_trial_that_fails_leaves_those_beside_it_alone, a_word_stops_all_of_several_and_the_next_run_goes_on,
             of_several_in_a_process_that_crashed_none_is_blamed)
    with tempfile.TemporaryDirectory() as name:
        sweeps = [Path(name) / "short.yaml", Path(name) / "endless.yaml"]
        for sweep, epochs in zip(sweeps, ("2", "1000000")):
            sweep.write_text(SWEEP.replace("EPOCHS", epochs))
        for part in parts:
            if len(sys.argv) > 3 and part.__name__ not in sys.argv[3:]:
                continue
            began = time.monotonic()
            folder = Path(name) / part.__name__
            folder.mkdir()
            part(folder, *sweeps)
            print(f"{part.__name__}: as it should be ({time.monotonic() - began:.1f} s)", flush=True)


main()
