#!/usr/bin/env python3
"""A sweep that is killed again and again: many_kills.py WINNOW MPIEXEC [--kills 50] [--trials 100] [--ranks 4[,2,8...]] [--seed N]

At random moments a rank, the launcher, its process group or all processes of the job get SIGKILL or SIGTERM, and the same command
is given again. After every kill the whole job is gone within ten seconds, every result and every saved step is still there,
and what goes on does so where it was saved; at the end the survey is that of a sweep that nobody disturbed.
"""
import argparse
import ctypes
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from runs import ENVIRONMENT, digests, goes_on, newest_checkpoints, newest_step, records

LIMIT = 600  # seconds that a loaded machine may take for the rest of the sweep
GONE = 10  # seconds after a kill, within which all processes of a job must have ended
STOPPED = 60  # seconds after one rank was asked to stop: all end their step and save, which a loaded machine may take long for
MARK = "WINNOW_KILLED_JOB"

SWEEP = """
sweep: killed
trial:
  data:  {name: synthetic, height: 16, width: 16, channels: 1, examples: 1600, test_examples: 100, validation: 64}
  model: {name: lenet300}
  train: {epochs: 8, batch: 32, lr: 0.02, precision: f32}
save: {checkpoint: {every: 1}, weights: {when: both}}
axes:
  - cases:
      - {name: dense, label: teacher}
      - {name: born_again, method.teacher: teacher}
      - {name: snip, label: mask, method.density: 0.1}
      - {name: ticket, method.of: mask, method.weights: rewind}
      - {name: rigl, method.density: 0.2}
      - {name: set, method.density: 0.2}
      - {name: gmp, method.density: 0.1}
      - {name: imp, method.levels: 2, train.epochs: 4, ranks: 2}
      - {name: lsq, model.name: lenet5}
      - {name: rigl, model.name: resnet20, method.density: 0.3, data.examples: 320, train.epochs: 1}
    key: method.name
  - replicate: REPLICATES
"""
CASES = 10


def processes_of(mark):
    """All that were started with this mark in their environment, and what started them. One that has ended has none."""
    found, variable = {}, f"{MARK}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            pass
    return found


def is_there(pid, job):
    """Also as a zombie, but for those that are ours to ask for their end."""
    if pid == job.pid:
        return job.poll() is None
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    return Path(f"/proc/{pid}").exists()


def told_of(pid):
    """What it is, and what its threads wait for."""
    process = Path(f"/proc/{pid}")
    try:
        command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        state = [line for line in (process / "status").read_text().splitlines() if line.startswith(("State", "PPid", "Sig", "Threads"))]
        threads = [f"{thread.name}: {(thread / 'stat').read_text().rpartition(')')[2].split()[0]} {(thread / 'wchan').read_text()}"
                   for thread in (process / "task").iterdir()]
        return f"{pid} {command}\n  {'; '.join(state)}\n  {'; '.join(threads)}"
    except OSError as gone:
        return f"{pid}: {gone}"


