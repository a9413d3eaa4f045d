"""The version of kiln, in the words of diskimage-builder's module."""

from diskimage_builder import _kiln


class VersionInfo:
    """Answers as pbr's class of this name."""

    package = "diskimage-builder"

    def __init__(self):
        self._version = None

    def release_string(self):
        """The version: three numbers."""
        if self._version is None:
            out, _, _ = _kiln.run("kiln", ["--version"])
            self._version = (out.split() or ["0"])[-1]
        return self._version

    def version_string(self):
        """The same: kiln has released versions only."""
        return self.release_string()

    def __str__(self):
        return self.release_string()


version_info = VersionInfo()
