//! The database file: how it is opened, what is in it, and what a killed process leaves in it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Sqlite, SqliteConnection};
use tokio::sync::MutexGuard;

use super::readers::Readers;
use super::writer::{Writer, Writing};

/// How long a lock on the file is waited for, which only another program can hold.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many callers may read at the same time.
const READERS: usize = 4;

/// The schema, in the steps it grew by; `PRAGMA user_version` counts the steps a database has taken. Times are
/// milliseconds since 1970.
const STEPS: [&str; 14] = [
    "
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
    ",
    "
    ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN options TEXT;
    ALTER TABLE jobs ADD COLUMN notify TEXT;
    ALTER TABLE jobs ADD COLUMN input TEXT;
    ALTER TABLE jobs ADD COLUMN set_aside INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN reopened INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN overdue_at INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX jobs_to_settle ON jobs (overdue_at) WHERE notified_at IS NULL;
    CREATE INDEX jobs_by_expiry ON jobs (expires_at);
    CREATE INDEX jobs_by_lease ON jobs (lease_until) WHERE lease_until > 0;
    CREATE INDEX messages_set_aside ON messages (dead_at) WHERE dead_at IS NOT NULL;
    CREATE INDEX messages_by_job ON messages (iif(json_valid(body), body ->> '$.id', NULL));

    CREATE TABLE idempotency_keys (
        key          TEXT PRIMARY KEY,
        fingerprint  TEXT NOT NULL,
        job_id       TEXT NOT NULL,
        enqueued_at  INTEGER NOT NULL,
        confirmed    INTEGER NOT NULL DEFAULT 0,
        expires_at   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
    ",
    "
    CREATE INDEX jobs_by_status ON jobs (status, id);
    CREATE INDEX jobs_by_template ON jobs (template, id);
    ",
    "
    ALTER TABLE jobs ADD COLUMN progress TEXT;
    ALTER TABLE jobs ADD COLUMN webhook TEXT;
    ALTER TABLE messages ADD COLUMN queue TEXT NOT NULL DEFAULT 'jobs';
    DROP INDEX messages_by_visibility;
    CREATE INDEX messages_by_visibility ON messages (queue, visible_at) WHERE dead_at IS NULL;
    DROP INDEX messages_by_job;
    CREATE INDEX messages_by_job ON messages (iif(json_valid(body), body ->> '$.id', NULL)) WHERE queue = 'jobs';
    ALTER TABLE jobs ADD COLUMN upload TEXT;
    ",
    "
    CREATE TABLE in_flight (
        caller        TEXT NOT NULL,
        job_id        TEXT NOT NULL,
        taken_off_at  INTEGER NOT NULL,
        PRIMARY KEY (caller, job_id)
    ) STRICT, WITHOUT ROWID;
    ",
    "
    ALTER TABLE jobs ADD COLUMN warnings TEXT;
    ",
    "
    ALTER TABLE jobs ADD COLUMN caller TEXT;
    ",
    "
    DROP INDEX jobs_by_template;
    CREATE INDEX jobs_by_template ON jobs (template, status, id);
    CREATE INDEX jobs_by_caller ON jobs (caller, status, id);
    CREATE INDEX jobs_by_caller_and_template ON jobs (caller, template, status, id);
    ",
    // Deliveries were webhooks alone, in a queue beside that of jobs.
    "
    ALTER TABLE jobs ADD COLUMN announcement TEXT;
    CREATE TABLE deliveries (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        body         TEXT NOT NULL,
        destination  TEXT NOT NULL,
        caller       TEXT NOT NULL,
        lane         TEXT NOT NULL GENERATED ALWAYS AS (destination || ' ' || caller) STORED,
        due_at       INTEGER NOT NULL DEFAULT 0,
        attempts     INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX deliveries_by_lane ON deliveries (lane, due_at, id);
    INSERT INTO deliveries (body, destination, caller, due_at, attempts)
        SELECT body, coalesce(iif(json_valid(body), body ->> '$.url', NULL), ''), '', visible_at, receives
        FROM messages WHERE queue = 'webhooks' AND dead_at IS NULL ORDER BY id;
    DELETE FROM messages WHERE queue = 'webhooks';
    ",
    // A report counts once, however often its completion is recorded.
    "
    CREATE TABLE bytes_used (
        caller  TEXT NOT NULL,
        day     INTEGER NOT NULL,
        bytes   INTEGER NOT NULL,
        PRIMARY KEY (caller, day)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER reports_count AFTER UPDATE OF status ON jobs
    WHEN old.status <> 'completed' AND new.status = 'completed' AND new.caller IS NOT NULL AND new.bytes > 0
    BEGIN
        INSERT INTO bytes_used (caller, day, bytes) VALUES (new.caller, new.finished_at / 86400000, new.bytes)
        ON CONFLICT (caller, day) DO UPDATE SET bytes = bytes + excluded.bytes;
    END;
    ",
    "
    ALTER TABLE messages ADD COLUMN caller TEXT NOT NULL DEFAULT '';
    DROP INDEX messages_by_visibility;
    CREATE INDEX messages_ready ON messages (queue, caller, id) WHERE dead_at IS NULL AND visible_at = 0;
    CREATE INDEX messages_hidden ON messages (queue, visible_at) WHERE dead_at IS NULL AND visible_at > 0;
    ALTER TABLE jobs ADD COLUMN counted_attempts INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN lost_servers INTEGER NOT NULL DEFAULT 0;
    ",
    // What has no identity is given one, and its destination anew, when the queue is opened.
    "
    DROP INDEX deliveries_by_lane;
    ALTER TABLE deliveries DROP COLUMN lane;
    ALTER TABLE deliveries ADD COLUMN identity TEXT;
    ALTER TABLE deliveries ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
    UPDATE deliveries SET hidden = 1 WHERE due_at > 0;
    CREATE UNIQUE INDEX deliveries_by_identity ON deliveries (identity);
    CREATE INDEX deliveries_by_destination ON deliveries (destination, caller, due_at, id) WHERE hidden = 0;
    CREATE INDEX deliveries_by_caller ON deliveries (caller, destination, due_at, id) WHERE hidden = 0;
    CREATE INDEX deliveries_hidden ON deliveries (due_at) WHERE hidden = 1;
    ",
    "
    CREATE INDEX jobs_by_upload ON jobs (upload) WHERE upload IS NOT NULL;
    ",
    // All attempts of a build before the eleventh step counted. One is left in any case, since some may have kept something.
    "
    ALTER TABLE jobs ADD COLUMN settling INTEGER NOT NULL DEFAULT 0;
    UPDATE jobs SET counted_attempts = min(attempts, 4)
    WHERE status IN ('queued', 'running') AND counted_attempts = 0 AND lost_servers = 0 AND progress IS NULL;
    ",
];

/// Whoever held a message or a lease before this process is gone: the folder's lock says so. The attempts in hand ended with
/// their server, so they do not count; but what is in hand again and again, and comes no further, may be what ends it. A job that
/// was to be settled was in no attempt.
const TAKE_BACK: &str = "
    UPDATE messages INDEXED BY messages_hidden SET visible_at = 0 WHERE dead_at IS NULL AND visible_at > 0;
    UPDATE messages INDEXED BY messages_set_aside SET visible_at = 0 WHERE dead_at IS NOT NULL AND visible_at > 0;
    UPDATE jobs SET
        counted_attempts = max(counted_attempts - (status = 'running' AND NOT settling AND lost_servers < 50), 0),
        lost_servers = lost_servers + (status = 'running' AND NOT settling),
        lease_until = 0
    WHERE lease_until > 0;
";

/// Why a database cannot be worked with.
pub(super) enum Refusal {
    /// It is damaged, or no database. Says how.
    Damaged(String),
    /// A later version of Pressrun wrote it.
    Later,
    /// It could not be opened, read or written.
    Unusable(sqlx::Error),
}

/// SQLite's result codes for damaged pages and for a file that is no database.
const DAMAGED: [&str; 2] = ["11", "26"];

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        let database = error.as_database_error();
        match database.and_then(|error| error.code()) {
            Some(code) if DAMAGED.contains(&code.as_ref()) => Self::Damaged(error.to_string()),
            _ => Self::Unusable(error),
        }
    }
}

/// The database's connections, each of which serves one caller after the other. A pool would look at a connection
/// before and after each statement, which costs more than the statement.
#[derive(Clone)]
pub(super) struct Database {
    readers: Arc<Readers>,
    writer: Arc<Writer>,
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Database")
    }
}

