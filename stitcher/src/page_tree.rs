//! The page tree, grown as pages come: every leaf at the same depth, every node written as soon as it is full.

use std::io::{self, Write};

use crate::writer::PdfWriter;

/// Children a node has at most.
const FAN_OUT: usize = 40;

/// The node of one level that still takes children.
struct Node {
    number: u32,
    kids: Vec<u32>,
    pages: u32,
}

impl Node {
    fn write<W: Write>(&self, parent: Option<u32>, out: &mut PdfWriter<W>) -> io::Result<()> {
        let mut body = b"<</Type/Pages".to_vec();
        if let Some(parent) = parent {
            write!(body, "/Parent {parent} 0 R")?;
        }
        write!(body, "/Count {}/Kids[", self.pages)?;
        for kid in &self.kids {
            write!(body, "{kid} 0 R ")?;
        }
        body.extend_from_slice(b"]>>");
        out.object(self.number, &body)
    }
}

/// The open node of every level, from the one above the pages to the root.
#[derive(Default)]
pub(crate) struct PageTree {
    levels: Vec<Node>,
}

impl PageTree {
    /// Adds the page with this number and says which node is its parent.
    pub(crate) fn add<W: Write>(&mut self, page: u32, out: &mut PdfWriter<W>) -> io::Result<u32> {
        self.push(0, page, 1, out)
    }

    /// Adds a child with so many pages to the open node of a level, a new one if that is full.
    fn push<W: Write>(&mut self, level: usize, kid: u32, pages: u32, out: &mut PdfWriter<W>) -> io::Result<u32> {
        if level == self.levels.len() {
            self.levels.push(Node { number: out.reserve()?, kids: Vec::new(), pages: 0 });
        }
        if self.levels[level].kids.len() == FAN_OUT {
            let next = Node { number: out.reserve()?, kids: Vec::new(), pages: 0 };
            let full = std::mem::replace(&mut self.levels[level], next);
            let parent = self.push(level + 1, full.number, full.pages, out)?;
            full.write(Some(parent), out)?;
        }
        let node = &mut self.levels[level];
        node.kids.push(kid);
        node.pages += pages;
        Ok(node.number)
    }

    /// Writes the nodes that are still open. The number of the root; none if there are no pages.
    pub(crate) fn finish<W: Write>(mut self, out: &mut PdfWriter<W>) -> io::Result<Option<u32>> {
        let mut level = 0;
        while level < self.levels.len() {
            let open = Node { number: 0, kids: Vec::new(), pages: 0 };
            let node = std::mem::replace(&mut self.levels[level], open);
            level += 1;
            if level == self.levels.len() {
                node.write(None, out)?;
                return Ok(Some(node.number));
            }
            let parent = self.push(level, node.number, node.pages, out)?;
            node.write(Some(parent), out)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_so_many_pages_and_no_more() -> io::Result<()> {
        for pages in [0, 1, FAN_OUT - 1, FAN_OUT, FAN_OUT + 1, FAN_OUT * FAN_OUT, FAN_OUT * FAN_OUT + 1] {
            let mut out = PdfWriter::new(io::sink());
            let mut tree = PageTree::default();
            let mut parents = Vec::new();
            for _ in 0..pages {
                let page = out.reserve()?;
                parents.push(tree.add(page, &mut out)?);
            }
            assert_eq!(tree.finish(&mut out)?.is_some(), pages > 0);
            parents.dedup();
            assert_eq!(parents.len(), pages.div_ceil(FAN_OUT));
        }
        Ok(())
    }
}
