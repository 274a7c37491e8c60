//! Page labels: what a viewer calls each page. Sections' labels are joined where one goes on from another, so that a
//! report numbered throughout has one entry.

use std::collections::BTreeMap;

use crate::error::Fault;
use crate::file::File;
use crate::object::{Dictionary, Object};
use crate::section::walk_tree;

/// The label of a page, from which the labels of those after it follow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Label {
    /// `D` for decimal and so on; none for labels that are only a prefix.
    style: Option<Vec<u8>>,
    prefix: Option<Vec<u8>>,
    start: i64,
}

impl Label {
    /// What a viewer calls a page without a label.
    fn of_page(index: u32) -> Self {
        Label { style: Some(b"D".to_vec()), prefix: None, start: i64::from(index) + 1 }
    }

    /// The label so many pages later.
    fn after(&self, pages: i64) -> Self {
        let start = if self.style.is_some() { self.start.saturating_add(pages) } else { self.start };
        Label { start, ..self.clone() }
    }

    fn read(file: &File<'_>, value: &Object) -> Result<Self, Fault> {
        let dictionary = file.resolve(value)?.dictionary()?;
        let style = file.entry(dictionary, "S")?.and_then(Object::name).map(<[u8]>::to_vec);
        let prefix = file.entry(dictionary, "P")?.and_then(Object::text).map(<[u8]>::to_vec);
        let start = file.entry(dictionary, "St")?.and_then(Object::integer).unwrap_or(1);
        // A label without a style has no number.
        let start = if style.is_some() { start } else { 1 };
        Ok(Label { style, prefix, start })
    }

    fn to_dictionary(&self) -> Dictionary {
        let mut dictionary = Dictionary::default();
        if let Some(style) = &self.style {
            dictionary.set("S", Object::Name(style.clone()));
            if self.start != 1 {
                dictionary.set("St", Object::Integer(self.start));
            }
        }
        if let Some(prefix) = &self.prefix {
            dictionary.set("P", Object::Text(prefix.clone()));
        }
        dictionary
    }
}

/// The labels of one section: for the pages at these indices, and those after each.
pub(crate) type SectionLabels = BTreeMap<i64, Label>;

/// The labels of a section; none if it has no such tree.
pub(crate) fn read(file: &File<'_>, catalogue: &Dictionary) -> Result<SectionLabels, Fault> {
    let mut labels = SectionLabels::new();
    if let Some(tree) = catalogue.get("PageLabels") {
        walk_tree(file, tree, "Nums", &mut |index, value| {
            let index = index.integer().ok_or_else(|| Fault::corrupt("the index of a page label is not a number"))?;
            labels.insert(index, Label::read(file, value)?);
            Ok(())
        })?;
    }
    Ok(labels)
}

/// The labels of the report.
#[derive(Default)]
pub(crate) struct Labels {
    /// Where a new run begins, and with which label.
    runs: Vec<(u32, Label)>,
    any: bool,
}

impl Labels {
    /// Adds the labels of a section with so many pages, the first of which becomes page `first` of the report.
    pub(crate) fn add(&mut self, section: &SectionLabels, first: u32, pages: u32) {
        self.any |= !section.is_empty();
        self.push(first, section.get(&0).cloned().unwrap_or_else(|| Label::of_page(first)));
        for (index, label) in section.range(1..i64::from(pages)) {
            self.push(first + *index as u32, label.clone());
        }
    }

    fn push(&mut self, page: u32, label: Label) {
        let goes_on = self.runs.last().is_some_and(|(since, run)| run.after(i64::from(page - since)) == label);
        if !goes_on {
            self.runs.push((page, label));
        }
    }

    /// The number tree; none if no section had labels.
    pub(crate) fn tree(&self) -> Option<Object> {
        let numbers = self
            .runs
            .iter()
            .flat_map(|(page, label)| [Object::Integer(i64::from(*page)), Object::Dictionary(label.to_dictionary())]);
        let mut tree = Dictionary::default();
        tree.set("Nums", Object::Array(numbers.collect()));
        self.any.then_some(Object::Dictionary(tree))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(start: i64) -> Label {
        Label { style: Some(b"D".to_vec()), prefix: None, start }
    }

    #[test]
    fn numbers_that_go_on_are_one_run() {
        let mut labels = Labels::default();
        labels.add(&(0..3).map(|page| (page, decimal(page + 1))).collect(), 0, 3);
        labels.add(&(0..3).map(|page| (page, decimal(page + 4))).collect(), 3, 3);
        assert_eq!(labels.runs, [(0, decimal(1))]);
    }

    #[test]
    fn a_section_without_labels_keeps_the_viewers_own() {
        let mut labels = Labels::default();
        let roman = Label { style: Some(b"r".to_vec()), ..decimal(1) };
        labels.add(&SectionLabels::from([(0, roman.clone())]), 0, 2);
        labels.add(&SectionLabels::new(), 2, 5);
        labels.add(&SectionLabels::from([(0, roman.after(1)), (1, decimal(1))]), 7, 2);
        assert_eq!(labels.runs, [(0, roman.clone()), (2, decimal(3)), (7, roman.after(1)), (8, decimal(1))]);
    }

    #[test]
    fn without_any_there_is_no_tree() {
        let mut labels = Labels::default();
        labels.add(&SectionLabels::new(), 0, 5);
        assert_eq!(labels.tree(), None);
    }
}
