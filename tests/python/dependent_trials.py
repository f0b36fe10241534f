#!/usr/bin/env python3
"""A sweep whose trials need each other, however it is run: dependent_trials.py WINNOW MPIEXEC

Workers, ranks, groups of ranks, two runs at once, kills and signals: the results are the same and nothing hangs.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import ENVIRONMENT, Winnow, digests

winnow = Winnow(Path(sys.argv[1]).resolve(), sys.argv[2])
LIMIT = 300  # seconds

SWEEP = """
sweep: generations
trial:
  data:  {name: synthetic, height: 16, width: 16, channels: 1, examples: 640, test_examples: 100, validation: 64}
  model: {name: lenet300}
  train: {epochs: EPOCHS, batch: 32, lr: 0.02, precision: f32}
axes:
  - cases:
      - {name: born_again, label: third, method.teacher: second, method.loss: dkpp}
      - {name: born_again, label: second, method.teacher: first, method.loss: cwtm}
      - {name: ticket, method.of: snip, method.weights: rewind}
      - dense
      - {name: born_again, label: first, method.labels: 1}
      - {name: snip, method.density: 0.1}
  - replicate: 2
"""
TRIALS = 12


def failures(out):
    return {path.stem: json.loads(path.read_text())["reason"] for path in (out / "failed").glob("*.json")}


def trained(done):
    return int(re.search(r"(\d+) trained", done).group(1))


def start(*args, ranks=0):
    return subprocess.Popen(winnow.command(*args, ranks=ranks), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def kill_all(root):
    """A process and all below it, at once: the ranks of a job are no members of the launcher's group."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(stat.read_text().rsplit(")", 1)[1].split()[1]), []).append(int(stat.parent.name))
        except OSError:
            pass
    below = [root]
    for process in below:
        below += parents.get(process, [])
    for process in below:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def end_of(job):
    try:
        return job.communicate(timeout=LIMIT)[1]
    except subprocess.TimeoutExpired as hang:
        kill_all(job.pid)
        raise AssertionError(f"hangs: {job.args}") from hang


def any_number_of_workers_and_ranks(folder, sweep):
    one = folder / "one"
    winnow("run", sweep, "-o", one, "--workers", "1", "--threads", "1")
    expected = digests(one)
    assert len(expected) == TRIALS, expected
    for name, options, ranks in (("workers", ["--workers", "4"], 0), ("two", [], 2), ("four", [], 4)):
        done = winnow("run", sweep, "-o", folder / name, "--threads", "1", *options, ranks=ranks)
        assert digests(folder / name) == expected, f"{name}: {done.stderr}"
        assert trained(done.stderr) == TRIALS, done.stderr
    # Trials of two ranks are rounded otherwise than those of one, but not by how many groups there are.
    for name, ranks in (("wide-1", 2), ("wide-2", 4)):
        winnow("run", sweep, "-o", folder / name, "--threads", "1", "--ranks-per-trial", "2", ranks=ranks)
    assert digests(folder / "wide-1") == digests(folder / "wide-2")
    assert digests(folder / "wide-1").keys() == expected.keys()
    return expected


def two_runs_share_a_chain(folder, sweep, expected):
    """The students' run needs the teachers, which the other run has in work, or trains itself."""
    out = folder / "shared"
    jobs = [start("run", sweep, "-o", out, "--threads", "1", "--workers", "2", "--only", f"method.name={name}") for name in ("dense", "born_again")]
    said = [end_of(job) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    wanted = digests(out)
    assert len(wanted) == 8 and wanted == {name: expected[name] for name in wanted}, said
    assert sum(map(trained, said)) == 8, f"a trial counts as trained twice, or not at all: {said}"
    # What is done already needs not be picked.
    more = winnow("run", sweep, "-o", out, "--threads", "1", "--only", "method.teacher=second")
    assert "0 trained" in more.stderr, more.stderr


def a_kill_changes_nothing(folder, long):
    winnow("run", long, "-o", folder / "undisturbed", "--threads", "1", ranks=2)
    for seconds in (0.6, 1.2, 2.4):
        job = start("run", long, "-o", folder / "killed", "--threads", "1", ranks=2)
        time.sleep(seconds)
        kill_all(job.pid)
        job.communicate()
    winnow("run", long, "-o", folder / "killed", "--threads", "1", ranks=2)
    assert digests(folder / "killed") == digests(folder / "undisturbed"), "a killed and continued sweep ends differently"


def what_diverges_fails_its_students(folder, sweep):
    for ranks, options in ((0, ["--workers", "3"]), (2, []), (4, ["--ranks-per-trial", "2"])):
        out = folder / f"diverged-{ranks}"
        done = winnow("run", sweep, "-o", out, "--threads", "1", "--set", "train.lr=1e12", "--only", "method.name=born_again", "--strict", *options,
                      ranks=ranks, expect=3)
        assert "8 trials: 0 already done, 0 trained, 2 diverged, 6 failed" in done.stderr, done.stderr
        reasons = failures(out)
        assert len(reasons) == 6 and all("diverged" in reason for reason in reasons.values()), reasons


def a_signal_ends_who_waits(folder, sweep):
    """One rank has the teacher in hand, the other one waits for it."""
    endless = folder / "endless.yaml"
    endless.write_text(SWEEP.replace("EPOCHS", "4000").replace("replicate: 2", "replicate: 1"))
    for ranks, options in ((2, []), (0, ["--workers", "2"])):
        out = folder / f"stopped-{ranks}"
        job = start("run", endless, "-o", out, "--threads", "1", "--only", "label=first", *options, ranks=ranks)
        end = time.monotonic() + 90
        while not list((out / "running").glob("*.json")) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(1.5)
        (heartbeat,) = (out / "running").glob("*.json")
        os.kill(json.loads(heartbeat.read_text())["process"], signal.SIGTERM)
        said = end_of(job)
        assert job.returncode == 75 and "stopped on request" in said, f"exit code {job.returncode}\n{said}"
        assert not failures(out), failures(out)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sweep, long = folder / "sweep.yaml", folder / "long.yaml"
        sweep.write_text(SWEEP.replace("EPOCHS", "2"))
        long.write_text(SWEEP.replace("EPOCHS", "20"))
        expected = any_number_of_workers_and_ranks(folder, sweep)
        two_runs_share_a_chain(folder, sweep, expected)
        a_kill_changes_nothing(folder, long)
        what_diverges_fails_its_students(folder, sweep)
        a_signal_ends_who_waits(folder, sweep)
    print("dependent trials: all as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
