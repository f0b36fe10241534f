#!/usr/bin/env python3
"""How long `winnow status` takes for an output directory of many trials: files of the form of results, without their content,
which status does not look at, and a plan of all. The best of several rounds.

    status_bench.py WINNOW FOLDER [--trials 100000] [--unfinished 100]     FOLDER: made if it is not there
"""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import time
import zlib


def result(name, number):
    """What a result's file ends in: a note and a seal."""
    note = json.dumps({"schema": "winnow-trial", "schema_version": "1.4", "name": name, "state": "done",
                       "created": f"2026-11-21T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z",
                       "seconds": 1 + number / 7, "record": {"version": 1, "bytes": 24000, "crc32": number}},
                      separators=(",", ":")).encode()
    image = bytes(512)
    return image + note + b"WINNOWED" + struct.pack("<QII", len(image), len(note), zlib.crc32(image + note))


def make(out, trials, unfinished):
    names = [f"{number * 2654435761 % 2**32:08x}{number:012x}-r0" for number in range(trials)]
    (out / "plans").mkdir(parents=True)
    lines = ["# winnow-plan 1.0\tname\tsettings", "# written 2026-11-21T12:00:00Z"]
    lines += [f"{name}\tdata.name=fashion-mnist method.name=rigl model.name=lenet300 train.lr={number}e-6"
              for number, name in enumerate(names)]
    (out / "plans" / "0123456789abcdef0123.tsv").write_text("\n".join(lines) + "\n")
    for number, name in enumerate(names[unfinished:]):
        folder = out / "trials" / name[:2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.h5").write_bytes(result(name, number))


parser = argparse.ArgumentParser()
parser.add_argument("winnow")
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--trials", type=int, default=100_000)
parser.add_argument("--unfinished", type=int, default=100)
args = parser.parse_args()
if not args.folder.exists():
    make(args.folder, args.trials, args.unfinished)
seconds = []
for _ in range(5):
    start = time.perf_counter()
    said = subprocess.run([args.winnow, "status", os.fspath(args.folder)], check=True, capture_output=True, text=True)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": round(min(seconds), 3), "all": [round(s, 3) for s in seconds],
                  "said": said.stdout.splitlines()[0]}))
