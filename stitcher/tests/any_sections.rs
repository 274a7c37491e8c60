//! Whatever the sections, however many: the report is valid and has all their pages in order.

mod support;

use proptest::prelude::*;
use support::{File, Report, SECTIONS, stitch};

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sections_in_any_order(chosen in prop::collection::vec(0..SECTIONS.len(), 1..25)) {
        let sections: Vec<&[u8]> = chosen.iter().map(|index| SECTIONS[*index].0).collect();
        let bytes = stitch(&sections).expect("sound sections");
        let file = File::new(&bytes);
        file.check();

        let report = Report::read(&bytes);
        let pages: u32 = chosen.iter().map(|index| SECTIONS[*index].1).sum();
        prop_assert_eq!(report.pages.len() as u32, pages);
        let tops = chosen.iter().filter(|index| [0, 1, 3, 5].contains(*index)).count();
        prop_assert_eq!(report.outline().iter().filter(|line| line.starts_with("Chapter")).count(), tops);

        let words: String = sections.iter().map(|section| File::new(section).words()).collect();
        prop_assert_eq!(file.words(), words);
    }
}
