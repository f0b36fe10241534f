#!/usr/bin/env python3
"""What a batch script does at each thing that Slurm does to it: events_test.py [CLASS.TEST]

slurm/array.sbatch.in runs a stand-in (trial.py) in a real Slurm. Without one the test counts as skipped.
"""
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
import unittest

import cluster
import side_by_side
from case import SRUN, START, Case

MPIRUN = "mpirun -n 2"
HERE = pathlib.Path(__file__).resolve().parent


class Trial(Case):
    """The stand-in is what runs."""

    def command(self, program):
        return f'{shlex.quote(sys.executable)} {HERE}/trial.py {self.folder} "$SHARD" {program}'

    def events(self, what, shard=0, rank=0):
        path = self.folder / f"shard{shard}.rank{rank}.events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [event for event in map(json.loads, lines) if event["what"] == what]

    def running(self, job, shard=0, restarts=0):
        """Waits until both ranks of the job have caught signals for a moment."""
        for rank in (0, 1):
            self.until(f"rank {rank} of {job} runs",
                       lambda: any(event["start"] == restarts for event in self.events("start", shard, rank)))
        time.sleep(0.5)

    def check_nothing_is_lost(self):
        """Every start goes on where the one before was told to stop."""
        for rank in (0, 1):
            self.assertTrue(self.events("done", rank=rank))
            starts = {event["start"]: event["step"] for event in self.events("start", rank=rank)}
            for stop in self.events("stop", rank=rank):
                self.assertEqual(starts[stop["start"] + 1], stop["step"])


