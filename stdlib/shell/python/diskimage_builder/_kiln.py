"""Finds and runs kiln's programs.

In: KILN, the path of the running kiln; else PATH. Out: their output. Not here: what it means.
"""

import os
import shutil
import subprocess
import sys


def program(name):
    """The path of kiln's program `name`: beside the running kiln, else in PATH."""
    running = os.environ.get("KILN")
    if running:
        if name == "kiln":
            return running
        for folder in (os.path.dirname(running), os.path.dirname(os.path.realpath(running))):
            beside = os.path.join(folder, name)
            if os.access(beside, os.X_OK):
                return beside
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(
            "cannot find kiln's program %s: set KILN to the path of kiln, or put its folder into PATH" % name
        )
    return found


def become(name, words):
    """Replaces this process by kiln's program `name` with `words`."""
    try:
        path = program(name)
    except FileNotFoundError as error:
        sys.exit("error: %s" % error)
    sys.stdout.flush()
    os.execv(path, [path] + list(words))


def run(name, words, **variables):
    """Standard output, standard error and status of kiln's program `name` with `words`; `variables` are set for it."""
    environment = dict(os.environ, **variables)
    done = subprocess.run(
        [program(name)] + list(words),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    return done.stdout, done.stderr, done.returncode
