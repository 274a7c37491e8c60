//! The outline (bookmarks): those of the sections one after the other, at the same level.

use std::collections::HashSet;
use std::io::{self, Write};

use crate::copy::Copier;
use crate::error::{Fault, Stop};
use crate::object::{Dictionary, Object, ObjectId};
use crate::writer::PdfWriter;

/// Levels an outline has at most.
const MAX_DEPTH: usize = 100;
/// What says where an entry is in the outline. It is written anew.
const LINKS: [&str; 6] = ["Parent", "Prev", "Next", "First", "Last", "Count"];

/// The report's outline so far. In memory is only its last entry, which does not know yet what follows.
#[derive(Default)]
pub(crate) struct Outline {
    /// The number of the outline itself, and of its first entry.
    start: Option<(u32, u32)>,
    last: Option<(u32, Dictionary)>,
    visible: i64,
}

/// An entry of a section's outline, with its number in the report.
struct Entry {
    id: ObjectId,
    number: u32,
    open: bool,
    below: Vec<Entry>,
}

impl Entry {
    /// Entries that are seen below this one once it is open.
    fn visible(&self) -> i64 {
        visible(&self.below)
    }
}

/// Entries that are seen where these are.
fn visible(entries: &[Entry]) -> i64 {
    entries.iter().map(|entry| 1 + if entry.open { entry.visible() } else { 0 }).sum()
}

impl Outline {
    /// Adds the outline of a section, whose pages have been announced.
    pub(crate) fn add<W: Write>(&mut self, root: ObjectId, copier: &mut Copier<'_, W>) -> Result<(), Stop> {
        let first = copier.link_of(root, "First")?;
        let entries = read(first, copier, 0, &mut HashSet::from([root]))?;
        let Some(first) = entries.first() else { return Ok(()) };
        let parent = match self.start {
            Some((number, _)) => number,
            None => copier.out.reserve()?,
        };
        self.start.get_or_insert((parent, first.number));
        self.visible += visible(&entries);

        let before = self.last.as_ref().map(|(number, _)| *number);
        if let Some((number, mut entry)) = self.last.take() {
            entry.set("Next", Object::to(first.number));
            copier.write(number, &Object::Dictionary(entry))?;
        }
        self.last = write(entries, parent, before, copier)?;
        Ok(())
    }

    /// Writes the last entry and the outline itself. The number of that; none if no section has an outline.
    pub(crate) fn finish<W: Write>(self, out: &mut PdfWriter<W>) -> io::Result<Option<u32>> {
        let (Some((number, first)), Some((last, entry))) = (self.start, self.last) else { return Ok(None) };
        out.object(last, &Object::Dictionary(entry).serialize())?;
        let visible = self.visible;
        out.object(number, format!("<</Type/Outlines/First {first} 0 R/Last {last} 0 R/Count {visible}>>").as_bytes())?;
        Ok(Some(number))
    }
}

/// An entry, those that follow it at the same level, and all below them.
fn read<W: Write>(
    first: Option<ObjectId>,
    copier: &mut Copier<'_, W>,
    depth: usize,
    seen: &mut HashSet<ObjectId>,
) -> Result<Vec<Entry>, Stop> {
    if depth > MAX_DEPTH {
        return Err(Fault::corrupt(format!("its outline has more than {MAX_DEPTH} levels")).into());
    }
    let mut entries = Vec::new();
    let mut next = first;
    while let Some(id) = next {
        if !seen.insert(id) {
            return Err(Fault::corrupt(format!("object {} is twice in the outline", id.0)).into());
        }
        let below = read(copier.link_of(id, "First")?, copier, depth + 1, seen)?;
        let entry = copier.dictionary(id)?;
        let open = entry.get("Count").and_then(Object::integer).is_some_and(|count| count > 0);
        next = copier.link_of(id, "Next")?;
        entries.push(Entry { id, number: copier.out.reserve()?, open, below });
    }
    Ok(entries)
}

/// Writes entries of one level and all below them, except the last one of that level, which is given back.
fn write<W: Write>(
    entries: Vec<Entry>,
    parent: u32,
    mut before: Option<u32>,
    copier: &mut Copier<'_, W>,
) -> Result<Option<(u32, Dictionary)>, Stop> {
    let mut held: Option<(u32, Dictionary)> = None;
    for entry in entries {
        if let Some((number, mut dictionary)) = held.take() {
            dictionary.set("Next", Object::to(entry.number));
            copier.write(number, &Object::Dictionary(dictionary))?;
        }
        let mut dictionary = copier.dictionary(entry.id)?.clone();
        for key in LINKS {
            dictionary.remove(key);
        }
        let mut object = Object::Dictionary(dictionary);
        copier.adopt(&mut object)?;
        let Object::Dictionary(mut dictionary) = object else { continue };
        dictionary.set("Parent", Object::to(parent));
        if let Some(before) = before {
            dictionary.set("Prev", Object::to(before));
        }
        if let (Some(first), Some(last)) = (entry.below.first(), entry.below.last()) {
            dictionary.set("First", Object::to(first.number));
            dictionary.set("Last", Object::to(last.number));
            let visible = entry.visible();
            dictionary.set("Count", Object::Integer(if entry.open { visible } else { -visible }));
        }
        if let Some((number, last)) = write(entry.below, entry.number, None, copier)? {
            copier.write(number, &Object::Dictionary(last))?;
        }
        before = Some(entry.number);
        held = Some((entry.number, dictionary));
    }
    Ok(held)
}
