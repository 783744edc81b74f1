# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL database with everything that is hard to carry over, and ways to tell whether two are equal."""

from __future__ import annotations

import subprocess
import typing as t

from .servers import Database

# A type, and values of it that are easily lost or changed.
VALUES: dict[str, t.Sequence[str]] = {
    "smallint": ("-32768", "32767"),
    "integer": ("-2147483648", "0"),
    "bigint": ("-9223372036854775808", "9223372036854775807"),
    "numeric": ("'NaN'", "'Infinity'", "'-Infinity'", "1.0", "1.00", "1e-1000", "-123456789012345678901234567890.123"),
    "numeric(10,2)": ("99999999.99", "'NaN'"),
    "real": ("'NaN'", "'-Infinity'", "'-0'", "1.1754944e-38", "3.4028235e38", "0.1"),
    "double precision": ("'NaN'", "'Infinity'", "'-0'", "5e-324", "1.7976931348623157e308", "0.1", "1e22"),
    "money": ("'12.34'", "'-92233720368547758.08'"),
    "boolean": ("true", "false"),
    "text": ("''", "E'\\\\N'", "E'tab\\there\\nand\\\\there\\x01'", "'Größe 価格 🛒'", "repeat('long ', 100000)"),
    "character varying(20)": ("''", "'trailing  '"),
    "character(5)": ("'ab'", "''"),
    '"char"': ("'x'", "''"),
    "name": ("'some name'",),
    "bytea": ("''", "'\\x00ff0a0d5c'", "decode(repeat('00', 100000), 'hex')"),
    "date": ("'4713-01-01 BC'", "'5874897-12-31'", "'infinity'", "'-infinity'", "'2024-02-29'"),
    "time": ("'24:00:00'", "'00:00:00.000001'"),
    "time with time zone": ("'23:59:59.999999+15:59'", "'00:00-15:59'"),
    "timestamp": ("'4713-01-01 00:00:00 BC'", "'294276-12-31 23:59:59.999999'", "'infinity'"),
    "timestamp with time zone": ("'2024-03-31 02:30:00 Europe/Berlin'", "'-infinity'", "'0001-01-01 00:00:00+00 BC'"),
    "interval": ("'1 day'", "'24 hours'", "'-1 mon +1 day -00:00:01.5'", "'178000000 years'"),
    "uuid": ("'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    "json": ('\'{"b": 1, "a": 1.00,   "b": 2}\'', "'null'"),
    "jsonb": ('\'{"b": 1.00, "a": [null, "\\u00e9"]}\'', "'1e400'"),
    "xml": ("'<a>&lt;</a>'", "'plain'"),
    "bit(5)": ("B'10101'",),
    "bit varying": ("B''", "B'1'"),
    "inet": ("'::ffff:1.2.3.4/128'", "'10.0.0.1/8'"),
    "cidr": ("'10.0.0.0/8'",),
    "macaddr": ("'08:00:2b:01:02:03'",),
    "macaddr8": ("'08:00:2b:01:02:03:04:05'",),
    "point": ("'(1e300,-0)'", "'(NaN,Infinity)'"),
    "line": ("'{1,2,3}'",),
    "lseg": ("'[(0,0),(1,1)]'",),
    "box": ("'((0,0),(1,1))'",),
    "path": ("'[(0,0),(1,1)]'", "'((0,0),(1,1))'"),
    "polygon": ("'((0,0),(1,1),(1,0))'",),
    "circle": ("'<(0,0),1>'",),
    "tsvector": ("'''a'':1A,2 ''b c'':3'", "''"),
    "tsquery": ("'''a'' & !''b'':*'",),
    "oid": ("4294967295",),
    "regclass": ("'nasty.every'", "'pg_class'"),
    "regtype": ("'nasty.mood'",),
    "pg_lsn": ("'16/B374D848'",),
    "int4range": ("'empty'", "'[1,)'", "'(,)'"),
    "numrange": ("'(1.0,2.00]'",),
    "tstzrange": ("'[2024-01-01,infinity)'",),
    "int4multirange": ("'{}'", "'{[1,2),[5,)}'"),
    "integer[]": ("'{}'", "'{1,NULL,3}'", "'[0:1][2:3]={{1,2},{3,4}}'"),
    "text[]": ("ARRAY['', NULL, 'NULL', 'a,b', E'\\\\\"']",),
    "nasty.mood": ("'it''s'", "'日本'"),
    "nasty.mood[]": ("'{\"it''s\",NULL}'",),
    "nasty.positive": ("1",),
    "nasty.pair": ("ROW(1, 'it''s', '{1,2}')", "ROW(NULL, NULL, NULL)"),
    "nasty.pair[]": ("ARRAY[ROW(1, 'it''s', NULL)::nasty.pair]",),
    "nasty.span": ("'[1.5,2.5)'",),
    "public.hstore": ('\'a=>NULL, "b"=>"\\""\'',),
    "public.citext": ("'CaSe'",),
}

SCHEMA = '''
CREATE SCHEMA nasty;
CREATE EXTENSION hstore WITH SCHEMA public;
CREATE EXTENSION citext WITH SCHEMA public;
CREATE TYPE nasty.mood AS ENUM ('it''s', '日本', '');
CREATE DOMAIN nasty.positive AS integer CHECK (VALUE > 0);
CREATE TYPE nasty.pair AS (a integer, m nasty.mood, n integer[]);
CREATE TYPE nasty.span AS RANGE (subtype = float8);
CREATE COLLATION nasty.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SET search_path = nasty, public;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    -- Name: stamp; Type: TABLE; Schema: nasty; Owner: -
    IF tg_op = 'INSERT' THEN new.note := new.note || ';
--
-- Name: fake; Type: TABLE; Schema: nasty; Owner: -
--
'; END IF;
    INSERT INTO nasty.log (what) VALUES (tg_op);
    RETURN coalesce(new, old);
END $body$;
CREATE FUNCTION twice(a integer) RETURNS integer LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT a * 2; END;
CREATE TABLE log (id bigserial PRIMARY KEY, what text);
CREATE TABLE parent (
    id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 7) PRIMARY KEY,
    name text NOT NULL UNIQUE, self bigint REFERENCES parent, note text DEFAULT 'it''s',
    CONSTRAINT "odd ""name""" CHECK (name <> '')
);
CREATE TABLE child (
    a integer, b uuid DEFAULT gen_random_uuid(), up bigint REFERENCES parent ON DELETE CASCADE, note text,
    doubled integer GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a, b)
);
ALTER TABLE parent ADD COLUMN favourite integer, ADD COLUMN gone text;
ALTER TABLE parent DROP COLUMN gone;
CREATE TABLE "Quo""ted; 'Table' %s" ("sel ect" integer PRIMARY KEY, "日本" text, "a.b" text);
CREATE TABLE worded (k text PRIMARY KEY, v integer);
CREATE TABLE blinded (k text COLLATE blind PRIMARY KEY, v integer);
CREATE TABLE keyless (v text, n numeric);
CREATE TABLE "empty" ();
CREATE TABLE wide (id integer PRIMARY KEY, document text);
CREATE UNLOGGED TABLE fleeting (id integer PRIMARY KEY);
CREATE TABLE measured (at date NOT NULL, v integer, PRIMARY KEY (at, v)) PARTITION BY RANGE (at);
CREATE TABLE measured_old PARTITION OF measured FOR VALUES FROM (MINVALUE) TO ('2024-01-01') PARTITION BY HASH (v);
CREATE TABLE measured_old_0 PARTITION OF measured_old FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE measured_old_1 PARTITION OF measured_old FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE measured_rest PARTITION OF measured DEFAULT;
CREATE INDEX measured_v ON measured (v);
CREATE TABLE base (id integer PRIMARY KEY, v text);
CREATE TABLE derived (extra text) INHERITS (base);
CREATE TABLE booked (room integer, during tsrange, EXCLUDE USING gist (during WITH &&));
CREATE TABLE later (id integer PRIMARY KEY, other integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX parent_lower ON parent (lower(name) text_pattern_ops) WHERE note IS NOT NULL;
CREATE INDEX child_up ON child USING hash (up);
CREATE INDEX child_both ON child (a DESC NULLS LAST) INCLUDE (note) WITH (fillfactor = 70);
CREATE STATISTICS child_stats (dependencies) ON a, up FROM child;
CREATE VIEW seen AS SELECT p.id, p.name, c.note FROM parent p LEFT JOIN child c ON c.up = p.id;
CREATE VIEW seen_twice WITH (security_barrier) AS SELECT * FROM seen WHERE id > 0;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n, max(up) AS up FROM child;
CREATE UNIQUE INDEX counted_n ON counted (n);
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA;
CREATE TRIGGER stamped BEFORE INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE RULE silent AS ON DELETE TO seen DO INSTEAD NOTHING;
CREATE POLICY mine ON worded USING (v > 0);
CREATE SEQUENCE lone INCREMENT -3 MINVALUE -1000 CYCLE;
COMMENT ON TABLE parent IS 'it''s
--
-- Name: fake; Type: TABLE; Schema: nasty; Owner: -
--
';
COMMENT ON COLUMN parent.name IS 'a name';
COMMENT ON INDEX parent_lower IS 'an index';
COMMENT ON TRIGGER stamped ON child IS 'a trigger';
'''

ROWS = """
SET search_path = nasty, public;
ALTER TABLE child DISABLE TRIGGER stamped;
INSERT INTO parent (name, self) SELECT 'p' || n, CASE WHEN n > 1 THEN 100 END FROM generate_series(1, 500) n;
INSERT INTO child (a, up, note) SELECT n % 50, 100 + 7 * (n % 500), 'note ' || n FROM generate_series(1, 3000) n;
ALTER TABLE child ENABLE TRIGGER stamped;
INSERT INTO "Quo""ted; 'Table' %s" VALUES (1, 'x', NULL), (-1, E'\\\\', '');
INSERT INTO worded SELECT chr(97 + n % 26) || '-' || n || repeat('_', n % 3), n FROM generate_series(1, 2000) n;
INSERT INTO blinded VALUES ('a', 1), ('Ä', 2), ('b', 3);
INSERT INTO keyless SELECT 'v' || n % 7, n / 3.0 FROM generate_series(1, 100) n;
INSERT INTO keyless VALUES (NULL, NULL), (NULL, NULL), ('twice', 1.0), ('twice', 1.0);
INSERT INTO "empty" DEFAULT VALUES;
INSERT INTO "empty" DEFAULT VALUES;
INSERT INTO wide SELECT n, repeat(md5(n::text), 2000) FROM generate_series(1, 300) n;
INSERT INTO fleeting VALUES (1);
INSERT INTO measured SELECT '2023-06-01'::date + n, n FROM generate_series(1, 1000) n;
INSERT INTO base VALUES (1, 'base');
INSERT INTO derived VALUES (1, 'derived', 'extra');
INSERT INTO booked VALUES (1, '[2024-01-01,2024-02-01)'), (2, '[2024-02-01,)');
INSERT INTO later VALUES (1, 2), (2, 1), (3, NULL);
SELECT setval('lone', -500), nextval('log_id_seq');
REFRESH MATERIALIZED VIEW counted;
"""


def build(database: Database) -> None:
    """Fill a database with all that a PostgreSQL database can hold."""
    database.execute(SCHEMA)
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(VALUES))
    database.execute(
        f"CREATE TABLE nasty.every (id integer PRIMARY KEY, {columns})", "INSERT INTO nasty.every VALUES (0)"
    )
    for row in range(max(len(values) for values in VALUES.values())):
        given = [f"({values[row % len(values)]})::{kind}" for kind, values in VALUES.items()]
        database.execute(f"INSERT INTO nasty.every VALUES ({row + 1}, {', '.join(given)})")
    database.execute(ROWS)


def definitions(database: Database) -> list[str]:
    """What pg_dump says of it, which is an authority of its own."""
    options = ("--schema-only", "--exclude-schema=migration_assistant", "--no-password", "--username=postgres")
    where = ("--host", database.server.directory, "--port", str(database.server.port), database.name)
    done = subprocess.run(["pg_dump", *options, *where], check=True, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def rows(database: Database) -> dict[str, list[t.Any]]:
    """All rows of all tables, as the server prints them, and where the sequences are."""
    found: dict[str, list[t.Any]] = {}
    relations = database.rows(
        "SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'S')"
        " AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'migration_assistant')"
        " AND NOT (c.relkind = 'm' AND NOT c.relispopulated)"
    )
    for name, kind in relations:
        what = "last_value, is_called" if kind == "S" else "t::text"
        only = "ONLY" if kind == "r" else ""
        found[name] = sorted(database.rows(f"SELECT {what} FROM {only} {name} t"))
    return found
