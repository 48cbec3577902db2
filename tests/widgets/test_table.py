"""The table of rows, without a page: what it shows, and what is done to it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from chroma_nb_widgets.models.query import QueryModel
from chroma_nb_widgets.table import RowsTable, format_cell, one_line

import chroma_nb

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def metadata(at: int) -> dict[str, Any]:
    any_ = at if at % 2 else "t"
    return {"n": at % 7, "big": 2**60 + at, "share": at / 7, "flag": at % 2 == 0, "id": "z", "any": any_}


@pytest.fixture
def model() -> Iterator[QueryModel]:
    with chroma_nb.Client() as client:
        docs = client.create_collection("docs", embedding_function=None)
        docs.add(
            ids=[f"i{at:02}" for at in range(25)],
            embeddings=[[at, 1.0] for at in range(25)],
            documents=[HOSTILE if at == 0 else "long " * 200 if at == 1 else f"text\n  {at}" for at in range(25)],
            metadatas=[*map(metadata, range(24)), None],
        )
        yield QueryModel(docs)


@pytest.fixture
def table(model: QueryModel) -> Iterator[RowsTable]:
    made = RowsTable(model, tabs=True)
    yield made
    made.close()


def texts(table: RowsTable, column: str) -> list[str | None]:
    """The cells of a column as shown."""
    names = [header["name"] for header in table.shown["columns"]]
    at = names.index(column)
    return [row["id"] if at == 0 else row["cells"][at - 1] for row in table.shown["rows"]]


def header(table: RowsTable, name: str) -> dict[str, Any]:
    (found,) = [header for header in table.shown["columns"] if header["name"] == name]
    return dict(found)


# what is shown --------------------------------------------------------------------------------


def test_rows_as_text(table: RowsTable) -> None:
    assert texts(table, "id") == [f"i{at:02}" for at in range(10)]
    assert texts(table, "n")[:3] == ["0", "1", "2"]
    assert texts(table, "big")[1] == str(2**60 + 1)
    assert texts(table, "share")[1] == "0.142857"
    assert texts(table, "flag")[:2] == ["yes", "no"]
    assert texts(table, "any")[:2] == ["t", "1"]
    assert texts(table, "document")[2] == "text 2"
    table.act("page", page=2)
    assert texts(table, "n")[-1] is None


def test_columns_say_their_type(table: RowsTable) -> None:
    types = {header["name"]: (header["type"], header["number"]) for header in table.shown["columns"]}
    assert types == {
        "id": ("", False),
        "document": ("", False),
        "n": ("int", True),
        "big": ("int", True),
        "share": ("float", True),
        "flag": ("yes/no", False),
        "metadata.id": ("text", False),
        "any": ("mixed", False),
    }


def test_hostile_and_long_texts_stay_texts(table: RowsTable) -> None:
    assert texts(table, "document")[0] == HOSTILE
    clipped = texts(table, "document")[1]
    assert clipped is not None
    assert clipped.endswith("…")
    assert len(clipped) <= 241


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (pd.NA, None),
        (float("nan"), None),
        (np.float64("nan"), None),
        (np.int64(5), "5"),
        (np.bool_(False), "no"),
        (1700000000.5, "1700000000"),
        (-0.00001234567, "-1.23457e-05"),
        (float("inf"), "inf"),
        ("", ""),
        ("nan", "nan"),
    ],
)
def test_format_cell(value: object, text: str | None) -> None:
    assert format_cell(value) == text


def test_one_line() -> None:
    assert one_line("a\n\tb   c") == "a b c"
    assert one_line("x" * 241) == "x" * 240 + "…"
    assert one_line(" " * 5000 + "x") == "…"
    assert one_line(None) is None


def test_distances_have_bars(table: RowsTable, model: QueryModel) -> None:
    model.query = [3.0, 1.0]
    assert texts(table, "distance")[:2] == ["0.0", "1.0"]
    shares = [row["share"] for row in table.shown["rows"]]
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares == sorted(shares)
    assert "query" not in [header["name"] for header in table.shown["columns"]]
    assert header(table, "distance")["sortable"] is False


def test_a_saying_where_there_are_no_rows(table: RowsTable, model: QueryModel) -> None:
    model.showing = "results"
    assert table.shown["nothing"].startswith("No query yet")
    model.showing = "rows"
    model.where = {"n": 99}
    assert (table.shown["nothing"], table.shown["filtered"]) == ("No rows pass these filters.", True)
    table.act("clear")
    assert (bool(model.where), table.shown["total"]) == (False, 25)
    model.where_document = {"$regex": "("}
    assert "missing )" in table.shown["nothing"]
    assert table.shown["rows"] == []


def test_tabs_count_their_rows(table: RowsTable, model: QueryModel) -> None:
    assert table.shown["tabs"] == [("rows", "Rows", 25), ("results", "Results", 0)]
    model.query = [3.0, 1.0]
    assert table.shown["tabs"] == [("rows", "Rows", 25), ("results", "Results", 10)]
    assert table.shown["showing"] == "results"
    table.act("show", name="rows")
    assert (model.showing, len(table.shown["rows"])) == ("rows", 10)
    assert RowsTable(model).shown["tabs"] == []


# what is done ---------------------------------------------------------------------------------


def test_a_header_sorts_up_down_and_not(table: RowsTable, model: QueryModel) -> None:
    table.act("sort", column="n")
    assert (model.sort, header(table, "n")["order"]) == (("n", False), "ascending")
    assert texts(table, "n")[:5] == ["0", "0", "0", "0", "1"]
    table.act("sort", column="n")
    assert (model.sort, header(table, "n")["order"]) == (("n", True), "descending")
    assert texts(table, "n")[:4] == ["6", "6", "6", "5"]
    table.act("sort", column="n")
    assert (model.sort, header(table, "n")["order"]) == (None, None)
    table.act("sort", column="id")
    table.act("sort", column="id")
    assert texts(table, "id")[0] == "i24"


def test_a_key_called_id_is_sorted_as_itself(table: RowsTable, model: QueryModel) -> None:
    table.act("sort", column="metadata.id")
    assert texts(table, "metadata.id") == ["z"] * 10
    assert header(table, "id")["order"] is None
    assert header(table, "metadata.id")["order"] == "ascending"
    model.page = 2
    assert texts(table, "metadata.id")[-1] is None


def test_pages(table: RowsTable, model: QueryModel) -> None:
    table.act("page", page=1)
    assert (model.page, texts(table, "id")[0]) == (1, "i10")
    table.act("page", page=7)
    assert (model.page, len(table.shown["rows"])) == (2, 5)
    table.act("turn", by=-1)
    table.act("turn", by=1)
    table.act("turn", by=1)
    assert (model.page, texts(table, "id")[0]) == (2, "i20")
    table.act("size", size=25)
    assert (model.page, model.page_size, len(table.shown["rows"])) == (0, 25, 25)
    table.act("size", size=7)
    assert "not 7" in str(model.error)
    model.page_size = 7
    assert table.shown["sizes"] == [7, 10, 25, 50, 100]


def test_more_like_this(table: RowsTable, model: QueryModel) -> None:
    table.act("like", id="i05")
    assert model.query_label == "like i05"
    assert texts(table, "id")[:2] == ["i04", "i06"]
    table.act("like", id="gone")
    assert "no item 'gone'" in str(model.error)


def test_a_row_is_told_to_others(table: RowsTable) -> None:
    told: list[str] = []
    table.on_row(told.append)
    table.act("row", id="i03")
    assert told == ["i03"]


def test_a_row_as_a_whole(table: RowsTable, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(table, "send", sent.append)
    table.act("detail", id="i01")
    parts = {name: text for name, text, _ in sent[0]["parts"]}
    assert (sent[0]["kind"], sent[0]["id"]) == ("detail", "i01")
    assert parts["document"] == "long " * 200
    assert parts["big"] == str(2**60 + 1)
    table.act("detail", id="i24")
    assert len(sent) == 1  # not of this page
    table.act("page", page=2)
    table.act("detail", id="i24")
    assert [name for name, *_ in sent[1]["parts"]] == ["document"]


def test_what_is_unknown_ends_as_an_error(table: RowsTable, model: QueryModel) -> None:
    table.act("explode")
    assert "nothing called 'explode'" in str(model.error)
    table.act("sort", column="no such")
    assert "no column 'no such'" in str(model.error)
    assert texts(table, "id")[0] == "i00"


def test_many_changes_are_one_message(model: QueryModel) -> None:
    seen: list[Any] = []

    async def work() -> None:
        table = RowsTable(model)
        table.observe(seen.append, "shown")
        model.where = {"n": 1}
        model.sort = ("share", True)
        model.query = [3.0, 1.0]
        model.showing = "rows"
        assert seen == []
        await asyncio.sleep(0)
        table.close()

    asyncio.run(work())
    assert len(seen) == 1
    assert [row["id"] for row in seen[0]["new"]["rows"]] == ["i22", "i15", "i08", "i01"]


def test_a_closed_table_hears_nothing(model: QueryModel) -> None:
    table = RowsTable(model)
    before = table.shown
    table.close()
    model.where = {"n": 1}
    assert table.shown is before


def test_a_deleted_collection_is_an_error_not_a_crash(table: RowsTable, model: QueryModel) -> None:
    model._store.delete_collection(model.collection.id)
    table.act("page", page=1)  # of the moment shown, which is still there
    table.act("like", id="i03")
    assert "collection was deleted" in str(model.error)
    assert table.shown["rows"] == []
    table.act("show", name="rows")
    assert len(table.shown["rows"]) == 10


def test_messages_in_other_threads_wait_for_the_main_loop(model: QueryModel) -> None:
    seen: list[int] = []

    async def work() -> None:
        table = RowsTable(model)
        model.observe(lambda change: seen.append(threading.get_ident()), "sort")
        content = {"do": "sort", "column": "n"}
        thread = threading.Thread(target=table._received, args=(table, content, []))
        thread.start()
        thread.join()
        assert seen == []
        await asyncio.sleep(0.01)
        table.close()

    asyncio.run(work())
    assert seen == [threading.get_ident()]