class Events(Trial):
    # JobRequeue=0, as at some sites: a job that may be requeued has to say so.
    options = dict(nodes=9, cpus=32, gpus=16, max_array_size=5, settings={"JobRequeue": 0}, partitions={
        "normal": "Nodes=node[0-1] Default=YES PriorityTier=1 PreemptMode=OFF",
        "graceful": "Nodes=node2 PriorityTier=1 PreemptMode=REQUEUE GraceTime=30",
        "sudden": "Nodes=node3 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
        "graceful-then-broken": "Nodes=node4 PriorityTier=1 PreemptMode=REQUEUE GraceTime=30",
        "sudden-then-broken": "Nodes=node5 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
        "graceful-mpirun": "Nodes=node6 PriorityTier=1 PreemptMode=REQUEUE GraceTime=30",
        "graceful-cancel": "Nodes=node7 PriorityTier=1 PreemptMode=CANCEL GraceTime=30",
        "sudden-cancel": "Nodes=node8 PriorityTier=1 PreemptMode=CANCEL GraceTime=0",
        "urgent": "Nodes=node[2-8] PriorityTier=10 PreemptMode=OFF",
    })

    def test_before_the_time_limit_it_saves_and_is_requeued(self):
        job = self.submit("--steps 450", time="1", notice=45, crashes=0)
        self.wait(f"{job}_0", "COMPLETED", 240)
        for rank in (0, 1):
            self.assertEqual(self.events("stop", rank=rank)[0]["signals"], ["SIGUSR2"])
        self.check_nothing_is_lost()

    def test_what_does_not_stop_in_time_is_ended_and_not_requeued(self):
        """The batch script is killed together with the program. What was saved is there for the next submission."""
        job = self.submit("--steps 2000 --deaf", time="1", notice=30)
        self.wait(f"{job}_0", "TIMEOUT", 180)
        self.check_stays(f"{job}_0", "TIMEOUT")

    def preempt(self, partition, node, **how):
        job = self.submit("--steps 150", crashes=0, directives=[f"--partition={partition}"], **how)
        self.running(f"{job}_0")
        urgent = self.slurm.sbatch("--partition=urgent", f"--nodelist={node}", "--exclusive", "--wrap=sleep 3")
        self.wait(urgent, "COMPLETED", START + 40)
        self.wait(f"{job}_0", "COMPLETED", START + 40, restarts=1)

    def test_preempted_with_grace_time_it_saves_and_is_requeued(self):
        self.preempt("graceful", "node2")
        for rank in (0, 1):
            self.assertEqual([event["signals"] for event in self.events("stop", rank=rank)], [["SIGTERM"]])
        self.check_nothing_is_lost()

    def test_preempted_without_grace_time_it_goes_on_from_what_is_saved(self):
        self.preempt("sudden", "node3")
        for rank in (0, 1):
            first, second = self.events("start", rank=rank)
            self.assertGreater(second["step"], first["step"])

    def test_preempted_with_grace_time_it_requeues_itself_where_slurm_would_cancel_it(self):
        self.preempt("graceful-cancel", "node7")
        self.check_nothing_is_lost()

    def test_preempted_without_grace_time_it_is_cancelled_where_slurm_cancels(self):
        """What `winnow submit` says of PreemptMode=CANCEL. TERM comes all the same, and what is saved by then is there."""
        job = self.submit("--steps 150", directives=["--partition=sudden-cancel"])
        self.running(f"{job}_0")
        self.slurm.sbatch("--partition=urgent", "--nodelist=node8", "--exclusive", "--wrap=sleep 3")
        self.wait(f"{job}_0", "PREEMPTED", START + 40)
        self.check_stays(f"{job}_0", "PREEMPTED")

    def preempt_and_crash(self, partition, node):
        """Each start after the preempted one crashes: with crashes=2 the first and two more of them."""
        job = self.submit("--steps 300 --exits 0,139,...", crashes=2, directives=[f"--partition={partition}"])
        self.running(f"{job}_0")
        self.slurm.sbatch("--partition=urgent", f"--nodelist={node}", "--exclusive", "--wrap=sleep 3")
        self.wait(f"{job}_0", "FAILED", 4 * START, restarts=3)
        self.check_stays(f"{job}_0", "FAILED", restarts=3)

    def test_preempted_with_grace_time_and_crashing_from_then_on_it_is_given_up(self):
        """Nor does it excuse a crash that Slurm says PreemptTime=None of a job that may be preempted."""
        self.preempt_and_crash("graceful-then-broken", "node4")

    def test_preempted_without_grace_time_and_crashing_from_then_on_it_is_given_up(self):
        self.preempt_and_crash("sudden-then-broken", "node5")

    def test_cancelled_it_saves_and_stays_cancelled_and_its_neighbour_goes_on(self):
        job = self.submit("--steps 150", array="0-1")
        for shard in (0, 1):
            self.running(f"{job}_{shard}", shard)
        self.slurm.command("scancel", f"{job}_0")
        self.wait(f"{job}_0", "CANCELLED", 30)
        self.assertEqual(len(self.events("stop")), 1)
        self.check_stays(f"{job}_0", "CANCELLED")
        self.wait(f"{job}_1", "COMPLETED", 60, restarts=0)

    def test_requeued_at_every_signal_it_defeats_cancelling(self):
        """Why the script asks for the job's state: without that a cancelled job comes back."""
        job = self.submit("--steps 150", change={"*:RUNNING)": "*)"})
        self.running(f"{job}_0")
        self.slurm.command("scancel", f"{job}_0")
        self.wait(f"{job}_0", "RUNNING", START, restarts=1)
        self.slurm.command("scontrol", "update", f"JobId={job}", "Requeue=0")
        self.slurm.command("scancel", "--signal=KILL", "--full", f"{job}_0")

    def test_below_mpirun_it_saves_when_told_and_is_requeued(self):
        job = self.submit("--steps 150", launch=MPIRUN, crashes=0)
        self.running(f"{job}_0")
        self.slurm.command("scancel", "--batch", "--signal=USR2", f"{job}_0")  # what Slurm does before the limit
        self.wait(f"{job}_0", "COMPLETED", 2 * START, restarts=1)
        for rank in (0, 1):
            self.assertEqual([event["signals"] for event in self.events("stop", rank=rank)], [["SIGUSR2"]])
        self.check_nothing_is_lost()

    def test_below_mpirun_it_is_requeued_when_preempted(self):
        self.preempt("graceful-mpirun", "node6", launch=MPIRUN)

    def test_below_mpirun_it_stays_cancelled(self):
        job = self.submit("--steps 150", launch=MPIRUN)
        self.running(f"{job}_0")
        self.slurm.command("scancel", f"{job}_0")
        self.wait(f"{job}_0", "CANCELLED", 30)
        self.check_stays(f"{job}_0", "CANCELLED")

    def test_below_mpirun_what_crashes_is_given_up(self):
        job = self.submit("--steps 300 --last 0 --exits 139,...", launch=MPIRUN, crashes=1)
        self.wait(f"{job}_0", "FAILED", 2 * START, restarts=1)
        self.check_stays(f"{job}_0", "FAILED", restarts=1)

    def test_without_a_launcher_it_saves_when_told_and_is_requeued_and_stays_cancelled(self):
        job = self.submit("--steps 150", launch="", crashes=0)
        runs = lambda start: any(event["start"] == start for event in self.events("start"))
        self.until("it runs", lambda: runs(0))
        self.slurm.command("scancel", "--batch", "--signal=USR2", f"{job}_0")
        self.until("it runs again", lambda: runs(1), 2 * START)
        self.assertEqual(self.events("stop")[0]["signals"], ["SIGUSR2"])
        self.assertEqual(self.events("start")[1]["step"], self.events("stop")[0]["step"])
        self.slurm.command("scancel", f"{job}_0")
        self.wait(f"{job}_0", "CANCELLED", 30)
        self.check_stays(f"{job}_0", "CANCELLED", restarts=1)

    def launcher(self, nothing):
        """One that says 0 and starts nothing, so often."""
        path = self.folder / "launcher"
        path.write_text(f"""#!/bin/bash
echo x >>{self.folder}/launches
[ "$(wc -l <{self.folder}/launches)" -le {nothing} ] && exit 0
exec {SRUN} "$@"
""")
        path.chmod(0o755)
        return path

    def test_where_nothing_was_started_the_next_step_starts_it(self):
        job = self.submit("--steps 5", launch=self.launcher(2), crashes=0)
        self.wait(f"{job}_0", "COMPLETED", START, restarts=0)
        for rank in (0, 1):
            self.assertTrue(self.events("done", rank=rank))

    def test_where_sbatch_hands_on_no_environment_the_ranks_still_say_that_they_ended_well(self):
        job = self.submit("--steps 5", crashes=0, directives=["--export=NONE"])
        self.wait(f"{job}_0", "COMPLETED", START, restarts=0)
        self.assertEqual(len(self.events("start")), 1)

    def test_a_launcher_that_starts_nothing_is_a_crash_and_no_success(self):
        job = self.submit("--steps 5", launch=self.launcher(99), crashes=1)
        self.wait(f"{job}_0", "FAILED", 2 * START, restarts=1)
        self.assertEqual(self.slurm.job(f"{job}_0")["ExitCode"], "70:0")
        self.check_stays(f"{job}_0", "FAILED", restarts=1)

    def kill_rank(self, job):
        self.running(f"{job}_0")
        os.kill(self.events("start", rank=1)[0]["pid"], signal.SIGKILL)

    def test_a_rank_that_dies_ends_all_within_seconds_and_is_requeued(self):
        job = self.submit("--steps 150")
        self.kill_rank(job)
        survivor = self.events("start", rank=0)[0]["pid"]
        self.until("the other rank ends", lambda: not os.path.exists(f"/proc/{survivor}"), timeout=10)
        self.wait(f"{job}_0", "COMPLETED", START + 40, restarts=1)
        self.assertGreater(self.events("start", rank=0)[1]["step"], 0)
        log = (self.folder / f"{job}_0.out").read_text()
        self.assertIn("start 0", log)  # the first start's lines are still there
        self.assertIn("start 1", log)

    def test_without_kill_on_bad_exit_the_others_would_go_on_alone(self):
        job = self.submit("--steps 300", launch="srun")
        self.kill_rank(job)
        time.sleep(15)
        self.assertTrue(os.path.exists(f"/proc/{self.events('start', rank=0)[0]['pid']}"))
        self.slurm.command("scancel", job)

    def test_what_crashes_at_every_start_is_given_up(self):
        job = self.submit("--exits 139,...", crashes=2)
        self.wait(f"{job}_0", "FAILED", START + 120, restarts=2)
        self.check_stays(f"{job}_0", "FAILED", restarts=2)

    def stop_in_time(self, job, start):
        """As Slurm does before the limit."""
        self.running(f"{job}_0", restarts=start)
        self.slurm.command("scancel", "--batch", "--signal=USR2", f"{job}_0")

    def test_what_was_told_to_stop_is_no_crash(self):
        job = self.submit("--steps 150 --exits 0,0,139", crashes=1)
        for start in (0, 1):
            self.stop_in_time(job, start)
        self.wait(f"{job}_0", "COMPLETED", START + 120, restarts=3)

    def test_what_is_told_to_stop_each_time_before_it_gets_on_is_given_up(self):
        job = self.submit("--steps 150 --stuck 0,1,2,3", crashes=1)
        for start in (0, 1):
            self.stop_in_time(job, start)
        self.assertEqual(self.wait(f"{job}_0", "FAILED", START + 60, restarts=1)["ExitCode"], "75:0")
        self.assertIn("given up: starts that crashed, or were told to stop before a trial ended or was saved further on: 2; "
                      "--crashes 1 allows no more.", (self.folder / f"{job}_0.out").read_text())
        self.check_stays(f"{job}_0", "FAILED", restarts=1)

    def test_what_gets_on_in_between_is_told_to_stop_as_often_as_it_may_be(self):
        job = self.submit("--steps 150 --stuck 0,2", crashes=1)
        for start in range(4):
            self.stop_in_time(job, start)
        self.wait(f"{job}_0", "COMPLETED", START + 120, restarts=4)
        self.assertEqual((self.folder / f"{job}_0.crashes").read_text(), "")
        self.assertEqual(list(self.folder.glob("*.progress")), [])
        self.check_nothing_is_lost()

    def test_a_bad_sweep_file_is_not_tried_again(self):
        """Found by one rank, which ends the others; these save, and say that they may be started again."""
        job = self.submit("--exits 65 --last 0 --steps 300")
        self.assertEqual(self.wait(f"{job}_0", "FAILED", START)["ExitCode"], "65:0")
        self.check_stays(f"{job}_0", "FAILED")

    def test_stopping_unasked_is_counted_as_a_crash(self):
        job = self.submit("--exits 75,...", crashes=1)
        self.wait(f"{job}_0", "FAILED", START + 60, restarts=1)
        self.check_stays(f"{job}_0", "FAILED", restarts=1)

    def test_more_shards_than_an_array_may_have(self):
        with self.assertRaisesRegex(RuntimeError, "Invalid job array specification"):
            self.submit(array="0-5")
        arrays = {0: "0-4", 5: "0-4%2", 10: "0-1"}
        submitted = {offset: self.submit(array=array, offset=offset) for offset, array in arrays.items()}
        for offset, job in submitted.items():
            for index in range(int(arrays[offset][2]) + 1):
                self.wait(f"{job}_{index}", "COMPLETED", 2 * START)
                self.assertEqual(len(self.events("done", shard=index + offset)), 1)
        self.assertEqual(len(list(self.folder.glob("*.rank0.events"))), 12)

    def test_what_sbatch_refuses_is_said(self):
        with self.assertRaisesRegex(RuntimeError, "invalid partition specified: nowhere"):
            self.submit(directives=["--partition=nowhere"])
        with self.assertRaisesRegex(RuntimeError, "Requested node configuration is not available"):
            self.submit(directives=["--gpus-per-node=17"])

    def requeue_the_array_id(self, **options):
        """The task whose own id is the array's requeues itself; the number of restarts of each."""
        first = '$([ "$SLURM_JOB_ID" = "$SLURM_ARRAY_JOB_ID" ] && echo --exits 70)'
        job = self.submit(f"--steps 100 {first}", array="0-2", **options)
        for shard in (0, 1, 2):
            self.wait(f"{job}_{shard}", "COMPLETED", START + 90)
        return sorted(int(self.slurm.job(f"{job}_{shard}")["Restarts"]) for shard in (0, 1, 2))

    def test_a_task_requeues_only_itself(self):
        self.assertEqual(self.requeue_the_array_id(), [0, 0, 1])

    def test_the_bare_job_id_would_requeue_other_tasks(self):
        bare = {'scontrol requeue "$SELF"': 'scontrol requeue "$SLURM_JOB_ID"'}
        self.assertGreaterEqual(self.requeue_the_array_id(change=bare)[1], 1)


