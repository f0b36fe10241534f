#!/usr/bin/env python3
"""A sweep in a real Slurm that is killed again and again: node_kills.py WINNOW [--kills 50] [--trials 100] [--seed N]

One job of four ranks on one of eight nodes. At random moments the node's slurmd and all that it started, a rank, and at last srun
get SIGKILL, Slurm starts the job again, and nothing else helps: what tests/python/many_kills.py asks of a sweep by mpirun is asked of this one.
"""
import argparse
import itertools
import os
import pathlib
import random
import shlex
import signal
import sys
import time
import unittest

import cluster
from case import START, Case

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
import many_kills  # noqa: E402
from runs import digests, goes_on, newest_step, records  # noqa: E402

RANKS, NODES = 4, 8
GONE = 10  # seconds after a kill, within which all ranks must have ended
STOPPED = 60  # seconds after srun was killed: the script requeues the job, and ranks that get TERM end their step and save
ARGUMENTS = argparse.Namespace()


class KilledJob(Case):
    options = dict(nodes=NODES, cpus=8, gpus=2, settings={"JobRequeue": 0})

    def command(self, _):
        return f"{shlex.quote(str(self.killed.winnow))} run {self.killed.sweep} -o {self.killed.out} --threads 1 --device cpu"

    def processes(self, program):
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if os.path.basename(words[0]) == program and str(self.killed.out) in words:
                found.append(int(process.name))
        return found

    def kill(self, whom, node):
        if whom == "slurmd":
            return self.slurm.node_down(node)
        victims = self.processes("winnow" if whom == "a rank" else "srun")
        try:
            os.kill(random.choice(victims), signal.SIGKILL)
        except ProcessLookupError:  # a child that read a result, gone before
            os.kill(random.choice(self.processes("srun")), signal.SIGKILL)

    def state(self):
        record = self.slurm.job(self.job)
        return record["JobState"], int(record["Restarts"])

    def live(self, number, results):
        """False: the sweep ended before this kill."""
        self.until(f"start {number}", lambda: self.state() in {("RUNNING", number), ("COMPLETED", number)}, timeout=2 * START)
        out, journal = self.killed.out / "trials", self.journal

        def far_enough():
            at_work = self.killed.newest_journal() != journal and len(self.processes("winnow")) >= RANKS
            return at_work and len(list(out.glob("*/*.h5"))) >= results or self.state()[0] == "COMPLETED"

        self.until(f"{results} results", far_enough, timeout=many_kills.LIMIT)
        time.sleep(random.uniform(0, self.killed.moment))
        return self.state()[0] == "RUNNING"

    def test_a_sweep_whose_ranks_and_nodes_are_killed_ends_as_one_that_nobody_disturbed(self):
        killed = self.killed = many_kills.KilledSweep(ARGUMENTS, self.folder)
        (self.folder / "tmp").mkdir()
        began = time.monotonic()
        killed.finish(self.folder / "alone", RANKS)
        alone = digests(self.folder / "alone")
        self.assertEqual(len(alone), ARGUMENTS.trials)
        killed.moment = (time.monotonic() - began) / ARGUMENTS.kills / 2
        self.job, self.journal = f"{self.submit(crashes=10**6, directives=[f'--ntasks={RANKS}', '--nodes=1'])}_0", None
        ways = itertools.cycle(("slurmd", "a rank"))
        done, down = {}, []
        for number in range(ARGUMENTS.kills):
            share = max(0.0, (0.75 * ARGUMENTS.trials - len(killed.known)) / (ARGUMENTS.kills - number))
            before, steps, log_before = dict(killed.known), newest_step(killed.out), len(self.log())
            if not self.live(number, len(before) + round(random.uniform(0, 2 * share))):
                break
            # Ranks go on without srun until the script has had the job requeued, and may train all that is left.
            whom = "srun" if number == ARGUMENTS.kills - 1 else next(ways)
            node = int(self.slurm.job(self.job)["NodeList"][-1])
            self.kill(whom, node)
            hit = time.monotonic()
            self.until("all ranks end", lambda: not self.processes("winnow"), timeout=STOPPED if whom == "srun" else GONE)
            gone = time.monotonic() - hit
            killed.check_results()
            self.journal = killed.newest_journal()
            lost, lost_by = killed.take_account(self.journal, before, steps)
            begun = {record["trial"] for record in records(self.journal) if record["kind"] == "start"}
            killed.could_go_on += len(begun & steps.keys())
            went_on = goes_on(self.log()[log_before:])
            killed.went_on += len(went_on)
            killed.losses.append(lost)
            done[whom] = done.get(whom, 0) + 1
            print(f"{len(killed.losses):3} SIGKILL to {whom:7} ranks gone after {gone:4.1f} s, {len(killed.known):3} results, "
                  f"{len(went_on)} trials went on, {lost:.2f} epochs of {lost_by} were lost", flush=True)
            self.until("Slurm starts it again, or nothing is left",
                       lambda: self.state()[1] == number + 1 or self.state()[0] == "COMPLETED", timeout=3 * START)
            down += [node] if whom == "slurmd" else []
            if len(down) == NODES - 1:  # so that they take turns
                for node in down:
                    self.slurm.node_up(node)
                down = []
        self.wait(self.job, "COMPLETED", many_kills.LIMIT)
        self.assertGreaterEqual(len(killed.losses), 0.6 * ARGUMENTS.kills, "proves too little")
        self.assertGreaterEqual(killed.went_on, 0.5 * killed.could_go_on)
        self.assertEqual(digests(killed.out), alone)
        for place in ("checkpoints", "failed"):  # heartbeats of who died after its result was there stay until the next run
            self.assertEqual(list((killed.out / place).glob("*")), [])
        print(f"{sum(done.values())} kills {done}: {sum(killed.losses):.2f} epochs were lost, {max(killed.losses):.2f} at most by one, "
              f"{killed.went_on} of {killed.could_go_on} saved trials went on")

    def log(self):
        path = self.folder / f"{self.job}.out"
        return path.read_text(errors="replace") if path.exists() else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("winnow")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.parse_args(namespace=ARGUMENTS)
    ARGUMENTS.mpiexec, ARGUMENTS.ranks = "mpirun", [RANKS]
    random.seed(ARGUMENTS.seed)
    cluster.skip_unless_there()
    unittest.main(argv=sys.argv[:1])


if __name__ == "__main__":
    main()
