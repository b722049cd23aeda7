"""The run log: the events of each run as a file of JSON lines, for people, ``tail -f`` and other programs.

A projection of the database, never a source: it can be deleted and is written again. See ``docs/reference/run-log.md``.
"""

from __future__ import annotations

from aureus.runlog.folders import log_path
from aureus.runlog.format import Record, parse_line
from aureus.runlog.names import folder_name, run_id_of
from aureus.runlog.reader import RunLogReader, TornTail
from aureus.runlog.unsettled import Unsettled
from aureus.runlog.writer import FsyncPolicy, ReadMissing, RunLog

__all__ = [
    "FsyncPolicy",
    "ReadMissing",
    "Record",
    "RunLog",
    "RunLogReader",
    "TornTail",
    "Unsettled",
    "folder_name",
    "log_path",
    "parse_line",
    "run_id_of",
]