class NodeDown(Trial):
    options = dict(nodes=2, gpus=1, with_accounting=True)

    def test_a_lost_node_costs_what_was_not_saved(self):
        job = self.submit("--steps 100")
        self.running(f"{job}_0")
        node = self.slurm.job(f"{job}_0")["NodeList"]
        self.slurm.node_down(int(node[-1]))
        self.wait(f"{job}_0", "COMPLETED", START + 90, restarts=1)
        first, second = self.events("start")
        self.assertNotEqual(second["node"], first["node"])
        self.assertGreater(second["step"], 0)
        # By that winnow submit keeps away from it (experiments/submit/failed_nodes).
        def starts():
            return [(row["State"], row["NodeList"]) for row in self.slurm.sacct(f"{job}_0") if row["JobID"] == f"{job}_0"]

        self.until("accounts tell which node was lost", lambda: starts()[:1] == [("NODE_FAIL", node)], timeout=20)
        self.slurm.node_up(int(node[-1]))
        state = ["sinfo", "--noheader", f"--nodes={node}", "--format=%T"]
        self.until(f"{node} is there again", lambda: self.slurm.command(*state).stdout.strip() == "idle")


class ControllerAway(Trial):
    # How long scontrol itself goes on asking, 120 s by default; it is 18 s with this.
    options = dict(nodes=1, gpus=1, settings={"SlurmctldTimeout": 3})

    def test_a_controller_that_is_away_costs_no_shard(self):
        """Away from when the ranks have ended: while they run, srun itself waits for it."""
        ended = self.folder / "ended"
        job = self.submit("--steps 60", change={"# A controller that": f"touch {ended}; sleep 8\n# A controller that"})
        self.running(f"{job}_0")
        self.slurm.command("scancel", "--batch", "--signal=USR2", f"{job}_0")
        self.until("the ranks have ended", ended.exists)
        self.slurm.ctld_stop()
        time.sleep(35)
        self.slurm.ctld_start()
        self.wait(f"{job}_0", "COMPLETED", START + 90, restarts=1)
        self.check_nothing_is_lost()


