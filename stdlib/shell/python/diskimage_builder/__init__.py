"""What hooks and tools import of diskimage-builder's package, answered by kiln.

Thin: each module asks kiln's programs, found through the variable KILN. Python 3.8 and later, nothing but its own library.
"""
