-- The catalog's tables as format 1 had them.
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO counter (name, value) VALUES ('sequence', 1);
CREATE TABLE schema (
    arn TEXT PRIMARY KEY, name TEXT NOT NULL, document TEXT NOT NULL, domain TEXT,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE dataset_group (
    arn TEXT PRIMARY KEY, name TEXT NOT NULL, domain TEXT, status TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE dataset (
    id INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    group_arn TEXT NOT NULL REFERENCES dataset_group (arn), dataset_type TEXT NOT NULL,
    schema_arn TEXT NOT NULL REFERENCES schema (arn), layout TEXT NOT NULL, status TEXT NOT NULL,
    flushed_position INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX dataset_group_arn ON dataset (group_arn);
CREATE TABLE event_tracker (
    arn TEXT PRIMARY KEY, name TEXT NOT NULL, tracking_id TEXT NOT NULL UNIQUE,
    group_arn TEXT NOT NULL UNIQUE REFERENCES dataset_group (arn), status TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT, dataset_id INTEGER NOT NULL, origin TEXT NOT NULL,
    schema_version INTEGER NOT NULL, sequence_base INTEGER NOT NULL, row_count INTEGER NOT NULL,
    record_count INTEGER NOT NULL, csv_bytes INTEGER NOT NULL, object TEXT NOT NULL UNIQUE,
    size_bytes INTEGER NOT NULL, listed INTEGER NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX run_dataset ON run (dataset_id, listed);
CREATE TABLE run_pin (
    job_arn TEXT NOT NULL, run_id INTEGER NOT NULL REFERENCES run (id), PRIMARY KEY (job_arn, run_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE attempt (id TEXT PRIMARY KEY, started_ms INTEGER NOT NULL) STRICT;
CREATE TABLE job (
    number INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL UNIQUE, name TEXT NOT NULL, kind TEXT NOT NULL,
    dataset_arn TEXT NOT NULL, dataset_id INTEGER NOT NULL, role_arn TEXT NOT NULL, request TEXT NOT NULL,
    status TEXT NOT NULL, failure_reason TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL, fence INTEGER NOT NULL, lease_until_ms INTEGER NOT NULL,
    snapshot TEXT, plan TEXT, report TEXT, rows_done INTEGER NOT NULL, rows_total INTEGER NOT NULL,
    bytes_done INTEGER NOT NULL
) STRICT;
CREATE TABLE upload (
    job_arn TEXT NOT NULL, object_key TEXT NOT NULL, upload_id TEXT NOT NULL, PRIMARY KEY (job_arn, upload_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_dataset ON job (dataset_arn, kind);
CREATE INDEX job_open ON job (status) WHERE status IN ('CREATE PENDING', 'CREATE IN_PROGRESS');
CREATE TABLE tag (
    resource_arn TEXT NOT NULL, tag_key TEXT NOT NULL, tag_value TEXT NOT NULL,
    PRIMARY KEY (resource_arn, tag_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE role (
    arn TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, trust_policy TEXT NOT NULL,
    description TEXT, max_session_s INTEGER NOT NULL, tags TEXT NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX role_name ON role (name COLLATE NOCASE);
CREATE TABLE role_policy (
    role_arn TEXT NOT NULL REFERENCES role (arn), name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (role_arn, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE policy (
    arn TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, path TEXT NOT NULL, document TEXT NOT NULL,
    description TEXT, tags TEXT NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX policy_name ON policy (name COLLATE NOCASE);
CREATE TABLE attachment (
    role_arn TEXT NOT NULL REFERENCES role (arn), policy_arn TEXT NOT NULL REFERENCES policy (arn),
    PRIMARY KEY (role_arn, policy_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachment_policy ON attachment (policy_arn);
PRAGMA user_version = 1;