impl Database {
    /// Reads what was committed last.
    pub(super) async fn reader(&self) -> MutexGuard<'_, SqliteConnection> {
        self.readers.any().await
    }

    /// Writes. A commit survives the process at once. When the machine's power fails the last commits may be missing, never one
    /// without all after it.
    pub(super) async fn writer(&self) -> Writing<'_> {
        self.writer.lock().await
    }

    /// What came of writing something that is promised to somebody, once it is on disk, and all that was written before it.
    pub(super) async fn on_disk<T>(&self, written: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let written = written?;
        self.writer.sync().await?;
        Ok(written)
    }
}

/// Opens the database, whole and in its newest form.
pub(super) async fn open(path: &Path) -> Result<Database, Refusal> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE);
    let mut writer = options.connect().await?;
    check(&mut writer).await?;
    grow(&mut writer).await?;
    sqlx::raw_sql(TAKE_BACK).execute(&mut writer).await?;
    let writer = Writer::new(writer, path).map_err(sqlx::Error::Io)?;
    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        readers.push(options.connect().await?);
    }
    Ok(Database { readers: Arc::new(Readers::new(readers)), writer: Arc::new(writer) })
}

/// Writes something that changes nothing.
pub(super) async fn write_nothing(writer: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let version: u32 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *writer).await?;
    let write = AssertSqlSafe(format!("PRAGMA user_version = {version}"));
    sqlx::raw_sql(write).execute(writer).await.map(|_| ())
}

