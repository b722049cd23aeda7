"""Workflows: kept by the hash of their meaning."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.contract.stage import Stage


def test_a_version_is_kept_once_and_comes_back_to_the_letter(stage: Stage) -> None:
    definition = {"z": 1, "a": [0, "", None, False, 1.5], "t": "ü\u2028"}
    for _ in range(2):
        stage.stores.workflows.save_version("w", "h", name="W", definition=definition)
    found = stage.stores.workflows.get_version("w", "h")
    assert found == definition
    assert list(found) == list(definition)
    assert [version["hash"] for version in stage.stores.workflows.list_versions("w")] == ["h"]


def test_saving_from_many_places_at_once_is_saving_once(stage: Stage) -> None:
    def save(number: int) -> None:
        stage.stores.workflows.save_version(
            "w", f"h{number % 3}", name="W", definition={"n": number % 3}
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(24)))
    hashes = {version["hash"] for version in stage.stores.workflows.list_versions("w")}
    assert hashes == {"h0", "h1", "h2"}
