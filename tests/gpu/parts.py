"""The parts of tests/on_gpu but for the longer ones, which have modules of their own."""
import json
import os
import re
import shutil
import subprocess

from common import ROOT, Failed, Skipped, last_line

# Of test_emulated, for a rehearsal: one case of each kind, which takes a second.
REHEARSED = "Ops/OnDevice*/relu_0:DeviceProgram.*Recorded*:Models/DryRunOnDevice*/lenet300"
SHARES = 8  # of a program's tests, run one after the other, so that a time limit leaves the results of the others
TARGETS = ("winnow", "cuda_links", "test_gpu", "bench_reduce")


def build(part):
    """Takes the build that is there, or makes one for the GPU of this machine."""
    options = part.options
    if options.rehearse:
        part.program("winnow")
        return "rehearsal: the build that was given"
    cache = options.build / "CMakeCache.txt"
    # A build folder of another place cannot be built further.
    is_own = not cache.exists() or f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT}\n" in cache.read_text(encoding="utf-8", errors="replace")
    present = [name for name in ("winnow", "tests/test_gpu", "tests/bench_reduce") if (options.build / name).exists()]
    if options.carried or not is_own or not all(shutil.which(tool) for tool in ("cmake", "ninja")):
        if len(present) < 3:
            raise Failed(f"{options.build} has {', '.join(present) or 'no program'}, and cannot be built further here")
        return f"carried: {last_line(part.winnow('--version').stdout.splitlines()[0])}"
    arch = part.run("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader", "-i", "0").stdout.strip().replace(".", "")
    if not (options.build / "build.ninja").exists():
        part.run("cmake", "-S", ".", "-B", options.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                 "-DCMAKE_UNITY_BUILD=ON", f"-DWINNOW_CUDA_ARCH={arch}")
    part.run("cmake", "--build", options.build, "--target", *TARGETS)
    return f"built for compute capability {arch}: {part.winnow('--version').stdout.splitlines()[0]}"


def read_tests(part, path):
    """Adds a run of googletest to the figures, which are one for each suite; the names of what failed."""
    wrong = []
    suites = {row["suite"]: row for row in part.record["figures"]}
    for suite in json.loads(path.read_text(encoding="utf-8"))["testsuites"]:
        cases = suite["testsuite"]
        wrong += [f"{suite['name']}.{case['name']}" for case in cases if case.get("failures")]
        row = suites.setdefault(suite["name"], {"suite": suite["name"], "tests": 0, "failed": 0, "skipped": 0, "seconds": 0.0})
        row["tests"] += suite["tests"]
        row["failed"] += suite["failures"]
        row["skipped"] += sum(case.get("result") == "SKIPPED" for case in cases)
        row["seconds"] += float(suite["time"].rstrip("s"))
    part.record["figures"] = list(suites.values())
    part.save()
    return wrong


def share_of(index):
    return {"GTEST_TOTAL_SHARDS": str(SHARES), "GTEST_SHARD_INDEX": str(index)}


def conformance(part):
    """The suites of the device, which compare each op, layer, trial and sum with the CPU."""
    if not part.options.rehearse and (part.options.build / "cuda_links").exists():
        part.note(last_line(part.run(part.program("cuda_links")).stdout))
    report = part.folder / "tests.json"
    command = [part.program("tests/test_emulated" if part.options.rehearse else "tests/test_gpu"), "--gtest_brief=1",
               f"--gtest_output=json:{report}"]
    if part.options.rehearse:
        command.append(f"--gtest_filter={REHEARSED}")
    wrong = []
    for index in range(SHARES):
        report.unlink(missing_ok=True)
        done = part.run(*command, check=False, environment=share_of(index))
        failed = read_tests(part, report) if report.exists() else []
        if done.returncode != 0 and not failed:
            wrong.append(f"share {index} of {SHARES} ended with code {done.returncode}: {last_line(done.stderr or done.stdout)}")
        wrong += failed
    count = sum(row["tests"] for row in part.record["figures"])
    if wrong:
        raise Failed(f"{len(wrong)} of {count} tests fail: {', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}")
    if count == 0:
        raise Failed("no test was run")
    return f"{count} tests, each against the CPU"


def sanitizer(part):
    """The same under compute-sanitizer, as far as the time goes."""
    tool = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if tool is None:
        raise Skipped("no compute-sanitizer here: memory accesses and races are not checked")
    if part.options.rehearse:
        raise Skipped("a rehearsal has no device code to check")
    wrong, shares = [], []
    slowest = 0
    for check, tests in (("memcheck", "*OnDevice*:DeviceProgram*"), ("racecheck", "Ops/OnDevice*"), ("initcheck", "Ops/OnDevice*")):
        errors = checked = 0
        for index in range(SHARES):
            before = part.left()
            if before < max(30, 1.5 * slowest):
                break
            done = part.run(tool, "--tool", check, "--error-exitcode", "1", part.program("tests/test_gpu"), "--gtest_brief=1",
                            f"--gtest_filter={tests}", check=False, environment=share_of(index))
            slowest = max(slowest, before - part.left())
            summaries = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (\d+)", done.stdout + done.stderr)
            errors += sum(map(int, summaries))
            checked += 1
            if done.returncode != 0 or not summaries:
                wrong.append(f"{check}: share {index} of {SHARES}: code {done.returncode}, {last_line(done.stdout + done.stderr)}")
        part.figure(tool=check, tests=tests, errors=errors, shares=f"{checked} of {SHARES}")
        shares.append(f"{check} {checked}/{SHARES}")
    if wrong:
        raise Failed("; ".join(wrong[:3]))
    if shares[0].endswith(f" 0/{SHARES}"):
        raise Failed("no time for a share of the tests")
    return f"no errors; shares of the tests: {', '.join(shares)}"


def ranks(part):
    """Bus bandwidth of sums over several GPUs, as nccl-tests counts it: bytes over time, times 2 (n - 1) / n."""
    gpus = 2 if part.options.rehearse else count_gpus()
    if gpus < 2:
        raise Skipped("one GPU: nothing to sum over")
    launcher = shutil.which("mpirun")
    if launcher is None:
        raise Skipped("no mpirun here")
    program = part.program("tests/bench_reduce")
    device, most = ("cpu", "1") if part.options.rehearse else ("cuda", "256")
    best = 0
    for count in sorted({2, gpus}):
        done = part.run(launcher, "--oversubscribe", "-n", count, program, device, most,
                        environment={"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
        measured = json.loads(done.stdout)
        for size in measured["sizes"]:
            part.figure(ranks=measured["ranks"], where=measured["where"], bytes=int(size["bytes"]), us=1e6 * size["seconds"],
                        GB_s=1e-9 * size["bytes_per_second"], bus_GB_s=1e-9 * size["bus_bytes_per_second"])
            best = max(best, size["bus_bytes_per_second"])
    return f"{gpus} ranks, bus bandwidth up to {1e-9 * best:.3g} GB/s"


def count_gpus():
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip()])
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())
