#!/usr/bin/env python3
"""One process of a run fails, is told to stop, or dies: one_process_fails.py WINNOW MPIEXEC FAILING_RANK

Whatever happens to one, the whole job ends within seconds, with the reason and the exit code that follows from it. A job
that hangs is ended by the time limit of run() and fails the test.
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import newest_step

WINNOW, MPIEXEC, FAILING_RANK = Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3]).resolve()
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
LIMIT = 90  # seconds; a loaded machine takes some of them to start a job

SWEEP = """
trial:
  data:  {name: synthetic, height: 8, width: 8, channels: 1, examples: 320, test_examples: 64, validation: 0}
  model: {name: lenet300}
  train: {epochs: EPOCHS, batch: 32, lr: 0.02, precision: f32}
  method: {name: dense}
axes:
  - replicate: 4
"""


def run(*command, **options):
    command = [str(part) for part in command]
    try:
        return subprocess.run(command, env=options.pop("env", ENVIRONMENT), capture_output=True, text=True, timeout=LIMIT, **options)
    except subprocess.TimeoutExpired as hang:
        raise AssertionError(f"hangs: {' '.join(command)}\n{hang.stderr}") from hang


def ranks(count, *command):
    return [MPIEXEC, "--oversubscribe", "-n", count, *command]


def check(done, code, *words, what=""):
    errors = [line for line in done.stderr.splitlines() if "winnow: error:" in line]
    told = f"{what} {' '.join(map(str, done.args))}: exit code {done.returncode}, expected {code}\n{done.stderr}"
    assert done.returncode == code, told
    assert len(errors) == (1 if code not in (0, 75) else 0), f"{len(errors)} lines of error\n{told}"
    for word in words:
        assert word in done.stderr, f"without '{word}'\n{told}"


def reasons(out):
    return [json.loads(path.read_text())["reason"] for path in (out / "failed").glob("*.json")]


def results(out):
    return len(list((out / "trials").glob("*/*.h5")))


def fails_at_a_point(folder, sweep):
    for per_trial in (1, 2):
        for rank in (0, 1):
            # A point, and the exit code of the job; 0: the trial is recorded as failed, and the others go on.
            points = {"plan": 70, "split": 70}
            if rank == 0:
                points["prepare"] = 70
            if rank == 0 or per_trial == 1:
                points |= {"draw": 70, "publish": 70}
            if per_trial == 1:
                points |= {"evaluate": 0, "record": 70}
            else:
                points |= {"evaluate": 70, "step": 70}
            for point, code in points.items():
                out = folder / f"{point}-{per_trial}-{rank}"
                done = run(*ranks(2, FAILING_RANK, point, rank, sweep, out, per_trial))
                # Trials of two ranks are drawn by each group's leader; alone, the failing rank may come too late to get one.
                if per_trial == 1 and rank == 1 and point in ("publish", "evaluate", "record") and results(out) == 4:
                    continue
                check(done, code, f"fails at {point}", what=point)
                if point in ("evaluate", "step"):
                    said = reasons(out)
                    assert said and all(f"fails at {point}" in reason for reason in said), f"{point}: recorded {said}"
                    assert per_trial == 1 or all(f"rank {rank} of its 2" in reason for reason in said), said


def fails_at_an_allocation(folder, sweep):
    """Anywhere from the draw of a ticket to its trial's last step: the trial fails, or the job ends; nothing waits."""
    for per_trial in (1, 2):
        for count in (0, 3, 40, 200, 700, 1500, 4000):
            out = folder / f"allocate-{per_trial}-{count}"
            done = run(*ranks(2, FAILING_RANK, f"allocate{count}", 1, sweep, out, per_trial))
            if done.returncode == 0:
                assert results(out) + len(reasons(out)) == 4, f"allocation {count}: {done.stderr}"
            else:
                assert done.returncode != 75 and "out of memory" in done.stderr, f"allocation {count}: {done.returncode} {done.stderr}"


def disk_is_full(folder, sweep):
    """A limit on the size of files stands for a full disk: SIGXFSZ must not kill, the write's error must end the job."""
    for rank in (0, 1):
        for per_trial in (1, 2) if rank == 0 else (1,):
            command = [WINNOW, "run", sweep, "-o", folder / f"full-{rank}-{per_trial}", "--threads", "1", "--ranks-per-trial", per_trial]
            limited = ["bash", "-c", "ulimit -f 16; exec " + " ".join(f"'{part}'" for part in command)]
            parts = [limited, command] if rank == 0 else [command, limited]
            done = run(MPIEXEC, "--oversubscribe", "-n", 1, *parts[0], ":", "-n", 1, *parts[1])
            if rank == 1 and done.returncode == 0:
                continue  # rank 0 had trained all before rank 1 began
            check(done, 74, "File too large")
    alone = folder / "full-alone"
    done = run("bash", "-c", f"ulimit -f 16; exec '{WINNOW}' run '{sweep}' -o '{alone}' --workers 2 --threads 1")
    check(done, 74, "File too large")


