"""Runs tests that wait most of their time all at once, and says how long each took."""
import concurrent.futures
import contextlib
import sys
import time
import unittest


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def run(test):
    result, began = unittest.TestResult(), time.monotonic()
    test(result)
    return test, result, time.monotonic() - began


class SideBySide(unittest.TestSuite):
    """Classes are set up one after the other, and then every test has a thread."""

    def run(self, result, debug=False):
        tests = list(flat(self))
        with contextlib.ExitStack() as classes:
            for kind in dict.fromkeys(map(type, tests)):
                classes.callback(kind.doClassCleanups)
                kind.setUpClass()
            with concurrent.futures.ThreadPoolExecutor(len(tests)) as threads:
                for done in concurrent.futures.as_completed([threads.submit(run, test) for test in tests]):
                    test, own, seconds = done.result()
                    print(f"{seconds:5.1f} s  {'ok  ' if own.wasSuccessful() else 'FAIL'}  {test.id()}", file=sys.stderr, flush=True)
                    result.testsRun += own.testsRun
                    for kind in ("failures", "errors", "skipped"):
                        getattr(result, kind).extend(getattr(own, kind))
        return result
