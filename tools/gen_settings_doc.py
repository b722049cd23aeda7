"""Write docs/reference/settings.md from the table of settings; a test holds the page to what this makes.

The page's cases of disagreement live here and not in the package: the page shows them and a test carries out each
one, so that what is written about two names that contradict each other is what happens.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from aureus.config import libpq
from aureus.config.later import LATER
from aureus.config.table import SETTINGS, Alias, Setting
from aureus.config.values import limits

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "settings.md"

REFUSED = "refused"


class Case(NamedTuple):
    """What several places say about the store, what comes of it, and why."""

    says: tuple[tuple[str, str, str], ...]
    """Place, name and value; the places are argument, flag, environment, .env and aureus.toml."""
    store: str
    """The store's description, with ``.`` for the working directory; or ``refused``."""
    why: str


_ENV, _FLAG, _ARGUMENT, _DOTENV, _TOML = "environment", "flag", "argument", ".env", "aureus.toml"
_PG = "postgresql://db.example/app"
_AT_PG = "PostgreSQL db.example:5432/app schema aureus"
_FILE = "SQLite ./var/aureus.db"
_MEMORY = "SQLite in memory"
_PARTS = "PostgreSQL localhost:5432/aureus schema aureus"

CASES: tuple[Case, ...] = (
    Case((), _FILE, "the default: nothing to install, nothing lost"),
    Case(((_ENV, "STATE_STORE_TYPE", "in-memory"),), _MEMORY, "the word is obeyed when nothing speaks against it"),
    Case(((_ENV, "STATE_STORE_TYPE", "memory"),), _MEMORY, "both words of the old documents mean the same"),
    Case(((_ENV, "STATE_STORE_TYPE", "postgres"),), _PARTS, "built from `DATABASE_*` and their defaults"),
    Case(
        ((_ENV, "STATE_STORE_TYPE", "postgres"), (_ENV, "DATABASE_HOST", "db.example"), (_ENV, "DATABASE_NAME", "app")),
        _AT_PG, "built from `DATABASE_*`",
    ),
    Case(((_ENV, "DATABASE_URL", _PG),), _AT_PG, "a URL says enough by itself"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "auto"), (_ENV, "DATABASE_URL", _PG)), _AT_PG, "`auto` follows the URL"),
    Case(((_ENV, "AUREUS_DATABASE_BACKEND", "auto"), (_ENV, "STATE_STORE_TYPE", "postgres")), _FILE,
         "`auto` is a word too, and here the stronger one"),
    Case(
        ((_ENV, "STATE_STORE_TYPE", "postgres"), (_ENV, "AUREUS_DATABASE_HOST", "other.example"),
         (_ENV, "DATABASE_URL", _PG)),
        "PostgreSQL other.example:5432/aureus schema aureus", "Aureus's own name is stronger than a foreign one",
    ),
    Case(((_ENV, "DATABASE_HOST", "db.example"),), _FILE,
         "foreign parts select nothing by themselves; a warning says so"),
    Case(((_ENV, "PGHOST", "db.example"),), _FILE, "libpq's variables select nothing by themselves"),
    Case(((_ENV, "AUREUS_DATABASE_HOST", "db.example"),), "PostgreSQL db.example:5432/aureus schema aureus",
         "a host named to Aureus means PostgreSQL"),
    Case(((_ENV, "STATE_STORE_TYPE", "in-memory"), (_ENV, "DATABASE_URL", "sqlite:///:memory:")), _MEMORY,
         "no contradiction"),
    Case(((_ENV, "STATE_STORE_TYPE", "in-memory"), (_ENV, "DATABASE_URL", "sqlite:///own.db")), "SQLite ./own.db",
         "equally strong: forgetting would be worse; with a warning"),
    Case(((_ENV, "STATE_STORE_TYPE", "in-memory"), (_ENV, "DATABASE_URL", _PG)), _AT_PG,
         "equally strong: forgetting would be worse; with a warning"),
    Case(((_DOTENV, "STATE_STORE_TYPE", "in-memory"), (_ENV, "DATABASE_URL", _PG)), _AT_PG,
         "the environment is stronger"),
    Case(((_ENV, "STATE_STORE_TYPE", "in-memory"), (_DOTENV, "DATABASE_URL", _PG)), _MEMORY,
         "the environment is stronger"),
    Case(((_FLAG, "--state-store-type", "in-memory"), (_ENV, "DATABASE_URL", _PG)), _MEMORY,
         "a flag is stronger; in the old system the URL won even against it"),
    Case(((_FLAG, "--state-store-type", "postgres"), (_ENV, "DATABASE_URL", _PG)), _AT_PG, "no contradiction"),
    Case(
        ((_FLAG, "--state-store-type", "sqlite"), (_ENV, "AUREUS_DATABASE_HOST", "db.example"),
         (_ENV, "DATABASE_URL", "sqlite:///own.db")),
        "SQLite ./own.db", "a flag is stronger; the strongest URL of its kind is taken",
    ),
    Case(((_FLAG, "--state-store-type", "postgres"), (_TOML, "database.url", "sqlite:///x.db")), _PARTS,
         "a flag is stronger than a file; the address comes from the parts"),
    Case(((_FLAG, "--dsn", _PG), (_ENV, "STATE_STORE_TYPE", "in-memory")), _AT_PG, "a flag is stronger"),
    Case(((_FLAG, "--dsn", _PG), (_FLAG, "--state-store-type", "in-memory")), REFUSED, "one hand, two opposite wishes"),
    Case(((_ARGUMENT, "database.url", "sqlite://"), (_FLAG, "--dsn", _PG)), _MEMORY, "an argument is the strongest"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "sqlite"), (_ENV, "DATABASE_URL", _PG)), _FILE,
         "Aragora's documented way back to SQLite leaves the URL in place; with a warning"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "sqlite"), (_ENV, "DATABASE_URL", "sqlite:///own.db")), "SQLite ./own.db",
         "no contradiction"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "sqlite"), (_ENV, "AUREN_DB_DSN", "host=db.example dbname=app")), _FILE,
         "the same for the keyword form; with a warning"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "postgres"), (_ENV, "AUREN_DB_DSN", "host=db.example dbname=app")), _AT_PG,
         "no contradiction"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "sqlite"), (_ENV, "DATABASE_URL", "mysql://db.example/app")), _FILE,
         "a URL of another program; with a warning"),
    Case(((_ENV, "DATABASE_URL", "mysql://db.example/app"),), REFUSED, "no guess is made about whose mistake it is"),
    Case(((_ENV, "AUREUS_DATABASE_BACKEND", "memory"), (_ENV, "AUREUS_DATABASE_HOST", "db.example")), REFUSED,
         "one hand, two opposite wishes"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "postgresql"), (_ENV, "DATABASE_URL", "sqlite:///own.db")), _PARTS,
         "equally strong: the word wins; with a warning"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "sqlite"), (_ENV, "AUREUS_DATABASE_URL", _PG)), _AT_PG,
         "Aureus's own name is stronger than a foreign one"),
    Case(((_ENV, "AUREUS_DATABASE_BACKEND", "sqlite"), (_ENV, "DATABASE_URL", _PG)), _FILE,
         "Aureus's own name is stronger than a foreign one"),
    Case(((_ENV, "AUREUS_DATABASE_BACKEND", "sqlite"), (_ENV, "AUREUS_DATABASE_URL", _PG)), REFUSED,
         "one hand, two opposite wishes"),
    Case(((_TOML, "database.backend", "memory"), (_TOML, "database.url", _PG)), REFUSED,
         "one hand, two opposite wishes"),
    Case(((_ENV, "AUREUS_DATABASE_HOST", "other.example"), (_ENV, "DATABASE_URL", _PG)),
         "PostgreSQL other.example:5432/aureus schema aureus", "Aureus's own name is stronger than a foreign one"),
    Case(((_ENV, "AUREUS_DATABASE_HOST", "other.example"), (_ENV, "AUREUS_DATABASE_URL", _PG)), _AT_PG,
         "a URL wins over parts of the same strength; a warning names the part"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "supabase"), (_ENV, "SUPABASE_POSTGRES_DSN", _PG)), _AT_PG, "no contradiction"),
    Case(((_ENV, "ARAGORA_DB_BACKEND", "supabase"),), REFUSED, "Supabase has no default host"),
    Case(((_ENV, "SUPABASE_POSTGRES_DSN", _PG), (_ENV, "DATABASE_URL", "postgresql://b.example/b")), _AT_PG,
         "names that carry a product come before general ones; with a warning"),
    Case(((_ENV, "ARAGORA_POSTGRES_DSN", _PG), (_ENV, "DATABASE_URL", "postgresql://b.example/b")), _AT_PG,
         "as Aragora had it; with a warning"),
    Case(((_ENV, "DATABASE_URL", _PG), (_DOTENV, "AUREUS_DATABASE_URL", "sqlite:///own.db")), _AT_PG,
         "the environment is stronger than a file, whatever the name; with a warning"),
    Case(((_ENV, "DATABASE_URL", _PG), (_TOML, "database.url", "sqlite:///own.db")), _AT_PG,
         "the environment is stronger than a file; with a warning"),
)  # fmt: skip

