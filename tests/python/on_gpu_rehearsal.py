"""tests/on_gpu without a GPU: every part in small, its tables and JSON, and that what is wrong is a failed part.

usage: on_gpu_rehearsal.py REPOSITORY BUILD
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import types

ROOT, BUILD = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
sys.path.insert(0, str(ROOT / "tests" / "gpu"))

import accuracy  # noqa: E402
import parts  # noqa: E402
from common import Failed, Part, table  # noqa: E402


def on_gpu(*arguments):
    return subprocess.run([str(ROOT / "tests" / "on_gpu"), *map(str, arguments)], capture_output=True, text=True, timeout=500)


def refused(what, words):
    try:
        what()
    except Failed as reason:
        assert words in str(reason), reason
        return
    raise AssertionError(f"'{words}' was not found")


def check_rehearsal(folder):
    done = on_gpu("--rehearse", "--build", BUILD, "--out", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "on_gpu.json").read_text())
    assert report["schema"] == "winnow-on-gpu" and report["rehearsal"] is True
    assert report["machine"]["winnow"].startswith("winnow ") and report["machine"]["doctor"]["can_train"] is True
    by_name = {part["part"]: part for part in report["parts"]}
    assert list(by_name) == ["build", "conformance", "sanitizer", "accuracy", "speed", "side_by_side", "peers", "ranks"]
    for name, part in by_name.items():
        # What a machine may lack.
        allowed = ("ok", "skipped") if name in ("sanitizer", "peers", "ranks") else ("ok",)
        assert part["verdict"] in allowed, part
        assert part["verdict"] == "skipped" or name == "build" or (part["figures"] and part["commands"]), part
    figures = {name: part["figures"] for name, part in by_name.items()}
    assert sum(row["tests"] for row in figures["conformance"]) >= 3, figures["conformance"]
    assert figures["accuracy"][0]["verdict"] == "ok" and figures["accuracy"][0]["train_loss"] > 0
    emulated = (BUILD / "tests" / "winnow_emulated").exists()
    assert figures["accuracy"][0]["device"] == ("cuda" if emulated else "cpu")
    assert [row["fuse"] for row in figures["speed"]] == [False, True]
    assert all(row["images_s"] > 0 for row in figures["speed"])
    if emulated:
        assert figures["speed"][0]["GB_s"] > 0 and figures["speed"][0]["launches"] > 10, figures["speed"]
    assert {row["trials"] for row in figures["side_by_side"]} == {1, 2}
    for row in figures["ranks"]:  # of two ranks both bandwidths are equal
        assert abs(row["bus_GB_s"] - row["GB_s"]) < 1e-9 * row["GB_s"] + 1e-12, row
    text = (folder / "on_gpu.txt").read_text()
    assert text in done.stdout
    for name, part in by_name.items():
        assert f"{name}" in text and part["why"] in text, text
    # Part by part: the others' figures stay.
    again = on_gpu("build", "--rehearse", "--build", BUILD, "--out", folder)
    assert again.returncode == 0 and again.stdout.count("\nok ") + again.stdout.startswith("ok ") >= 1
    assert len(json.loads((folder / "on_gpu.json").read_text())["parts"]) == 8


def program(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


# With stand-ins of what a machine with a GPU has.
def check_programs_of_a_gpu(folder):
    options = types.SimpleNamespace(out=folder, limit=60, libraries=[folder / "lib"], build=folder / "build", rehearse=False,
                                    emulated=False, device="cuda", carried=True)
    test_gpu = options.build / "tests" / "test_gpu"
    os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
    refused(lambda: parts.build(Part("build", options)), "has no program, and cannot be built further here")
    program(test_gpu, 'for word; do case $word in --gtest_output=json:*) cp "$(dirname "$0")/report.json" "${word#*json:}";; esac; done')
    program(options.build / "winnow", "echo winnow of $LD_LIBRARY_PATH")
    program(options.build / "tests" / "bench_reduce", "")
    assert parts.build(Part("build", options)).startswith(f"carried: winnow of {folder / 'lib'}")

    report = test_gpu.with_name("report.json")
    suite = {"name": "S", "tests": 1, "failures": 0, "time": "0.1s", "testsuite": [{"name": "A"}]}
    report.write_text(json.dumps({"testsuites": [suite]}))
    assert parts.conformance(Part("conformance", options)) == f"{parts.SHARES} tests, each against the CPU"
    suite |= {"failures": 1, "testsuite": [{"name": "A", "failures": [{"failure": "no"}]}]}
    report.write_text(json.dumps({"testsuites": [suite]}))
    refused(lambda: parts.conformance(Part("conformance", options)), f"{parts.SHARES} of {parts.SHARES} tests fail: S.A, S.A, S.A, ...")
    report.write_text(json.dumps({"testsuites": []}))
    refused(lambda: parts.conformance(Part("conformance", options)), "no test was run")
    program(test_gpu, "echo a fault >&2; exit 134")
    refused(lambda: parts.conformance(Part("conformance", options)), "ended with code 134: a fault")

    tool = folder / "bin" / "compute-sanitizer"
    program(tool, "echo ========= ERROR SUMMARY: 0 errors")
    part = Part("sanitizer", options)
    assert parts.sanitizer(part) == "no errors; shares of the tests: memcheck 8/8, racecheck 8/8, initcheck 8/8"
    program(tool, "echo ========= ERROR SUMMARY: 2 errors; exit 1")
    refused(lambda: parts.sanitizer(Part("sanitizer", options)), "memcheck: share 0 of 8: code 1, ========= ERROR SUMMARY: 2 errors")
    program(tool, "echo no device")
    refused(lambda: parts.sanitizer(Part("sanitizer", options)), "no device")


def check_failures(folder):
    slow = on_gpu("conformance", "--rehearse", "--build", BUILD, "--out", folder / "slow", "--limit", "0.2")
    assert slow.returncode == 1 and "failed   conformance" in slow.stdout and "not done after" in slow.stdout, slow.stdout
    empty = on_gpu("speed", "accuracy", "--rehearse", "--build", folder, "--out", folder / "empty")
    assert empty.returncode == 1 and empty.stdout.count("is not built") >= 2, empty.stdout
    assert "Traceback" not in slow.stderr + empty.stderr
    unknown = on_gpu("everything")
    assert unknown.returncode == 2 and "no part 'everything'" in unknown.stderr

    options = types.SimpleNamespace(out=folder, limit=60, libraries=[], build=folder, rehearse=True, emulated=False, device="cpu")
    part = Part("unit", options)
    refused(lambda: part.run("false"), "false: exit code 1")
    refused(lambda: part.run(folder / "nothing"), "No such file")
    results = folder / "tests.json"
    case = {"name": "A", "failures": [{"failure": "no"}]}
    results.write_text(json.dumps({"tests": 1, "testsuites": [{"name": "S", "tests": 1, "failures": 1, "time": "0.1s", "testsuite": [case]}]}))
    assert parts.read_tests(part, results) == ["S.A"] == parts.read_tests(part, results)
    assert part.record["figures"][0]["failed"] == 2 == part.record["figures"][0]["tests"], part.record["figures"]

    reference, limits = {"train_loss": 1.0, "test_acc": 0.8}, accuracy.LIMITS["f32"]
    assert accuracy.differs({"train_loss": 1.02, "test_acc": 0.79}, reference, limits) == []
    assert len(accuracy.differs({"train_loss": 1.05, "test_acc": 0.77}, reference, limits)) == 2
    assert accuracy.differs({"train_loss": float("nan"), "test_acc": 0.8}, reference, limits) != []
    assert table([{"a": "x", "n": 1.5}, {"a": "long", "m": None}]) == ["a       n  m", "x     1.5  -", "long    -  -"]


with tempfile.TemporaryDirectory() as name:
    check_programs_of_a_gpu(pathlib.Path(name) / "stand-ins")
    check_failures(pathlib.Path(name))
    check_rehearsal(pathlib.Path(name) / "all")
print("on_gpu: ok")