def ranks_compare_notes(folder, sweep, other):
    a, b = folder / "a", folder / "b"
    a.mkdir()
    b.mkdir()
    for first, second, words in (
        (["--wdir", a, WINNOW, "run", sweep, "-o", "out"], ["--wdir", b, WINNOW, "run", sweep, "-o", "out"], "rank 1 of 2"),
        ([WINNOW, "run", sweep, "-o", a], [WINNOW, "run", other, "-o", a], "another sweep file"),
        ([WINNOW, "run", sweep, "-o", a], [WINNOW, "run", sweep, "-o", a, "--strict"], "other options"),
    ):
        check(run(MPIEXEC, "--oversubscribe", "-n", 1, *first, ":", "-n", 1, *second), 78, words)
    assert not list(a.rglob("*.h5")) and not list(a.rglob("*tmp*")), "something was left behind"
    missing = run(MPIEXEC, "--oversubscribe", "-n", 1, WINNOW, "run", sweep, "-o", a, ":", "-n", 1, WINNOW, "run", folder / "none.yaml", "-o", a)
    check(missing, 66, "none.yaml", "rank 1 of 2")
    wrong = run(MPIEXEC, "--oversubscribe", "-n", 1, WINNOW, "run", sweep, "-o", a, ":", "-n", 1, WINNOW, "run", sweep, "-o", a, "--nonsense")
    check(wrong, 64, "--nonsense", "rank 1 of 2")
    check(run(*ranks(2, WINNOW, "run", sweep, "-o", a, "--ranks-per-trial", 4)), 78, "a trial needs 4 ranks")
    changed = run(MPIEXEC, "--oversubscribe", "-n", 1, WINNOW, "run", sweep, "-o", a, ":", "-n", 1, WINNOW, "run", sweep, "-o", a, "--set", "train.lr=0.5")
    check(changed, 78, "other options", "rank 1 of 2")


def write_mnist(folder, label):
    """Files with the published counts, all black."""
    folder.mkdir()
    for name, count in (("train", 60000), ("t10k", 10000)):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + bytes(count * 784))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + bytes([label]) * count)


def another_rank_reads_other_files(folder, sweep):
    """What lies behind a path may differ between nodes; nothing is trained on a mixture. A start file is compared before all
    trials, since they are named by its content; data when a trial of both opens them, which is then recorded as failed."""
    places = [folder / "node-0", folder / "node-1"]
    for label, place in enumerate(places):
        write_mnist(place, label)
    starts = folder / "starts"
    check(run(WINNOW, "run", sweep, "-o", starts), 0)
    for place, start in zip(places, sorted((starts / "trials").glob("*/*.h5"))):
        shutil.copy(start, place / "start.h5")
    text = sweep.read_text().replace("replicate: 4", "replicate: 1")
    data = "{name: synthetic, height: 8, width: 8, channels: 1, examples: 320, test_examples: 64, validation: 0}"
    assert data in text
    (folder / "data.yaml").write_text(text.replace(data, "{name: mnist, root: '${PLACE}', fraction: 0.01}"))
    (folder / "start.yaml").write_text(text.replace("axes:", "  init: {from: '${PLACE}/start.h5'}\naxes:"))
    for name, code in (("data", 66), ("start", 78)):
        out = folder / f"other-{name}"
        command = [WINNOW, "run", folder / f"{name}.yaml", "-o", out, "--ranks-per-trial", 2]
        of_rank = [["-n", 1, "env", f"PLACE={place}", *command] for place in places]
        done = run(MPIEXEC, "--oversubscribe", *of_rank[0], ":", *of_rank[1])
        assert done.returncode == code, f"{name}: {done.returncode}\n{done.stderr}"
        if name == "data":
            (said,) = reasons(out)
            assert "rank 1 of 2" in said and "reads other data than rank 0" in said, said
        else:
            check(done, 78, "has another file '${PLACE}/start.h5' than rank 0", "rank 1 of 2")
        assert results(out) == 0
        again = run(*ranks(2, "env", f"PLACE={places[0]}", *command))
        assert again.returncode == 0 and results(out) == 1, again.stderr


