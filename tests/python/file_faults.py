#!/usr/bin/env python3
"""Every operation on files goes wrong, once each: file_faults.py WINNOW FAULTS [--cases N] [--seed N]

A sweep is run in eight commands: stopped three times, finished, its other half, a survey, both again. With the library FAULTS preloaded each
of them is killed before and half-way through each of its operations on files, or the operation fails. After each no file that
was published is unreadable, nothing is lost that was said to be saved, and the same command again ends as it had to. --cases: so
many of all, evenly spaced.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runs import ENVIRONMENT, digests, newest_checkpoints, records, sealed_note

LIMIT = 120  # seconds
SWEEP = """
sweep: spoilt
trial:
  data:  {name: synthetic, height: 8, width: 8, channels: 1, examples: 320, test_examples: 64, validation: 0}
  model: {name: lenet300}
  train: {epochs: 5, batch: 32, lr: 0.02, precision: f32}
axes:
  - cases:
      - {name: snip, label: mask, method.density: 0.1}
      - {name: ticket, method.of: mask, train.epochs: 1}
      - {name: rigl, method.density: 0.2, train.epochs: 4}
    key: method.name
"""
# The first three are told to stop when they have trained an epoch.
STOPPED, RUN, COLLECT = ["run", "--shard", "0/2"], ["run"], ["collect"]
COMMANDS = [STOPPED, STOPPED, STOPPED, STOPPED, RUN, COLLECT, RUN, COLLECT]
STOP_IN = 3
# File systems: what they have not.
SYSTEMS = {"all": "", "no unnamed files": "unnamed", "no hard links": "unnamed link"}
KILLS = ("before", "half")
ERRORS = ("ENOSPC", "EDQUOT", "EIO")
WORDS = {"ENOSPC": "No space left on device", "EDQUOT": "Disk quota exceeded", "EIO": "Input/output error", "EROFS": "Read-only file system"}
IO, STOP, SITE = 74, 75, 78  # exit codes

# What a run does without, and where what it then says is found.
COURTESIES = ("running", "results.index")
SAID = {"journal": "warning: ", "checkpoints": "its progress is not saved: "}


class Place:
    """A copy of the program's output folder, as it is before a command."""

    def __init__(self, test, folder):
        self.test, self.out = test, folder

    def run(self, command, **faults):
        arguments = [str(self.test.winnow), command[0]]
        arguments += [str(self.out)] if command == COLLECT else [str(self.test.sweep), "-o", str(self.out), "--workers", "1", "--threads", "1"]
        environment = dict(ENVIRONMENT, LD_PRELOAD=str(self.test.library), FAULT_FOLDER=str(self.out))
        environment |= {f"FAULT_{key}": str(value) for key, value in faults.items()}
        return subprocess.run(arguments + command[1:], env=environment, capture_output=True, text=True, timeout=LIMIT)

    def check(self):
        """Whatever happened, what has a name is whole."""
        files = [path for path in self.out.rglob("*") if path.is_file() and ".tmp." not in path.name]
        for path in files:
            place, content = path.relative_to(self.out).parts[0], path.read_bytes()
            if path.suffix in (".h5", ".ck"):
                sealed_note(path)
            elif place == "journal":
                records(path)
            elif path.suffix == ".json":
                json.loads(content)
            elif place in ("plan.tsv", "plans", "shards", "sweeps"):
                assert undated(content) in self.test.written.get(place, ()), f"{path}: cut short, or never written so"
        found = digests(self.out)
        assert found.items() <= self.test.results.items(), f"other results than undisturbed: {found}"
        return found


def undated(plan):
    return re.sub(rb"^# written .*$", b"", plan, flags=re.MULTILINE)


def saved_in(out):
    """By trial: how many checkpoints journals say are saved."""
    return Counter(record["trial"] for path in (out / "journal").glob("*.jnl") for record in records(path) if record["kind"] == "saved")


