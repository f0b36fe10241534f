#!/usr/bin/env python3
"""Sweeps whose rule stops trials early: early_stopping.py WINNOW MPIEXEC [FAULTS]

Whatever the number of workers and ranks, and however often they are killed: halving and hyperband stop the same trials at the same
epochs, and a trial that goes on to its end has the result of one that nobody stopped. FAULTS: a library (tests/faults) with which a run is
killed at its operations on files.
"""
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import ENVIRONMENT, Winnow, digests, newest_checkpoints, records

winnow = Winnow(Path(sys.argv[1]).resolve(), sys.argv[2])
FAULTS = Path(sys.argv[3]).resolve() if len(sys.argv) > 3 and sys.argv[3] else None
LIMIT = 300  # seconds

SWEEP = """
sweep: stopped
trial:
  data:  {name: synthetic, height: 16, width: 16, channels: 1, examples: EXAMPLES, test_examples: 100, validation: 128}
  model: {name: lenet300}
  train: {epochs: 9, batch: 32, precision: f32}
  method: {name: snip, density: 0.2}
axes:
  - sample: {n: 12, seed: 1, space: {train.lr: {loguniform: [0.0003, 0.3]}}}
RULE
"""
TRIALS = 12
HALVING, HYPERBAND, ASHA = (f"{kind}: {{min: 1, eta: 3}}" for kind in ("halving", "hyperband", "asha"))
MEDIAN = "median: {min: 1, every: 2, trials: 6}"


def kind_of(rule):
    return rule.split(":")[0]


def write_sweep(folder, name, rule, examples=640):
    path = folder / f"{name}.yaml"
    path.write_text(SWEEP.replace("RULE", f"stop: {{{rule}}}" if rule else "").replace("EXAMPLES", str(examples)))
    return path


def stopped(out):
    """By trial: its epoch, content, and the rows of its curve."""
    import h5py

    found = {}
    for path in sorted((out / "stopped").glob("*/*.h5")):
        with h5py.File(path) as f:
            assert f.attrs["state"] == "stopped" and "weights" in f and len(f["weights"]) == 0, path
            found[path.name] = int(f["summary/stopped.epoch"][()]), f.attrs["content_digest"], len(f["metrics/epoch/val_acc"])
    return found


def let_past(out):
    return {path.name for path in out.glob("rungs/*/past/*.up")}


def told(out):
    """By all journals together: who was let past which rungs, and the last word on everybody else."""
    promoted, past, stays = set(), {}, {}
    for path in sorted((out / "journal").glob("*.jnl")):
        for record in records(path):
            if record["kind"] == "promoted":
                assert 1 <= record["place"] <= record["of"] and ("median" in record) <= record["rule"].startswith("median"), record
                promoted.add(f"{record['trial']}.{record['rung']}.up")
            if record["kind"] in ("promoted", "stopped"):
                rungs, name = past if record["kind"] == "promoted" else stays, f"{record['trial']}.h5"
                rungs[name] = max(rungs.get(name, 0), record["rung"])
    return promoted, {name: rung for name, rung in stays.items() if rung > past.get(name, 0)}


def the_rest(out, full, killed=False):
    """What must hold of any sweep under a rule that has come to its end. A journal lacks what a kill kept it from saying."""
    results, left = digests(out), stopped(out)
    assert len(results) + len(left) == TRIALS and not set(results) & set(left), (results, left)
    assert left, "nobody was stopped"
    assert results and all(full[name] == digest for name, digest in results.items()), "a trial that was stopped and went on ends differently"
    assert all(rows == epoch for epoch, _, rows in left.values()), left
    promoted, stays = told(out)
    assert promoted <= let_past(out), "journals"
    assert killed or (promoted, stays) == (let_past(out), {name: epoch for name, (epoch, *_) in left.items()}), "journals"
    steps = {f"{name}.h5": step for name, (_, step) in newest_checkpoints(out).items()}
    assert steps.keys() == left.keys(), "the checkpoints that are there are those of stopped trials"
    again = winnow("run", out.parent / "now.yaml", "-o", out, "--threads", "1")
    assert "0 trained" in again.stderr and "  left after" not in again.stderr, again.stderr
    assert (digests(out), stopped(out)) == (results, left)
    return results, left


