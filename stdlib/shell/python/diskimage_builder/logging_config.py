"""How the python programs of elements write their logs: to standard error, a line as `LEVEL module [-] message`.

In: DIB_DEBUG_TRACE, above 0 for debug messages; DIB_PYTHON_LOGGING_CONFIG_FILE, a JSON file for logging.config.dictConfig that
replaces all of this.
"""

import json
import logging
import logging.config
import os


class DibFormatter(logging.Formatter):
    """Formats as `fmt`; `debug_suffix` is added for debug messages."""

    def __init__(self, *args, **kwargs):
        suffix = kwargs.pop("debug_suffix", "")
        super().__init__(*args, **kwargs)
        self._debug = logging.Formatter(kwargs.get("fmt", "%(message)s") + suffix, kwargs.get("datefmt"))

    def format(self, record):
        if record.levelno == logging.DEBUG:
            return self._debug.format(record)
        return super().format(record)


def _default():
    try:
        trace = int(os.environ.get("DIB_DEBUG_TRACE") or 0)
    except ValueError:
        trace = 0
    level = "DEBUG" if trace > 0 else "INFO"
    formatter = {
        "()": "%s.DibFormatter" % __name__,
        "fmt": "%(levelname)s %(name)s [-] %(message)s",
        "debug_suffix": " %(funcName)s %(pathname)s:%(lineno)d",
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"standard": formatter},
        "handlers": {"default": {"class": "logging.StreamHandler", "formatter": "standard", "level": level}},
        "loggers": {"": {"handlers": ["default"], "level": level, "propagate": True}},
    }


def setup():
    """Sets up logging for this process."""
    path = os.environ.get("DIB_PYTHON_LOGGING_CONFIG_FILE")
    if path:
        with open(path) as file:
            config = json.load(file)
    else:
        config = _default()
    logging.config.dictConfig(config)
