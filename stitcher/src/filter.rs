//! Decompresses what the stitcher has to look into: object and cross-reference streams, and metadata.

use std::io::Read;

use flate2::read::ZlibDecoder;

use crate::error::Fault;
use crate::file::Stored;
use crate::object::{Dictionary, Object};

/// No such stream is larger than this when decompressed.
const MAX_DECOMPRESSED: u64 = 64 * 1024 * 1024;

/// The content of a stream that is not encoded, or by Flate alone.
pub(crate) fn decode(stream: &Stored<'_>) -> Result<Vec<u8>, Fault> {
    let (dictionary, content) = (stream.value.dictionary()?, stream.content.unwrap_or_default());
    let filter = match dictionary.get("Filter") {
        Some(Object::Array(filters)) if filters.len() == 1 => filters.first(),
        filter => filter,
    };
    match filter {
        None => return Ok(content.to_vec()),
        Some(filter) if filter.name() == Some(b"FlateDecode") => {}
        Some(_) => return Err(Fault::Unsupported("an unusual filter".to_owned())),
    }
    let mut decoded = Vec::new();
    let read = ZlibDecoder::new(content).take(MAX_DECOMPRESSED + 1).read_to_end(&mut decoded);
    if read.is_err() || decoded.len() as u64 > MAX_DECOMPRESSED {
        return Err(Fault::corrupt("a stream cannot be decompressed"));
    }
    match dictionary.get("DecodeParms") {
        Some(parameters) => unpredict(decoded, parameters.dictionary()?),
        None => Ok(decoded),
    }
}

/// Undoes PNG's prediction of rows from the rows before, as far as cross-reference streams use it.
fn unpredict(rows: Vec<u8>, parameters: &Dictionary) -> Result<Vec<u8>, Fault> {
    match parameters.get("Predictor").and_then(Object::integer).unwrap_or(1) {
        1 => return Ok(rows),
        10..=15 => {}
        _ => return Err(Fault::Unsupported("an unusual predictor".to_owned())),
    }
    let columns = parameters.get("Columns").and_then(Object::integer).unwrap_or(1);
    let columns = usize::try_from(columns).ok().filter(|columns| (1..1000).contains(columns));
    let columns = columns.ok_or_else(|| Fault::corrupt("a row is too wide"))?;
    let mut plain: Vec<u8> = Vec::with_capacity(rows.len());
    let mut above = vec![0; columns];
    for row in rows.chunks_exact(columns + 1) {
        let (predictor, row) = (row[0], &row[1..]);
        for (byte, above) in row.iter().zip(&mut above) {
            *above = match predictor {
                0 => *byte,
                2 => byte.wrapping_add(*above),
                _ => return Err(Fault::Unsupported("an unusual predictor".to_owned())),
            };
        }
        plain.extend_from_slice(&above);
    }
    Ok(plain)
}
