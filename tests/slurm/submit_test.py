#!/usr/bin/env python3
"""`winnow submit`, `reconcile` and `cancel` with a real Slurm: submit_test.py WINNOW [CLASS.TEST]

Its arrays may have five tasks, and a user twelve jobs. Without Slurm the test counts as skipped.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

import cluster
from case import START, Case, is_pending

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
from runs import ENVIRONMENT, digests, newest_step  # noqa: E402

WINNOW = str(pathlib.Path(sys.argv[1]).resolve())
JOBS = 12

SWEEP = """
sweep: submitted
trial:
  data:  {name: synthetic, height: 8, width: 8, channels: 1, examples: 640, test_examples: 64, validation: 0}
  model: {name: lenet300}
  method: {name: dense}
  train: {epochs: 2, batch: 64, lr: 0.02, precision: f32}
axes:
  - replicate: 7
"""


class Submissions(Case):
    options = dict(nodes=1, cpus=16, with_accounting=True, max_array_size=5, max_submit_jobs=JOBS)

    def setUp(self):
        super().setUp()
        (self.folder / "sweep.yaml").write_text(SWEEP)
        self.out = self.folder / "out"
        self.addCleanup(self.slurm.command, "scancel", "--user=root", "--full")

    def winnow(self, *words, tools=None, code=0):
        """Where the user is: paths are relative. `tools`: programs that stand in for those of Slurm."""
        env = dict(ENVIRONMENT, **self.slurm.env)
        if tools:
            folder = self.folder / "tools"
            folder.mkdir(exist_ok=True)
            for name, text in tools.items():
                (folder / name).write_text(f"#!/bin/sh\n{text}\n")
                (folder / name).chmod(0o755)
            env["PATH"] = f"{folder}:{env['PATH']}"
        done = subprocess.run([WINNOW, *words], env=env, cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def submit(self, *words, **options):
        return self.winnow("submit", "sweep.yaml", "--device", "cpu", "--time", "30", "--ask-every", "0", *words, **options)

    def queue(self):
        """Tasks that wait or run."""
        return [task for task in self.slurm.squeue() if task["state"] not in ("COMPLETED", "CANCELLED", "FAILED")]

    def ends_well(self):
        said = []

        def over():
            said[:] = [json.loads(self.winnow("status", "out", "--json").stdout)]
            return said[0]["done"] == 7 and not self.queue()

        self.until("all trials have results and all jobs are over", over)
        logs = [path.read_text() for path in sorted((self.out / "slurm/logs").iterdir())]
        self.assertEqual(sum(": 0 already done, 1 trained, 0 diverged, 0 failed" in log for log in logs), 7, logs)

    def test_a_submitted_sweep_ends_with_the_results_of_a_run(self):
        said = self.submit("--shards", "7").stdout
        self.assertIn("shards 0-4", said)
        self.assertIn("shards 5-6", said)
        self.ends_well()
        self.winnow("run", "sweep.yaml", "-o", "undisturbed", "--device", "cpu", "-q")
        self.assertEqual(digests(self.out), digests(self.folder / "undisturbed"))
        self.assertIn("nothing to submit: all 7 trials have results", self.submit().stdout)

    def tell_of_the_time_limit(self, job, step):
        """What Slurm sends before the limit, to a job whose only trial has come to that step at least, and is halted until it is told."""
        def there():
            beats = [json.loads(path.read_text()) for path in (self.out / "running").glob("*.json")]
            return [beat["process"] for beat in beats if beat["step"] >= step]

        found = []
        self.until("a trial is in work", lambda: found.extend(there()) or found)
        os.kill(found[0], signal.SIGSTOP)
        self.slurm.command("scancel", "--batch", "--signal=USR2", f"{job}_0")
        self.until("it is told", lambda: is_pending(signal.SIGUSR2, found[0]))
        os.kill(found[0], signal.SIGCONT)

    def submit_one(self, *words):
        """A job of one trial that may not crash once."""
        (self.folder / "sweep.yaml").write_text(SWEEP.replace("replicate: 7", "replicate: 1"))
        said = self.submit("--shards", "1", "--crashes", "0", "--run=--workers=1", *words)
        return re.search(r"^job (\d+) ", said.stdout, re.MULTILINE).group(1)

    def test_told_of_its_time_limit_a_task_goes_on_as_if_nobody_had_told_it(self):
        longer = ["--set", "train.epochs=1000"]
        job = self.submit_one(*longer)
        self.tell_of_the_time_limit(job, step=1)
        self.slurm.wait(f"{job}_0", {"COMPLETED"}, 2 * START, 1)
        logs = self.out / "slurm/logs"
        self.assertRegex((logs / f"{job}_0.out").read_text(), "goes on from step [1-9]")
        self.assertEqual([path.name for path in logs.iterdir()], [f"{job}_0.out"])
        self.winnow("run", "sweep.yaml", "-o", "undisturbed", "--device", "cpu", "-q", *longer)
        self.assertEqual(digests(self.out), digests(self.folder / "undisturbed"))

    def test_told_of_it_before_its_first_step_a_task_has_got_nowhere(self):
        """Though it saves then, too. It makes its data for a second or more."""
        job = self.submit_one(*(f"--set=data.{key}" for key in ("height=32", "width=32", "channels=3", "examples=50000")))
        self.tell_of_the_time_limit(job, step=0)
        self.slurm.wait(f"{job}_0", {"FAILED"}, START, 0)
        log = (self.out / f"slurm/logs/{job}_0.out").read_text()
        self.assertIn("was saved further on: 1; --crashes 0 allows no more.", log)
        self.assertEqual((self.out / f"slurm/logs/{job}_0.crashes").read_text(), "stopped 75\n")
        self.assertEqual(list(newest_step(self.out).values()), [0])

    def killed_behind_sbatch(self, options=""):
        sbatch = f'{self.slurm.command("which", "sbatch").stdout.strip()} {options} "$@" && kill -KILL $PPID'
        self.submit("--shards", "2", tools={"sbatch": sbatch}, code=-9)
        self.assertIn("winnow reconcile", self.submit("--shards", "2", code=69).stderr)

    def reconcile(self, place, tools=None):
        (one,) = json.loads(self.winnow("reconcile", "out", "--json", tools=tools).stdout)["submissions"]
        self.assertEqual((one["state"], one["shards"]), ("submitted", "0-1"))
        self.assertIn(place, one["reason"])

    def test_killed_behind_sbatch_it_submits_nothing_twice_and_the_job_is_found(self):
        self.killed_behind_sbatch("--begin=now+1hour")
        self.assertEqual(len(self.queue()), 2)
        self.reconcile("queue")
        self.assertIn("nothing to submit", self.submit("--shards", "2").stdout)
        self.assertEqual(len(self.queue()), 2)

    def test_a_job_that_the_queue_has_forgotten_is_found_in_the_accounts(self):
        self.killed_behind_sbatch()
        name = json.loads((self.out / "slurm/0001.intent.json").read_text())["job_name"]
        accounts = ["sacct", "--noheader", "--allocations", "--starttime=now-1hour", f"--name={name}"]
        self.until("both tasks are over, in the accounts too", lambda: self.slurm.command(*accounts).stdout.count("COMPLETED") == 2)
        self.reconcile("accounts", tools={"squeue": "exit 0"})
        self.assertIn("all 7 trials have results", self.submit().stdout)

    def test_cancel_ends_its_own_jobs_and_no_others(self):
        other = self.slurm.sbatch("--begin=now+1hour", "--wrap=true")
        self.submit("--shards", "7", "--sbatch=--begin=now+1hour")
        self.assertEqual(len(self.queue()), 8)
        self.assertEqual(self.winnow("cancel", "out", "-n").stdout.count("job "), 2)
        self.winnow("cancel", "out", code=64)
        self.assertEqual(len(self.queue()), 8)
        self.winnow("cancel", "out", "--yes")
        self.until("they are gone", lambda: [task["job"] for task in self.queue()] == [str(other)])

    def test_what_slurm_refuses_is_said_and_no_limit_is_run_into(self):
        self.assertIn("nowhere", self.submit("--partition", "nowhere", code=78).stderr)
        self.slurm.sbatch("--begin=now+1hour", "--array=0-4", "--wrap=true")
        self.slurm.sbatch("--begin=now+1hour", "--array=0-3", "--wrap=true")
        said = self.submit("--shards", "7", "--sbatch=--begin=now+1hour").stdout
        self.assertIn(f"Slurm takes {JOBS - 9} more jobs of you now: 3 of 7 shards are submitted", said)
        self.assertEqual(len(self.queue()), JOBS)


if __name__ == "__main__":
    cluster.skip_unless_there(with_accounting=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
