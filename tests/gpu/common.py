"""What the parts of tests/on_gpu share: commands that are written down, figures, verdicts, tables. Standard library only."""
import datetime
import json
import os
import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Skipped(Exception):
    """This machine or this build has not what the part needs; the text says what."""


class Failed(Exception):
    """What was tested does not hold; the text says what."""


class Part:
    """One part under way. Its JSON is written anew with each figure, so that what was measured survives a time limit."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.started = time.monotonic()
        self.record = {"part": name, "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                       "verdict": "failed", "why": "did not end", "seconds": None, "commands": [], "figures": [], "notes": []}
        self.folder = options.out / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.save()

    @property
    def device(self):
        return self.options.device

    def left(self):
        """Seconds until the time limit, less what it takes to end in order."""
        return self.options.limit - 15 - (time.monotonic() - self.started)

    def save(self):
        self.record["seconds"] = round(time.monotonic() - self.started, 1)
        write(self.options.out / f"{self.name}.json", json.dumps(self.record, indent=1) + "\n")

    def figure(self, **values):
        self.record["figures"].append(values)
        self.save()

    def note(self, text):
        self.record["notes"].append(text)
        self.save()

    def end(self, verdict, why):
        self.record["verdict"], self.record["why"] = verdict, why
        self.save()

    def run(self, *command, check=True, environment=None):
        """The ended process; what it said is in the part's log. Failed where it did not end well or in time."""
        words = [str(word) for word in command]
        self.record["commands"].append(" ".join(words))
        self.save()
        environment = {**os.environ, **self.libraries(), **(environment or {})}
        seconds = max(self.left(), 1)
        try:
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", env=environment, timeout=seconds,
                                  cwd=ROOT)
        except subprocess.TimeoutExpired as error:
            self.log(words, f"not done after {seconds:.0f} s")
            raise Failed(f"{shown(words)}: not done after {seconds:.0f} s") from error
        except OSError as error:
            raise Failed(f"{words[0]}: {error.strerror}") from error
        self.log(words, f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        if check and done.returncode != 0:
            raise Failed(f"{shown(words)}: exit code {done.returncode}: {last_line(done.stderr or done.stdout)}")
        return done

    def log(self, words, text):
        with open(self.options.out / f"{self.name}.log", "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n{text}\n")

    def libraries(self):
        """Carried libraries come before those that the build was linked with."""
        paths = [str(path) for path in self.options.libraries]
        if not paths:
            return {}
        return {"LD_LIBRARY_PATH": ":".join([*paths, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])}

    def program(self, name):
        path = self.options.build / name
        if not path.exists():
            raise Failed(f"{path} is not built")
        return path

    def winnow(self, *arguments, check=True):
        name = "tests/winnow_emulated" if self.options.emulated else "winnow"
        return self.run(self.program(name), *arguments, check=check)


def write(path, text):
    """Whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


def shown(words):
    text = " ".join([os.path.basename(words[0]), *words[1:]])
    return text if len(text) <= 60 else text[:57] + "..."


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


def digits(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def table(rows):
    """Lines; columns are the keys in the order in which they come up, numbers to the right."""
    keys = []
    for row in rows:
        keys += [key for key in row if key not in keys]
    cells = [[digits(row.get(key)) for key in keys] for row in rows]
    right = [all(not isinstance(row.get(key), str) for row in rows) for key in keys]
    widths = [max(len(text) for text in column) for column in zip(keys, *cells)]
    lines = []
    for line in [keys, *cells]:
        padded = [text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in zip(line, widths, right)]
        lines.append("  ".join(padded).rstrip())
    return lines
