#!/usr/bin/env python3
"""Other people's programs read what winnow wrote: run by readers_test.cpp with a folder as argument.

The folder holds trial.h5, survey.h5 with links, packed.h5 with copies, and NAME.bin, the dense float32 bytes of every weight of trial.h5.
"""
import json
import pathlib
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import winnow  # noqa: E402

folder = pathlib.Path(sys.argv[1])
trial = folder / "trial.h5"


def truth(name):
    return np.fromfile(folder / (name + ".bin"), np.float32)


# The lines of docs/formats.md: one trial's curves, sparse weights.
curves = pd.DataFrame({k: v[:] for k, v in h5py.File(trial)["metrics/epoch"].items()})
assert list(curves["epoch"]) == [1, 2, 3] and abs(curves["test_acc"].iloc[-1] - 0.9) < 1e-12
g = h5py.File(trial)["weights/csr"]
W = sp.csr_matrix((g["data"], g["indices"], g["indptr"]), g.attrs["shape"])
W4 = W.toarray().reshape(g.attrs["tensor_shape"])
assert W4.shape == (40, 12, 3, 3) and np.array_equal(W4.reshape(-1), truth("csr"))
assert g["values"] == g["data"] and g["indices_1"] == g["indices"] and g["pointers_to_1"] == g["indptr"]

# The reference reader gives the bits of every form.
weights, forms = winnow.weights(trial), set()
with h5py.File(trial) as file:
    for name, item in file["weights"].items():
        forms.add(item.attrs["encoding-type"])
        same = weights[name].reshape(-1).view(np.uint32) == truth(name).view(np.uint32)
        assert same.all(), f"{name}: {np.count_nonzero(~same)} values differ"
assert forms == {"array", "csr_matrix", "winnow-bitmask", "winnow-signmask", "winnow-seed", "winnow-overlay",
                 "winnow-codebook"}, forms
distributions = {n.split("_", 1)[1] for n in weights if n.startswith("init_")}
assert len(distributions) == 9, distributions

# Of a tensor that lost channels: which are left, and where they were.
assert {name: [list(left) for left in entry] for name, entry in winnow.left(trial).items()} == {
    "cut": [[0, 31, 32, 64, 69], [0, 2], [0, 1, 2]]}
cut = winnow.weights(trial, whole=True)["cut"]
assert cut.shape == (70, 3, 3) and np.array_equal(cut[np.ix_([0, 31, 32, 64, 69], [0, 2], [0, 1, 2])], weights["cut"])
assert np.count_nonzero(cut) == np.count_nonzero(weights["cut"]) and weights["cut"].shape == (5, 2, 3)

# Damage to a seed is noticed and not returned as weights.
copy = folder / "damaged.h5"
copy.write_bytes(trial.read_bytes())
with h5py.File(copy, "r+") as file:
    file["weights/init_normal"].attrs["seed"] = "8"
try:
    winnow.weights(copy)
    raise AssertionError("a changed seed went unnoticed")
except ValueError as error:
    assert "differ" in str(error)

assert winnow.settings(trial)["method.name"] == "rigl"
assert abs(winnow.summary(trial)["final.test_acc"] - 0.9) < 1e-12
assert list(winnow.table(trial, "events")["what"]) == ["grown"]

# As a program: the trial, or one line and an exit code, never a traceback.
future = folder / "future.h5"
future.write_bytes(trial.read_bytes())
with h5py.File(future, "r+") as file:
    file.attrs["schema_version"] = "2.0"
for arguments, code, words in (
    ([trial], 0, ""),
    ([trial, "--npz", folder / "weights.npz"], 0, ""),
    ([folder / "survey.h5"], 66, "is a winnow-survey file; a winnow-trial file is needed here"),
    ([folder / "absent.h5"], 66, "absent.h5: no such file"),
    ([folder], 66, "is not an HDF5 file"),
    ([pathlib.Path(__file__)], 66, "is not an HDF5 file"),
    ([copy, "--npz", folder / "damaged.npz"], 66, "init_normal"),
    ([future], 65, "has schema version 2.0"),
    ([trial, "--npz", folder / "absent" / "weights.npz"], 74, "cannot write"),
):
    said = subprocess.run([sys.executable, "-B", winnow.__file__, *arguments], capture_output=True, text=True)
    assert said.returncode == code and words in said.stderr, (arguments, said)
    assert said.stderr.count("\n") == (code != 0), (arguments, said.stderr)