def any_number_of_workers_and_ranks(folder, full, rule):
    sweep = write_sweep(folder, "now", rule)
    kind = kind_of(rule)
    ends = []
    for name, options, ranks in (("one", ["--workers", "1"], 0), ("workers", ["--workers", "4"], 0), ("two", [], 2), ("four", [], 4)):
        out = folder / f"{kind}-{name}"
        winnow("run", sweep, "-o", out, "--threads", "1", *options, ranks=ranks)
        ends.append(the_rest(out, full))
    if kind not in ("asha", "median"):
        assert all(end == ends[0] for end in ends), f"{kind}: who goes on depends on how many train: {ends}"
    return ends[0]


def halving_goes_by_the_metric(folder, full, end):
    results, left = end
    assert len(results) == 1 and sorted(epoch for epoch, *_ in left.values()) == [1] * 8 + [3] * 3, end
    values = curves_in(folder / "full")
    first = sorted(values, key=lambda name: (-values[name][0], name))[:4]
    last = sorted(first, key=lambda name: (-values[name][2], name))[:1]
    assert set(results) == set(last) and {name for name, (epoch, *_) in left.items() if epoch == 3} == set(first) - set(last)


def curves_in(out):
    import h5py

    values = {}
    for path in out.glob("trials/*/*.h5"):
        with h5py.File(path) as f:
            values[path.name] = f["metrics/epoch/val_acc"][:]
    return values


