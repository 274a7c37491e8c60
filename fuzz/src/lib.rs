//! What nobody would send, sent. Each target takes any bytes at all, hands them to one parser or call, and panics when
//! a property does not hold.
//!
//! Two things run them: libFuzzer (`scripts/fuzz`, through the binaries in `fuzz_targets`), which searches for new
//! inputs, and `tests/corpus.rs`, which tries the inputs in `corpus/` and some hundred made-up ones in every test run.
//! An input that once broke a property belongs in `corpus/`.

mod append_queue;
mod door;
mod idempotency_key;
mod memory;
mod message;
mod names;
mod upload;

pub use append_queue::append_queue;
pub use idempotency_key::idempotency_key;
pub use message::message;
pub use names::names;
pub use upload::upload;

/// A function that takes any bytes, and panics when a property does not hold.
pub type Target = fn(&[u8]);

/// Every target under the name of its binary and of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 5] = [
    ("append_queue", append_queue),
    ("idempotency_key", idempotency_key),
    ("message", message),
    ("names", names),
    ("upload", upload),
];
