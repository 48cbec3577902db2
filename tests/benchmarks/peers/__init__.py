"""The contestants of the comparison, one module each, each run by the Python of its own environment.

They import nothing of this project but `measuring`, which needs numpy and pyarrow alone; `ours` is this project.
"""
