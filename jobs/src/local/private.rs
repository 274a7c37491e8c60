//! Who may read a data folder: its user alone.
#![cfg_attr(not(unix), allow(unused_variables))]

use std::io;
use std::path::Path;

/// Files that are for the user alone even if somebody opens the folder again.
#[cfg(unix)]
const SECRETS: [&str; 5] = ["link.key", "webhook.secret", "pressrun.db", "pressrun.db-wal", "pressrun.db-shm"];

/// Lets nobody else into a folder that is there already. One of another user, as a mounted volume may be, is left as it is,
/// and the log says so.
pub(super) fn tighten(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        close(folder, 0o700)?;
        for name in SECRETS {
            match close(&folder.join(name), 0o600) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
fn close(path: &Path, mode: u32) -> io::Result<()> {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let found = fs::metadata(path)?;
    let open = found.mode() & 0o077;
    if open == 0 {
        return Ok(());
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        let (path, mode) = (path.display(), format!("{:o}", found.mode() & 0o777));
        tracing::warn!(%path, mode, "other users of this machine may read this, and it is its owner's to change");
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