/// Looks at every page of the file, so that damage is met at the start and not in the middle of a job.
async fn check(connection: &mut SqliteConnection) -> Result<(), Refusal> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await?;
    if verdict == "ok" { Ok(()) } else { Err(Refusal::Damaged(verdict)) }
}

/// Takes the steps that the database has not taken, each whole or not at all.
async fn grow(connection: &mut SqliteConnection) -> Result<(), Refusal> {
    let taken: u32 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if taken as usize > STEPS.len() {
        return Err(Refusal::Later);
    }
    for (number, step) in (1..).zip(STEPS).skip(taken as usize) {
        let whole = format!("BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;");
        sqlx::raw_sql(AssertSqlSafe(whole)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Runs a statement that writes at most one row and returns it. A statement commits when it has come to its end, so
/// stopping at the first row would miss that it did not.
pub(super) async fn write_one(
    query: Query<'_, Sqlite, SqliteArguments>,
    writer: &mut SqliteConnection,
) -> Result<Option<SqliteRow>, sqlx::Error> {
    Ok(query.fetch_all(writer).await?.pop())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::delivery::{DeliveryMessage, Payload};
    use crate::job::JobId;
    use crate::ports::{Busy, DueDeliveries, JobStore};

    /// How many steps the build took that counted all attempts.
    const ALL_ATTEMPTS: usize = 11;

    #[tokio::test]
    async fn attempts_of_an_earlier_build_count_and_a_job_that_was_to_be_settled_was_in_none() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("pressrun.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut old = options.connect().await.expect("a database");
        for step in &STEPS[..ALL_ATTEMPTS] {
            sqlx::raw_sql(AssertSqlSafe(*step)).execute(&mut old).await.expect("an old step");
        }
        let job = |id: &str, status: &str, attempts: u32, lease: i64| {
            format!(
                "INSERT INTO jobs (id, template, status, enqueued_at, expires_at, attempts, lease_until)
                 VALUES ('{id}', 'letter', '{status}', 1, 2, {attempts}, {lease});"
            )
        };
        let jobs = [job("a", "queued", 3, 0), job("b", "running", 9, 5), job("c", "completed", 2, 0)].concat();
        let filled = format!("PRAGMA user_version = {ALL_ATTEMPTS}; {jobs}");
        sqlx::raw_sql(AssertSqlSafe(filled)).execute(&mut old).await.expect("old rows");
        drop(old);

        let counted = "SELECT id || counted_attempts || lost_servers FROM jobs ORDER BY id";
        let database = open(&path).await.ok().expect("it opens");
        let found: Vec<String> =
            sqlx::query_scalar(counted).fetch_all(&mut *database.reader().await).await.expect("rows");
        assert_eq!(found, ["a30", "b31", "c00"]);
        let held = "UPDATE jobs SET status = 'running', lease_until = 5, settling = (id = 'b')";
        sqlx::raw_sql(held).execute(&mut *database.writer().await).await.expect("it is written");
        drop(database);
        let database = open(&path).await.ok().expect("it opens");
        let found: Vec<String> =
            sqlx::query_scalar(counted).fetch_all(&mut *database.reader().await).await.expect("rows");
        assert_eq!(found, ["a21", "b31", "c01"]);
    }

    /// How many steps the build took that had webhooks alone.
    const WEBHOOKS_ALONE: usize = 8;

    #[tokio::test]
    async fn webhooks_that_an_earlier_build_queued_are_deliveries() {
        let (folder, id) = (TempDir::new().expect("a folder"), JobId::new());
        let options = SqliteConnectOptions::new().filename(folder.path().join("pressrun.db")).create_if_missing(true);
        let mut old = options.connect().await.expect("a database");
        for step in &STEPS[..WEBHOOKS_ALONE] {
            sqlx::raw_sql(AssertSqlSafe(*step)).execute(&mut old).await.expect("an old step");
        }
        let filled = format!(
            r#"PRAGMA user_version = {WEBHOOKS_ALONE};
            INSERT INTO jobs (id, template, status, enqueued_at, finished_at, expires_at, webhook)
                VALUES ('{id}', 'letter', 'failed', 1, 1, 2, '{{"url":"https://example.org/","status":"pending","attempts":3}}');
            INSERT INTO messages (queue, receives, visible_at, ticket, body) VALUES ('webhooks', 3, 0, 't', '{{"version":1,
                "id":"{id}","status":"failed","ended_at":"2026-11-21T09:55:21.466Z","url":"https://example.org/",
                "event":{{"type":"job.failed"}}}}');
            INSERT INTO messages (queue, receives, visible_at, body) SELECT queue, receives, 1, body FROM messages;
            INSERT INTO messages (queue, visible_at, body) VALUES ('jobs', 0, 'a job');"#
        );
        sqlx::raw_sql(AssertSqlSafe(filled)).execute(&mut old).await.expect("old rows");
        drop(old);

        let local = crate::local::Local::open(folder.path(), 9).await.expect("it opens");
        let due = local.deliveries.due(&Busy::default(), 9).await.expect("the queue answers");
        let [delivery] = due.as_slice() else { panic!("{due:?}") };
        assert_eq!((delivery.destination.as_str(), delivery.attempts), ("example.org:443", 3));
        let message = DeliveryMessage::decode(&delivery.body).expect("a message");
        assert!(message.id == id && matches!(message.payload, Payload::Webhook { .. }));
        let job = local.jobs.get(id).await.expect("the store answers").expect("on record");
        assert_eq!(job.webhook.map(|webhook| webhook.delivery.attempts), Some(3));
        drop(local);
        let database = open(&folder.path().join("pressrun.db")).await.ok().expect("it opens");
        let counts = "SELECT (SELECT count(*) FROM messages WHERE queue = 'jobs'), (SELECT count(*) FROM deliveries)";
        let counts: (i64, i64) = sqlx::query_as(counts).fetch_one(&mut *database.reader().await).await.expect("counts");
        assert_eq!(counts, (1, 1), "messages of jobs stay where they are, and of copies one is kept");
    }
}
