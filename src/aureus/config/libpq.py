"""What libpq calls its connection parameters, and which variable stands in for each.

From the PostgreSQL manual, "Parameter Key Words" and "Environment Variables", as of libpq 18. Left out are
``replication`` (no store works over it), ``client_encoding`` (always UTF-8 here) and the debugging aids.
"""

from __future__ import annotations

ENVIRONMENT: dict[str, str] = {
    "hostaddr": "PGHOSTADDR",
    "options": "PGOPTIONS",
    "channel_binding": "PGCHANNELBINDING",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcertmode": "PGSSLCERTMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI",
    "requirepeer": "PGREQUIREPEER",
    "require_auth": "PGREQUIREAUTH",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "gssdelegation": "PGGSSDELEGATION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
"""Parameters that are no settings of Aureus: they are handed to libpq as they stand."""

PARTS: dict[str, str] = {
    "host": "database.host",
    "port": "database.port",
    "dbname": "database.name",
    "user": "database.user",
    "password": "database.password",
    "passfile": "database.passfile",
    "service": "database.service",
}
"""Parameters that say where the database is and who connects, with the setting for each."""

WITHOUT_VARIABLE = frozenset({
    "fallback_application_name", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
    "tcp_user_timeout", "sslpassword", "scram_client_key", "scram_server_key",
    "oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope",
})  # fmt: skip

KEYWORDS = frozenset(ENVIRONMENT) | frozenset(PARTS) | WITHOUT_VARIABLE

SECRETS = frozenset(
    {"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}
)