def is_as_the_median_says(out, values):
    """Whoever stays is worse than the middle of all that came, and is no more than half of them."""
    left = {name: epoch for name, (epoch, *_) in stopped(out).items()}
    assert set(left.values()) <= {1, 3, 5, 7}, left
    came = set(values)
    for rung in (1, 3, 5, 7):
        means = sorted(values[name][:rung].mean() for name in came)
        middle = (means[(len(means) - 1) // 2] + means[len(means) // 2]) / 2
        worse = {name for name in came if values[name][:rung].max() < middle - 1e-12}
        stays = {name for name in left if left[name] == rung}
        assert stays <= worse and len(stays) <= len(came) // 2, (out, rung, stays, worse)
        assert len(came) >= 6 or not stays, (out, rung)
        came -= stays


def the_median_stops_no_more_than_half(folder, full):
    """By any number of workers and ranks; whoever is not among the first is judged by the median of all."""
    any_number_of_workers_and_ranks(folder, full, MEDIAN)
    values = curves_in(folder / "full")
    for out in folder.glob("median-*"):
        is_as_the_median_says(out, values)
    report = winnow("report", folder / "median-one").stdout
    assert "by median: {metric: val_acc, min: 1ep, every: 2ep, trials: 6, by:" in report, report
    plan = winnow("plan", folder / "now.yaml", "-o", folder / "nothing").stdout
    assert "12 to 1ep, 6 to 3ep, 3 to 5ep" in plan and "at least" in plan, plan


def wait_until_all_are_gone(out):
    """Ranks of an mpirun that is gone end by themselves, and soon. Until then they are another run on the folder, of which one is promised less."""
    limit = time.monotonic() + 10
    while subprocess.run(["pgrep", "-r", "D,R,S,T", "-f", str(out)], stdout=subprocess.DEVNULL).returncode == 0:
        assert time.monotonic() < limit, "ranks live on"
        time.sleep(0.05)


def killed_again_and_again(sweep, out):
    """And then brought to its end."""
    kills = 0
    for seconds in (0.4, 0.7, 1.0, 2.0):
        ranks = 2 if kills % 2 else 0
        job = subprocess.Popen(winnow.command("run", sweep, "-o", out, "--threads", "1", *([] if ranks else ["--workers", "3"]), ranks=ranks),
                               env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        if job.poll() is not None:
            break
        job.send_signal(signal.SIGKILL if kills % 3 else signal.SIGTERM)
        job.wait(LIMIT)
        wait_until_all_are_gone(out)
        kills += 1
    assert kills >= 2, "it was over before it was killed"
    winnow("run", sweep, "-o", out, "--threads", "1", "--workers", "3")


def a_kill_changes_nothing(folder, rule):
    sweep = write_sweep(folder, "now", rule, examples=6400)
    whole, out = folder / f"undisturbed-{kind_of(rule)}", folder / f"killed-{kind_of(rule)}"
    winnow("run", sweep, "-o", whole, "--threads", "1", "--workers", "2")
    killed_again_and_again(sweep, out)
    assert (digests(out), stopped(out)) == (digests(whole), stopped(whole)), "a killed and continued sweep stops other trials"
    promoted, stays = told(out)
    assert promoted <= let_past(out) and stays.items() <= {name: epoch for name, (epoch, *_) in stopped(out).items()}.items(), (promoted, stays)


def a_kill_changes_no_result_under_the_median(folder):
    """Who is stopped there depends on the order, which a kill changes; what the rule promises of it does not, nor does any result."""
    full, out = folder / "full-long", folder / "killed-median"
    free = write_sweep(folder, "free", "", examples=6400)
    winnow("run", free, "-o", full, "--threads", "1", "--workers", "2")
    killed_again_and_again(write_sweep(folder, "now", MEDIAN, examples=6400), out)
    the_rest(out, digests(full), killed=True)
    is_as_the_median_says(out, curves_in(full))
    winnow("run", free, "-o", out, "--threads", "1", "--workers", "2")
    assert digests(out) == digests(full) and not stopped(out), "without the rule they end differently"


def workers_of(job):
    found = subprocess.run(["pgrep", "-P", str(job.pid)], capture_output=True, text=True).stdout.split()
    return [int(pid) for pid in found]


def a_worker_that_dies_changes_nothing(folder, rule):
    """The run goes on with what it had in hand, and nobody waits for it."""
    sweep, out = write_sweep(folder, "now", rule, examples=6400), folder / f"worker-{kind_of(rule)}"
    job = subprocess.Popen(winnow.command("run", sweep, "-o", out, "--threads", "1", "--workers", "3"), env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    killed, limit = 0, time.monotonic() + LIMIT
    while killed < 2 and job.poll() is None and time.monotonic() < limit:
        time.sleep(0.5)
        if len(list((out / "rungs").glob("*/*.jnl"))) > killed and (workers := workers_of(job)):
            os.kill(random.choice(workers), signal.SIGKILL)
            killed += 1
    said = job.communicate(timeout=LIMIT)[1]
    assert job.returncode == 0 and killed > 0, said
    whole = folder / f"undisturbed-{kind_of(rule)}"
    assert (digests(out), stopped(out)) == (digests(whole), stopped(whole)), said
    promoted, stays = told(out)
    assert promoted <= let_past(out) and stays == {name: epoch for name, (epoch, *_) in stopped(out).items()}, (promoted, stays)


def a_kill_at_any_operation_changes_nothing(folder, rule, cases):
    """At so many of them."""
    sweep, whole = write_sweep(folder, "now", rule), folder / f"{kind_of(rule)}-one"
    log = folder / f"operations-{kind_of(rule)}"
    wanted = digests(whole), stopped(whole)

    def run(out, **faults):
        environment = ENVIRONMENT | {"LD_PRELOAD": str(FAULTS), "FAULT_FOLDER": str(out)} | {f"FAULT_{key}": str(value) for key, value in faults.items()}
        return subprocess.run(winnow.command("run", sweep, "-o", out, "--threads", "1", "--workers", "1"), env=environment, capture_output=True, text=True,
                              timeout=LIMIT)

    assert run(folder / f"counted-{kind_of(rule)}", LOG=log).returncode == 0
    places = [at for at, line in enumerate(log.read_text().splitlines(), 1) if re.search(r"\b(rungs|stopped)/", line)]
    assert len(places) > 100, f"{len(places)} operations on what a rule goes by"
    hit = 0
    for case, at in enumerate(places[:: len(places) // cases]):
        out, how = folder / f"spoilt-{kind_of(rule)}-{case}", ("before", "half", "ENOSPC")[case % 3]
        spoilt = run(out, AT=at, HOW=how)
        # Heartbeats come by the clock, so it may be another operation this time, and one that a run does without.
        assert spoilt.returncode in (0, 74 if how == "ENOSPC" else -9), f"{how} at {at}: {spoilt.returncode}\n{spoilt.stderr}"
        hit += spoilt.returncode != 0
        again = run(out)
        assert again.returncode == 0 and (digests(out), stopped(out)) == wanted, f"{how} at operation {at}: {again.stderr}"
    assert hit > cases // 2, f"{hit} runs were spoilt"


def trials_of_two_ranks_leave_together(folder, rule):
    out = folder / "pairs"
    winnow("run", write_sweep(folder, "now", rule), "-o", out, "--threads", "1", "--ranks-per-trial", "2", ranks=4)
    assert len(digests(out)) == 1 and sorted(epoch for epoch, *_ in stopped(out).values()) == [1] * 8 + [3] * 3, stopped(out)


def shards_are_refused(folder, rule):
    """One job has all trials that compete."""
    out = folder / "shards"
    done = winnow("run", write_sweep(folder, "now", rule), "-o", out, "--shard", "0/3", expect=64)
    assert "is for one job" in done.stderr and not list(out.glob("rungs*")), done.stderr
    done = winnow("submit", folder / "now.yaml", "-o", out, "--print", "--time", "01:00:00", "--shards", "3", expect=64)
    assert "is for one job" in done.stderr, done.stderr


def readers_tell_stopped_from_finished(folder, end):
    results, left = end
    out = folder / "halving-one"
    status = json.loads(winnow("status", out, "--json").stdout)
    assert status["done"] == len(results) and len(status["stopped"]) == len(left) and not status["missing"], status
    assert f"stopped {len(left)}" in winnow("status", out).stdout
    winnow("collect", out)
    import h5py

    with h5py.File(out / "survey.h5") as f:
        state = f["trials/state"]
        states = [state["categories"].asstr()[code] for code in state["codes"][:]]
        assert states.count("stopped") == len(left) and states.count("done") == len(results), states
    for place in (out, out / "survey.h5"):
        report = winnow("report", place).stdout
        assert f"{len(left)} stopped early" in report and "by halving: {metric: val_acc, min: 1ep, eta: 3" in report, report
        assert report.count("1 stopped after 1 ep") == 8 and report.count("1 stopped after 3 ep") == 3, report
        assert len(json.loads(winnow("report", place, "--json").stdout)["groups"]) == len(results), "a stopped trial is compared with finished ones"
    plan = winnow("plan", folder / "now.yaml", "-o", out).stdout
    assert "12 to 1ep, 4 to 3ep, 1 to the end" in plan and "now 0 to train" in plan, plan


def without_the_rule_all_go_on(folder, full):
    out = folder / "halving-one"
    before = newest_checkpoints(out)
    done = winnow("run", write_sweep(folder, "free", ""), "-o", out, "--threads", "1", "--workers", "2")
    assert digests(out) == full, done.stderr
    assert len(re.findall("goes on from step", done.stderr)) == len(before), done.stderr
    assert not stopped(out) and not newest_checkpoints(out)
    # The rule again: all are finished.
    assert "0 trained" in winnow("run", folder / "now.yaml", "-o", out, "--threads", "1").stderr


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        winnow("run", write_sweep(folder, "free", ""), "-o", folder / "full", "--threads", "1", "--workers", "2")
        full = digests(folder / "full")
        assert len(full) == TRIALS
        for rule in (ASHA, HYPERBAND):
            any_number_of_workers_and_ranks(folder, full, rule)
        the_median_stops_no_more_than_half(folder, full)
        end = any_number_of_workers_and_ranks(folder, full, HALVING)
        halving_goes_by_the_metric(folder, full, end)
        trials_of_two_ranks_leave_together(folder, HALVING)
        shards_are_refused(folder, HALVING)
        readers_tell_stopped_from_finished(folder, end)
        if FAULTS:
            a_kill_at_any_operation_changes_nothing(folder, HYPERBAND, cases=12)
            a_kill_at_any_operation_changes_nothing(folder, HALVING, cases=12)
        without_the_rule_all_go_on(folder, full)
        for rule in (HALVING, HYPERBAND):
            a_kill_changes_nothing(folder, rule)
            a_worker_that_dies_changes_nothing(folder, rule)
        a_kill_changes_no_result_under_the_median(folder)


if __name__ == "__main__":
    main()
