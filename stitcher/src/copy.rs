//! From a section's numbers to the report's: copies an object and everything it leads to, children first, so that
//! equal objects have equal bytes by the time they are compared.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;

use crate::error::{Fault, Stop};
use crate::file::{Stored, missing};
use crate::object::{Dictionary, Object, ObjectId};
use crate::shared::{Shared, fingerprint};
use crate::writer::PdfWriter;

/// How far an object of the section is.
#[derive(Clone, Copy)]
enum Progress {
    /// Its children are being copied. It has a number already if one of them refers back to it.
    Open(Option<u32>),
    /// It has its number in the report.
    Done(u32),
}

/// What is left to do for an object.
enum Step {
    Enter(ObjectId),
    Leave(ObjectId),
}

/// Copies the objects of one section into the report.
pub(crate) struct Copier<'a, W> {
    objects: BTreeMap<ObjectId, Stored<'a>>,
    progress: HashMap<ObjectId, Progress>,
    once: HashSet<ObjectId>,
    shared: &'a mut Shared,
    /// Where the copies go.
    pub(crate) out: &'a mut PdfWriter<W>,
}

impl<'a, W: Write> Copier<'a, W> {
    pub(crate) fn new(
        objects: BTreeMap<ObjectId, Stored<'a>>,
        shared: &'a mut Shared,
        out: &'a mut PdfWriter<W>,
    ) -> Copier<'a, W> {
        Copier { objects, progress: HashMap::new(), once: HashSet::new(), shared, out }
    }

    /// Gives an object its number before it is copied, so that others can refer to it.
    pub(crate) fn announce(&mut self, id: ObjectId, number: u32) {
        self.progress.insert(id, Progress::Done(number));
    }

    /// No other section will have what this object refers to: it is not worth remembering.
    pub(crate) fn expect_once(&mut self, object: &Object) {
        for_each_reference(object, &mut |id| {
            self.once.insert(id);
        });
    }

    /// A dictionary of the section that has not been copied.
    pub(crate) fn dictionary(&self, id: ObjectId) -> Result<&Dictionary, Fault> {
        self.objects.get(&id).ok_or_else(|| missing(id))?.value.dictionary()
    }

    /// The object that an entry of a dictionary refers to.
    pub(crate) fn link_of(&self, id: ObjectId, key: &str) -> Result<Option<ObjectId>, Fault> {
        Ok(self.dictionary(id)?.get(key).and_then(Object::reference))
    }

    /// Takes an announced object out of the section.
    pub(crate) fn take(&mut self, id: ObjectId) -> Result<Stored<'a>, Fault> {
        self.objects.remove(&id).ok_or_else(|| missing(id))
    }

    /// Copies all that an object refers to, and makes it refer to the copies.
    pub(crate) fn adopt(&mut self, object: &mut Object) -> Result<(), Stop> {
        let mut steps = Vec::new();
        for_each_reference(object, &mut |id| steps.push(Step::Enter(id)));
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(id) => self.enter(id, &mut steps)?,
                Step::Leave(id) => self.leave(id)?,
            }
        }
        self.renumber(object)
    }

    /// Writes an object made of parts already adopted, under a number given out before.
    pub(crate) fn write(&mut self, number: u32, object: &Object) -> Result<(), Stop> {
        Ok(self.out.object(number, &object.serialize())?)
    }

    fn enter(&mut self, id: ObjectId, steps: &mut Vec<Step>) -> Result<(), Stop> {
        if self.progress.contains_key(&id) {
            return Ok(());
        }
        let stored = self.objects.get_mut(&id).ok_or_else(|| missing(id))?;
        if let (Object::Dictionary(dictionary), Some(content)) = (&mut stored.value, stored.content) {
            // The length may be an object of its own; the report does without it.
            dictionary.set("Length", Object::Integer(content.len() as i64));
        }
        self.progress.insert(id, Progress::Open(None));
        steps.push(Step::Leave(id));
        for_each_reference(&stored.value, &mut |child| steps.push(Step::Enter(child)));
        Ok(())
    }

    fn leave(&mut self, id: ObjectId) -> Result<(), Stop> {
        let Stored { mut value, content } = self.take(id)?;
        self.renumber(&mut value)?;
        let number = self.place(id, &value.serialize(), content)?;
        self.progress.insert(id, Progress::Done(number));
        Ok(())
    }

    /// The number of an equal object written before, or else writes this one.
    fn place(&mut self, id: ObjectId, body: &[u8], content: Option<&[u8]>) -> Result<u32, Stop> {
        let number = match self.progress.get(&id) {
            // Something it leads to leads back to it, so no other object is equal.
            Some(Progress::Open(Some(number))) => *number,
            _ if self.once.contains(&id) => self.out.reserve()?,
            _ => {
                let fingerprint = fingerprint(body, content);
                if let Some(number) = self.shared.find(&fingerprint) {
                    return Ok(number);
                }
                let number = self.out.reserve()?;
                self.shared.remember(fingerprint, number);
                number
            }
        };
        match content {
            Some(content) => self.out.stream(number, body, content)?,
            None => self.out.object(number, body)?,
        }
        Ok(number)
    }

    /// Makes an object refer to the copies of what it refers to.
    fn renumber(&mut self, object: &mut Object) -> Result<(), Stop> {
        match object {
            Object::Reference(id) => {
                *object = match self.progress.get(id) {
                    Some(Progress::Done(number) | Progress::Open(Some(number))) => Object::to(*number),
                    Some(Progress::Open(None)) => {
                        let number = self.out.reserve()?;
                        self.progress.insert(*id, Progress::Open(Some(number)));
                        Object::to(number)
                    }
                    None => return Err(missing(*id).into()),
                };
                Ok(())
            }
            Object::Array(items) => items.iter_mut().try_for_each(|item| self.renumber(item)),
            Object::Dictionary(dictionary) => dictionary.iter_mut().try_for_each(|(_, value)| self.renumber(value)),
            _ => Ok(()),
        }
    }
}

/// Calls back with every reference in an object. Nesting is bounded by the parser.
fn for_each_reference(object: &Object, found: &mut dyn FnMut(ObjectId)) {
    match object {
        Object::Reference(id) => found(*id),
        Object::Array(items) => items.iter().for_each(|item| for_each_reference(item, found)),
        Object::Dictionary(dictionary) => dictionary.iter().for_each(|(_, value)| for_each_reference(value, found)),
        _ => {}
    }
}
