#!/usr/bin/env python3
"""A sweep through what Slurm does to its jobs: sweep_test.py WINNOW [CLASS.TEST]

The real program on two ranks through slurm/array.sbatch.in in a real Slurm. Whatever happens to a job, its trial goes on from
where it was saved, and all results are those of a sweep that nobody disturbed. Without Slurm the test counts as skipped.
"""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import unittest

import cluster
import side_by_side
from case import SRUN, START, Case, is_pending

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
from runs import ENVIRONMENT, digests, newest_step  # noqa: E402

WINNOW = pathlib.Path(sys.argv[1]).resolve()
KILL_WAIT = 15  # seconds between TERM and KILL; Slurm's own default is 30
LIMIT = 240  # seconds that a trial may take beside all others on a loaded machine

SWEEP = """
sweep: disturbed
trial:
  ranks: 2
  data:  {name: synthetic, height: 16, width: 16, channels: 1, examples: 3200, test_examples: 200, validation: 64}
  model: {name: lenet300}
  train: {epochs: 16, batch: 64, lr: 0.02, precision: f32}
save: {checkpoint: {every: 1}, weights: {when: both}}
axes:
  - cases:
      - {name: imp, method.levels: 2}
      - {name: rigl, model.name: resnet20, method.density: 0.3, train.epochs: 2}
    key: method.name
"""
# The first one is the longest, so that it is drawn before the others, and never ends.
CRASHING = """
sweep: crashing
trial:
  data:  {name: synthetic, height: 8, width: 8, channels: 1, examples: 640, test_examples: 64, validation: 0}
  model: {name: lenet300}
  train: {epochs: 2, batch: 64, lr: 0.02, precision: f32}
save: {checkpoint: {every: 600}}
axes:
  - cases:
      - {name: rigl, method.density: 0.3, train.epochs: 1000000}
      - {name: dense}
      - {name: magnitude, method.density: 0.3}
      - {name: snip, method.density: 0.3}
      - {name: set, method.density: 0.3}
    key: method.name
"""
RUN = f"{shlex.quote(str(WINNOW))} run"


