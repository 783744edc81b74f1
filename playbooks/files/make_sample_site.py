# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the sample that migrate.yml moves when it is given nothing else: the files of a site and its shop database.

Usage: make_sample_site.py DIRECTORY

The same files and rows come out every time. DIRECTORY appears only when it is complete.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
from pathlib import Path

SEED = 20260101
EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z
ORDERS = 30_000
ITEMS = 90_000
CUSTOMERS = 5_000
PRODUCTS = 1_500

# How many files of which sizes in bytes.
SIZES = ((2500, 0, 12_000), (420, 12_000, 60_000), (40, 100_000, 400_000), (4, 1_500_000, 3_000_000))
FOLDERS = ("css", "js", "images/products", "images/banners", "uploads/2025/11", "uploads/2025/12", "templates", "docs")
ODD_NAMES = (
    b"name with spaces.txt",
    b"-starts-with-a-dash",
    b'quote\'s and "double".html',
    b"line\nbreak.txt",
    b"back\\slash.txt",
    b"star * and question ?.txt",
    b"$HOME; rm -rf `id`.txt",
    "Größe, 価格, цена 🛒.txt".encode(),
    "composed-é.txt".encode(),
    "decomposed-e\u0301.txt".encode(),
    b"not-utf8-\xff\xfe-\xe9.txt",
    b"." + b"hidden" * 3,
    b"n" * 251 + b".txt",
    b"trailing space ",
    b"{{ not_a_template }}.txt",
)

SCHEMA = """
PRAGMA page_size = 4096;
CREATE TABLE customers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    email TEXT COLLATE NOCASE NOT NULL UNIQUE,
    born DATE,
    note TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE products (
    sku TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    price DECIMAL(10, 2) NOT NULL CHECK (price >= 0),
    weight REAL,
    thumbnail BLOB,
    label TEXT GENERATED ALWAYS AS (title || ' (' || sku || ')') VIRTUAL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    placed_at DATETIME NOT NULL,
    paid BOOLEAN,
    comment TEXT
);
CREATE TABLE order_items (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    line INTEGER NOT NULL,
    sku TEXT NOT NULL REFERENCES products (sku),
    quantity INTEGER NOT NULL DEFAULT 1,
    price DECIMAL(10, 2) NOT NULL,
    total AS (quantity * price) STORED,
    PRIMARY KEY (order_id, line)
) WITHOUT ROWID;
CREATE TABLE anything (value);
CREATE INDEX orders_by_customer ON orders (customer_id, placed_at DESC);
CREATE INDEX unpaid_orders ON orders (placed_at) WHERE paid IS NOT 1;
CREATE INDEX customers_by_domain ON customers (substr(email, instr(email, '@') + 1));
CREATE VIEW revenue AS
    SELECT substr(o.placed_at, 1, 7) AS month, sum(i.total) AS total
    FROM orders AS o JOIN order_items AS i ON i.order_id = o.id GROUP BY month;
CREATE TABLE audit (at TEXT, what TEXT);
CREATE TRIGGER customer_removed AFTER DELETE ON customers BEGIN
    INSERT INTO audit VALUES (datetime('now'), 'removed ' || old.name);
END;
PRAGMA user_version = 7;
PRAGMA application_id = 1397703760;
"""

NAMES = ("Ana", "Björn", "Chloé", "Đorđe", "Efi Παπά", "Фёдор", "Grete", "花子", "이준", "Zoë", "O'Neil", "محمد")
WORDS = ("lamp", "chair", "Tasse", "vélo", "книга", "傘", "shirt", "kettle", "mug", "poster")


def make_files(site: Path, rng: random.Random) -> None:
    pool = rng.randbytes(4 << 20)
    number = 0
    for count, lowest, highest in SIZES:
        for _number in range(count):
            folder = site / FOLDERS[number % len(FOLDERS)] / f"{number % 13:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            size = rng.randint(lowest, highest)
            start = rng.randrange(len(pool) - size)
            write(os.fsencode(folder / f"file-{number:05d}.bin"), pool[start : start + size], number)
            number += 1
    odd = site / "odd names"
    odd.mkdir()
    for index, name in enumerate(ODD_NAMES):
        write(os.path.join(os.fsencode(odd), name), name * 20, index)
    make_links(site)
    with open(site / "uploads" / "sparse.img", "wb") as sparse:
        sparse.seek(8 << 20)
        sparse.write(b"the end")
    (site / "uploads" / "empty directory").mkdir(mode=0o750)
    deep = site
    for level in range(30):
        deep = deep / f"level-{level}"
    deep.mkdir(parents=True)
    write(os.fsencode(deep / "bottom.txt"), b"deep down\n", 1)
    for folder, _folders, files in os.walk(os.fsencode(site), topdown=False):
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                os.utime(path, ns=(stamp(5), stamp(5)), follow_symlinks=False)
        os.utime(folder, ns=(stamp(3), stamp(3)))