_INTRODUCTION = r"""# Settings

Made from the table in `src/aureus/config/table.py` by `python -m tools.gen_settings_doc`; do not edit it here.
`aureus config show` prints what is in force, and who said it.

## Who wins

1. a call argument: `Aureus("postgresql://…", tenant="acme")`
2. a command-line flag: `--dsn`
3. the environment
4. `.env` in the working directory
5. `aureus.toml` in the working directory
6. the default

A stronger place wins over every name in a weaker one. Inside one place Aureus's own name (`AUREUS_…`) wins, then what
the database URL says in its options, then the other names in the order given below: names that carry a product's name,
general names, libpq's. A variable that is empty says nothing. A name that loses against a different name with a
different value is reported as a warning.

Numbers without a unit are in the unit of their name. Times may be written with one (`500ms`, `90s`, `1h30m`). `0`
and `none` mean "no limit" where there may be none. Relative paths start at the working directory.

**Secrets in files.** Every name of a secret has a twin that ends in `_FILE` and holds a path:
`AUREUS_DATABASE_URL_FILE`, `DATABASE_PASSWORD_FILE`, in aureus.toml `url_file`. Line breaks at the end are cut off.
Both at once are refused. A file that everybody may read is reported, except below `/run/secrets`. A secret is shown
as `***`.

**`.env`.** Lines are `NAME=value`, with `export` before the name or not. In single quotes a value is taken as it
stands, in double quotes `\n \r \t \" \\ \$` are known, and both may span lines; without quotes it ends before ` #`.
Nothing is expanded, and no directory above the working directory is searched.

**Mistakes.** An unknown key in aureus.toml, a value of the wrong type or out of range, a file that cannot be read: the
program does not start, and says which setting it is and where it stands. An unknown `AUREUS_…` variable is a warning,
because other programs may use the prefix.
"""

