"""A winnow with the CUDA back end starts without NVIDIA's libraries, loads them where they are asked for, and says in one line
what is missing.

usage: cuda_module.py WINNOW MODULE
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

WINNOW, MODULE = map(pathlib.Path, sys.argv[1:])
NVIDIA = re.compile(r"lib(winnow_cuda|cublas|cudnn|nccl|nvrtc|cudart)\w*\.so")


def said(program, *arguments, **environment):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, env={**os.environ, **environment})
    assert done.returncode == 0, (arguments, done.returncode, done.stderr)
    return done


def loaded_by(*arguments):
    files = said(WINNOW, *arguments, LD_DEBUG="files").stderr
    assert "libstdc++.so" in files, files
    return set(NVIDIA.findall(files))


def symbols(file, *options):
    listed = subprocess.run(["nm", "-D", *options, file], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in listed.splitlines()}


def libraries_line(program):
    """What doctor says where they cannot be loaded."""
    lines = [line for line in said(program, "doctor").stdout.splitlines() if "NVIDIA's cannot be loaded" in line]
    assert len(lines) == 1 and lines[0].startswith("none  libraries  "), lines
    return lines[0]


assert not loaded_by("--version"), loaded_by("--version")
assert {"winnow_cuda", "cublas"} <= loaded_by("doctor")
assert "ok    cuBLASLt" in said(WINNOW, "doctor").stdout

# Kernels are weak references of the module, which nobody misses before they are called.
kernels = {name for name in symbols(MODULE, "--undefined-only") if name.startswith("_ZN6winnow")}
assert kernels and kernels <= symbols(WINNOW, "--defined-only"), kernels - symbols(WINNOW, "--defined-only")

with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    alone = folder / "bin" / "winnow"
    alone.parent.mkdir()
    shutil.copy(WINNOW, alone)
    line = libraries_line(alone)
    assert f"there is neither {alone.parent}/libwinnow_cuda.so nor {folder}/lib" in line, line

    module = MODULE.read_bytes()
    own = re.search(rb"winnow sources [0-9a-f]{16}", module).group()
    other = own[:-16] + b"0123456789abcdef"
    (alone.parent / MODULE.name).write_bytes(module.replace(own, other))
    line = libraries_line(alone)
    assert f"/{MODULE.name} is of another build than this program ({other.decode()}, not {own.decode()})" in line, line

    absent = module.replace(b"libcublasLt.so", b"libcublasXX.so")
    assert absent != module
    (alone.parent / MODULE.name).write_bytes(absent)
    line = libraries_line(alone)
    assert re.search(r"libcublasXX\.so\S*: cannot open shared object file", line), line
    said(alone, "--version")
