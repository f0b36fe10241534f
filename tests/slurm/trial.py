#!/usr/bin/env python3
"""Stands in for winnow in the tests of batch scripts: trial.py FOLDER SHARD --steps N [--exits CODE,CODE,...] [--last RANK] [--stuck START,...]

Counts to N in a file of its shard and rank, ten steps a second, and goes on there when started again. On TERM or USR2 it saves
and exits with 75. --exits says with which code the first, second, ... start ends at once, the last one for all that follow if
the list ends in "...", and 0 is none; 139 is a real segmentation fault. --stuck says in which starts, from 0, it does not get a single step
on.
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import sys
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("folder", type=pathlib.Path)
arguments.add_argument("shard", type=int)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--exits", default="")
arguments.add_argument("--last", type=int, default=99, help="the last rank that --exits is for")
arguments.add_argument("--stuck", default="")
arguments.add_argument("--deaf", action="store_true", help="does not stop when told to")
chosen = arguments.parse_args()
rank = int(os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("SLURM_PROCID", "0"))  # below mpirun all have the script's
start = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
name = chosen.folder / f"shard{chosen.shard}.rank{rank}"
told = []


def say(what, **more):
    node = os.environ.get("SLURMD_NODENAME")
    line = json.dumps(dict(what=what, start=start, node=node, pid=os.getpid(), at=time.time(), **more))
    with open(f"{name}.events", "a") as events:
        events.write(line + "\n")


def note(name, text=""):
    """In a file for the batch script, as winnow does (experiments/run/exit_file.h)."""
    with contextlib.suppress(FileExistsError), open(os.environ[name], "x") as first:
        first.write(text)


ASKED = (signal.SIGTERM, signal.SIGUSR2)
for number in ASKED:
    signal.signal(number, lambda number, _: told.append(signal.Signals(number).name))

step = int(pathlib.Path(f"{name}.count").read_text()) if os.path.exists(f"{name}.count") else 0
began, is_stuck = step, str(start) in chosen.stuck.split(",")
say("start", step=step)
print(f"start {start} of rank {rank}", flush=True)
codes = chosen.exits.removesuffix(",...").split(",") if chosen.exits else []
if rank <= chosen.last and (start < len(codes) or chosen.exits.endswith(",...")):
    code = int(codes[min(start, len(codes) - 1)])
    if code == 139:
        os.kill(os.getpid(), signal.SIGSEGV)
    if code:
        note("WINNOW_EXIT_FILE", str(code))
        sys.exit(code)
while step < chosen.steps and (chosen.deaf or not told):
    time.sleep(0.1)
    if is_stuck:
        continue
    step += 1
    pathlib.Path(f"{name}.count.new").write_text(str(step))
    os.replace(f"{name}.count.new", f"{name}.count")
signal.pthread_sigmask(signal.SIG_BLOCK, ASKED)  # Python forgets its handlers before it has ended, and would die of a second one
stopped = step < chosen.steps
say("stop" if stopped else "done", step=step, signals=told)
if step > began:
    note("WINNOW_PROGRESS_FILE")
if stopped or rank == 0:
    note("WINNOW_EXIT_FILE", "75" if stopped else "0")
sys.exit(75 if stopped else 0)