_URLS = """## Database URLs

| URL | Meaning |
|---|---|
| `sqlite:///var/aureus.db` | a file, relative to the working directory |
| `sqlite:////var/lib/aureus.db` | a file, absolute |
| `sqlite://`, `sqlite:///:memory:` | memory, gone with the process |
| `postgresql://user:password@host:5432/database` | PostgreSQL; `postgres://` and `postgresql+driver://` too |
| `postgresql://user@/database?host=/run/postgresql` | over a Unix socket |
| `postgresql://a:5432,b:5432/database?target_session_attrs=read-write` | several hosts |
| `host=… dbname=… user=…` | libpq's keyword form |

In a password `@ / ? %` and the like are percent-encoded. What the URL leaves out comes from `AUREUS_DATABASE_HOST`,
`…_PORT`, `…_NAME`, `…_USER`, `…_PASSWORD`, then from libpq's variables; `DATABASE_PASSWORD` and its siblings complete a
`DATABASE_URL` and no other. An option that neither libpq nor Aureus knows is refused.

**TLS.** To another host the default is `sslmode=verify-full`, checked against `~/.postgresql/root.crt` where that
exists, else against the certificates the operating system trusts. `verify-ca`, `require` and `disable` have to be
asked for; the last two are warned about. `prefer` and `allow` are refused: they give way to plain text.
`DATABASE_SSL=true` and `ssl=true` mean `verify-full`, `false` means `disable`. This machine is: no host, a Unix socket,
`localhost`, a loopback address. A section of a service file counts as another host, and its own `sslmode` is overruled.

**Poolers.** `pgbouncer=true`, the ports 6543 and 6432 and hosts named `…-pooler` turn prepared statements off.

**Creating the schema.** Opening a database creates or upgrades its schema on SQLite, on this machine, and where the
database was named to Aureus: by argument, flag or an `AUREUS_…` variable. A `DATABASE_URL` found in the environment,
or a URL in aureus.toml, that leads to another host does not get a schema in silence: run `aureus db init` once.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; with ``--check`` say whether it is up to date. Return the exit code."""
    page = render()
    if "--check" in (sys.argv[1:] if arguments is None else arguments):
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    return 0


def render() -> str:
    """Return the page."""
    return "\n".join((
        _INTRODUCTION, _URLS, *_cases(), *_settings(), *_passed_on(), *_later(), *_example(),
    ))  # fmt: skip


