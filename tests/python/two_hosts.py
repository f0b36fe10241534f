#!/usr/bin/env python3
"""Ranks on two hosts, which are two network namespaces of this machine, joined by a cable of their own: two_hosts.py WINNOW MPIEXEC
TICKETS_TRIAL. Messages between them go over TCP, and nobody maps another one's memory.

Rank 0 gives trials to the other host while it is deep in a step; results are those of one process, also where the ranks of one
trial are on both hosts. Needs root and ip(8); exit status 77, which ctest calls skipped, where there are no namespaces.
"""
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from runs import ENVIRONMENT, digests

WINNOW, MPIEXEC, TICKETS_TRIAL = Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3]).resolve()
LIMIT = 120  # seconds; a loaded machine takes some of them to start a job

SWEEP = """
trial:
  data:  {name: synthetic, height: 8, width: 8, channels: 1, examples: 320, test_examples: 64, validation: 0}
  model: {name: lenet300}
  train: {epochs: 3, batch: 32, lr: 0.02, precision: f32}
  method: {name: dense}
axes:
  - cases:
      - dense
      - {name: rigl, method.density: 0.2, method.delta_t: 2it}
    key: method.name
  - replicate: 3
"""


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True)


class TwoHosts(contextlib.ExitStack):
    """Namespaces, and an agent that starts a command in one of them, as ssh would on a host."""

    def __init__(self, folder):
        super().__init__()
        self.names = [f"winnow{os.getpid()}{letter}" for letter in "ab"]
        self.addresses = ["10.77.31.1", "10.77.31.2"]
        self.agent = folder / "agent"

    def open(self):
        """NoHosts where this machine has none."""
        for name in self.names:
            self.ip("netns", "add", name)
            self.callback(self.end_host, name)
        ends = [f"w{os.getpid()}{letter}" for letter in "ab"]
        self.ip("link", "add", ends[0], "netns", self.names[0], "type", "veth", "peer", "name", ends[1], "netns", self.names[1])
        for name, end, address in zip(self.names, ends, self.addresses):
            self.ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            self.ip("-n", name, "link", "set", end, "up")
            self.ip("-n", name, "link", "set", "lo", "up")
        self.expect(subprocess.run(self.inside(0, "hostname"), capture_output=True, text=True))
        cases = "".join(f"  {address}) host={name} ;;\n" for name, address in zip(self.names, self.addresses))
        self.agent.write_text(f"#!/bin/bash\n# HOST COMMAND...\ncase $1 in\n{cases}  *) host=$1 ;;\nesac\nshift\n"
                              'exec ip netns exec "$host" unshare --uts sh -c \'hostname "$1"; exec sh -c "$2"\' sh "$host" "$*"\n')
        self.agent.chmod(0o755)

    @staticmethod
    def end_host(name):
        for process in ip("netns", "pids", name).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        ip("netns", "del", name)

    @staticmethod
    def expect(done):
        if done.returncode != 0:
            raise NoHosts((done.stderr.strip() or "unknown").splitlines()[-1])

    def ip(self, *arguments):
        self.expect(ip(*arguments))

    def inside(self, host, *command):
        name = self.names[host]
        return ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", 'hostname "$1"; shift; exec "$@"', "sh", name, *command]

    def mpirun(self, ranks, *command):
        """So many ranks, on the two hosts in turn."""
        hosts = ",".join(f"{address}:{ranks}" for address in self.addresses)
        # Only the cable: not the loopback device of each.
        wire = [word for layer in ("btl", "oob") for word in ("--mca", f"{layer}_tcp_if_include", "10.77.31.0/24")]
        command = self.inside(0, MPIEXEC, "--mca", "plm_rsh_agent", self.agent, *wire, "--host", hosts, "--map-by", "node", "--bind-to",
                              "none", "-n", ranks, *command)
        command = [str(word) for word in command]
        try:
            done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired as hang:
            raise AssertionError(f"hangs: {shlex.join(command)}\n{hang.stderr}") from hang
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


class NoHosts(Exception):
    pass


def draws_go_on_while_rank_0_is_in_a_step(hosts):
    seconds = 4
    said = json.loads(hosts.mpirun(4, TICKETS_TRIAL, "busy", seconds))
    print(said)
    assert said["draws"] > 0 and said["worst_draw_s"] < seconds / 2, said


def results_are_those_of_one_process(hosts, folder):
    sweep = folder / "sweep.yaml"
    sweep.write_text(SWEEP)
    alone = folder / "alone"
    subprocess.run([WINNOW, "run", sweep, "-o", alone, "--device", "cpu"], env=ENVIRONMENT, check=True, capture_output=True)
    out = folder / "two"
    hosts.mpirun(4, WINNOW, "run", sweep, "-o", out, "--device", "cpu", "--threads", 1)
    assert digests(out) == digests(alone) and len(digests(out)) == 6

    # Sums over two ranks are those of two ranks on one host.
    pairs = {}
    for name, command in (("one", lambda *words: subprocess.run([MPIEXEC, "--oversubscribe", "-n", "2", *map(str, words)], env=ENVIRONMENT,
                                                               check=True, capture_output=True)),
                          ("both", lambda *words: hosts.mpirun(2, *words))):
        out = folder / name
        command(WINNOW, "run", sweep, "-o", out, "--device", "cpu", "--threads", 1, "--ranks-per-trial", 2)
        pairs[name] = digests(out)
    assert pairs["one"] == pairs["both"] and len(pairs["both"]) == 6


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with TwoHosts(folder) as hosts:
            try:
                hosts.open()
            except (NoHosts, OSError) as reason:
                print(f"no network namespaces here: {reason}")
                return 77
            draws_go_on_while_rank_0_is_in_a_step(hosts)
            results_are_those_of_one_process(hosts, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
