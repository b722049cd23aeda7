"""Every run id has one folder name, safe on every file system, and the name leads back to it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aureus.errors import Invalid, LimitExceeded
from aureus.runlog.names import FOLDER_BYTES_MAX, folder_name, is_shortened, run_id_of

RUN_IDS = st.one_of(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\x00"),
        min_size=1,
        max_size=512,
    ),
    st.text("aAbBéÉe\u0301./\\-~=+ \n\u202e%2", min_size=1, max_size=40),
    st.text("ABab", min_size=60, max_size=90),
)


@given(RUN_IDS)
@example("..")
@example("a" * 143)
@example("a" * 144)
@example("\U0010ffff" * 512)
def test_a_folder_name_is_safe_and_leads_back_to_its_run_id(run_id: str) -> None:
    name = folder_name(run_id)

    assert re.fullmatch(r"[a-z0-9_+=]([a-z0-9_.+=~-]*[a-z0-9_+=~-])?", name)
    assert len(name.encode()) <= FOLDER_BYTES_MAX <= 255
    assert name.split(".")[0] not in {"con", "prn", "aux", "nul", "com1", "com0", "lpt9"}
    assert run_id_of(name, run_id if is_shortened(name) else None) == run_id


@given(RUN_IDS, RUN_IDS)
def test_two_run_ids_never_share_a_folder(one: str, other: str) -> None:
    variants = {
        variant
        for run_id in (one, other)
        for form in ("NFC", "NFD", "NFKC")
        for variant in (
            run_id,
            unicodedata.normalize(form, run_id),
            run_id.upper(),
            run_id.lower(),
            f"{run_id}.",
        )
        if 1 <= len(variant) <= 512
    }

    def as_a_careless_file_system_sees_it(name: str) -> str:
        return unicodedata.normalize("NFC", name.casefold()).rstrip(". ")

    assert len(
        {as_a_careless_file_system_sees_it(folder_name(variant)) for variant in variants}
    ) == len(variants)


@pytest.mark.parametrize(
    "run_id",
    [
        "r_0198c1d2e3f4a5b6c7d8e9f0a1b2c3d4",
        "tides-1",
        "a",
        "report.v2",
        "a..b",
        "2026-01-13",
        "console",
        "com10",
    ],
)
def test_usual_run_ids_are_their_own_folder_name(run_id: str) -> None:
    assert folder_name(run_id) == run_id


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("..", "=2e=2e"),
        (".", "=2e"),
        ("a/b", "a=2fb"),
        ("../../etc", "=2e.=2f..=2fetc"),
        ("..%2f", "=2e.=252f"),
        ("\\", "=5c"),
        ("C:\\x", "+c=3a=5cx"),
        ("con", "=63on"),
        ("nul.txt", "=6eul.txt"),
        ("CON", "+c+o+n"),
        ("a.", "a=2e"),
        ("a ", "a=20"),
        ("-rf", "=2drf"),
        ("a\nb", "a=0ab"),
        ("\u202ea", "=e2=80=aea"),
        ("ａ", "=ef=bd=81"),
        ("É", "=c3=89"),
        ("E\u0301", "+e=cc=81"),
        ("Tides-1", "+tides-1"),
        ("~", "=7e"),
    ],
)
def test_what_a_file_system_could_misread_is_written_as_bytes(run_id: str, name: str) -> None:
    assert folder_name(run_id) == name


def test_a_long_name_keeps_a_readable_beginning_and_ends_in_a_hash() -> None:
    name = folder_name("ingest/" + "x" * 200)

    assert re.fullmatch(r"ingest=2fx{69}~[0-9a-f]{64}", name)


def test_a_long_name_is_shortened_between_characters() -> None:
    name = folder_name("€" * 100)

    assert re.fullmatch(r"(=e2=82=ac){8}~[0-9a-f]{64}", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        ".x",
        "-x",
        "x.",
        "A",
        "=2F",
        "=61",
        "+",
        "=",
        "=ff",
        "=00",
        "con",
        "a b",
        "a~b",
        "@acme",
        "=2",
        "++a",
    ],
)
def test_a_name_that_aureus_does_not_give_is_no_run(name: str) -> None:
    with pytest.raises(Invalid, match="not the folder of a run"):
        run_id_of(name)


def test_a_kept_id_is_believed_only_when_it_fits_the_name() -> None:
    name = folder_name("x" * 200)

    assert run_id_of(name, "x" * 200) == "x" * 200
    for kept_id in ("x" * 199, "y" * 200, "x", "", "x" * 600, None):
        with pytest.raises(Invalid, match="not the folder of a run"):
            run_id_of(name, kept_id)


@pytest.mark.parametrize("run_id", ["", "a\x00b", "\ud800"])
def test_a_run_id_that_is_no_text_is_refused(run_id: str) -> None:
    with pytest.raises(Invalid):
        folder_name(run_id)


def test_a_run_id_above_512_characters_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="513"):
        folder_name("x" * 513)