def _cases() -> Iterator[str]:
    yield "## When names disagree about the store\n"
    yield "A URL, a backend word and a host named to Aureus each select a store. The strongest wins: by place, then"
    yield "Aureus's own names before foreign ones. Each line is carried out by a test.\n"
    yield "| Said | Store | Why |"
    yield "|---|---|---|"
    for case in CASES:
        said = (
            "<br>".join(f"{place}: `{name}={value}`" for place, name, value in case.says)
            or "nothing"
        )
        yield f"| {said} | {case.store} | {case.why} |"
    yield ""


def _settings() -> Iterator[str]:
    sections: dict[str, list[Setting]] = {}
    for setting in SETTINGS:
        section, dot, _ = setting.key.rpartition(".")
        sections.setdefault(section if dot else "", []).append(setting)
    for section, settings in sections.items():
        yield f"## `[{section}]`\n" if section else "## Without a section\n"
        for setting in settings:
            yield from _setting(setting)


def _setting(setting: Setting) -> Iterator[str]:
    yield f"### `{setting.key}`\n"
    yield f"{setting.description}\n"
    yield f"- environment: `{setting.variable}`" + (
        f", `{setting.variable}_FILE`" if setting.is_secret else ""
    )
    if setting.url_options:
        yield f"- in a database URL: {_names(setting.url_options)}"
    if setting.aliases:
        yield f"- other names: {_names(setting.aliases)}" + (
            " (each also with `_FILE`)" if setting.is_secret else ""
        )
    if setting.flags:
        yield f"- flags: {', '.join(f'`{flag}`' for flag in setting.flags)}"
    yield f"- accepts: {_accepted(setting)}"
    if "Default:" not in setting.description:
        yield f"- default: {_default(setting)}"
    yield ""


def _names(aliases: Iterable[Alias]) -> str:
    def name(alias: Alias) -> str:
        unit = f" ({alias.unit})" if alias.unit else ""
        return f"`{alias.name}`{unit}" + (f" + `{alias.plus}`" if alias.plus else "")

    return ", ".join(name(alias) for alias in aliases)


def _accepted(setting: Setting) -> str:
    if setting.kind == "choice":
        words = ", ".join(f"`{word}`" for word in setting.choices)
        also = ", ".join(f"`{word}` ({meaning})" for word, meaning in setting.synonyms)
        return words + (f"; also {also}" if also else "")
    if setting.kind == "seconds":
        return f"{limits(setting)}; a plain number is seconds"
    if setting.kind == "path":
        return "a path"
    return "a database URL" if setting.kind == "url" else limits(setting)


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "no limit" if setting.may_be_none else "none"
    return f"`{setting.default}`" + (" s" if setting.kind == "seconds" else "")


def _passed_on() -> Iterator[str]:
    yield "## Handed on to libpq\n"
    yield "These variables, from the environment or `.env`, reach libpq as they stand, and so do the options in a URL"
    yield "that they stand for:"
    yield f"{', '.join(f'`{name}`' for name in sorted(libpq.ENVIRONMENT.values()))}. In a URL also:"
    yield f"{', '.join(f'`{name}`' for name in sorted(libpq.WITHOUT_VARIABLE))}.\n"


def _later() -> Iterator[str]:
    yield "## Known, not used by this release\n"
    yield "Names of the four systems that are no errors here. Those marked ⚠ ask for a protection: turning them on"
    yield "gives a warning.\n"
    yield "| Names | What they are about |"
    yield "|---|---|"
    for later in LATER:
        yield f"| {', '.join(f'`{name}`' for name in later.names)} | {'⚠ ' if later.protects else ''}{later.meaning} |"
    yield ""


def _example() -> Iterator[str]:
    yield "## An aureus.toml with every default\n"
    yield "```toml"
    yield from example_lines()
    yield "```\n"


def example_lines() -> Iterator[str]:
    """Return an aureus.toml that sets everything that has a default to it; a test loads it."""
    section = ""
    for setting in sorted(SETTINGS, key=lambda setting: "." in setting.key):
        if setting.default is None or (setting.is_part and setting.key != "database.directory"):
            continue
        before, dot, name = setting.key.rpartition(".")
        if dot and before != section:
            section = before
            yield f"\n[{section}]"
        value = setting.default
        yield f"{name} = {value if isinstance(value, int | float) else chr(34) + value + chr(34)}"


if __name__ == "__main__":
    raise SystemExit(main())
