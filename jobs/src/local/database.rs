//! The database file: how it is opened, what is in it, and what a killed process leaves in it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

/// Times are milliseconds since 1970.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS messages (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        body        TEXT NOT NULL,
        visible_at  INTEGER NOT NULL,
        receives    INTEGER NOT NULL DEFAULT 0,
        ticket      TEXT,
        dead_at     INTEGER
    ) STRICT;
    CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (visible_at) WHERE dead_at IS NULL;
    CREATE INDEX IF NOT EXISTS messages_by_receives ON messages (receives) WHERE dead_at IS NULL AND receives > 1;
    CREATE INDEX IF NOT EXISTS messages_by_ticket ON messages (ticket);

    CREATE TABLE IF NOT EXISTS jobs (
        id           TEXT PRIMARY KEY,
        template     TEXT NOT NULL,
        status       TEXT NOT NULL,
        attempts     INTEGER NOT NULL DEFAULT 0,
        enqueued_at  INTEGER NOT NULL,
        started_at   INTEGER,
        finished_at  INTEGER,
        pages        INTEGER,
        bytes        INTEGER,
        error        TEXT,
        notified_at  INTEGER,
        owner        TEXT,
        lease_until  INTEGER NOT NULL DEFAULT 0,
        expires_at   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Whoever held a message or a lease before this process is gone: the folder's lock says so.
const TAKE_BACK: &str = "
    UPDATE messages SET visible_at = 0 WHERE ticket IS NOT NULL AND dead_at IS NULL;
    UPDATE jobs SET lease_until = 0 WHERE lease_until > 0;
";

/// Opens the database, with every commit on disk before it returns.
pub(super) async fn open(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    sqlx::raw_sql(TAKE_BACK).execute(&pool).await?;
    Ok(pool)
}
