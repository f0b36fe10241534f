#!/usr/bin/env python3
"""Reads the result files of winnow without winnow: h5py and NumPy only. The format is docs/formats.md.

    import winnow
    weights = winnow.weights("out/trials/3f/3f2a9c...-r0.h5")   # {name: dense float32 array}
    curves = winnow.table("out/trials/...h5", "metrics/epoch")  # {column: array}
    settings, summary = winnow.settings(path), winnow.summary(path)

    python3 winnow.py FILE                 prints settings, summary and how each weight is stored
    python3 winnow.py FILE --npz w.npz     writes every weight, dense, to one NumPy file

A file that cannot be read raises winnow.Unreadable, one line; as a program it is that line and the exit code of docs/formats.md.
"""
import argparse
import contextlib
import json
import math
import os
import sys
import zlib

import h5py
import numpy as np


def philox(seed, stream, step, counter):
    """Philox4x32-10: one row of four 32-bit words for every counter."""
    mask = np.uint64(0xFFFFFFFF)
    counter = np.asarray(counter, np.uint64)
    c0, c1 = counter & mask, counter >> np.uint64(32)
    c2, c3 = np.full_like(c0, stream), np.full_like(c0, step)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & mask, p0 & mask
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def words(key, count):
    """Word i belongs to element i of the stream."""
    return philox(*key, np.arange((count + 3) // 4)).reshape(-1)[:count]


def uniform(key, count):
    """As the float arithmetic of kernels/rng.h: (23 bits + 1/2) / 2^23."""
    bits = (words(key, count) >> np.uint32(9)).astype(np.float32)
    return (bits + np.float32(0.5)) * np.float32(1 / 8388608)


def series(z, *numbers):
    """numbers[0] + z * (numbers[1] + z * (...))."""
    total = numbers[-1]
    for number in reversed(numbers[:-1]):
        total = number + z * total
    return total


def log(x):
    """As kernels/portable_math.h, to the bit: a C library may round the last one otherwise."""
    root_of_half = np.uint64(0x3FE6A09E00000000)
    bits = x.view(np.uint64) + (np.uint64(0x3FF0000000000000) - root_of_half)
    k = ((bits >> np.uint64(52)) | np.uint64(0x4330000000000000)).view(np.float64) - (2.0 ** 52 + 1023)
    f = ((bits & np.uint64(0x000FFFFFFFFFFFFF)) + root_of_half).view(np.float64) - 1
    s, half = f / (2 + f), 0.5 * f * f
    rest = s * s * series(s * s, *(2 / n for n in range(3, 22, 2)))
    first, second = float.fromhex("0x1.62e42fefa2000p-1"), float.fromhex("0x1.9ef35793c7673p-41")
    return k * first + (f - (half - (s * (half + rest) + k * second)))


def cos_of_quarters(quarters):
    """The cosine of quarter turns; as kernels/portable_math.h, to the bit."""
    whole = (quarters + 0.5).astype(np.int64)
    r = quarters - whole
    z = r * r
    below_one = z * 1.2337005501361697
    near = 1 - below_one
    cosine_rest = series(z, 0.25366950790104803, -0.02086348076335296, 9.192602748394266e-4, -2.5202042373060607e-5,
                         4.710874778818172e-7, -6.386603083791852e-9, 6.565963114979473e-11)
    cosine = near + (((1 - near) - below_one) + z * z * cosine_rest)
    sine_rest = series(z, -0.6459640975062463, 0.07969262624616705, -0.004681754135318688, 1.6044118478735983e-4,
                       -3.598843235212085e-6, 5.692172921967927e-8, -6.688035109811468e-10, 6.0669357311061955e-12)
    sine = r * float.fromhex("0x1.921fbp+0") + (r * float.fromhex("0x1.5110b4611a626p-22") + r * z * sine_rest)
    value = np.where(whole & 1, sine, cosine)
    return np.where((whole + 1) & 2, -value, value)


def normal(key, count):
    """Box-Muller in double, rounded to float. The sine of an angle is the cosine of three quarter turns more."""
    block = philox(*key, np.arange((count + 1) // 2))[:, :2].astype(np.float64)
    u, v = ((block + 0.5) / 4294967296.0).T
    pair = np.sqrt(-2.0 * log(u))[:, None] * cos_of_quarters(4.0 * v[:, None] + np.array([0.0, 3.0]))
    return pair.reshape(-1)[:count].astype(np.float32)


def generate(group, count):
    """The values a winnow-seed group stands for."""
    a = group.attrs
    if a["generator"] != "philox4x32-10":
        raise ValueError(f"{group.name}: unknown generator {a['generator']}")
    key = (int(a["seed"]), int(a["stream"]), int(a["step"]))
    kind, value = a["distribution"], float(a["value"])
    factor, fan_in, fan_out = value or 1.0, int(a["fan_in"]), int(a["fan_out"])
    if kind == "constant":
        values = np.full(count, value, np.float32)
    elif kind in ("normal", "kaiming_normal", "xavier_normal"):
        scale = {"normal": lambda: value, "kaiming_normal": lambda: factor * math.sqrt(2 / fan_in),
                 "xavier_normal": lambda: factor * math.sqrt(2 / (fan_in + fan_out))}[kind]()
        values = (scale * normal(key, count).astype(np.float64)).astype(np.float32)
    elif kind in ("uniform", "kaiming_uniform", "torch_default"):
        bound = {"uniform": lambda: value, "kaiming_uniform": lambda: factor * math.sqrt(6 / fan_in),
                 "torch_default": lambda: factor / math.sqrt(fan_in)}[kind]()
        draws = np.float32(2) * uniform(key, count) - np.float32(1)
        values = (bound * draws.astype(np.float64)).astype(np.float32)
    elif kind in ("signed_kaiming", "signed_xavier"):
        fans = fan_in if kind == "signed_kaiming" else fan_in + fan_out
        size = np.float32(factor * math.sqrt(2 / fans))
        values = np.where(words(key, count) >> np.uint32(31), -size, size).astype(np.float32)
    else:
        raise ValueError(f"{group.name}: unknown distribution {kind}")
    check = a["check"]
    if not np.array_equal(values[:len(check)], check):
        raise ValueError(f"{group.name}: the regenerated values differ from the stored check values")
    return values


def put_csr(group, dense):
    """Writes the entries of a CSR group into the flat array `dense`."""
    columns, starts = group["indices"][:].astype(np.int64), group["indptr"][:].astype(np.int64)
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    dense[rows * int(group.attrs["shape"][1]) + columns] = group["data"][:]


def unpack(dataset, count):
    return np.unpackbits(dataset[:], count=count, bitorder="little").astype(bool)


def weight(item):
    """One tensor of /weights, dense, whatever its form."""
    shape = tuple(int(n) for n in item.attrs["tensor_shape"])
    count, form = int(np.prod(shape, dtype=np.int64)), item.attrs["encoding-type"]
    dense = np.zeros(count, np.float32)
    if form == "array":
        dense = item[()].reshape(-1).astype(np.float32)
    elif form == "csr_matrix":
        put_csr(item, dense)
    elif form == "winnow-seed":
        dense = generate(item, count)
    elif form == "winnow-overlay":
        dense = generate(item["base"], count)
        put_csr(item["patch"], dense)
    elif form in ("winnow-bitmask", "winnow-signmask"):
        kept = unpack(item["mask"], count)
        if "base" in item:
            dense[kept] = generate(item["base"], count)[kept]
        elif form == "winnow-bitmask":
            dense[kept] = item["data"][:]
        else:
            scale, negative = np.float32(item.attrs["scale"]), unpack(item["sign"], int(kept.sum()))
            dense[kept] = np.where(negative, -scale, scale)
    elif form == "winnow-codebook":
        kept = np.flatnonzero(unpack(item["mask"], count)) if "mask" in item else np.arange(count)
        table = item["table"][:].reshape(-1, int(item.attrs["levels"]))
        width = (table.shape[1] - 1).bit_length()
        bits = unpack(item["codes"], len(kept) * width).reshape(len(kept), width)
        dense[kept] = table[kept // max(count // len(table), 1), bits @ (1 << np.arange(width))]
    else:
        raise ValueError(f"{item.name}: unknown form {form}")
    if zlib.crc32(dense.tobytes()) != int(item.attrs["crc32"]):
        raise ValueError(f"{item.name}: the decoded values do not match the stored check sum "
                         "(a damaged file, or a C library whose log, sin or cos rounds differently)")
    return dense.reshape(shape)


def left_of(item):
    """Which indices of each dimension are left of a tensor that lost channels; None for one that lost none."""
    if "whole_shape" not in item.attrs:
        return None
    left = []
    for dim, extent in enumerate(int(n) for n in item.attrs["whole_shape"]):
        words = item.attrs.get(f"left_{dim}")  # a bit an index, 32 of them a number
        bits = np.ones(extent, bool) if words is None else \
            np.unpackbits(words.astype("<u4").view(np.uint8), count=extent, bitorder="little").astype(bool)
        left.append(np.flatnonzero(bits))
    return left


def put_back(item):
    """The tensor with its channels at their places in the whole one, and zeros where others were removed."""
    dense, left = weight(item), left_of(item)
    if left is None:
        return dense
    whole = np.zeros(tuple(int(n) for n in item.attrs["whole_shape"]), np.float32)
    whole[np.ix_(*left)] = dense
    return whole


class Unreadable(ValueError):
    """What is wrong with a file, in one line, and the exit code for it."""

    def __init__(self, path, text, code=66):
        super().__init__(f"{path}: {' '.join(str(text).split())}")
        self.code = code


@contextlib.contextmanager
def opened(path, *schemas):
    """The file, if it is one of `schemas` in version 1. Whatever goes wrong while it is read becomes Unreadable."""
    if not os.path.exists(path):
        raise Unreadable(path, "no such file")
    if not os.path.isfile(path) or not h5py.is_hdf5(path):
        raise Unreadable(path, "is not an HDF5 file, or is damaged")
    try:
        with h5py.File(path, "r") as file:
            schema, version = file.attrs.get("schema", "foreign HDF5"), file.attrs.get("schema_version", "")
            if schema not in schemas:
                raise Unreadable(path, f"is a {schema} file; a {' or '.join(schemas)} file is needed here")
            if version.split(".")[0] != "1":
                raise Unreadable(path, f"has schema version {version}; this reader knows version 1", code=65)
            yield file
    except Unreadable:
        raise
    except (OSError, KeyError, ValueError) as error:
        raise Unreadable(path, error) from error


def weights(path, group="weights", whole=False):
    """{name: array}. Of a network that lost channels: the smaller tensors, or with `whole` those of the whole network."""
    with opened(path, "winnow-trial") as file:
        return {name: (put_back if whole else weight)(item) for name, item in file[group].items()}


def left(path, group="weights"):
    """{name: indices that are left, by dimension} of the tensors that lost channels."""
    with opened(path, "winnow-trial") as file:
        return {name: left_of(item) for name, item in file[group].items() if "whole_shape" in item.attrs}


def column(item):
    if isinstance(item, h5py.Group):  # categorical
        return np.array(item["categories"].asstr()[:], object)[item["codes"][:]]
    return np.array(item.asstr()[:], object) if h5py.check_string_dtype(item.dtype) else item[:]


def table(path, name):
    """A data frame of a trial or survey file as {column: array}, index first; pandas.DataFrame takes it."""
    with opened(path, "winnow-trial", "winnow-survey") as file:
        group = file[name]
        order = [group.attrs["_index"], *group.attrs["column-order"]]
        return {key: column(group[key]) for key in order}


def settings(path):
    """All settings as {key: text}: those that decide the result, and label, paths and what was saved."""
    with opened(path, "winnow-trial") as file:
        found = json.loads(file["settings/json"].asstr()[()])
        if "settings" in file["provenance"]:  # before schema 1.3 they were all in one place
            found = {**json.loads(file["provenance/settings"].asstr()[()]), **found}
        return dict(sorted(found.items()))


def summary(path):
    with opened(path, "winnow-trial") as file:
        return {name: float(item[()]) for name, item in file["summary"].items()}


def show(path):
    for title, entries in (("settings", settings(path)), ("summary", summary(path))):
        print(title, *(f"  {key} = {value}" for key, value in entries.items()), sep="\n")
    with opened(path, "winnow-trial") as file:
        print("weights", *(f"  {name}: {tuple(item.attrs['tensor_shape'])} {item.attrs['encoding-type']}"
                           for name, item in file["weights"].items()), sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", help="result file of a trial")
    parser.add_argument("--npz", metavar="OUT", help="write every weight, dense")
    options = parser.parse_args()
    try:
        if options.npz:
            np.savez(options.npz, **weights(options.file))
        else:
            show(options.file)
    except Unreadable as error:
        print(f"winnow.py: error: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"winnow.py: error: cannot write: {error}", file=sys.stderr)
        return 74
    return 0


if __name__ == "__main__":
    sys.exit(main())
