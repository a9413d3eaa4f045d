#!/usr/bin/env python3
"""Copies a build's output from standard input to a log file and, when asked, to standard output.

Each line gets the time (UTC) in front of it, on standard output only without -b. Lines in which bash traces its own tracing
are left out.
"""

import argparse
import datetime
import re
import sys

# `+ set +o xtrace` and the like: `+` once a level, then the place that PS4 tells, then the words.
TRACING = re.compile(rb"^\++ (.* )?(set \+o|set [-+]x|xtrace=|\S*grep xtrace)")


def stamped(line):
    """The line with the time in front."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return b"%s.%03d | %s" % (now.strftime("%Y-%m-%d %H:%M:%S").encode(), now.microsecond // 1000, line)


def main():
    """Filters until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--outfile", help="file to append to, each line with the time")
    parser.add_argument("-v", "--verbose", action="store_true", help="also write to standard output")
    parser.add_argument("-b", "--no-timestamp", action="store_true", help="standard output without the time")
    words = parser.parse_args()
    log = open(words.outfile, "ab", 0) if words.outfile else None
    for line in iter(sys.stdin.buffer.readline, b""):
        if TRACING.search(line):
            continue
        with_time = stamped(line)
        if words.verbose:
            sys.stdout.buffer.write(line if words.no_timestamp else with_time)
            sys.stdout.buffer.flush()
        if log:
            log.write(with_time)


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)
