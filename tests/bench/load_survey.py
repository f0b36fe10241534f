#!/usr/bin/env python3
"""How long a survey takes to load into pandas: the table of trials and that of all epochs, by h5py alone.

    load_survey.py SURVEY      prints one JSON object
"""
import json
import sys
import time

import h5py
import pandas as pd


def column(item):
    """A column of an AnnData data frame; text is categorical."""
    if isinstance(item, h5py.Group):
        return pd.Categorical.from_codes(item["codes"][:], item["categories"].asstr()[:])
    return item.asstr()[:] if item.dtype.kind == "S" else item[:]


def frame(group):
    return pd.DataFrame({name: column(item) for name, item in group.items()})


start = time.perf_counter()
with h5py.File(sys.argv[1], "r") as survey:
    trials, epochs = frame(survey["trials"]), frame(survey["metrics/epoch"])
    seconds = time.perf_counter() - start
assert epochs["trial"].nunique() == len(trials)
print(json.dumps({"trials": len(trials), "epochs": len(epochs), "columns": len(trials.columns) + len(epochs.columns),
                  "seconds": round(seconds, 3)}))
