"""What tests of slurm/array.sbatch.in have in common: a cluster for each class, and jobs made from the template."""
import pathlib
import re
import time
import unittest

import cluster

TEMPLATE = (pathlib.Path(__file__).resolve().parents[2] / "slurm/array.sbatch.in").read_text()
SRUN = "srun --mpi=pmix --kill-on-bad-exit=1 --gpu-bind=none"
START = 60  # seconds that a loaded machine may take to start a job


def is_pending(number, pid):
    """Whether a process that is halted was sent this signal."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return bool(int(re.search(r"^ShdPnd:\s*(\S+)", status, re.MULTILINE).group(1), 16) >> (number - 1) & 1)


class Case(unittest.TestCase):
    """Tests of one cluster; each has a folder and submits the template, filled in. `command` is what every rank runs."""

    options = {}

    @classmethod
    def setUpClass(cls):
        cls.slurm = cls.enterClassContext(cluster.Cluster(**cls.options))

    def setUp(self):
        self.folder = self.slurm.folder / self.id().rpartition(".")[2]
        self.folder.mkdir()

    def command(self, program):
        raise NotImplementedError

    def script(self, program="", array="0", offset=0, time="60", notice=60, crashes=2, directives=(), launch=SRUN, change=None):
        values = {
            "NAME": "test", "ARRAY": array, "TIME": time, "NOTICE": notice, "OUTPUT": f"{self.folder}/%A_%a.out", "OFFSET": offset,
            "FOLDER": self.folder, "SETUP": "",
            "DIRECTIVES": "\n".join(f"#SBATCH {words}" for words in ("--ntasks=2 --gpus-per-node=1", *directives)),
            "CRASHES": crashes, "LAUNCH": launch, "COMMAND": self.command(program),
        }
        text = TEMPLATE
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        for old, new in (change or {}).items():
            self.assertEqual(text.count(old), 1, f"the template has no '{old}'")
            text = text.replace(old, new)
        path = self.folder / f"{offset}.sbatch"
        path.write_text(text)
        return path

    def submit(self, *arguments, **values):
        return self.slurm.sbatch(self.script(*arguments, **values))

    def wait(self, job, state, timeout, restarts=None):
        try:
            return self.slurm.wait(job, {state}, timeout, restarts)
        except AssertionError as wrong:
            raise AssertionError(f"{wrong}\n{self.logs()}") from None

    def logs(self):
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.folder.iterdir())
                         if path.suffix in (".out", ".events"))

    def until(self, what, holds, timeout=START):
        deadline = time.monotonic() + timeout
        while not holds():
            self.assertLess(time.monotonic(), deadline, f"not within {timeout} s: {what}\n{self.slurm.log_tail()}\n{self.logs()}")
            time.sleep(0.1)

    def check_stays(self, job, state, restarts=0):
        time.sleep(cluster.REQUEUE_DELAY + 6)
        record = self.slurm.job(job)
        self.assertEqual((record["JobState"], record["Restarts"]), (state, str(restarts)), record)