def rank_0_plans_for_all(folder, sweep):
    """Each mistake of a sweep file is said once, by rank 0, and the code is that of its mistakes on any number of ranks."""
    wrong = folder / "wrong.yaml"
    wrong.write_text(sweep.read_text().replace("lr: 0.02", "lr: 0.02, lrr: 3").replace("lenet300", "lenet301"))
    alone = run(WINNOW, "run", wrong, "-o", folder / "wrong")
    assert alone.returncode == 65 and "lrr" in alone.stderr and "lenet301" in alone.stderr, alone.stderr
    together = run(*ranks(3, WINNOW, "run", wrong, "-o", folder / "wrong"))
    assert together.returncode == 65, together.stderr
    said = [line for line in together.stderr.splitlines() if line in alone.stderr.splitlines()]
    assert said == alone.stderr.splitlines(), f"{alone.stderr}\n---\n{together.stderr}"
    unreadable = folder / "unreadable.yaml"
    unreadable.write_text("trial: [\n")
    for count in (1, 3):
        done = run(*ranks(count, WINNOW, "run", unreadable, "-o", folder / "wrong"))
        assert done.returncode == 65 and done.stderr.count("unreadable.yaml:") == 1, done.stderr
    assert not (folder / "wrong").exists(), "nothing was run"


def launched_without_mpi(folder, sweep):
    step = dict(ENVIRONMENT, SLURM_JOB_ID="7", SLURM_NTASKS="2", SLURM_STEP_ID="0", SLURM_STEP_NUM_TASKS="2", SLURM_PROCID="0")
    check(run(WINNOW, "run", sweep, "-o", folder / "step", env=step), 78, "2 processes were started together")
    assert run(WINNOW, "run", sweep, "-o", folder / "step", env=dict(step, SLURM_PROCID="1")).stderr == "", "said by the second too"
    batch = {key: value for key, value in step.items() if "STEP" not in key}
    check(run(WINNOW, "run", sweep, "-o", folder / "batch", env=batch), 0)


