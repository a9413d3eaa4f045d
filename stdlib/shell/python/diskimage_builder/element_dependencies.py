"""The elements that a list of elements needs, as kiln's element-info finds them."""

import logging
import os
import subprocess
import sys

from diskimage_builder import _kiln

logger = logging.getLogger(__name__)


class MissingElementException(Exception):
    """No folder has an element of this name."""


class AlreadyProvidedException(Exception):
    """Two elements provide the same."""


class MissingOSException(Exception):
    """No element provides an operating system."""


class InvalidElementDir(Exception):
    """An entry of ELEMENTS_PATH is no folder."""


# Words of element-info's errors, and what they are called here.
_ERRORS = (
    ("not a directory", InvalidElementDir),
    ("not found", MissingElementException),
    ("already provided", AlreadyProvidedException),
    ("operating system element", MissingOSException),
)

# What element-info --env prints is meant for bash, so bash reads it: names and paths come back with NUL bytes between.
_READER = """
eval "$1"
declare -A folders
eval "folders=($(get_image_element_array))"
for name in $IMAGE_ELEMENT; do
    printf '%s\\0%s\\0' "$name" "${folders[$name]}"
done
"""


def get_elements(elements, paths=None):
    """Pairs of name and folder: `elements` and all that they need, without duplicates.

    `paths` is searched instead of ELEMENTS_PATH; one of the two must be given.
    """
    paths = paths or os.environ.get("ELEMENTS_PATH")
    if not paths:
        raise Exception("$ELEMENTS_PATH must be set.")
    out, err, status = _kiln.run("element-info", ["--env"] + list(elements), ELEMENTS_PATH=paths)
    if status != 0:
        message = err.strip() or "element-info ended with status %d" % status
        for words, error in _ERRORS:
            if words in message:
                raise error(message)
        raise RuntimeError(message)
    if err:
        sys.stderr.write(err)
    fields = subprocess.check_output(["bash", "-c", _READER, "bash", out], universal_newlines=True).split("\0")
    return list(zip(fields[0::2], fields[1::2]))


def expand_dependencies(user_elements, element_dirs):
    """The names only, as a set. Deprecated: get_elements also tells the folders."""
    logger.warning("expand_dependencies() deprecated, use get_elements")
    return {name for name, _ in get_elements(user_elements, element_dirs)}


def main():
    """Becomes element-info with this process's words."""
    _kiln.become("element-info", sys.argv[1:])
