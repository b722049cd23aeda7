"""Memories on the command line: added, shown, forgotten and looked back at."""

from __future__ import annotations

from tests.acceptance.project import Project


def test_a_memory_is_added_shown_changed_and_forgotten(project: Project) -> None:
    project.write("data.json", '{"sugar": 0}')
    add = (
        "memory",
        "add",
        "likes \x1b[31mtea",
        "--agent",
        "a",
        "--user",
        "ada",
        "--content",
        "@data.json",
    )
    added = project.json(*add, "--tag", "x", "--tag", "y", "--id", "m1", "--actor", "ada")
    assert (added["content"], added["tags"], added["version"]) == ({"sugar": 0}, ["x", "y"], 1)
    assert project.json(*add, "--id", "m1") == added
    shown = project.run("memory", "show", "m1").stdout
    assert "\x1b" not in shown
    assert "tea" in shown
    assert project.run("memory", "forget", "m1", "--expected-version", "7").returncode == 6
    assert project.json("memory", "forget", "m1")["version"] == 2
    assert project.run("memory", "show", "m1").returncode == 6
    before = project.json("memory", "show", "m1", "--recorded", added["created_at"])
    assert before["text"] == added["text"]
    history = project.json("memory", "history", "m1")
    assert [one["memory"]["version"] for one in history] == [2, 1]
    assert "forgotten" in project.run("memory", "history", "m1").stdout
    assert "forgot memory" in project.run("memory", "forget", "m1").stderr
    unknown = project.run("memory", "history", "m2")
    assert (unknown.returncode, unknown.stdout, "and never was" in unknown.stderr) == (6, "", True)


def test_a_key_holds_one_memory_at_a_time(project: Project) -> None:
    put = ("memory", "add", "--agent", "a", "--key", "city")
    first = project.run(*put, "Paris", "--expected-version", "0").stdout.strip()
    assert project.json("memory", "show", first)["key"] == "city"
    second = project.json(*put, "Rome", "--expires-in", "3600", "--confidence", "0.9", "--shared")
    assert (second["version"], second["is_shared"]) == (3, True)
    gone = project.run("memory", "show", first)
    assert (gone.returncode, "superseded" in gone.stderr) == (6, True)
    refused = [
        ([*put, "Oslo", "--expected-version", "0"], 6, "holds version 3"),
        (["memory", "add", "x", "--agent", "a", "--expected-version", "1"], 2, "--key"),
        (["memory", "add", "x", "--agent", "a", "--type", "rumour"], 2, "no memory type"),
        (["memory", "add", "x", "--agent", "a", "--metadata", "[]"], 2, "JSON object"),
        (["memory", "add", "x", "--agent", "a", "--content", "@missing"], 2, "missing"),
        (["memory", "add", "x", "--agent", "a", "--content", "{"], 2, "not JSON"),
        (["memory", "show", "m", "--recorded", "soon"], 2, "no time"),
    ]
    for arguments, code, said in refused:
        done = project.run(*arguments)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    lesson = ("memory", "add", "x", "--agent", "a", "--type", "lesson")
    project.environment["AUREUS_MEMORY_TYPES"] = "lesson, other"
    assert project.run(*lesson).returncode == 0
    project.environment["AUREUS_MEMORY_REQUIRE_PROVENANCE"] = "on"
    strict = project.run(*lesson)
    assert (strict.returncode, "task_id" in strict.stderr) == (2, True)


def test_memories_and_namespaces_are_listed_without_a_question(project: Project) -> None:
    add = ("memory", "add", "--agent", "a", "--user", "ada")
    for text, *more in (
        ("prefers \x1b[31mtea", "--key", "drink", "--tag", "x"),
        ("rough", "--key", "sea", "--namespace", "sailing", "--type", "fact"),
        ("met in Oslo", "--session", "s1"),
    ):
        assert project.run(*add, text, *more).returncode == 0
    mine = ("memory", "list", "--user", "ada")
    found = [memory["text"] for memory in project.json(*mine)]
    assert found == ["met in Oslo", "rough", "prefers \x1b[31mtea"]
    assert [one["key"] for one in project.json(*mine, "--oldest", "--limit", "1")] == ["drink"]
    assert [one["text"] for one in project.json(*mine, "--type", "fact")] == ["rough"]
    shown = project.run(*mine, "--tag", "x").stdout
    assert "drink" in shown
    assert "\x1b" not in shown
    assert "no memories" in project.run("memory", "list", "--agent", "b").stderr
    spaces = ("memory", "namespaces", "a", "--user", "ada")
    assert project.json(*spaces) == ["", "sailing"]
    assert project.run(*spaces, "--prefix", "s").stdout == "sailing\n"
    assert project.json(*spaces, "--after", "sailing") == []
    assert "no keys" in project.run("memory", "namespaces", "a").stderr


def test_memories_are_found_by_their_words(project: Project) -> None:
    for number, text in enumerate(("spring tide", "the tides of \x1b[31m Oslo", "a boat")):
        session = ("--session", f"s{number % 2}", "--id", f"m{number}", "--tag", f"t{number}")
        assert project.run("memory", "add", text, "--agent", "a", *session).returncode == 0
    found = project.json("memory", "search", "Where are tides?", "--agent", "a")
    assert {hit["memory"]["memory_id"] for hit in found["hits"]} == {"m0", "m1"}
    assert found["is_exact"] is True
    shown = project.run("memory", "search", "Oslo", "--match", "all").stdout
    assert "m1" in shown
    assert "\x1b" not in shown
    web = project.json("memory", "search", '"spring tide" OR boat', "--match", "web", "--tag", "t2")
    assert [hit["memory"]["memory_id"] for hit in web["hits"]] == ["m2"]
    sessions = project.json("memory", "search", "tide boat", "--by-session", "--neighbours", "1")
    assert {one["session_id"] for one in sessions["sessions"]} == {"s0", "s1"}
    assert sessions["hits"][0]["before"] or sessions["hits"][0]["after"]
    assert "nothing found" in project.run("memory", "search", "comet").stderr
    refused = project.run("memory", "search", "x", "--by-session", "--match", "web")
    assert (refused.returncode, "--match" in refused.stderr) == (2, True)