def running(out, count):
    """The processes of `count` trials in work."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = []
        for path in (out / "running").glob("*.json"):
            try:
                found.append(json.loads(path.read_text())["process"])
            except (OSError, ValueError):
                pass
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {count} trials in {out}")


def end_of(job, what):
    try:
        _, text = job.communicate(timeout=LIMIT)
        return job.returncode, text
    except subprocess.TimeoutExpired as hang:
        job.kill()
        raise AssertionError(f"{what}: hangs") from hang


def start(*command, env=ENVIRONMENT):
    return subprocess.Popen([str(part) for part in command], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def children_of(process):
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def told_to_stop(folder, endless):
    """A signal to one process stops the job; the word passes from rank to rank and from worker to worker."""
    signals = [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGXCPU]
    for number, (name, command, trials) in enumerate((
        ("one-a-trial", ranks(3, WINNOW, "run"), 3),
        ("two-a-trial", ranks(2, WINNOW, "run", "--ranks-per-trial", 2), 1),
        ("workers", [WINNOW, "run", "--workers", 2], 2),
        ("alone", [WINNOW, "run", "--workers", 1], 1),
    )):
        out = folder / f"stop-{name}"
        job = start(*command, endless, "-o", out, "--threads", 1)
        processes = running(out, trials)
        if name == "two-a-trial":  # the rank that leads no trial
            processes = [rank for rank in children_of(job.pid) if rank not in processes]
        began = time.monotonic()
        os.kill(processes[-1], signals[number])
        code, text = end_of(job, name)
        assert code == 75 and "stopped on request" in text, f"{name}: {code}\n{text}"
        assert time.monotonic() - began < 30, f"{name}: took {time.monotonic() - began:.0f} s to stop"
        assert not reasons(out) and results(out) == 0 and not list((out / "running").glob("*.json")), name


def idle_rank_told_to_stop(folder, endless):
    out = folder / "stop-idle"
    job = start(*ranks(3, WINNOW, "run", "--ranks-per-trial", 2), endless, "-o", out, "--threads", 1)
    leaders = running(out, 1)
    for rank in children_of(job.pid):
        if rank not in leaders:
            os.kill(rank, signal.SIGTERM)
    assert end_of(job, "an idle rank")[0] == 75


def worker_dies(folder, endless):
    """Its trial is given back with the reason, and another worker takes its place."""
    out = folder / "dies"
    job = start(WINNOW, "run", endless, "-o", out, "--workers", 2, "--threads", 1)
    killed = running(out, 2)[0]
    os.kill(killed, signal.SIGKILL)
    end = time.monotonic() + LIMIT
    while killed in running(out, 2):
        assert time.monotonic() < end, "no other worker starts"
    job.terminate()
    code, text = end_of(job, "after a worker's death")
    assert code == 75 and "given back, to begin again: its process ended by signal 9" in text, text
    assert not reasons(out), reasons(out)


def rank_is_gone(folder, endless):
    """Even where no launcher ends the job: the ranks of its trial leave, and after three times the trial is left, too."""
    out, sweep = folder / "gone", folder / "one.yaml"
    sweep.write_text(endless.read_text().replace("replicate: 4", "replicate: 1"))
    command = ranks(2, WINNOW, "run", sweep, "-o", out, "--threads", 1, "--ranks-per-trial", 2)
    command.insert(1, "--enable-recovery")
    for _ in range(3):
        shutil.rmtree(out / "running", ignore_errors=True)
        job = start(*command)
        leader = running(out, 1)[0]
        other = next(process for process in children_of(job.pid) if process != leader)
        os.kill(other, signal.SIGKILL)
        text = end_of(job, "a killed rank")[1]
        assert f"(process {other}) has ended" in text and not reasons(out), text
    done = run(*command)
    assert "0 trained, 0 diverged, 1 failed" in done.stderr, done.stderr
    (reason,) = reasons(out)
    assert reason.startswith("given up after 3 crashes before anything was saved, the last one: "), reason


def crashes_where_nobody_looks_on(folder, endless):
    """mpirun ends all ranks with the first, and a process without workers is alone: a process that crashes says itself which trial
    it was, one that was killed says nothing of it."""
    sweep = folder / "one.yaml"
    sweep.write_text(endless.read_text().replace("replicate: 4", "replicate: 1"))
    for name, command in (("mpirun", ranks(2, WINNOW, "run", sweep)), ("alone", [WINNOW, "run", sweep, "--workers", 1])):
        out, since = folder / f"crashes-{name}", "before anything was saved"
        command += ["-o", out, "--threads", 1]
        if name == "alone":  # crashes are counted from the last step that was saved
            step = 0
            while step == 0:  # it may be told before its first step
                job = start(*command)
                os.kill(running(out, 1)[0], signal.SIGTERM)
                assert end_of(job, "told to stop")[0] == 75
                ((_, step),) = newest_step(out).items()
            since = f"after step {step} was saved"
        for number, how in enumerate((signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGKILL, signal.SIGBUS)):
            shutil.rmtree(out / "running", ignore_errors=True)
            job = start(*command)
            os.kill(running(out, 1)[0], how)
            code, text = end_of(job, "a crash")
            notes = [json.loads(path.read_text()) for path in sorted(out.glob("checkpoints/*/*.crash"))]
            assert code != 0 and not reasons(out) and len(notes) == number // 2 + 1, f"{name}, {how}: {code}, {notes}\n{text}"
        done = run(*command)
        assert "0 trained, 0 diverged, 1 failed" in done.stderr, done.stderr
        (reason,) = reasons(out)
        assert reason == f"given up after 3 crashes {since}, the last one: its process ended by signal 7 (Bus error)", reason
        assert not list(out.glob("checkpoints/*/*.crash")), "the next run tries it again"


def rank_stands_still(folder, endless):
    out = folder / "still"
    job = start(*ranks(2, WINNOW, "run", endless, "-o", out, "--threads", 1, "--ranks-per-trial", 2),
                env=dict(ENVIRONMENT, WINNOW_RANK_TIMEOUT="4"))
    leader = running(out, 1)[0]
    os.kill(next(process for process in children_of(job.pid) if process != leader), signal.SIGSTOP)
    code, text = end_of(job, "a rank that stands still")
    assert code == 69 and "has been stopped for 2 s" in text and not reasons(out), f"{code}\n{text}"


def rank_does_not_come(folder, endless):
    """Nobody knows why, and the ranks of its trial leave; after three times in vain the trial is left, too."""
    out, sweep = folder / "late", folder / "one.yaml"
    sweep.write_text(endless.read_text().replace("replicate: 4", "replicate: 1"))
    for _ in range(3):
        done = run(*ranks(2, FAILING_RANK, "step, late", 1, sweep, out, 2), env=dict(ENVIRONMENT, WINNOW_RANK_TIMEOUT="2"))
        check(done, 69, "not done after 2 s; rank 1 did not come to it")
        assert not reasons(out), reasons(out)
    done = run(*ranks(2, WINNOW, "run", sweep, "-o", out, "--threads", 1, "--ranks-per-trial", 2))
    assert "0 trained, 0 diverged, 1 failed" in done.stderr, done.stderr
    (reason,) = reasons(out)
    assert reason.startswith("given up after 3 crashes before anything was saved, the last one: ") and "did not come" in reason, reason


def rank_does_not_come_to_the_end_of_a_round(folder, short):
    """All else is done, and nobody trains any more."""
    out = folder / "round"
    done = run(*ranks(2, FAILING_RANK, "round, late", 1, short, out, 1), env=dict(ENVIRONMENT, WINNOW_RANK_TIMEOUT="1"))
    check(done, 69, "the end of a round of 2 ranks: no trial in", "a sign of life for 6 s; rank 1 did not come to it")
    assert results(out) == 4 and not reasons(out), reasons(out)


def rank_does_not_come_before_a_round(folder, short):
    """Where nobody trains yet: comparing notes, and making the groups, a call that MPI does not come back from."""
    for point, operation in (("preparation", "a maximum of 2 ranks (8 bytes)"), ("split", "making groups of 2 ranks")):
        out = folder / point
        done = run(*ranks(2, FAILING_RANK, f"{point}, late", 1, short, out, 1), env=dict(ENVIRONMENT, WINNOW_RANK_TIMEOUT="1"))
        check(done, 69, f"{operation}: not done after 6 s; rank 1 did not come to it")
        assert results(out) == 0 and not reasons(out), reasons(out)


def rank_does_not_come_to_the_end(folder, short):
    """All is done, and MPI waits for every rank before it ends."""
    out = folder / "end"
    done = run(*ranks(2, FAILING_RANK, "end, late", 1, short, out, 1), env=dict(ENVIRONMENT, WINNOW_RANK_TIMEOUT="1"))
    check(done, 69, "the end of MPI: not done after 6 s; another rank of the job did not come to it")
    assert results(out) == 4 and not reasons(out), reasons(out)


def parent_dies(folder, endless):
    job = start(WINNOW, "run", endless, "-o", folder / "orphans", "--workers", 2, "--threads", 1)
    workers = running(folder / "orphans", 2)
    job.kill()
    job.wait()
    end = time.monotonic() + 10
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < end, "workers outlive their parent"
        time.sleep(0.05)


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def reader_goes_away(folder, sweep):
    """`winnow run ... 2>&1 | head -1` trains all the same."""
    out = folder / "head"
    done = run("bash", "-c", f"'{WINNOW}' run '{sweep}' -o '{out}' --threads 1 2>&1 | true; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 0 and results(out) == 4, f"{done.returncode}, {results(out)} results"
    quiet = run("bash", "-c", f"'{WINNOW}' explain train.lr | true; '{WINNOW}' methods rigl | true")
    assert quiet.stderr == "", quiet.stderr


def standard_output_is_closed(folder, short):
    """Nothing that is said lands in a file that was opened in its place."""
    out = folder / "closed"
    done = run("bash", "-c", f"'{WINNOW}' run --json '{short}' -o '{out}' --workers 2 --threads 1 -q <&- >&- 2>&-")
    assert done.returncode == 74 and results(out) == 4, f"{done.returncode}, {results(out)} results"
    check(run(WINNOW, "verify", out), 0)
    ends = [line for journal in out.glob("journal/*.jnl") for line in journal.read_text().splitlines() if '"kind":"end"' in line]
    assert len(ends) == 4, ends


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, epochs in (("short", "1"), ("other", "2"), ("endless", "1000000")):
            (folder / f"{name}.yaml").write_text(SWEEP.replace("EPOCHS", epochs))
        short, other, endless = (folder / f"{name}.yaml" for name in ("short", "other", "endless"))
        for part, arguments in (
            (ranks_compare_notes, (short, other)),
            (another_rank_reads_other_files, (short,)),
            (rank_0_plans_for_all, (short,)),
            (launched_without_mpi, (short,)),
            (disk_is_full, (short,)),
            (reader_goes_away, (short,)),
            (told_to_stop, (endless,)),
            (idle_rank_told_to_stop, (endless,)),
            (rank_is_gone, (endless,)),
            (crashes_where_nobody_looks_on, (endless,)),
            (rank_stands_still, (endless,)),
            (rank_does_not_come, (endless,)),
            (rank_does_not_come_to_the_end_of_a_round, (short,)),
            (rank_does_not_come_before_a_round, (short,)),
            (rank_does_not_come_to_the_end, (short,)),
            (standard_output_is_closed, (short,)),
            (worker_dies, (endless,)),
            (parent_dies, (endless,)),
            (fails_at_a_point, (short,)),
            (fails_at_an_allocation, (short,)),
        ):
            began = time.monotonic()
            part(folder, *arguments)
            print(f"{part.__name__}: as it should be ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
