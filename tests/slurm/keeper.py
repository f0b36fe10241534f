#!/usr/bin/env python3
"""Runs one daemon and ends with everything that came of it: keeper.py PROGRAM ARGUMENT...

Slurm's daemons detach what they start: a batch script outlives the slurmd that started it, and so a test that is killed would
leave jobs behind. This process adopts whatever lost its parent below it, and ends it all when its standard input closes,
which the kernel does for a test that is killed as well, or when it gets SIGTERM.
"""
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def prctl(option, value):
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def children():
    """Process ids by parent. A process that ends while it is read is left out."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    found.setdefault(int(stat.read().rpartition(")")[2].split()[1]), []).append(int(name))
            except OSError:
                pass
    return found


def descendants(pid):
    tree, found = children(), []
    front = [pid]
    while front:
        front = [child for parent in front for child in tree.get(parent, [])]
        found += front
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_all():
    """Ends everything below this process. What starts meanwhile is found in the next round."""
    deadline = time.monotonic() + 10
    while left := descendants(os.getpid()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {left} do not end")
        for child in left:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
        reap()


def main():
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C in a terminal is for the test, which then closes the standard input
    daemon = os.fork()
    if daemon == 0:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.setsid()
        os.execv(sys.argv[1], sys.argv[1:])
    print(daemon, flush=True)
    os.dup2(2, 1)
    while not stopping and not select.select([0], [], [], 0.5)[0]:
        reap()
    end_all()


if __name__ == "__main__":
    main()
