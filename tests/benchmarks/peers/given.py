"""What all contestants are given: the corpus in a folder, filters in nobody's dialect, what is to be changed."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

METADATA = ("pos", "lexname", "lemma", "n_lemmas", "gloss_len")
CHANGED_BY = 1_000  # what an update adds to gloss_len


class Condition(dict[str, Any]):
    """A filter in nobody's dialect: ``column``, ``is`` ("=", "<" or "contains") and ``value``."""

    @property
    def sql(self) -> str:
        """As SQL, values as literals."""
        column, how, value = self["column"], self["is"], self["value"]
        text = repr(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
        return f"contains({column}, {text})" if how == "contains" else f"{column} {how} {text}"

    @property
    def chroma(self) -> dict[str, Any]:
        """As keyword arguments of Chroma's ``get`` and ``query``."""
        column, how, value = self["column"], self["is"], self["value"]
        if how == "contains":
            return {"where_document": {"$contains": value}}
        return {"where": {column: value if how == "=" else {"$lt": value}}}


class Given:
    """The corpus in a folder, read when asked for."""

    def __init__(self, corpus: Path, work: Path) -> None:
        self.corpus = corpus
        self.work = work

    @functools.cached_property
    def first(self) -> list[float]:
        """A query without numpy."""
        vector: list[float] = json.loads((self.corpus / "first.json").read_text())
        return vector

    @functools.cached_property
    def queries(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """float32 (m, dim)."""
        return self._array("queries.npy")

    @functools.cached_property
    def vectors(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """float32 (n, dim)."""
        return self._array("vectors.npy")

    @functools.cached_property
    def items(self) -> pa.Table:
        """Ids, documents and metadata."""
        import pyarrow.parquet as pq

        return pq.read_table(self.corpus / "items.parquet")

    @functools.cached_property
    def ids(self) -> list[str]:
        """By position."""
        found: list[str] = self.items["id"].to_pylist()
        return found

    @functools.cached_property
    def thousand(self) -> list[str]:
        """Ids anywhere in the corpus."""
        found: list[str] = json.loads((self.corpus / "thousand.json").read_text())
        return found

    @functools.cached_property
    def filters(self) -> dict[str, list[Condition]]:
        """By name: one condition for all queries, or one for each of the first ones."""
        read = json.loads((self.corpus / "filters.json").read_text())
        return {name: [Condition(one) for one in conditions] for name, conditions in read.items()}

    @functools.cached_property
    def changed(self) -> Changed:
        """What the mutations are about."""
        return Changed(self)

    def recall(self, name: str, found: Mapping[int, Sequence[str]]) -> float:
        """Share of the true nearest that are among these ids, by number of the query."""
        import numpy as np

        true = np.load(self.corpus / "nearest.npz")[name]
        position = {id_: at for at, id_ in enumerate(self.ids)}
        shares = []
        for query, ids in found.items():
            wanted = set(true[query].tolist()) - {-1}
            shares.append(len(wanted & {position[id_] for id_ in ids}) / len(wanted) if wanted else 1.0)
        return float(np.mean(shares))

    def _array(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        import numpy as np

        array: np.ndarray[Any, np.dtype[np.float32]] = np.load(self.corpus / name)
        return array


class Changed:
    """Three tenths of the items: one is deleted, one gets new metadata, one new vectors."""

    def __init__(self, given: Given) -> None:
        import numpy as np
        import pyarrow.compute as pc

        tenth = len(given.ids) // 10
        self.count = len(given.ids) - tenth
        self.deleted = given.ids[:tenth]
        self.deleted_vectors = given.vectors[:tenth]
        rows = given.items.slice(tenth, tenth)
        column = rows.schema.get_field_index("gloss_len")
        self.updated = rows.set_column(column, "gloss_len", pc.add(rows["gloss_len"], CHANGED_BY))
        self.upserted = given.items.slice(2 * tenth, tenth)
        # Near to another item than its own old vector: who still has the old one does not find it first.
        mixed = given.vectors[2 * tenth : 3 * tenth][::-1] + 0.5 * given.vectors[2 * tenth + 1 : 3 * tenth + 1]
        self.vectors = np.ascontiguousarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), dtype=np.float32)
