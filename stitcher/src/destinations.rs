//! Destinations with names. A name is good for one document only, so within a section every link gets the place that
//! its name stands for.

use std::collections::BTreeMap;

use crate::error::Fault;
use crate::file::File;
use crate::object::{Dictionary, Object};
use crate::section::walk_tree;

/// The named destinations of a section, by name: each an array that begins with a page.
pub(crate) fn collect(file: &File<'_>, catalogue: &Dictionary) -> Result<BTreeMap<Vec<u8>, Object>, Fault> {
    let mut destinations = BTreeMap::new();
    if let Some(dictionary) = file.entry(catalogue, "Dests")? {
        for (name, value) in dictionary.dictionary()?.iter() {
            destinations.insert(name.to_vec(), explicit(file, value)?);
        }
    }
    if let Some(names) = file.entry(catalogue, "Names")?
        && let Some(tree) = names.dictionary()?.get("Dests")
    {
        walk_tree(file, tree, "Names", &mut |name, value| {
            let name = name.text().ok_or_else(|| Fault::corrupt("the name of a destination is not a text"))?;
            destinations.insert(name.to_vec(), explicit(file, value)?);
            Ok(())
        })?;
    }
    Ok(destinations)
}

/// What a name stands for: an array, or a dictionary that has it as `D`.
fn explicit(file: &File<'_>, value: &Object) -> Result<Object, Fault> {
    let place = match file.resolve(value)? {
        Object::Dictionary(dictionary) => file.entry(dictionary, "D")?.unwrap_or(&Object::Null),
        place => place,
    };
    Ok(Object::Array(place.array()?.to_vec()))
}

/// Puts places where links, actions and outline entries have names.
pub(crate) fn make_explicit(file: &mut File<'_>, known: &BTreeMap<Vec<u8>, Object>) -> Result<(), Fault> {
    file.objects.values_mut().try_for_each(|stored| replace_names(&mut stored.value, known))
}

fn replace_names(object: &mut Object, known: &BTreeMap<Vec<u8>, Object>) -> Result<(), Fault> {
    match object {
        Object::Array(items) => items.iter_mut().try_for_each(|item| replace_names(item, known)),
        Object::Dictionary(dictionary) => {
            let goes_to = dictionary.get("S").and_then(Object::name) == Some(b"GoTo");
            for (key, value) in dictionary.iter_mut() {
                match value {
                    Object::Name(name) | Object::Text(name) if key == b"Dest" || (goes_to && key == b"D") => {
                        let place = known.get(name).ok_or_else(|| {
                            let name = String::from_utf8_lossy(name);
                            Fault::corrupt(format!("a link leads to `{name}`, which is nowhere"))
                        })?;
                        *value = place.clone();
                    }
                    value => replace_names(value, known)?,
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
