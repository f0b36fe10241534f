"""tools/kernel-table answers mistakes with one line and a code, and help with code 0.

usage: kernel_table.py REPOSITORY
"""
import pathlib
import subprocess
import sys
import tempfile

TOOL = str(pathlib.Path(sys.argv[1]) / "tools" / "kernel-table")
LOG = """ptxas info    : Compiling entry function '_Z{length}{name}v' for 'sm_80'
    0 bytes stack frame, {spills} bytes spill stores, 0 bytes spill loads
ptxas info    : Used {registers} registers, 16 bytes smem
"""


def said(*arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def one_line(done, code, words):
    assert done.returncode == code and words in done.stderr, (done.returncode, done.stderr)
    assert done.stderr.startswith("kernel-table: ") and done.stderr.count("\n") == 1, done.stderr


def kernel(name, registers=32, spills=0):
    return LOG.format(length=len(name), name=name, registers=registers, spills=spills)


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    good, empty, many = folder / "good.ptxas", folder / "empty.ptxas", folder / "many.ptxas"
    good.write_text(kernel("plain"))
    empty.write_text("")
    many.write_text("".join(kernel(f"kernel_{at}") for at in range(20000)))

    help_text = said("--help")
    assert help_text.returncode == 0 and "usage:" in help_text.stdout and help_text.stderr == "", help_text
    assert said().returncode == 2, "no log is a mistake"
    assert "plain" in said("--all", good).stdout
    one_line(said(folder / "none.ptxas"), 1, "none.ptxas: No such file or directory")
    one_line(said(folder), 1, "Is a directory")
    one_line(said(empty), 1, "no kernels in these files")
    over = folder / "over.ptxas"
    over.write_text(kernel("spills", spills=8))
    assert said(over).returncode == 1 and "8 bytes of spills" in said(over).stdout

    # A reader that leaves after one line.
    writer = subprocess.Popen([TOOL, "--all", str(many)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert writer.stdout.readline().startswith(" sm")
    writer.stdout.close()
    complaints = writer.stderr.read()
    assert writer.wait(60) == 141 and complaints == "", (writer.returncode, complaints)
print("kernel-table: ok")
