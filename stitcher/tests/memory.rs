//! Memory does not grow with the report. In a process of its own, since a process has one peak.

mod support;

use std::io;

use stitcher::Stitcher;
use support::{FIRST, ID, LONG};

/// The largest this process has been, in kilobytes.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("with its peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("in kilobytes")
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_sections_take_less_than_thirty_megabytes() {
    let before = peak();
    let mut stitcher = Stitcher::new(io::sink(), ID);
    for number in 0..1000 {
        stitcher.append(if number % 2 == 0 { LONG } else { FIRST }).expect("sound");
    }
    let (_, stitched) = stitcher.finish().expect("sound");
    assert_eq!(stitched.pages, 24_000);
    let grown = peak() - before;
    println!("{} pages, {} kB more at the peak", stitched.pages, grown);
    assert!(grown < 30 * 1024, "{grown} kB more for {} pages", stitched.pages);
}
