//! The one connection that writes, and the log that its commits are in. Of many who wait until theirs are on disk, one syncs
//! the log for all.

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sqlx::{Row, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

/// The connection, which serves one caller after the other.
pub(super) struct Writer {
    connection: Mutex<SqliteConnection>,
    /// How many callers have been served.
    served: AtomicU64,
    /// The same file for as long as a connection is open.
    log: Arc<File>,
    /// Whether the system failed to write the log, which it reports once. What follows in the log is of no use then.
    damaged: Arc<AtomicBool>,
    /// How many of those served are known to have their commits on disk.
    synced: Mutex<u64>,
}

/// The connection, while one caller has it.
pub(super) struct Writing<'a> {
    connection: MutexGuard<'a, SqliteConnection>,
    served: &'a AtomicU64,
}

impl Writer {
    /// Writes by a connection to the database at `path`, whose log is there.
    pub(super) fn new(connection: SqliteConnection, path: &Path) -> io::Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = Arc::new(File::options().write(true).open(log)?);
        let (connection, served, synced) = (Mutex::new(connection), AtomicU64::new(0), Mutex::default());
        Ok(Self { connection, served, log, damaged: Arc::default(), synced })
    }

    pub(super) async fn lock(&self) -> Writing<'_> {
        Writing { connection: self.connection.lock().await, served: &self.served }
    }

    /// Returns when everything is on disk that was committed before.
    pub(super) async fn sync(&self) -> Result<(), sqlx::Error> {
        let place = self.served.load(Ordering::SeqCst);
        let mut synced = self.synced.lock().await;
        if *synced >= place {
            return Ok(());
        }
        // After those who are in line already, most of whom will wait for the same.
        let mut connection = self.connection.lock().await;
        if self.damaged.load(Ordering::SeqCst) {
            begin_anew(&mut connection).await?;
            self.damaged.store(false, Ordering::SeqCst);
        }
        drop(connection);
        let through = self.served.load(Ordering::SeqCst);
        let (log, damaged) = (self.log.clone(), self.damaged.clone());
        // Noted by the thread, since nobody may be left who hears its answer.
        let sync = move || log.sync_data().inspect_err(|_| damaged.store(true, Ordering::SeqCst));
        tokio::task::spawn_blocking(sync).await.map_err(io::Error::other)??;
        *synced = through;
        Ok(())
    }
}

/// Has all commits written to the database itself, and the log begun anew.
async fn begin_anew(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let done = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await?;
    match done.try_get::<i64, _>(0)? {
        0 => Ok(()),
        _ => Err(io::Error::other("the database's log could not be written to disk, and is in use").into()),
    }
}

impl Deref for Writing<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Writing<'_> {
    /// Counts before the next is served.
    fn drop(&mut self) {
        self.served.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use tempfile::TempDir;

    use super::*;

    async fn writer(folder: &TempDir) -> Arc<Writer> {
        let path = folder.path().join("pressrun.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = options.journal_mode(SqliteJournalMode::Wal).connect().await.expect("a database");
        sqlx::raw_sql("CREATE TABLE t (x)").execute(&mut connection).await.expect("a table");
        Arc::new(Writer::new(connection, &path).expect("a writer"))
    }

    #[tokio::test]
    async fn one_sync_is_for_all_who_wait() {
        let folder = TempDir::new().expect("a folder");
        let writer = writer(&folder).await;
        let held = writer.lock().await;
        let waiting: Vec<_> = (0..9)
            .map(|number: i64| {
                let writer = writer.clone();
                tokio::spawn(async move {
                    let insert = sqlx::query("INSERT INTO t VALUES (?1)").bind(number);
                    insert.execute(&mut *writer.lock().await).await.expect("written");
                    writer.sync().await.expect("synced");
                    *writer.synced.lock().await
                })
            })
            .collect();
        // All of them are in line.
        tokio::task::yield_now().await;
        drop(held);
        for one in waiting {
            assert_eq!(one.await.expect("no panic"), 10);
        }
    }

    #[tokio::test]
    async fn after_a_failure_the_log_begins_anew() {
        let folder = TempDir::new().expect("a folder");
        let writer = writer(&folder).await;
        let insert = sqlx::query("INSERT INTO t VALUES (1)");
        insert.execute(&mut *writer.lock().await).await.expect("written");
        writer.damaged.store(true, Ordering::SeqCst);
        let log = folder.path().join("pressrun.db-wal");
        assert_ne!(log.metadata().expect("a file").len(), 0);
        writer.sync().await.expect("synced");
        assert_eq!(log.metadata().expect("a file").len(), 0, "all of it is in the database");
        assert!(!writer.damaged.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn nothing_is_promised_while_the_log_is_damaged() {
        let folder = TempDir::new().expect("a folder");
        let writer = writer(&folder).await;
        let options = SqliteConnectOptions::new().filename(folder.path().join("pressrun.db"));
        let mut reader = options.connect().await.expect("a reader");
        sqlx::raw_sql("BEGIN; SELECT * FROM t").execute(&mut reader).await.expect("it reads");
        let quick = sqlx::raw_sql("PRAGMA busy_timeout = 1");
        quick.execute(&mut *writer.lock().await).await.expect("set");
        sqlx::query("INSERT INTO t VALUES (1)").execute(&mut *writer.lock().await).await.expect("written");
        writer.damaged.store(true, Ordering::SeqCst);
        assert!(writer.sync().await.is_err(), "somebody reads from the log");
        sqlx::raw_sql("COMMIT").execute(&mut reader).await.expect("it ends");
        assert!(writer.sync().await.is_ok());
    }
}
