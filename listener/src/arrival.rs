//! A request's body as it arrives. A large one lies in a file until it is whole, so that a slow client takes no place in memory
//! from others.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use http_body_util::BodyExt;
use jobs::Unavailable;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::task::spawn_blocking;

use crate::body::{interrupted, too_large};
use crate::checks::SMALL_BYTES;
use crate::uploads::{LOOK_EVERY_BYTES, not_stored};
use crate::{Listener, Problem};

/// A body that is whole.
pub(crate) struct Arrived {
    start: Vec<u8>,
    rest: Option<File>,
    length: usize,
}

/// Where large bodies lie.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    /// In files without a name in this folder; in memory, if there is none.
    pub(crate) folder: Option<&'a Path>,
    /// Whose disk must have room for them.
    pub(crate) listener: Option<&'a Listener>,
}

/// Receives a body of at most `most` bytes. Others write to the disk meanwhile, so its room is looked at again and again.
pub(crate) async fn receive(mut body: Body, most: usize, place: Place<'_>) -> Result<Arrived, Problem> {
    let (mut arrived, mut next_look) = (Arrived { start: Vec::new(), rest: None, length: 0 }, SMALL_BYTES);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| interrupted(&error))?.into_data() else { continue };
        arrived.length += piece.len();
        if arrived.length > most {
            return Err(too_large(most));
        }
        if arrived.length > next_look {
            next_look = arrived.length + LOOK_EVERY_BYTES as usize;
            if let Some(listener) = place.listener {
                listener.check_room(most as u64).await?;
            }
            if let Some(folder) = place.folder.filter(|_| arrived.rest.is_none()) {
                arrived.rest = Some(nameless(folder.to_owned()).await.map_err(failed)?);
            }
        }
        match &mut arrived.rest {
            Some(rest) => rest.write_all(&piece).await.map_err(failed)?,
            None => arrived.start.extend_from_slice(&piece),
        }
    }
    if let Some(rest) = &mut arrived.rest {
        rest.flush().await.map_err(failed)?;
    }
    Ok(arrived)
}

impl Arrived {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// All of it, in memory.
    pub(crate) async fn into_bytes(self) -> Result<Vec<u8>, Problem> {
        let Self { mut start, rest, length } = self;
        if let Some(mut rest) = rest {
            start.reserve_exact(length - start.len());
            rest.rewind().await.map_err(failed)?;
            rest.read_to_end(&mut start).await.map_err(failed)?;
        }
        Ok(start)
    }
}

async fn nameless(folder: PathBuf) -> io::Result<File> {
    let made = spawn_blocking(move || tempfile::tempfile_in(folder)).await;
    Ok(File::from_std(made.map_err(io::Error::other)??))
}

fn failed(error: io::Error) -> Problem {
    not_stored(Unavailable::when("store the request's body")(error))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    fn body(pieces: usize, bytes: usize) -> Body {
        Body::from_stream(stream::iter((0..pieces).map(move |at| Ok::<_, Infallible>(vec![at as u8; bytes]))))
    }

    #[tokio::test]
    async fn a_body_is_the_same_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for (pieces, bytes, in_file) in
            [(0, 0, false), (2, SMALL_BYTES / 2, false), (9, 20_000, true), (1, 1_000_000, true)]
        {
            let whole: Vec<u8> = (0..pieces).flat_map(|at| vec![at as u8; bytes]).collect();
            for folder in [None, Some(folder.path())] {
                let arrived = receive(body(pieces, bytes), 2_000_000, Place { folder, listener: None }).await;
                let arrived = arrived.expect("it is not too large");
                assert_eq!(arrived.rest.is_some(), in_file && folder.is_some());
                assert_eq!(arrived.len(), whole.len());
                assert!(arrived.into_bytes().await.expect("it is there") == whole);
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[tokio::test]
    async fn one_that_is_too_large_is_refused() {
        let refused = receive(body(3, 100), 299, Place::default()).await.err().expect("it is too large");
        assert_eq!(refused.name, "body-too-large");
    }
}