class FileFaults:
    def __init__(self, arguments, folder):
        self.winnow, self.library, self.folder = Path(arguments.winnow).resolve(), Path(arguments.faults).resolve(), folder
        self.sweep = folder / "sweep.yaml"
        self.sweep.write_text(SWEEP)
        self.results, self.written, self.wrong = {}, {}, []

    def stop(self, number):
        return {"STOP": "journal:4"} if number < STOP_IN else {}

    def before(self, number):
        """The folder as it is before a command."""
        return self.folder / f"before-{number}"

    def run_undisturbed(self):
        place = Place(self, self.folder / "out")
        place.out.mkdir()
        (place.out / "other.txt").write_text("not winnow's\n")
        for number, command in enumerate(COMMANDS):
            shutil.copytree(place.out, self.before(number), symlinks=True)
            done = place.run(command, **self.stop(number))
            assert done.returncode == (STOP if number < STOP_IN else 0), f"{command}: exit code {done.returncode}\n{done.stderr}"
            for path in place.out.rglob("*"):
                if path.suffix in (".tsv", ".yaml"):
                    self.written.setdefault(path.relative_to(place.out).parts[0], set()).add(undated(path.read_bytes()))
        assert [number for number, _ in newest_checkpoints(self.before(STOP_IN)).values()] == [STOP_IN], "it was not saved three times"
        self.results = digests(place.out)
        assert len(self.results) == 3
        return place

    def cases(self):
        """Of each command, file system and operation what can go wrong there."""
        found = []
        for number, command in enumerate(COMMANDS):
            for system, lacks in SYSTEMS.items():
                if command == COLLECT and lacks:
                    continue  # it links nothing
                place = self.copy(number, f"count-{number}")
                place.run(command, LACKS=lacks, LOG=place.out.with_suffix(".log"), **self.stop(number))
                operations = operations_in(place.out.with_suffix(".log"))
                self.clean(place)
                assert not unsynced(operations), f"{command} on a file system with {system}: never synced: {unsynced(operations)}"
                for at, (_, what, _) in enumerate(operations, 1):
                    hows = KILLS + ERRORS + (("EPERM",) if what == "link" else ())
                    found += [(number, system, at, how) for how in hows]
        return found

    def copy(self, number, name):
        place = Place(self, self.folder / name)
        shutil.copytree(self.before(number), place.out, symlinks=True)
        return place

    def check_case(self, case):
        number, system, at, how = case
        place = self.copy(number, "-".join(map(str, case)).replace(" ", "_"))
        log = place.out.with_suffix(".log")
        known = digests(place.out)
        faults = {"AT": at, "HOW": how, "LACKS": SYSTEMS[system], "LOG": log}
        if how in ("ENOSPC", "EDQUOT"):
            faults["LASTS"] = 1
        done = place.run(COMMANDS[number], **faults, **self.stop(number))
        operations = operations_in(log)
        if len(operations) < at:
            assert done.returncode == (STOP if number < STOP_IN else 0), done.stderr
            self.clean(place)
            return None  # this time there was a heartbeat less
        where = f"{operations[at - 1][1]} {operations[at - 1][2]}"
        try:
            found = place.check()
            assert known.items() <= found.items(), "a result is lost"
            for name in re.findall(r"^\[\d+/\d+\] (\S+) .* test ", done.stderr, re.MULTILINE):
                assert f"{name}.h5" in found, f"{name} was said to be done"
            left = newest_checkpoints(place.out)
            for name, count in saved_in(place.out).items():
                assert f"{name}.h5" in found or left.get(name, (0, 0))[0] >= count, f"{name}: {count} were saved, there is {left.get(name)}"
            if how in KILLS:
                assert done.returncode == -9, f"exit code {done.returncode}"
            else:
                self.check_words(place, number, operations, how, done)
            again = place.run(COMMANDS[number], LACKS=SYSTEMS[system])
            assert again.returncode == 0, f"again: exit code {again.returncode}\n{again.stderr}"
            after = place.check()
            wanted = self.results if COMMANDS[number] != STOPPED else digests(self.before(STOP_IN + 1))
            assert wanted.items() <= after.items(), f"again: {after}"
            if COMMANDS[number] == COLLECT:
                assert (place.out / "survey.h5").exists()
            assert not list((place.out / "checkpoints").glob("*/*.ck")), "checkpoints of what is done"
        except AssertionError as wrong:
            raise AssertionError(f"command {number}, {COMMANDS[number]}, {how} at operation {at} ({where}), file system with {system}: {wrong}\n"
                                 f"exit code {done.returncode}\n{done.stderr}") from wrong
        self.clean(place)
        return how

    def outcome(self, case):
        try:
            return self.check_case(case)
        except AssertionError as wrong:
            self.wrong.append(str(wrong))
            return "wrong"

    def check_words(self, place, number, operations, how, done):
        """A run that cannot write what counts ends with one line that names the file, and one that can go on says what it goes without."""
        spoilt = [at for at, (fails, *_) in enumerate(operations) if fails]
        failed = [Path(meant(operations, at)) for at in spoilt]
        # A file that has its name is there, whatever becomes of its temporary one. The probe is a name of this kind itself, whose removal is tried.
        matter = [(at, path) for at, path in zip(spoilt, failed)
                  if operations[at][1] != "remove" or path.name.count(".tmp.") == int(path.name.startswith("probe."))]
        counts = [Path(operations[at][2]) for at, path in matter if path.parts[:1] not in [(name,) for name in (*COURTESIES, *SAID)]]
        lines = done.stderr.splitlines()
        errors = [line for line in lines if line.startswith("winnow: error: ")]
        if how == "EPERM":  # it takes another way
            counts, failed = [], []
        if counts:
            folder = place.out / (counts[0].parent if counts[0].suffix or counts[0].name.startswith("#") else counts[0])
            assert done.returncode == IO and len(errors) == 1, f"{len(errors)} errors"
            assert WORDS[how] in errors[0] and str(folder) in errors[0], errors[0]
            return
        # Without a journal nobody tells it to stop.
        ends = {STOP, 0} if number < STOP_IN and any(path.parts[0] == "journal" for path in failed) else {STOP if number < STOP_IN else 0}
        assert done.returncode in ends and not errors, "it could have gone on"
        for at, path in zip(spoilt, failed):
            said = SAID.get(path.parts[0]) if operations[at][1] != "remove" else None
            assert said is None or any(said in line and str(place.out) in line for line in lines), f"nothing is said of {path}"
        not_saved = any(path.parts[0] == "checkpoints" and operations[at][1] != "remove" for at, path in zip(spoilt, failed))
        assert not_saved or SAID["checkpoints"] not in done.stderr, "what it saved is said not to be"

    def refuses_what_has_no_way(self):
        """Before anything is trained: where nothing can be published, and where nothing can be written."""
        for faults, code, words in (({"LACKS": "unnamed link rename"}, SITE, "neither hard links nor renameat2"),
                                    ({"AT": 1, "HOW": "EROFS", "LASTS": 1}, IO, "Read-only file system")):
            place = self.copy(0, "refused")
            done = place.run(RUN, **faults)
            lines = done.stderr.splitlines()
            assert done.returncode == code and len(lines) == 1 and words in lines[0] and str(place.out) in lines[0], f"{done.returncode}\n{done.stderr}"
            self.clean(place)

    def clean(self, place):
        shutil.rmtree(place.out)
        place.out.with_suffix(".log").unlink(missing_ok=True)


