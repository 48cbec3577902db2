"""Maps: every item of a collection at a place in the plane, alike ones beside each other.

Importing this loads nothing heavy; scipy, numba and the engines come with the first fit.
"""

from __future__ import annotations

from chroma_nb.projection.job import ProjectionJob, computed
from chroma_nb.projection.picture import Projection, ProjectionCancelled, Stage
from chroma_nb.projection.projector import Projector
from chroma_nb.projection.warming import warm_up, warm_up_in_background

__all__ = [
    "Projection",
    "ProjectionCancelled",
    "ProjectionJob",
    "Projector",
    "Stage",
    "computed",
    "warm_up",
    "warm_up_in_background",
]
