"""What scontrol says about jobs, read for many waiting threads at once."""
import re
import threading
import time

ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "PREEMPTED"}
FRESH = 0.4  # seconds that one answer of slurmctld serves
SETTLED = 5  # seconds after which a job that has ended is not about to be requeued


def indices(text):
    """0-2,5%4 as {0, 1, 2, 5}."""
    found = set()
    for part in text.split("%")[0].split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def parse(text):
    """Records by id: a job's number, and array_index for each task of an array, also of those not yet told apart."""
    found = {}
    for line in text.splitlines():
        record = dict(re.findall(r"(\S+?)=(.*?)(?= \S+?=|$)", line))
        if "JobId" not in record:
            continue
        if "ArrayTaskId" in record:
            for index in indices(record["ArrayTaskId"]):
                found[f"{record['ArrayJobId']}_{index}"] = record
        else:
            found[record["JobId"]] = record
    return found


class Table:
    """Thread-safe."""

    def __init__(self, show):
        self.show, self.lock = show, threading.Lock()
        self.read_at, self.records = 0.0, {}

    def find(self, job):
        with self.lock:
            if time.monotonic() - self.read_at > FRESH:
                self.records.update(parse(self.show()))
                self.read_at = time.monotonic()
            return self.records.get(str(job))

    def wait(self, job, states, timeout, restarts):
        start = time.monotonic()
        ended_since, seen = None, []
        while True:
            record = self.find(job)
            state = record and record["JobState"]
            now = time.monotonic()
            if not seen or seen[-1][0] != state:
                seen.append((state, round(now - start, 1)))
            if state in states and (restarts is None or int(record["Restarts"]) == restarts):
                return record
            ended_since = (ended_since or now) if state in ENDED else None
            over = now - start > timeout
            if over or (ended_since and now - ended_since > SETTLED):
                why = f"not within {timeout} s" if over else "ended otherwise"
                asked = f"{' or '.join(sorted(states))}{'' if restarts is None else f' in restart {restarts}'}"
                raise AssertionError(f"job {job} is not {asked}: {why}; seen: {seen}\n{record}")
            time.sleep(0.2)