assert set(np.load(folder / "weights.npz").files) == set(weights) and not (folder / "damaged.npz").exists()

for survey in (folder / "survey.h5", folder / "packed.h5"):
    trials = pd.DataFrame(winnow.table(survey, "trials"))
    means = trials.groupby(["method.name", "method.density"])["final.test_acc"].agg(["mean", "std", "count"])
    rigl = means.loc[("rigl", 0.1)]
    assert abs(rigl["mean"] - 0.921) < 1e-9 and rigl["count"] == 6
    long = pd.DataFrame(winnow.table(survey, "metrics/epoch"))
    assert len(long) == 3 * len(trials) and set(long["trial"]) == set(range(len(trials)))
    with h5py.File(survey) as file:
        assert set(file["weights"]) == set(trials["name"])
        # AnnData takes only h5py's bool here.
        assert isinstance(file["trials/method.name"].attrs["ordered"], np.bool_)
        for name in trials["name"]:  # links into the result files, or copies
            assert winnow.weight(file["weights"][name]["conv.weight"]).shape == (40, 12, 3, 3), name

# HDF5's own programs read them to the end.
for program, words in (("h5dump", "-H"), ("h5stat", "")):
    if not shutil.which(program):
        print(f"readers: not tried: {program} is not installed (hdf5-tools)")
        continue
    for path in (trial, folder / "survey.h5", folder / "packed.h5"):
        said = subprocess.run([program, *words.split(), path], capture_output=True, text=True)
        assert said.returncode == 0 and not said.stderr, (program, path, said.stderr)
        assert ('DATASET "final.test_acc"' if program == "h5dump" else "# of unique datasets:") in said.stdout, (program, path)

# AnnData reads what has an encoding of its own.
try:
    try:
        from anndata.io import read_elem
    except ImportError:
        from anndata.experimental import read_elem
except ImportError:
    read_elem = None
    print("readers: not tried: AnnData is not installed (python3-anndata)")


def agree(read, path, name):
    """A table that AnnData has read, and the same by winnow.py."""
    table, read = winnow.table(path, name), read.reset_index()  # one column is the index of the rows
    assert isinstance(read, pd.DataFrame) and set(read.columns) == set(table) and len(read) > 0, (name, read)
    for column, values in table.items():
        assert list(read[column].astype(object).fillna("-")) == list(pd.Series(values).astype(object).fillna("-")), (name, column)


if read_elem is not None:
    with h5py.File(trial) as file:
        for name in ("events", "layers"):
            agree(read_elem(file[name]), trial, name)
        metrics = read_elem(file["metrics"])
        for name in ("epoch", "step"):
            agree(metrics[name], trial, f"metrics/{name}")
        assert read_elem(file["summary"]) == winnow.summary(trial)
        assert json.loads(read_elem(file["settings"])["json"]).items() <= winnow.settings(trial).items()
        tried = 0
        for name, item in file["weights"].items():
            if item.attrs["encoding-type"] in ("array", "csr_matrix"):
                read = read_elem(item)
                read = read.toarray() if sp.issparse(read) else read
                assert np.array_equal(read.reshape(-1), truth(name)), name
                tried += 1
        assert tried >= 3, tried
    for survey in (folder / "survey.h5", folder / "packed.h5"):
        with h5py.File(survey) as file:
            agree(read_elem(file["trials"]), survey, "trials")
            agree(read_elem(file["metrics/epoch"]), survey, "metrics/epoch")
            assert isinstance(read_elem(file["trials"])["method.name"].dtype, pd.CategoricalDtype)
print("readers agree")
