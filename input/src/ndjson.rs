//! NDJSON: one JSON object a line, each a row. Blank lines are skipped.

use std::io::{BufRead, Read, Write};

use serde_json::Value;

use crate::fault::{Fault, InputError};
use crate::sink::{At, Sink, Stop};

/// Reads every line into the sink.
pub(crate) fn read<W: Write>(mut source: impl BufRead, sink: &mut Sink<'_, W>) -> Result<(), Stop> {
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        // One byte more, for the line break.
        let read = source.by_ref().take(sink.limits.row_bytes.saturating_add(1)).read_until(b'\n', &mut text);
        match read {
            Err(error) => return sink.fail(InputError::Read(error)),
            Ok(0) => break,
            Ok(_) => {}
        }
        if text.len() as u64 > sink.limits.row_bytes && !text.ends_with(b"\n") {
            let fault = Fault::too_long(sink.pointer(), sink.limits.row_bytes);
            sink.stop(vec![fault.at(line, None)]);
            return Err(Stop);
        }
        // Without its break, what is wrong at the end of a line is wrong on that line.
        let text = text.trim_ascii_end();
        if text.trim_ascii_start().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Value>(text) {
            Ok(row) => sink.row(&row, At::Text(line, text))?,
            Err(error) => {
                let fault = Fault::of_syntax(sink.pointer(), &error, line);
                sink.unreadable(fault)?;
            }
        }
    }
    Ok(())
}
