-- The tables of the object store's index, version 3. Keys are bytes, so that they sort as S3 sorts them.

CREATE TABLE bucket (
    name       TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    policy     TEXT,
    encryption TEXT,
    cors       TEXT,
    tags       TEXT
) STRICT;

CREATE TABLE object (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket             TEXT NOT NULL REFERENCES bucket (name),
    key                BLOB NOT NULL,
    size               INTEGER NOT NULL,
    etag               TEXT NOT NULL,
    modified_ms        INTEGER NOT NULL,
    headers            TEXT NOT NULL,
    checksum_algorithm TEXT NOT NULL,
    checksum_type      TEXT NOT NULL,
    checksum           TEXT NOT NULL,
    upload             TEXT,
    encryption         TEXT,
    UNIQUE (bucket, key)
) STRICT;

CREATE TABLE object_blob (
    object   INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    number   INTEGER NOT NULL,
    blob     TEXT NOT NULL,
    start    INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (object, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_blob_blob ON object_blob (blob);

CREATE TABLE upload (
    id                 TEXT PRIMARY KEY,
    bucket             TEXT NOT NULL REFERENCES bucket (name) ON DELETE CASCADE,
    key                BLOB NOT NULL,
    created_ms         INTEGER NOT NULL,
    creator            TEXT NOT NULL,
    headers            TEXT NOT NULL,
    checksum_algorithm TEXT NOT NULL,
    checksum_type      TEXT NOT NULL,
    checksum_asked     INTEGER NOT NULL,
    encryption         TEXT
) STRICT;
CREATE INDEX upload_key ON upload (bucket, key, id);

CREATE TABLE part (
    upload      TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    blob        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    checksum    TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX part_blob ON part (blob);

PRAGMA user_version = 3;