def operations_in(log):
    """Of each: was it made to fail, what, and the path below the folder."""
    found = []
    for line in log.read_text().splitlines() if log.exists() else []:
        spoilt, what, path = re.fullmatch(r"\d+ (! )?(\S+) (.*?)(?: \(deleted\))?", line).groups()
        found.append((bool(spoilt), what, path))
    return found


def meant(operations, at):
    """The path of an operation; where a folder above a new one is synced, that of the new one."""
    _, what, path = operations[at]
    while what == "fsync" and at > 0:
        at -= 1
        if operations[at][1] == "mkdir":
            return operations[at][2]
        what = operations[at][1]
    return path


def unsynced(operations):
    """Entries of folders, new or replaced, that a loss of power at the end could still undo."""
    pending = {}
    for _, what, path in operations:
        if what == "fsync":
            pending.pop(path, None)
        elif what == "mkdir" or what in ("link", "rename", "rename_new") or what == "create" and path.endswith(".jnl"):
            if path != ".":
                pending.setdefault(str(Path(path).parent), set()).add(path)
    return {path for entries in pending.values() for path in entries if Path(path).parts[0] not in COURTESIES}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("winnow")
    parser.add_argument("faults")
    parser.add_argument("--cases", type=int, default=0)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("WINNOW_SEED", "1")))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        test = FileFaults(arguments, Path(folder))
        test.run_undisturbed()
        test.refuses_what_has_no_way()
        cases = test.cases()
        step = max(1, len(cases) // arguments.cases) if arguments.cases else 1
        picked = cases[random.Random(arguments.seed).randrange(step)::step]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done = Counter(pool.map(test.outcome, picked))
        absent = done.pop(None, 0)
        print(f"{sum(done.values())} of {len(cases)} cases: {dict(done)}; of {absent} the operation did not come this time")
        assert absent <= 0.1 * len(picked), f"{absent} of {len(picked)} operations did not come: proves too little"
        assert not test.wrong, "\n\n".join([f"{len(test.wrong)} cases went wrong", *test.wrong[:10]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