class KilledSweep:
    def __init__(self, arguments, folder):
        self.winnow, self.mpiexec = Path(arguments.winnow).resolve(), arguments.mpiexec
        self.folder, self.out, self.sweep = folder, folder / "killed", folder / "sweep.yaml"
        self.sweep.write_text(SWEEP.replace("REPLICATES", str(arguments.trials // CASES)))
        self.ranks = itertools.cycle(arguments.ranks)
        self.jobs = itertools.count()
        self.known = {}  # digests of the results so far
        self.saved = Counter()  # by trial: how many checkpoints journals say are saved
        self.losses = []  # of each kill: epochs
        self.could_go_on = self.went_on = 0  # trials that had a checkpoint when a run began them, and those that it said it took
        self.seconds = []  # of each kill: until all processes had ended
        self.moment = 0.0  # seconds, at most, between a result and a kill
        self.startup = 1.0  # seconds until the first trial begins, at the last start that came so far

    def command(self, ranks, out):
        return [self.mpiexec, "--oversubscribe", "-n", str(ranks), str(self.winnow), "run", str(self.sweep), "-o", str(out), "--threads", "1"]

    def environment(self, mark):
        # What a killed mpirun leaves behind lies in the test's own folder.
        return dict(ENVIRONMENT, **{MARK: mark}, TMPDIR=str(self.folder / "tmp"), OMPI_MCA_btl_vader_backing_directory=str(self.folder / "tmp"))

    def finish(self, out, ranks):
        done = subprocess.run(self.command(ranks, out), env=self.environment("undisturbed"), capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stderr

    def check_results(self):
        """Everything that was published is there and whole, and what was saved too."""
        found = digests(self.out)
        assert self.known.items() <= found.items(), "a result was lost or has changed"
        self.known = found
        there = newest_checkpoints(self.out)
        for name, count in self.saved.items():
            if f"{name}.h5" not in found:
                assert there.get(name, (0, 0))[0] >= count, f"{name}: {count} checkpoints were saved, {there.get(name)} is what is left"

    def newest_journal(self):
        return max((self.out / "journal").glob("*.jnl"), default=None)

    def take_account(self, journal, results_before, begun_at):
        """What the last run had in work beyond what it had saved, by the journal: epochs, and of how many trials. Steps begin again
        with each level of an iterative method."""
        step, unsaved = dict(begun_at), {}
        for record in records(journal):
            name, kind = record.get("trial"), record["kind"]
            if kind == "start":
                assert f"{name}.h5" not in results_before, f"{name} had a result and was trained again"
                unsaved[name] = 0.0
            elif kind == "epoch":
                before = step.get(name, 0)
                steps = record["step"] - before if record["step"] > before else record["step"]
                unsaved[name] += steps * record["epoch"] / record["step"]
                step[name] = record["step"]
            elif kind == "saved":
                self.saved[name] += 1
                step[name], unsaved[name] = record["step"], 0.0
            elif kind in ("end", "given back"):
                unsaved.pop(name, None)
        for name, (number, _) in newest_checkpoints(self.out).items():
            if number > self.saved[name]:  # killed before it could say so
                self.saved[name] = number
                unsaved.pop(name, None)
        lost = [epochs for name, epochs in unsaved.items() if f"{name}.h5" not in self.known]
        return sum(lost), len(lost)

    def wait_for(self, job, holds):
        end = time.monotonic() + LIMIT
        while not holds() and job.poll() is None:
            assert time.monotonic() < end, "the run comes no further"
            time.sleep(0.01)

    def live(self, job, more, early):
        """Until the moment of the kill: in the run's beginnings, or when there are so many more results and a moment later."""
        began = time.monotonic()
        if early:
            time.sleep(random.uniform(0, self.startup))
            return
        journal = self.newest_journal()
        self.wait_for(job, lambda: self.newest_journal() != journal)
        self.startup = time.monotonic() - began
        self.wait_for(job, lambda: len(list((self.out / "trials").glob("*/*.h5"))) >= len(self.known) + more)
        time.sleep(random.uniform(0, self.moment))

    def hit(self, job, mark, whom, how):
        """The processes that the job had."""
        processes = processes_of(mark)
        ranks = [pid for pid, parent in processes.items() if parent == job.pid]
        if whom == "a rank" and ranks:
            victims = [random.choice(ranks)]
        elif whom == "everything":
            victims = list(processes)
        else:
            victims = [job.pid]
        for victim in victims:
            try:
                (os.killpg if whom == "its group" else os.kill)(victim, how)
            except ProcessLookupError:
                pass
        return processes

    def wait_until_gone(self, job, mark, processes, what, limit=GONE):
        hit = time.monotonic()
        while True:
            processes |= processes_of(mark)  # it may have been starting more
            left = [pid for pid in processes if is_there(pid, job)]
            if not left:
                self.seconds.append(time.monotonic() - hit)
                return
            if time.monotonic() - hit > limit:
                raise AssertionError("\n".join([f"{what}: after {limit} s there still are", *map(told_of, left), (self.folder / "log").read_text()]))
            time.sleep(0.02)

    def kill_once(self, whom, how, more, early):
        """Nothing: it had come to its end before."""
        mark = f"{os.getpid()}.{next(self.jobs)}"
        ranks = next(self.ranks)
        before, journal, steps = dict(self.known), self.newest_journal(), newest_step(self.out)
        with open(self.folder / "log", "w+") as log:
            job = subprocess.Popen(self.command(ranks, self.out), env=self.environment(mark), stdout=log, stderr=log, start_new_session=True)
            self.live(job, more, early)
            if job.poll() == 0:
                return None
            assert job.poll() is None, f"exit code {job.returncode}\n{(self.folder / 'log').read_text()}"
            processes = self.hit(job, mark, whom, how)
            what = f"{signal.Signals(how).name} to {whom} of {ranks} ranks"
            self.wait_until_gone(job, mark, processes, what, STOPPED if whom == "a rank" and how == signal.SIGTERM else GONE)
        said = (self.folder / "log").read_text(errors="replace")
        self.check_results()
        for name, step in goes_on(said).items():
            assert step == steps[name], f"{name} goes on from {step}, saved was {steps[name]}"
        lost, lost_by = 0.0, 0
        if self.newest_journal() != journal:
            lost, lost_by = self.take_account(self.newest_journal(), before, steps)
            begun = {record["trial"] for record in records(self.newest_journal()) if record["kind"] == "start"}
            self.could_go_on += len(begun & steps.keys())
            self.went_on += len(goes_on(said))
            self.check_results()
        self.losses.append(lost)
        print(f"{len(self.losses):3} {what:32} exit code {job.returncode:4}, gone after {self.seconds[-1]:4.1f} s, {len(self.known):3} results, "
              f"{len(goes_on(said))} trials went on, {lost:.2f} epochs of {lost_by} were lost", flush=True)
        return lost


def check_leftovers(killed):
    """Temporary files of the dead are few, and an hour later the next run removes them."""
    left = [path for path in killed.out.rglob("*") if ".tmp." in path.name]
    long_ago = time.time() - 2 * 3600
    for path in left:
        os.utime(path, (long_ago, long_ago))
    said = killed.finish(killed.out, 2)
    assert "0 trained" in said, said
    still = [path for path in killed.out.rglob("*") if ".tmp." in path.name]
    assert not still, f"nobody removes {still}"
    return len(left)


def columns(survey):
    """Of all tables of a survey, but for times and places."""
    import h5py

    def content(column):
        parts = column.items() if isinstance(column, h5py.Group) else [("", column)]
        return {key: part[()].tolist() for key, part in parts}

    with h5py.File(survey) as f:
        return {f"{table}/{name}": repr(content(column)) for table in ("trials", "metrics/epoch", "layers", "missing")
                for name, column in f[table].items() if not name.startswith(("seconds", "images_per_second", "created", "provenance"))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("winnow")
    parser.add_argument("mpiexec")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--ranks", type=lambda text: [int(word) for word in text.split(",")], default=[4])
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    assert arguments.trials % CASES == 0, f"the sweep has {CASES} cases"
    # Orphans of a killed launcher come to this process, so that no zombie is missed.
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "tmp").mkdir()
        killed = KilledSweep(arguments, folder)
        began = time.monotonic()
        killed.finish(folder / "alone", arguments.ranks[0])
        alone = digests(folder / "alone")
        assert len(alone) == arguments.trials
        killed.moment = (time.monotonic() - began) / arguments.kills / 2
        print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        ways = [(whom, how) for whom in ("a rank", "mpirun", "its group", "everything") for how in (signal.SIGKILL, signal.SIGTERM)]
        for number in range(arguments.kills):
            # So many more results that a quarter of them is left for the time after the last kill.
            share = max(0.0, (0.75 * arguments.trials - len(killed.known)) / (arguments.kills - number))
            if killed.kill_once(*ways[number % len(ways)], more=round(random.uniform(0, 2 * share)), early=random.random() < 0.15) is None:
                break
        killed.finish(killed.out, arguments.ranks[0])
        assert len(killed.losses) >= 0.6 * arguments.kills, f"only {len(killed.losses)} kills: proves too little"
        # Less than all: a run may be killed between what it does and what it says.
        assert killed.went_on >= 0.5 * killed.could_go_on, f"{killed.went_on} of {killed.could_go_on} trials went on from what was saved"
        assert killed.went_on > 0 or arguments.kills < 8, "no trial went on from a checkpoint: proves nothing of them"
        assert digests(killed.out) == alone, "a killed and continued sweep ends differently"
        for place in ("running", "checkpoints", "failed"):
            assert not list((killed.out / place).glob("*")), f"something is left in {place}"
        surveys = []
        for out in (folder / "alone", killed.out):
            subprocess.run([killed.winnow, "collect", out, "-o", folder / f"{out.name}.h5"], check=True, capture_output=True)
            surveys.append(columns(folder / f"{out.name}.h5"))
        different = [name for name in surveys[0] if surveys[0][name] != surveys[1].get(name)]
        assert surveys[0].keys() == surveys[1].keys() and not different, f"the surveys differ in {different}"
        left = check_leftovers(killed)
        lost, trained = sum(killed.losses), 8 * arguments.trials
        print(f"{len(killed.losses)} kills in {time.monotonic() - began:.0f} s: {arguments.trials} results as of an undisturbed run; "
              f"all processes gone after {max(killed.seconds):.1f} s at most, {sum(killed.seconds) / len(killed.seconds):.1f} s on average; lost per kill "
              f"{lost / len(killed.losses):.2f} epochs of all trials in work, {max(killed.losses):.2f} at most, {100 * lost / trained:.1f} % of the sweep; "
              f"{left} temporary files left, and removed later")
    return 0


if __name__ == "__main__":
    sys.exit(main())