class Accounting(Trial):
    options = dict(nodes=1, gpus=1, with_accounting=True, max_submit_jobs=3)

    def test_a_limit_of_jobs_counts_every_task_and_sacct_every_start(self):
        job = self.submit("--steps 5 --exits 70", array="0-1")
        with self.assertRaisesRegex(RuntimeError, "AssocMaxSubmitJobLimit"):
            self.submit(array="0-1", offset=2)
        self.wait(f"{job}_1", "COMPLETED", START + 60, restarts=1)

        def states():
            return [row["State"] for row in self.slurm.sacct(f"{job}_1") if row["JobID"] == f"{job}_1"]

        self.until("both starts are recorded", lambda: states() == ["REQUEUED", "COMPLETED"], timeout=20)


class Keeper(unittest.TestCase):
    def test_a_killed_test_leaves_no_process_behind(self):
        child = subprocess.Popen([sys.executable, HERE / "cluster.py", "--nodes=1"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        conf = child.stdout.readline().strip().partition("=")[2]
        self.addCleanup(subprocess.run, ["rm", "-rf", os.path.dirname(conf)])
        env = dict(os.environ, SLURM_CONF=conf, PATH=cluster.SEARCH)
        # Two processes that leave their parents, session and all, as a batch script's may.
        subprocess.run(["sbatch", "--output=/dev/null", "--wrap=(setsid sleep 600 &) ; setsid sleep 600"], env=env, check=True,
                       capture_output=True)
        deadline = time.monotonic() + START
        while sum("sleep" in command for command in self.processes(conf)) < 2:
            self.assertLess(time.monotonic(), deadline, self.processes(conf))
            time.sleep(0.1)
        child.kill()
        child.wait()
        deadline = time.monotonic() + 10
        while left := self.processes(conf):
            self.assertLess(time.monotonic(), deadline, left)
            time.sleep(0.1)

    @staticmethod
    def processes(conf):
        """Command lines of all that has this configuration in its environment."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if f"SLURM_CONF={conf}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                pass
        return found


def load_tests(loader, tests, _):
    return side_by_side.SideBySide(tests)


if __name__ == "__main__":
    cluster.skip_unless_there(with_accounting=True)
    unittest.main()
