//! Named destinations, for those who link into the report from outside. Where sections use the same name, it leads to
//! the first place, as it does in a report typeset whole.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::copy::Copier;
use crate::error::Stop;
use crate::object::Object;
use crate::writer::PdfWriter;

/// Names in a leaf, and children of a node.
const FAN_OUT: usize = 64;

/// The number of each name's destination, already written.
#[derive(Default)]
pub(crate) struct Names {
    numbers: BTreeMap<Vec<u8>, u32>,
}

/// A written node: the first and the last name below it, and its number.
type Node = (Vec<u8>, Vec<u8>, u32);

impl Names {
    /// Adds the named destinations of a section, whose pages have been announced.
    pub(crate) fn add<W: Write>(
        &mut self,
        section: BTreeMap<Vec<u8>, Object>,
        copier: &mut Copier<'_, W>,
    ) -> Result<(), Stop> {
        for (name, mut destination) in section {
            if self.numbers.contains_key(&name) {
                continue;
            }
            copier.adopt(&mut destination)?;
            let number = copier.out.reserve()?;
            copier.write(number, &destination)?;
            self.numbers.insert(name, number);
        }
        Ok(())
    }

    /// Writes the name tree, leaves first. The number of its root; none if there are no names.
    pub(crate) fn finish<W: Write>(self, out: &mut PdfWriter<W>) -> io::Result<Option<u32>> {
        let mut names = self.numbers.into_iter().peekable();
        let mut nodes: Vec<Node> = Vec::new();
        while names.peek().is_some() {
            let leaf: Vec<_> = names.by_ref().take(FAN_OUT).collect();
            let mut body = b"/Names[".to_vec();
            for (name, number) in &leaf {
                body.extend(text(name));
                write!(body, "{number} 0 R")?;
            }
            let (first, last) = (leaf[0].0.clone(), leaf[leaf.len() - 1].0.clone());
            nodes.push(write_node(first, last, &body, out)?);
        }
        while nodes.len() > 1 {
            let mut above = Vec::new();
            for kids in nodes.chunks(FAN_OUT) {
                let mut body = b"/Kids[".to_vec();
                for (_, _, number) in kids {
                    write!(body, "{number} 0 R ")?;
                }
                above.push(write_node(kids[0].0.clone(), kids[kids.len() - 1].1.clone(), &body, out)?);
            }
            nodes = above;
        }
        Ok(nodes.pop().map(|(_, _, number)| number))
    }
}

fn write_node<W: Write>(first: Vec<u8>, last: Vec<u8>, entries: &[u8], out: &mut PdfWriter<W>) -> io::Result<Node> {
    let number = out.reserve()?;
    let limits = [b"/Limits[", &text(&first)[..], &text(&last)[..], b"]"].concat();
    out.object(number, &[b"<<", &limits[..], entries, b"]>>"].concat())?;
    Ok((first, last, number))
}

fn text(name: &[u8]) -> Vec<u8> {
    Object::Text(name.to_vec()).serialize()
}
