"""Speed and memory, measured beside raw libraries in the same run; never part of the tests."""