def make_links(site: Path) -> None:
    (site / "current").symlink_to("templates")
    (site / "dangling").symlink_to("nowhere/at all")
    (site / "index.html").symlink_to("templates/06/file-00006.bin")
    os.link(site / "css" / "00" / "file-00000.bin", site / "css" / "same-file.css")
    script = site / "templates" / "run.sh"
    write(os.fsencode(script), b"#!/bin/sh\necho hello\n", 2)
    script.chmod(0o755)
    secret = site / ".env"
    write(os.fsencode(secret), b"SECRET=sample\n", 9)
    secret.chmod(0o600)


def write(path: bytes, content: bytes, number: int) -> None:
    with open(path, "wb") as stream:
        stream.write(content)
    os.chmod(path, 0o640 if number % 7 == 0 else 0o644)
    os.utime(path, ns=(stamp(number), stamp(number)))


def stamp(number: int) -> int:
    """A time in nanoseconds, with digits in every place."""
    return (EPOCH - number * 977) * 1_000_000_000 + (number * 123_456_789) % 1_000_000_000


def make_database(path: Path, rng: random.Random) -> None:
    with sqlite3.connect(path) as shop:
        shop.executescript(SCHEMA)
        shop.executemany(
            "INSERT INTO customers (id, name, email, born, note, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    number,
                    f"{NAMES[number % len(NAMES)]} {number}",
                    f"User{number}@example-{number % 40}.org",
                    None if number % 11 == 0 else f"{1950 + number % 60}-{1 + number % 12:02d}-{1 + number % 28:02d}",
                    None if number % 3 else "line one\nline two\ttab 'quoted' \"twice\" \\ back",
                    moment(number),
                )
                for number in range(1, CUSTOMERS + 1)
            ),
        )
        shop.execute("DELETE FROM customers WHERE id > ?", (CUSTOMERS - 10,))
        shop.execute("DELETE FROM audit")
        shop.executemany(
            "INSERT INTO products (sku, title, price, weight, thumbnail) VALUES (?, ?, ?, ?, ?)",
            (
                (
                    f"SKU-{number:05d}",
                    f"{WORDS[number % len(WORDS)]} №{number}",
                    f"{rng.randint(0, 99999) / 100:.2f}",
                    None if number % 5 == 0 else rng.random() * 100,
                    rng.randbytes(rng.randint(0, 2000)) if number % 2 else None,
                )
                for number in range(PRODUCTS)
            ),
        )
        shop.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            (
                (
                    number,
                    rng.randint(1, CUSTOMERS - 10),
                    moment(number * 7),
                    (None, 0, 1)[number % 3],
                    "" if number % 2 else None,
                )
                for number in range(1, ORDERS + 1)
            ),
        )
        shop.executemany(
            "INSERT INTO order_items (order_id, line, sku, quantity, price) VALUES (?, ?, ?, ?, ?)",
            (
                (
                    1 + number // 3,
                    number % 3,
                    f"SKU-{rng.randrange(PRODUCTS):05d}",
                    rng.randint(1, 9),
                    rng.randint(0, 99999) / 100,
                )
                for number in range(ITEMS)
            ),
        )
        extremes = (
            None,
            0,
            -1,
            2**63 - 1,
            -(2**63),
            0.1,
            1e308,
            float("inf"),
            "",
            "text",
            b"",
            b"\x00\xff",
            "12",
            12.0,
        )
        shop.executemany("INSERT INTO anything VALUES (?)", ((value,) for value in extremes))
        shop.execute("INSERT INTO anything VALUES (CAST(x'ff00fe' AS TEXT))")
    shop.close()


def moment(number: int) -> str:
    day = f"{2020 + number % 6}-{1 + number % 12:02d}-{1 + number % 28:02d}"
    return f"{day} {number % 24:02d}:{number % 60:02d}:{number % 59:02d}"


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    building = directory.with_name(directory.name + ".making")
    if building.exists():
        shutil.rmtree(building)
    (building / "site").mkdir(parents=True)
    rng = random.Random(SEED)
    make_files(building / "site", rng)
    make_database(building / "shop.sqlite3", rng)
    building.rename(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
