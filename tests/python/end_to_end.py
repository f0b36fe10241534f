#!/usr/bin/env python3
"""A whole sweep under mpirun, as a user runs it: end_to_end.py WINNOW MPIEXEC

Several groups of ranks, a rerun, one trial on two ranks, the same trained again by `verify --replay`, a failing trial, ranks killed in
the middle; pictures; every method of examples/methods.yaml in one sweep.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import ENVIRONMENT, Winnow, digests

WINNOW = Path(sys.argv[1]).resolve()
winnow = Winnow(WINNOW, sys.argv[2])

SWEEP = """
sweep: end-to-end
schema: 1
trial:
  data:  {name: synthetic, height: 16, width: 16, channels: 1, examples: 640, test_examples: 100, validation: 64}
  model: {name: lenet300}
  train: {epochs: EPOCHS, batch: 32, lr: 0.02, precision: f32}
axes:
  - cases:
      - {name: dense}
      - {name: snip, method.density: 0.1}
      - {name: rigl, method.density: 0.1, method.delta_t: 10}
    key: method.name
  - replicate: 2
"""


def results(out):
    return sorted(p.name for p in (out / "trials").glob("*/*.h5"))


def draw(folder):
    """The picture of the comparison: drawn, the same twice, and refused for a column that is not there."""
    report = winnow("report", folder / "survey.h5", "--json").stdout
    plot = [sys.executable, Path(__file__).parents[2] / "tools" / "plot.py"]
    for name in ("a.svg", "b.svg"):
        subprocess.run([*plot, "-o", folder / name], input=report, text=True, check=True, timeout=120)
    picture = (folder / "a.svg").read_text()
    assert picture.count("<use ") > 4, "an empty picture"
    assert picture == (folder / "b.svg").read_text(), "the same report gave two pictures"
    wrong = subprocess.run([*plot, "-o", folder / "c.svg", "--x", "weight"], input=report, text=True, capture_output=True)
    assert wrong.returncode == 1 and "'weight'" in wrong.stderr, wrong.stderr
    assert not (folder / "c.svg").exists()
    with_winnow = dict(ENVIRONMENT, WINNOW=str(WINNOW))
    subprocess.run([*plot, folder / "survey.h5", "-o", folder / "d.svg"], env=with_winnow, check=True, timeout=120)
    winnow("report", folder / "survey.h5", "--plot", folder / "e.svg")
    for name in ("d.svg", "e.svg"):
        assert (folder / name).read_text().count("<use ") == picture.count("<use "), f"{name} shows something else"


def looks(sweep, out):
    """What a person asks in between: the steps at which methods act, and the state until all is done."""
    events = winnow("plan", sweep, "--events").stdout
    assert "rigl" in events and "every 10 " in events, events
    watched = winnow("status", out, "--watch")  # ends by itself, since all is done
    assert "6" in watched.stdout, watched.stdout
    line, = winnow("status", out, "--watch", "--json").stdout.splitlines()
    assert json.loads(line)["done"] == 6, line


def tour(folder):
    """Every method of the example trains in one sweep with the others, on small images."""
    text = (Path(__file__).parents[2] / "examples" / "methods.yaml").read_text()
    data = "{name: fashion-mnist}"
    assert data in text
    sweep = folder / "methods.yaml"
    sweep.write_text(text.replace(data, "{name: synthetic, height: 8, width: 8, channels: 1, examples: 60000, test_examples: 1000}"))
    winnow("run", sweep, "--smoke", "-o", folder / "tour")
    groups = json.loads(winnow("report", folder / "tour" / "smoke", "--json").stdout)["groups"]
    named = [row["method"] for group in groups for row in group["rows"]]
    assert len(set(named)) == len(named) == text.count("      - {name: "), named


def threads_sleep(folder):
    """The program is loaded again with OpenMP's threads told to sleep soon, unless the user has said how they wait."""
    sweep = folder / "sleep.yaml"
    sweep.write_text(SWEEP.replace("EPOCHS", "4000"))
    plain = {name: value for name, value in ENVIRONMENT.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    for given, expected in (({}, b"GOMP_SPINCOUNT=1000"), ({"OMP_WAIT_POLICY": "active"}, None), ({"GOMP_SPINCOUNT": "7"}, b"GOMP_SPINCOUNT=7")):
        job = subprocess.Popen([WINNOW, "run", sweep, "-o", folder / "sleep"], env=dict(plain, **given), stderr=subprocess.PIPE)
        job.stderr.readline()  # it has started to work
        found = [entry for entry in Path(f"/proc/{job.pid}/environ").read_bytes().split(b"\0") if entry.startswith(b"GOMP_SPINCOUNT=")]
        job.terminate()
        job.communicate(timeout=60)
        assert found == ([expected] if expected else []), (given, found)


def fewer_threads_than_asked(folder):
    """Where OpenMP would give fewer threads than were asked for, it is told not to; where it cannot give more, that many compute."""
    sweep = folder / "threads.yaml"
    sweep.write_text(SWEEP.replace("EPOCHS", "1").replace("replicate: 2", "replicate: 1"))
    found = {}
    for name, threads, more in (("one", 1, {}), ("limit", 3, {"OMP_THREAD_LIMIT": "1"}), ("three", 3, {}), ("dynamic", 3, {"OMP_DYNAMIC": "true"}),
                                ("levels", 3, {"OMP_MAX_ACTIVE_LEVELS": "0"})):
        command = [WINNOW, "run", sweep, "-o", folder / f"team-{name}", "--threads", str(threads), "--workers", "1", "--only", "method.name=dense"]
        subprocess.run(command, env=dict(ENVIRONMENT, **more), check=True, capture_output=True, timeout=120)
        found[name] = digests(folder / f"team-{name}")
    assert len(found["one"]) == 1 and found["limit"] == found["one"], found
    assert found["dynamic"] == found["three"] == found["levels"], found


def replays_of_two_ranks(folder):
    """A trial of two ranks is trained again by two ranks, to the same bits, and by no other number."""
    wide, scratch = folder / "wide", folder / "scratch"
    scratch.mkdir()
    before = digests(wide)
    assert all(digest != before[name] for name, digest in digests(folder / "one").items()), "by one rank it would have the same bits"
    for trial in (name.removesuffix(".h5") for name in results(wide) if name.endswith("-r0.h5")):
        replay = ["verify", wide, "--replay", trial, "--scratch", scratch]
        said = winnow(*replay, ranks=2).stdout.splitlines()
        assert len(said) == 2 and "by 2 rank(s) of 1 thread(s)" in said[0] and said[1].startswith(f"{trial}: the same, bit for bit"), said
    told = json.loads(winnow(*replay, "--json", ranks=2).stdout)
    assert (told["schema"], told["trial"], told["same"], told["well"], told["failure"]) == ("winnow-replay", trial, True, True, ""), told
    assert not told["differences"] and not told["obstacles"], told
    for ranks in (0, 3):
        refused = winnow(*replay, ranks=ranks, expect=78)
        assert refused.stderr.count("was trained by 2 ranks: start this with mpirun -n 2") == 1, refused.stderr
    assert digests(wide) == before and not list(scratch.iterdir())


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sweep = folder / "sweep.yaml"
        sweep.write_text(SWEEP.replace("EPOCHS", "3"))

        winnow("run", sweep, "-o", folder / "one", "--threads", "1")
        assert len(results(folder / "one")) == 6

        done = winnow("run", sweep, "-o", folder / "two", "--threads", "1", ranks=2)
        assert results(folder / "two") == results(folder / "one"), done.stderr
        assert digests(folder / "two") == digests(folder / "one"), "a trial depends on which rank trains it"

        again = winnow("resume", sweep, "-o", folder / "two", ranks=2)
        assert "6 already done" in again.stderr, again.stderr

        status = json.loads(winnow("status", folder / "two", "--json").stdout)
        assert status["done"] == 6, status
        winnow("collect", folder / "two", "-o", folder / "survey.h5")
        report = winnow("report", folder / "survey.h5").stdout
        assert all(name in report for name in ("dense", "snip", "rigl")), report
        draw(folder)
        threads_sleep(folder)
        fewer_threads_than_asked(folder)
        looks(sweep, folder / "two")
        tour(folder)

        winnow("run", sweep, "-o", folder / "wide", "--ranks-per-trial", "2", "--threads", "1", ranks=2)
        assert results(folder / "wide") == results(folder / "one"), "the rank count is no part of a trial's identity"
        replays_of_two_ranks(folder)

        odd = winnow("run", sweep, "-o", folder / "odd", "--ranks-per-trial", "2", "--only", "method.name=dense", ranks=3)
        assert "1 of 3 ranks will be idle" in odd.stderr, odd.stderr

        # A pipe reaches rank 0 alone; what is wrong in it, or that there is nothing, is said once all the same.
        winnow("run", "-", "-o", folder / "piped", "--threads", "1", ranks=2, text=sweep.read_text())
        assert digests(folder / "piped") == digests(folder / "one"), "a sweep from standard input is another one"
        wrong = winnow("run", "-", "-o", folder / "piped", ranks=2, expect=65, text=sweep.read_text().replace("lr:", "lrr:"))
        assert wrong.stderr.count("standard input:7:") == 1, wrong.stderr
        winnow("run", "-", "-o", folder / "piped", ranks=2, expect=65, text="")

        absent = winnow("run", folder / "none.yaml", ranks=2, expect=66)
        assert absent.stderr.count("cannot read") == 1, absent.stderr

        few = winnow("run", sweep, "-o", folder / "few", "--ranks-per-trial", "2", expect=78)
        assert few.stderr.count("\n") == 1 and "2 ranks" in few.stderr, few.stderr

        # Killed without warning, then the same command again: the same results as if nothing had happened.
        long = folder / "long.yaml"
        long.write_text(SWEEP.replace("EPOCHS", "40"))
        winnow("run", long, "-o", folder / "undisturbed", "--threads", "1", ranks=2)
        for seconds in (0.6, 1.2):
            job = subprocess.Popen(winnow.command("run", long, "-o", folder / "killed", "--threads", "1", ranks=2),
                                   env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(seconds)
            os.killpg(job.pid, signal.SIGKILL)
            subprocess.run(["pkill", "-KILL", "-f", str(folder / "killed")], check=False)
            job.wait()
        winnow("run", long, "-o", folder / "killed", "--threads", "1", ranks=2)
        assert digests(folder / "killed") == digests(folder / "undisturbed"), "a killed and continued sweep ends differently"
    print("end to end: all as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
