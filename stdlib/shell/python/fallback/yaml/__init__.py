"""A stand-in for PyYAML on machines without it: reads YAML through kiln, writes the JSON that every reader of YAML understands.

Only what the python programs of elements call. Found last: a real PyYAML wins.
"""

import json
import subprocess

from diskimage_builder import _kiln


class YAMLError(Exception):
    """The text is not YAML."""


def safe_load(stream):
    """The first document of a text or an open file."""
    text = stream.read() if hasattr(stream, "read") else stream
    if isinstance(text, str):
        text = text.encode()
    done = subprocess.run(
        [_kiln.program("kiln"), "library", "json"], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if done.returncode != 0:
        raise YAMLError(done.stderr.decode(errors="replace").strip())
    return json.loads(done.stdout.decode())


def load(stream, Loader=None):
    """As safe_load: nothing but plain data is ever made."""
    return safe_load(stream)


def safe_dump(data, stream=None, **_):
    """Writes `data` to `stream`, or returns it as text."""
    text = json.dumps(data, indent=2, sort_keys=True) + "\n"
    if stream is None:
        return text
    stream.write(text)
    return None


dump = safe_dump
SafeLoader = None
