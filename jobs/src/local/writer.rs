//! The one connection that writes, and the log that its commits are in. Of many who wait until theirs are on disk, one syncs
//! the log for all.

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::SqliteConnection;
use tokio::sync::{Mutex, MutexGuard};

/// The connection, which serves one caller after the other.
pub(super) struct Writer {
    connection: Mutex<SqliteConnection>,
    /// How many callers have been served.
    served: AtomicU64,
    /// The same file for as long as a connection is open.
    log: Arc<File>,
    synced: Mutex<Synced>,
}

/// How many of those served are known to have their commits on disk.
#[derive(Debug, Default)]
struct Synced {
    through: u64,
    /// The last of them whose commits may be lost: what a system once failed to write, it does not report again.
    failed: u64,
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
        Ok(Self { connection: Mutex::new(connection), served: AtomicU64::new(0), log, synced: Mutex::default() })
    }

    pub(super) async fn lock(&self) -> Writing<'_> {
        Writing { connection: self.connection.lock().await, served: &self.served }
    }

    /// Returns when everything is on disk that was committed before.
    pub(super) async fn sync(&self) -> io::Result<()> {
        let place = self.served.load(Ordering::SeqCst);
        let mut synced = self.synced.lock().await;
        if synced.through < place {
            // After those who are in line already, most of whom will wait for the same.
            drop(self.connection.lock().await);
            let through = self.served.load(Ordering::SeqCst);
            let log = self.log.clone();
            let done = tokio::task::spawn_blocking(move || log.sync_data()).await.map_err(io::Error::other)?;
            synced.through = through;
            if done.is_err() {
                synced.failed = through;
                return done;
            }
        }
        match synced.failed < place {
            true => Ok(()),
            false => Err(io::Error::other("the database's log could not be written to disk")),
        }
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
                    writer.synced.lock().await.through
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
    async fn those_whose_commits_may_be_lost_hear_it() {
        let folder = TempDir::new().expect("a folder");
        let writer = writer(&folder).await;
        drop(writer.lock().await);
        *writer.synced.lock().await = Synced { through: 1, failed: 1 };
        assert!(writer.sync().await.is_err());
        drop(writer.lock().await);
        assert!(writer.sync().await.is_ok(), "what was written later is not lost");
    }
}
