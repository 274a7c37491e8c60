//! Stitches files: `stitch OUTPUT SECTION…`. Says how long that took and how much memory.

use std::fs::{self, File};
use std::io::BufWriter;
use std::time::Instant;

use stitcher::Stitcher;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(output) = arguments.next() else { return Err("usage: stitch OUTPUT SECTION…".into()) };
    let started = Instant::now();
    let mut stitcher = Stitcher::new(BufWriter::new(File::create(output)?), [0; 16]);
    for section in arguments {
        stitcher.append(&fs::read(section)?)?;
    }
    let (_, stitched) = stitcher.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    let (pages, bytes) = (stitched.pages, stitched.bytes);
    println!("{pages} pages, {bytes} bytes, {:.0} pages/s", f64::from(pages) / seconds);
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
    Ok(())
}
