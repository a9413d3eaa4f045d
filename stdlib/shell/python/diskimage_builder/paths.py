"""Where the elements and the shell library are."""

import os
import sys

from diskimage_builder import _kiln


def get_path(var):
    """The folder that `var` means: `elements`, those that come with kiln, or `lib`, the shell library."""
    if var == "lib":
        return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if var == "elements":
        out, err, status = _kiln.run("kiln", ["library", "elements"])
        if status != 0:
            sys.exit(err.strip())
        return out.rstrip("\n")
    print("There is no path called %s: there are elements and lib" % var)
    sys.exit(1)


def show_path(var):
    """Prints what get_path says."""
    print(get_path(var))
