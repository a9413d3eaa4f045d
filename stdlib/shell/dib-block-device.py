#!/usr/bin/env python3
"""Answers questions about the image's block devices: becomes `kiln block-device` with the same words."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from diskimage_builder import _kiln  # noqa: E402

if __name__ == "__main__":
    _kiln.become("kiln", ["block-device"] + sys.argv[1:])
