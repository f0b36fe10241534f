"""What tests that run whole sweeps have in common: how they start winnow, and what is in its output folders."""
import json
import os
import re
import subprocess
import zlib

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_WAIT_POLICY="passive")


class Winnow:
    """The program, alone or on so many ranks."""

    def __init__(self, program, mpiexec, limit=300):
        self.program, self.mpiexec, self.limit = program, mpiexec, limit  # seconds

    def command(self, *args, ranks=0):
        launch = [self.mpiexec, "--oversubscribe", "-n", str(ranks)] if ranks else []
        return [*launch, str(self.program), *map(str, args)]

    def __call__(self, *args, ranks=0, expect=0, text=None):
        """Runs to its end, with `text` to read."""
        done = subprocess.run(self.command(*args, ranks=ranks), env=ENVIRONMENT, capture_output=True, text=True, input=text, timeout=self.limit)
        assert done.returncode == expect, f"{args} on {ranks} ranks: exit code {done.returncode}, expected {expect}\n{done.stdout}\n{done.stderr}"
        return done


def digests(out):
    """The content digest of every result: what must not depend on how the sweep was run."""
    import h5py

    found = {}
    for path in sorted((out / "trials").glob("*/*.h5")):
        with h5py.File(path) as f:
            found[path.name] = f.attrs["content_digest"]
    return found


def sealed_note(path):
    """The line behind the content of a checkpoint, a result or a survey, all of which must be whole: docs/formats.md."""
    content = path.read_bytes()
    image, note, crc = (int.from_bytes(content[first:last], "little") for first, last in ((-16, -8), (-8, -4), (-4, len(content))))
    assert content[-24:-16] == b"WINNOWED" and image + note + 24 == len(content), f"{path}: cut short"
    assert zlib.crc32(content[:-24]) == crc, f"{path}: damaged"
    return content[image:-24]


def newest_checkpoints(out):
    """By trial, of its newest one: the number, of all that it ever had, and the step."""
    found = {}
    for folder in (out / "checkpoints").glob("*"):
        for path in sorted(folder.glob("*.ck"))[-1:]:
            found[folder.name] = int(path.stem), json.loads(sealed_note(path))["step"]
    return found


def newest_step(out):
    return {name: step for name, (_, step) in newest_checkpoints(out).items()}


def records(path):
    """Of a journal, without a last line that was cut short."""
    found = []
    for line in path.read_bytes().splitlines(keepends=True):
        whole = line.endswith(b"\n") and int(line[:8], 16) == zlib.crc32(line[9:-1])
        assert whole or not line.endswith(b"\n"), f"{path}: damaged: {line}"
        if whole:
            found.append(json.loads(line[9:]))
    return found


def goes_on(said):
    return {name: int(step) for name, step in re.findall(r"(\S+)  goes on from step (\d+)", said)}
