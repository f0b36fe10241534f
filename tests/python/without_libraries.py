#!/usr/bin/env python3
"""Configures the project without one of NVIDIA's libraries at a time, and compiles nothing:
without_libraries.py CMAKE GENERATOR SOURCE NAME=VALUE..., what the build around it has found.

Each time CMake says in one line what is missing and what that costs, and the build lacks the sources that need it, no others.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CMAKE, GENERATOR, SOURCE, *FOUND = sys.argv[1:]

NO_CONVOLUTIONS = "convolutions by cuDNN are not built"
NO_SUMS = "sums over GPUs by NCCL are not built, ranks exchange gradients through the host"


def configured(folder, **without):
    """Lines of the project that say what is missing, and the sources of kernels/cuda/vendor that would be compiled."""
    settings = dict(setting.split("=", 1) for setting in FOUND) | without
    command = [CMAKE, "-S", SOURCE, "-B", str(folder), "-G", GENERATOR, "--no-warn-unused-cli", "-DWINNOW_TESTS=OFF", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    done = subprocess.run(command + [f"-D{name}={value}" for name, value in settings.items()], capture_output=True, text=True, timeout=300)
    text = done.stdout + done.stderr
    assert done.returncode == 0 and "CMake Error" not in text and "CMake Warning" not in text, text
    sources = [Path(one["file"]) for one in json.loads((folder / "compile_commands.json").read_text())]
    assert any(source.name == "main.cpp" for source in sources), "nothing is built"
    lines = [line.removeprefix("-- winnow: ") for line in text.splitlines() if line.startswith("-- winnow: no ")]
    return lines, {source.stem for source in sources if source.parent.name == "vendor"}


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "build"
        folder.mkdir()
        old = Path(name) / "nvcc"
        old.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 11.8, V11.8.89'\n")
        old.chmod(0o755)
        missing, everything = configured(folder)
        assert "matrix_layer" in everything, f"cuBLASLt is not here: {missing}"
        has_cudnn, has_nccl = "convolution_layer" in everything, "nccl_group" in everything
        assert missing == [] or not (has_cudnn and has_nccl), missing
        of_cudnn = {source for source in everything
                    if source.startswith("convolution_") or source in ("cudnn_handle", "plan_files")}
        for what, line, without, gone in (
            ("cuDNN", f"no cuDNN: {NO_CONVOLUTIONS}", {"WINNOW_CUDNN_INCLUDE": ""}, of_cudnn),
            ("cuDNN's library", f"no cuDNN: {NO_CONVOLUTIONS}", {"WINNOW_CUDNN_LIBRARY": ""}, of_cudnn),
            ("cudnn-frontend", f"no headers of cudnn-frontend (WINNOW_CUDNN_FRONTEND_INCLUDE): {NO_CONVOLUTIONS}",
             {"WINNOW_CUDNN_FRONTEND_INCLUDE": ""}, of_cudnn),
            ("NCCL", f"no NCCL: {NO_SUMS}", {"WINNOW_NCCL_INCLUDE": ""}, {"nccl_group"}),
            ("NCCL's library", f"no NCCL: {NO_SUMS}", {"WINNOW_NCCL_LIBRARY": ""}, {"nccl_group"}),
            ("nvcc", "no nvcc, CUDA sources are not compiled", {"WINNOW_NVCC": ""}, everything),
            ("a new nvcc", f"no nvcc of CUDA 12 or later ({old}: release 11.8), CUDA sources are not compiled",
             {"WINNOW_NVCC": str(old)}, everything),
        ):
            if not (has_nccl if "NCCL" in what else has_cudnn or "nvcc" in what):
                print(f"{what}: this machine has none to leave out")
                continue
            lines, sources = configured(folder, **without)
            assert [one for one in lines if one not in missing] == [line], f"without {what}: {lines}"
            assert sources == everything - gone, f"without {what} the build has {sorted(sources)}"
            print(f"without {what}: {line}")


main()
