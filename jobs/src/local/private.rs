//! Who may read a data folder: its user alone.
#![cfg_attr(not(unix), allow(unused_variables))]

use std::io;
use std::path::Path;

#[cfg(unix)]
use super::objects::present;

/// Files that are for the user alone even if somebody opens the folder again.
#[cfg(unix)]
const SECRETS: [&str; 5] = ["link.key", "webhook.secret", "pressrun.db", "pressrun.db-wal", "pressrun.db-shm"];

/// Lets nobody else into a folder that is there already, nor into the folders in it. One of another user, as a mounted volume
/// may be, is left as it is, and the log says so.
pub(super) fn tighten(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let objects = folder.join("objects");
        // Either of them may be a volume of another user.
        for path in [folder, &objects, &folder.join("outbox")] {
            close(path, 0o700)?;
        }
        for entry in present(std::fs::read_dir(objects))?.into_iter().flatten() {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                close(&entry.path(), 0o700)?;
            }
        }
        for name in SECRETS {
            close(&folder.join(name), 0o600)?;
        }
    }
    Ok(())
}

/// Closes a file or folder, if it is there.
#[cfg(unix)]
fn close(path: &Path, mode: u32) -> io::Result<()> {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let Some(found) = present(fs::metadata(path))? else { return Ok(()) };
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