class Sweeps(Case):
    # A node says that it has killed a step when it has, after KillWait. Where slurmctld does not wait that long for the answer
    # (MessageTimeout) it sends the same once more a minute later, and would end the next start of the job.
    settings = {"JobRequeue": 0, "KillWait": KILL_WAIT, "MessageTimeout": 2 * KILL_WAIT}
    options = dict(nodes=7, cpus=32, gpus=16, settings=settings, partitions={
        "normal": "Nodes=node0 Default=YES PriorityTier=1 PreemptMode=OFF",
        "graceful": "Nodes=node1 PriorityTier=1 PreemptMode=REQUEUE GraceTime=30",
        "sudden": "Nodes=node2 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
        "urgent": "Nodes=node[1-2] PriorityTier=10 PreemptMode=OFF",
        "fragile": "Nodes=node[3-4] PriorityTier=1 PreemptMode=OFF",
        "wide": "Nodes=node[5-6] PriorityTier=1 PreemptMode=OFF",
    })

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sweep = cls.slurm.folder / "sweep.yaml"
        cls.sweep.write_text(SWEEP)
        thread = cls.enterClassContext(concurrent.futures.ThreadPoolExecutor(1))
        cls.undisturbed = thread.submit(cls.run_undisturbed)

    @classmethod
    def run_undisturbed(cls):
        out = cls.slurm.folder / "undisturbed"
        command = ["mpirun", "--oversubscribe", "-n", "2", str(WINNOW), "run", str(cls.sweep), "-o", str(out), "--threads", "1",
                   "--device", "cpu"]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT)
        if done.returncode != 0:
            raise AssertionError(f"undisturbed: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return digests(out)

    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"

    def command(self, only):
        some = f" --only method.name={only}" if only else ""
        return f"{RUN} {self.sweep} -o {self.out} --threads 1 --device cpu{some}"

    def submit(self, only, **values):
        """The log says the code by which the script decides."""
        return super().submit(only, change={'case "$rc:': 'echo "exit code $rc"\ncase "$rc:'}, **values)

    def log(self, job, index=0):
        path = self.folder / f"{job}_{index}.out"
        return path.read_text() if path.exists() else ""

    def ranks(self):
        """The processes of winnow that work on this test's folder, by rank."""
        found = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words[0] != str(WINNOW).encode() or str(self.out).encode() not in words:
                    continue
                environment = dict(word.partition(b"=")[::2] for word in (process / "environ").read_bytes().split(b"\0"))
                rank = int(environment[b"SLURM_PROCID"])
                found[rank] = min(int(process.name), found.get(rank, sys.maxsize))  # not a child that reads a result for it
            except (OSError, KeyError):
                pass
        return found

    def heartbeats(self):
        beats = {}
        for path in (self.out / "running").glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # its trial has just ended
                beats[path] = json.loads(path.read_text())
        return beats

    def at_work(self):
        """Both ranks by their numbers, or nothing before they have begun with a trial."""
        processes = self.ranks()
        begun = any(beat["process"] in processes.values() for beat in self.heartbeats().values())
        return processes if begun and len(processes) == 2 else None

    def halt(self, beyond=0):
        """Stops both ranks, and returns them, when a checkpoint lies beyond that step. A fast machine would have trained all
        before a second is over and Slurm does what is asked of it, so the ranks only go on for moments. Slurm sends CONT before
        TERM, and KILL needs none."""
        self.until("both ranks are at work", self.at_work, timeout=LIMIT)
        processes = self.at_work()

        def send(number):
            for pid in processes.values():
                os.kill(pid, number)

        def saved():
            return any(step > beyond for step in newest_step(self.out).values())

        moment = 0.1
        while not saved():
            send(signal.SIGSTOP)
            time.sleep(1)  # as long as a checkpoint lasts
            send(signal.SIGCONT)
            moment *= 2  # a slow machine takes many of them to get to its first step
            self.assertLess(moment, LIMIT, f"no checkpoint beyond step {beyond}: {newest_step(self.out)}\n{self.logs()}")
            end = time.monotonic() + moment
            while not saved() and time.monotonic() < end:
                time.sleep(0.01)
        send(signal.SIGSTOP)
        return processes

    def goes_on_from(self, job, before, start=1):
        """Waits until a start of the job goes on, which must be from the newest checkpoint of the one before."""
        def said():
            return re.findall(r"(\S+)  goes on from step (\d+)\n", self.log(job))

        self.until(f"start {start} goes on", lambda: len(said()) >= start, timeout=LIMIT)
        self.assertEqual(said()[-1], (before[0], str(before[1])), self.log(job))

    def waits_to_go_on(self, job, restarts=1):
        """The trial and the step that it will go on from: all of its processes are gone, and no start has read it yet."""
        self.slurm.wait(job, {"PENDING"}, START + 60, restarts)
        self.assertEqual(self.ranks(), {})
        ((name, step),) = newest_step(self.out).items()
        return name, step

    def check_results(self, starts):
        """As if nobody had disturbed it; `starts` of each trial by the steps that they went on from."""
        import h5py

        found = digests(self.out)
        undisturbed = self.undisturbed.result()
        self.assertEqual(len(undisturbed), 2)
        self.assertEqual(found, {name: undisturbed[name] for name in found})
        attempts = []
        for path in sorted((self.out / "trials").glob("*/*.h5")):
            with h5py.File(path) as f:
                attempts.append([int(text.rpartition(" ")[2]) for text in f["provenance/attempts"][()].decode().split("; ")])
        self.assertEqual(attempts, starts)
        left = [path for folder in ("checkpoints", "running", "failed") for path in (self.out / folder).glob("*")]
        self.assertEqual(left, [])
        self.assertEqual(self.ranks(), {})

    def ends_well(self, job, restarts, index=0):
        self.wait(f"{job}_{index}", "COMPLETED", LIMIT, restarts)

    def test_before_the_time_limit_it_saves_and_goes_on_without_losing_a_step(self):
        """Slurm looks at time limits every 30 s only; the signal waits for the ranks, which are halted."""
        job = self.submit("imp", time="1", notice=59, crashes=0)
        processes = self.halt()
        (at,) = self.heartbeats().values()

        self.until("both ranks are told", lambda: all(is_pending(signal.SIGUSR2, pid) for pid in processes.values()), timeout=90)
        for pid in processes.values():
            os.kill(pid, signal.SIGCONT)
        before = self.waits_to_go_on(f"{job}_0")
        self.assertGreaterEqual(before[1], at["step"])
        self.assertIn("exit code 75\n", self.log(job))
        self.goes_on_from(job, before)
        self.slurm.command("scontrol", "update", f"JobId={job}_0", "TimeLimit=60")  # or it is told once more
        self.ends_well(job, restarts=1)
        self.check_results([[0, before[1]]])

    def preempt(self, only, partition, node, **values):
        job = self.submit(only, crashes=0, directives=[f"--partition={partition}"], **values)
        self.halt()
        self.slurm.sbatch("--partition=urgent", f"--nodelist={node}", "--exclusive", "--wrap=sleep 3")
        before = self.waits_to_go_on(f"{job}_0")
        first_start = self.log(job)
        self.goes_on_from(job, before)
        self.ends_well(job, restarts=1)
        self.check_results([[0, before[1]]])
        return first_start

    def test_preempted_with_grace_time_it_saves_and_goes_on(self):
        self.assertIn("exit code 75\n", self.preempt("rigl", "graceful", "node1"))

    def test_killed_by_a_preemption_it_goes_on_from_its_newest_checkpoint(self):
        """Without GraceTime there is TERM too, and KILL after KillWait: the ranks are made deaf to reach that."""
        deaf = f"{SRUN} env --block-signal=TERM --block-signal=USR2"
        self.assertNotIn("exit code 75\n", self.preempt("imp", "sudden", "node2", launch=deaf))

    def test_a_lost_node_costs_what_was_not_saved_and_its_heartbeat_keeps_nobody_waiting(self):
        job = self.submit("rigl", directives=["--partition=fragile"])
        self.halt()
        node = self.slurm.job(f"{job}_0")["NodeList"]
        self.slurm.node_down(int(node[-1]))
        before = self.waits_to_go_on(f"{job}_0")
        # The nodes of this cluster are one host. On another host nobody sees that the process is gone, and the heartbeat is fresh.
        ((path, left),) = self.heartbeats().items()
        path.write_text(json.dumps(dict(left, host="lost", updated=int(time.time()) + START)))
        self.slurm.wait(f"{job}_0", {"RUNNING"}, START, 1)
        began = time.monotonic()
        self.goes_on_from(job, before)
        self.assertLess(time.monotonic() - began, START)
        self.assertNotEqual(self.slurm.job(f"{job}_0")["NodeList"], node)
        self.ends_well(job, restarts=1)
        self.check_results([[0, before[1]]])

    def test_cancelled_it_saves_and_stays_cancelled_and_goes_on_when_submitted_again(self):
        job = self.submit("imp")
        self.halt()
        self.slurm.command("scancel", f"{job}_0")
        self.wait(f"{job}_0", "CANCELLED", START)
        self.until("all its processes end", lambda: not self.ranks() and "exit code 75\n" in self.log(job))
        self.assertEqual(self.heartbeats(), {})
        ((name, step),) = newest_step(self.out).items()
        self.check_stays(f"{job}_0", "CANCELLED")
        again = self.submit("imp")
        self.goes_on_from(again, (name, step))
        self.ends_well(again, restarts=0)
        self.check_results([[0, step]])

    def test_each_rank_that_dies_ends_all_within_seconds_and_the_trial_goes_on(self):
        job = self.submit("rigl", crashes=2)
        starts = [0]
        for start, victim in enumerate((1, 0)):
            processes = self.halt(beyond=starts[-1])
            os.kill(processes[victim], signal.SIGKILL)
            # It waits for the dead one inside MPI and does not hear TERM; long before srun would kill it, KILL_WAIT later, it sees.
            self.until("the other rank ends", lambda: not self.ranks(), timeout=10)
            before = self.waits_to_go_on(f"{job}_0", restarts=start + 1)
            self.assertEqual(len((self.folder / f"{job}_0.crashes").read_text().splitlines()), start + 1)
            self.goes_on_from(job, before, start + 1)
            starts.append(before[1])
        self.ends_well(job, restarts=2)
        self.check_results([starts])

    def test_a_trial_that_crashes_each_time_is_given_up_and_the_others_are_finished(self):
        """With as many crashes as such a trial needs where it is alone, one less than `winnow submit` allows a shard: no start more, and none less."""
        self.sweep = self.folder / "sweep.yaml"
        self.sweep.write_text(CRASHING)
        job = self.submit("", crashes=3)

        def at_fault():
            processes = self.ranks().values()
            return [beat for beat in self.heartbeats().values() if "rigl" in beat["label"] and beat["process"] in processes]

        names = set()
        for start in range(3):
            seen = []
            self.until(f"start {start} has the trial in work", lambda: seen.extend(at_fault()) or seen, timeout=LIMIT)
            beat = seen[0]
            names.add(beat["name"])
            os.kill(beat["process"], signal.SIGSEGV)
            self.slurm.wait(f"{job}_0", {"PENDING"}, START + 60, start + 1)
            self.assertEqual(self.ranks(), {})
            notes = sorted(self.out.glob("checkpoints/*/*.crash"))
            self.assertEqual([path.parent.name for path in notes], [beat["name"]] * (start + 1), "another trial is blamed")
            self.assertEqual(list((self.out / "failed").glob("*")), [])
        self.ends_well(job, restarts=3)
        ((name,), (record,)) = names, [json.loads(path.read_text()) for path in (self.out / "failed").glob("*.json")]
        self.assertEqual(record["name"], name)
        self.assertEqual(record["reason"], "given up after 3 crashes before anything was saved, the last one: its process ended by signal 11 "
                                           "(Segmentation fault)")
        self.assertEqual(len(digests(self.out)), 4)
        self.assertIn("exit code 0\n", self.log(job))
        self.assertEqual(self.slurm.job(f"{job}_0")["ExitCode"], "0:0")
        self.assertEqual(len((self.folder / f"{job}_0.crashes").read_text().splitlines()), 3)
        self.check_stays(f"{job}_0", "COMPLETED", restarts=3)

    def test_what_crashes_at_every_start_ends_the_job_and_blames_no_trial_that_gets_on(self):
        job = self.submit("imp", crashes=1)
        starts = [0]
        for start in range(2):
            processes = self.halt(beyond=starts[-1])
            os.kill(processes[start], signal.SIGSEGV)
            os.kill(processes[start], signal.SIGCONT)
            if start == 0:
                before = self.waits_to_go_on(f"{job}_0")
                self.goes_on_from(job, before)
                starts.append(before[1])
        self.wait(f"{job}_0", "FAILED", START + 60, restarts=1)
        self.until("all its processes end", lambda: not self.ranks())
        self.check_stays(f"{job}_0", "FAILED", restarts=1)
        self.assertEqual(list((self.out / "failed").glob("*")), [])
        before = next(iter(newest_step(self.out).items()))
        again = self.submit("imp")
        self.goes_on_from(again, before)
        self.ends_well(again, restarts=0)
        self.check_results([[*starts, before[1]]])

    def test_a_trial_over_two_nodes_loses_a_rank_on_one_and_goes_on(self):
        job = self.submit("rigl", crashes=1, directives=["--partition=wide --nodes=2 --ntasks-per-node=1"])
        processes = self.halt()
        nodes = {dict(word.partition(b"=")[::2] for word in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))[b"SLURMD_NODENAME"]
                 for pid in processes.values()}
        self.assertEqual(nodes, {b"node5", b"node6"})
        os.kill(processes[1], signal.SIGKILL)
        # It cannot look there, and does not hear TERM inside MPI: Slurm's KILL ends it.
        self.until("the rank of the other node ends", lambda: not self.ranks(), timeout=KILL_WAIT + 10)
        before = self.waits_to_go_on(f"{job}_0")
        self.goes_on_from(job, before)
        self.ends_well(job, restarts=1)
        self.check_results([[0, before[1]]])

    def test_tasks_of_an_array_share_a_sweep(self):
        job = self.submit("$(cut -d' ' -f$((SHARD + 1)) <<<'imp rigl')", array="0-1")
        for index in (0, 1):
            self.ends_well(job, restarts=0, index=index)
            self.assertIn(": 0 already done, 1 trained, 0 diverged, 0 failed", self.log(job, index))
        self.assertEqual(len(digests(self.out)), 2)
        self.check_results([[0], [0]])


def load_tests(loader, tests, _):
    return side_by_side.SideBySide(tests)


if __name__ == "__main__":
    cluster.skip_unless_there()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
