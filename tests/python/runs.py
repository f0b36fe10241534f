"""What tests that run whole sweeps have in common: the environment of their processes, and results compared by content."""
import os
import re

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_WAIT_POLICY="passive")


def digests(out):
    """The content digest of every result: what must not depend on how the sweep was run."""
    import h5py

    found = {}
    for path in sorted((out / "trials").glob("*/*.h5")):
        with h5py.File(path) as f:
            found[path.name] = f.attrs["content_digest"]
    return found


def newest_step(out):
    """By trial, from the note at the end of its newest checkpoint."""
    steps = {}
    for folder in (out / "checkpoints").glob("*"):
        newest = sorted(folder.glob("*.ck"))[-1:]
        for path in newest:
            steps[folder.name] = int(re.search(rb'"step":(\d+)', path.read_bytes()[-4096:]).group(1))
    return steps


def goes_on(said):
    return {name: int(step) for name, step in re.findall(r"(\S+)  goes on from step (\d+)", said)}
