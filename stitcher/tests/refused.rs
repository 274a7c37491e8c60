//! What a stitched report could not keep is refused; what is not sound is an error, and never a panic.

mod support;

use std::io::{self, Write};

use proptest::prelude::*;
use stitcher::{Error, Fault, Stitcher};
use support::{FIRST, File, ID, PACKED, SECOND, SECTIONS, fault, stitch};

#[test]
fn tags_and_claims_are_refused() {
    assert_eq!(fault(include_bytes!("sections/tagged.pdf")), Fault::Tagged);
    assert_eq!(fault(include_bytes!("sections/archival.pdf")), Fault::Archival("PDF/A"));
    assert_eq!(
        fault(include_bytes!("sections/attached.pdf")).to_string(),
        "has attached files, which cannot be stitched"
    );
}

#[test]
fn versions_have_to_agree() {
    assert_eq!(fault(include_bytes!("sections/old.pdf")).to_string(), "is PDF 1.4, and has to be PDF 1.5 or later");
    let new: &[u8] = include_bytes!("sections/new.pdf");
    File::new(&stitch(&[new, new]).expect("both are PDF 2.0")).check();
    let error = stitch(&[FIRST, new]).expect_err("they differ").to_string();
    assert_eq!(error, "section 2 is PDF 2.0, and has to be PDF 1.7");
}

#[test]
fn after_an_error_nothing_more_is_written() {
    let mut stitcher = Stitcher::new(Vec::new(), ID);
    stitcher.append(FIRST).expect("sound");
    assert!(matches!(stitcher.append(b"%PDF-1.7"), Err(Error::Section { number: 2, .. })));
    assert!(matches!(stitcher.append(FIRST), Err(Error::Spoiled)));
    assert!(matches!(stitcher.finish(), Err(Error::Spoiled)));
}

/// Takes so many bytes and then no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_output_is_an_error_wherever_it_ends() {
    let whole = stitch(&[FIRST, SECOND]).expect("sound").len();
    for room in (0..whole).step_by(97) {
        let mut stitcher = Stitcher::new(Full(room), ID);
        let outcome =
            stitcher.append(FIRST).and_then(|_| stitcher.append(SECOND)).and_then(|_| stitcher.finish().map(|_| ()));
        assert!(matches!(outcome, Err(Error::Write(error)) if error.kind() == io::ErrorKind::StorageFull));
    }
}

/// What is damaged at random.
const DAMAGED: [&[u8]; 3] = [FIRST, PACKED, SECOND];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_section_cut_short_is_refused(section in 0..SECTIONS.len(), cut in 0.0..0.999f64) {
        let end = (SECTIONS[section].0.len() as f64 * cut) as usize;
        let outcome = stitch(&[&SECTIONS[section].0[..end]]);
        prop_assert!(matches!(outcome, Err(Error::Section { number: 1, .. })), "{:?}", outcome.map(|bytes| bytes.len()));
    }

    // A flipped bit may be in a picture or a letter, and then the report is sound.
    #[test]
    fn a_damaged_section_is_refused_or_stitched(
        section in 0..DAMAGED.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..20),
    ) {
        let mut damaged = DAMAGED[section].to_vec();
        for (at, bit) in flips {
            let at = at.index(damaged.len());
            damaged[at] ^= 1 << bit;
        }
        stitch(&[&damaged, &damaged]).ok();
    }

    #[test]
    fn shuffled_digits_are_refused_or_stitched(
        section in 0..DAMAGED.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..6),
    ) {
        let mut damaged = DAMAGED[section].to_vec();
        let digits: Vec<usize> = (0..damaged.len()).filter(|at| damaged[*at].is_ascii_digit()).collect();
        for (at, digit) in edits {
            damaged[digits[at.index(digits.len())]] = digit;
        }
        if let Ok(report) = stitch(&[&damaged]) {
            prop_assert!(File::new(&report).pages() > 0);
        }
    }
}
