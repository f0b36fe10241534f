#!/usr/bin/env python3
"""A real Slurm on this host, for tests: cluster.py [--shell] [--nodes N] [--accounting]

    with Cluster(nodes=2, max_array_size=5) as slurm:
        job = slurm.sbatch("--array=0-3", "job.sh")
        slurm.wait(f"{job}_2", {"COMPLETED"}, timeout=30)

Everything lies below one temporary folder with its own munge key and free ports, so clusters run side by side and beside a
Slurm of the host. All processes end with the process that made the cluster, however that ends (keeper.py). README.md says more.
"""
import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import accounting
import jobs

HERE = pathlib.Path(__file__).resolve().parent
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "sinfo", "scancel"]
PROGRAMS_OF_ACCOUNTING = ["slurmdbd", "mariadbd", "sacct", "sacctmgr"]
SKIPPED = 77  # what ctest takes for a test that was not run

# Times as short as they may be, where Slurm's own are made for sites.
QUICK = {
    "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1,bf_resolution=1",
    "KillWait": 5,
    "SlurmdTimeout": 10,
    "MessageTimeout": 10,
    "MinJobAge": 3600,
}
# A requeued job waits until the credentials of its last start have expired, which is 120 s by default.
REQUEUE_DELAY = 10


def missing(with_accounting=False):
    """What is not there, in one line, or nothing."""
    wanted = PROGRAMS + (PROGRAMS_OF_ACCOUNTING if with_accounting else [])
    absent = [program for program in wanted if not shutil.which(program, path=SEARCH)]
    if absent:
        return f"no Slurm to test with: {', '.join(absent)} not found; tools/setup --slurm installs it"
    if os.geteuid() != 0:
        return "no Slurm to test with: its daemons are started as root here"
    return ""


def skip_unless_there(with_accounting=False):
    """Ends the test as skipped, or as failed where WINNOW_REQUIRE_SLURM=1 asks for it."""
    reason = missing(with_accounting)
    if reason:
        print(reason, file=sys.stderr)
        sys.exit(1 if os.environ.get("WINNOW_REQUIRE_SLURM") == "1" else SKIPPED)


def free_ports(count):
    """Below the range that the kernel gives to outgoing connections, so that none of these takes one meanwhile."""
    held = []
    while len(held) < count:
        listener = socket.socket()
        try:
            listener.bind(("127.0.0.1", random.randrange(12000, 32000)))
            held.append(listener)
        except OSError:
            listener.close()
    ports = [listener.getsockname()[1] for listener in held]
    for listener in held:
        listener.close()
    return ports


class Daemon:
    """One program below a keeper. Ends with all it started when stopped, killed, or left behind."""

    def __init__(self, log, env, command):
        self.log = log
        with open(log, "ab") as output:
            self.keeper = subprocess.Popen([sys.executable, "-I", "-S", HERE / "keeper.py", *command], env=env, text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output)
        self.pid = int(self.keeper.stdout.readline())

    def running(self):
        return os.path.exists(f"/proc/{self.pid}")

    def kill(self):
        self.keeper.stdin.close()
        self.keeper.wait(timeout=30)
        self.keeper.stdout.close()


