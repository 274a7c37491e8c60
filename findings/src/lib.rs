//! What is found in data and in reports: [violations](Violation), for which it is refused, and [warnings](Warning), which
//! accompany a finished report.

mod pointer;
mod shortened;
mod violation;
mod violations;
mod visible;
mod warning;

pub use pointer::escaped;
pub use shortened::{MAX_TEXT_CHARS, shortened};
pub use violation::Violation;
pub use violations::Violations;
pub use visible::{visible_json, visible_lines};
pub use warning::{MAX_WARNINGS, Warning, merge, merge_section};