class Cluster:
    """Nodes are called node0, node1, ...; `partitions` maps a name to its options in slurm.conf; `settings` are lines of
    slurm.conf and come last. `max_submit_jobs` needs accounting, as sacct does."""

    def __init__(self, nodes=2, cpus=8, gpus=0, partitions=None, max_array_size=None, with_accounting=False,
                 max_submit_jobs=None, requeue_delay=REQUEUE_DELAY, settings=None, keep=False):
        reason = missing(with_accounting)
        if reason:
            raise RuntimeError(reason)
        self.nodes, self.cpus, self.gpus, self.keep = nodes, cpus, gpus, keep
        self.partitions = partitions or {"normal": "Nodes=ALL Default=YES PriorityTier=10",
                                         "scavenge": "Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE GraceTime=0"}
        self.with_accounting, self.max_submit_jobs = with_accounting, max_submit_jobs
        # Open MPI names its shared memory by the number of the job, and what runs in clusters side by side is on one host.
        self.settings = dict(QUICK, AuthInfo=f"cred_expire={requeue_delay}", FirstJobId=random.randrange(1, 60_000_000))
        if max_array_size is not None:
            self.settings["MaxArraySize"] = max_array_size
        self.settings.update(settings or {})
        self.daemons = {}
        self.table = jobs.Table(self._show_jobs)

    # Life

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm-"))
        self.folder.chmod(0o755)  # munged wants its socket where every user may reach it
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_", "SRUN_"))}
        self.env.update(SLURM_CONF=str(self.folder / "slurm.conf"), PATH=SEARCH)
        try:
            self._configure()
            self._start("munged", f"--key-file={self.folder}/munge/key", f"--socket={self.folder}/munge/socket",
                        f"--pid-file={self.folder}/munge/pid", f"--seed-file={self.folder}/munge/seed",
                        f"--log-file={self.folder}/munged.log", "--foreground")
            self._until("munged listens", (self.folder / "munge/socket").exists)
            if self.with_accounting:
                self._start_accounting()
            self.ctld_start()
            for index in range(self.nodes):
                self._start_node(index)
            self._until("all nodes are idle", lambda: set(self._states_of_nodes()) == {"idle"})
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *_):
        for daemon in reversed(list(self.daemons.values())):
            daemon.kill()
        self.daemons.clear()
        if self.keep:
            print(f"kept: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Commands of Slurm

    def command(self, *words, check=True, timeout=60, **options):
        done = subprocess.run([str(word) for word in words], env=options.pop("env", self.env), capture_output=True, text=True,
                              timeout=timeout, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stderr}")
        return done

    def sbatch(self, *arguments, env=None, cwd=None):
        """The job's id. What sbatch says is in the exception where it refuses."""
        out = self.command("sbatch", "--parsable", *arguments, env=dict(self.env, **(env or {})), cwd=cwd or self.folder).stdout
        return int(out.split(";")[0])

    def squeue(self):
        rows = self.command("squeue", "--noheader", "--array", "--format=%i|%P|%j|%T|%r|%N").stdout.splitlines()
        return [dict(zip(("job", "partition", "name", "state", "reason", "nodes"), row.split("|"))) for row in rows]

    def sacct(self, job, fields=("JobID", "State", "ExitCode", "NodeList")):
        """One row for every time that the job and its steps ran."""
        rows = self.command("sacct", "--duplicates", "--noheader", "--parsable2", f"--jobs={job}",
                            f"--format={','.join(fields)}").stdout.splitlines()
        return [dict(zip(fields, row.split("|"))) for row in rows]

    def job(self, job):
        """scontrol's record of a job or of a task of an array (5_2), as a dict."""
        return self.table.find(job)

    def wait(self, job, states, timeout, restarts=None):
        """Waits until the job is in one of the states, in its n-th restart if asked, and returns its record. A job that has
        ended in another state is told at once, with the logs' ends."""
        try:
            return self.table.wait(job, set(states), timeout, restarts)
        except AssertionError as wrong:
            raise AssertionError(f"{wrong}\n{self.log_tail()}") from None

    # Failures

    def node_down(self, index):
        """Kills the node's slurmd and all that runs there, as a loss of power would."""
        self.daemons[f"node{index}"].kill()

    def node_up(self, index):
        self._start_node(index)
        self.command("scontrol", "update", f"NodeName=node{index}", "State=RESUME", check=False)  # refused where it is well

    def ctld_kill(self):
        """As a crash would: what happened in the last seconds is not in its saved state."""
        self.daemons["slurmctld"].kill()

    def ctld_stop(self):
        """As for maintenance: it saves its state before."""
        daemon = self.daemons["slurmctld"]
        os.kill(daemon.pid, signal.SIGTERM)
        self._until("slurmctld ends", lambda: not daemon.running())
        daemon.kill()

    def ctld_start(self):
        self._start("slurmctld", "-D")
        self._until("slurmctld answers", lambda: "is UP" in self.command("scontrol", "ping", check=False).stdout)

    def log_tail(self, lines=25):
        text = []
        for log in sorted(self.folder.glob("*.log")):
            end = collections.deque(log.read_text(errors="replace").splitlines(), lines)
            text += [f"--- {log.name}", *end]
        return "\n".join(text)

    # Inside

    def _configure(self):
        for name in ("munge", "state", "spool", "tmp"):
            (self.folder / name).mkdir(mode=0o755)
        key = self.folder / "munge/key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        ports = free_ports(self.nodes + 3)
        self.storage_port, self.dbd_port = ports[:2]
        host = socket.gethostname().split(".")[0]
        settings = {
            "ClusterName": "test", "SlurmctldHost": f"{host}(127.0.0.1)", "SlurmctldPort": ports[2],
            "SlurmUser": "root", "SlurmdUser": "root", "AuthType": "auth/munge", "CryptoType": "crypto/munge",
            "StateSaveLocation": f"{self.folder}/state", "SlurmctldPidFile": f"{self.folder}/slurmctld.pid",
            "SlurmctldLogFile": f"{self.folder}/slurmctld.log", "SlurmdLogFile": f"{self.folder}/%n.log",
            # PMIx puts its sockets below TmpFS, and those of two nodes must not meet.
            "SlurmdSpoolDir": f"{self.folder}/spool/%n", "SlurmdPidFile": f"{self.folder}/%n.pid", "TmpFS": f"{self.folder}/tmp/%n",
            # What needs neither cgroups nor the host's real processors.
            "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "JobAcctGatherType": "jobacct_gather/none",
            "SelectType": "select/cons_tres", "SelectTypeParameters": "CR_Core", "SlurmdParameters": "config_overrides",
            "PreemptType": "preempt/partition_prio", "PreemptMode": "REQUEUE", "ReturnToService": 2, "MpiDefault": "none",
            "SchedulerType": "sched/backfill",
        }
        if self.gpus:
            settings["GresTypes"] = "gpu"
        if self.with_accounting:
            settings.update(AccountingStorageType="accounting_storage/slurmdbd", AccountingStorageHost="127.0.0.1",
                            AccountingStoragePort=self.dbd_port, AccountingStorageEnforce="limits",
                            AccountingStoragePass=f"{self.folder}/munge/socket")  # by its documentation: munge's socket
        settings.update(self.settings)
        settings["AuthInfo"] = f"socket={self.folder}/munge/socket,{settings['AuthInfo']}"
        lines = [f"{name}={value}" for name, value in settings.items()]
        gres = f" Gres=gpu:{self.gpus}" if self.gpus else ""
        for index in range(self.nodes):
            (self.folder / f"spool/node{index}").mkdir()
            (self.folder / f"tmp/node{index}").mkdir()
            lines.append(f"NodeName=node{index} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3 + index]} "
                         f"CPUs={self.cpus} RealMemory=1000 State=UNKNOWN{gres}")
        lines += [f"PartitionName={name} State=UP {options}" for name, options in self.partitions.items()]
        (self.folder / "slurm.conf").write_text("\n".join(lines) + "\n")
        # Devices that do nothing stand in for the GPUs: Slurm only hands out their numbers.
        devices = [self.folder / f"gpu{index}" for index in range(self.gpus)]
        for device in devices:
            device.touch()
        (self.folder / "gres.conf").write_text("".join(f"Name=gpu File={device}\n" for device in devices))

    def _start(self, program, *arguments, name=None):
        name = name or program
        self.daemons[name] = Daemon(self.folder / f"{name}.start.log", self.env,
                                    [shutil.which(program, path=SEARCH), *map(str, arguments)])

    def _start_node(self, index):
        self._start("slurmd", "-D", "-N", f"node{index}", name=f"node{index}")

    def _start_accounting(self):
        mariadbd = shutil.which("mariadbd", path=SEARCH)
        password = accounting.make_database(self.folder, mariadbd)
        conf = self.folder / "slurmdbd.conf"
        conf.touch(mode=0o600)
        conf.write_text(accounting.slurmdbd_conf(self.folder, self.dbd_port, self.storage_port, password))
        self._start("mariadbd", *accounting.options(self.folder), "--bind-address=127.0.0.1",
                    f"--port={self.storage_port}")
        self._until("mariadbd listens", lambda: self._listens(self.storage_port))
        self._start("slurmdbd", "-D")
        manager = ["sacctmgr", "--immediate", "--quiet"]
        self._until("slurmdbd answers", lambda: self.command(*manager, "show", "cluster", check=False).returncode == 0)
        self.command(*manager, "add", "cluster", "test")
        if self.max_submit_jobs is not None:
            self.command(*manager, "modify", "user", "root", "set", f"MaxSubmitJobs={self.max_submit_jobs}")

    @staticmethod
    def _listens(port):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    def _states_of_nodes(self):
        return self.command("sinfo", "--noheader", "--Node", "--format=%T", check=False).stdout.split()

    def _show_jobs(self):
        return self.command("scontrol", "--all", "--oneliner", "show", "jobs", check=False).stdout

    def _until(self, what, holds, timeout=60):
        deadline = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > deadline:
                dead = [name for name, daemon in self.daemons.items() if not daemon.running()]
                raise RuntimeError(f"not within {timeout} s: {what}; ended: {dead or 'none'}\n{self.log_tail()}")
            time.sleep(0.1)


def main():
    arguments = argparse.ArgumentParser(description="A Slurm of its own on this host, until the shell or this process ends.")
    arguments.add_argument("--shell", action="store_true", help="a shell inside it; without this it waits for ^C")
    arguments.add_argument("--nodes", type=int, default=2)
    arguments.add_argument("--cpus", type=int, default=8, help="processors of a node, which need not exist")
    arguments.add_argument("--gpus", type=int, default=0, help="GPUs of a node, which need not exist")
    arguments.add_argument("--max-array-size", type=int)
    arguments.add_argument("--accounting", action="store_true", help="with slurmdbd, for sacct")
    arguments.add_argument("--max-submit-jobs", type=int, help="needs --accounting")
    arguments.add_argument("--keep", action="store_true", help="keep the folder with logs")
    chosen = arguments.parse_args()
    skip_unless_there(chosen.accounting)
    with Cluster(chosen.nodes, chosen.cpus, chosen.gpus, max_array_size=chosen.max_array_size,
                 with_accounting=chosen.accounting, max_submit_jobs=chosen.max_submit_jobs, keep=chosen.keep) as slurm:
        print(f"export SLURM_CONF={slurm.env['SLURM_CONF']}", flush=True)
        try:
            if chosen.shell:
                subprocess.run([os.environ.get("SHELL", "bash")], env=slurm.env, cwd=slurm.folder)
            else:
                threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
