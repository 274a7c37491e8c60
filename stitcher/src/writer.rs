//! A PDF written front to back: streams as they come, other objects packed and compressed, and at the end the
//! cross-reference stream that says where everything is.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// An object stream is written when it has this many objects …
const MAX_PACKED: usize = 200;
/// … or this many bytes before compression.
const MAX_PACKED_BYTES: usize = 128 * 1024;

/// Where an object is, in eight bytes: nowhere yet, at an offset, or at an index in an object stream.
#[derive(Clone, Copy)]
struct Place(u64);

impl Place {
    const NOWHERE: Place = Place(0);
    const PACKED: u64 = 1 << 63;
    const INDEX_BITS: u32 = 16;

    fn offset(offset: u64) -> Self {
        Place(offset)
    }

    fn packed(stream: u32, index: usize) -> Self {
        Place(Self::PACKED | u64::from(stream) << Self::INDEX_BITS | index as u64)
    }

    /// The three fields of a cross-reference entry: type, offset or stream, index.
    fn fields(self) -> (u8, u64, u16) {
        match self.0 {
            0 => (0, 0, 0),
            place if place & Self::PACKED == 0 => (1, place, 0),
            place => (2, (place & !Self::PACKED) >> Self::INDEX_BITS, place as u16),
        }
    }
}

/// Objects that wait to be packed into one object stream.
#[derive(Default)]
struct Pack {
    /// Each one's number, and where it begins in `bodies`.
    index: Vec<(u32, usize)>,
    bodies: Vec<u8>,
}

/// Writes objects under numbers it gives out. Never goes back, and keeps eight bytes an object.
pub(crate) struct PdfWriter<W> {
    sink: W,
    written: u64,
    places: Vec<Place>,
    pack: Pack,
}

impl<W: Write> PdfWriter<W> {
    pub(crate) fn new(sink: W) -> Self {
        // Object 0 is never used.
        PdfWriter { sink, written: 0, places: vec![Place::NOWHERE], pack: Pack::default() }
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The first line; the second tells programs that move files that this one is not text.
    pub(crate) fn header(&mut self, version: &str) -> io::Result<()> {
        self.put(format!("%PDF-{version}\n").as_bytes())?;
        self.put(b"%\xE2\xE3\xCF\xD3\n")
    }

    /// A number for an object that will be written later.
    pub(crate) fn reserve(&mut self) -> io::Result<u32> {
        let number =
            u32::try_from(self.places.len()).map_err(|_| io::Error::other("more objects than PDF can count"))?;
        self.places.push(Place::NOWHERE);
        Ok(number)
    }

    /// Writes an object that is not a stream.
    pub(crate) fn object(&mut self, number: u32, body: &[u8]) -> io::Result<()> {
        self.pack.index.push((number, self.pack.bodies.len()));
        self.pack.bodies.extend_from_slice(body);
        self.pack.bodies.push(b'\n');
        if self.pack.index.len() == MAX_PACKED || self.pack.bodies.len() >= MAX_PACKED_BYTES {
            self.flush_pack()?;
        }
        Ok(())
    }

    /// Writes a stream: its dictionary, which says how long the content is, and the content as it is.
    pub(crate) fn stream(&mut self, number: u32, dictionary: &[u8], content: &[u8]) -> io::Result<()> {
        self.place(number, Place::offset(self.written));
        self.put(format!("{number} 0 obj\n").as_bytes())?;
        self.put(dictionary)?;
        self.put(b"\nstream\n")?;
        self.put(content)?;
        self.put(b"\nendstream\nendobj\n")
    }

    /// Writes what is left, the cross-reference stream and the end. `root` and `info` are the numbers of the catalogue
    /// and of the information dictionary. Gives the sink back, and says how long the file is.
    pub(crate) fn finish(mut self, root: u32, info: Option<u32>, id: [u8; 16]) -> io::Result<(W, u64)> {
        self.flush_pack()?;
        let number = self.reserve()?;
        let start = self.written;
        self.place(number, Place::offset(start));

        let (rows, widths) = self.cross_references();
        let content = compress(&rows)?;
        let info = info.map(|info| format!("/Info {info} 0 R")).unwrap_or_default();
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let dictionary = format!(
            "<</Type/XRef/Size {}/W[{} {} {}]/Root {root} 0 R{info}/ID[<{id}><{id}>]/Filter/FlateDecode\
             /DecodeParms<</Predictor 12/Columns {}>>/Length {}>>",
            self.places.len(),
            widths[0],
            widths[1],
            widths[2],
            widths.iter().sum::<usize>(),
            content.len(),
        );
        self.stream(number, dictionary.as_bytes(), &content)?;
        self.put(format!("startxref\n{start}\n%%EOF\n").as_bytes())?;
        self.sink.flush()?;
        Ok((self.sink, self.written))
    }

    fn flush_pack(&mut self) -> io::Result<()> {
        if self.pack.index.is_empty() {
            return Ok(());
        }
        let number = self.reserve()?;
        let pack = std::mem::take(&mut self.pack);
        let mut head = Vec::with_capacity(pack.index.len() * 12);
        for (index, (object, offset)) in pack.index.iter().enumerate() {
            self.place(*object, Place::packed(number, index));
            write!(head, "{object} {offset} ")?;
        }
        let first = head.len();
        head.extend_from_slice(&pack.bodies);
        let content = compress(&head)?;
        let dictionary = format!(
            "<</Type/ObjStm/N {}/First {first}/Filter/FlateDecode/Length {}>>",
            pack.index.len(),
            content.len()
        );
        self.stream(number, dictionary.as_bytes(), &content)
    }

    /// The rows of the cross-reference table, each as its difference from the row before (PNG's predictor "up", which
    /// makes them compress well), and the widths of their three fields.
    fn cross_references(&self) -> (Vec<u8>, [usize; 3]) {
        let largest = self.places.iter().map(|place| place.fields().1).max().unwrap_or_default();
        let offset = (1..8).find(|bytes| largest >> (8 * bytes) == 0).unwrap_or(8);
        let widths = [1, offset, 2];
        let mut rows = Vec::with_capacity(self.places.len() * (offset + 4));
        let mut above = vec![0; offset + 3];
        for (number, place) in self.places.iter().enumerate() {
            let (kind, field, index) = place.fields();
            // A free object is in a list that ends with itself, object 0, which can never be used again.
            let index = if number == 0 { u16::MAX } else { index };
            let row = [&[kind], &field.to_be_bytes()[8 - offset..], &index.to_be_bytes()].concat();
            rows.push(2);
            rows.extend(row.iter().zip(&above).map(|(byte, above)| byte.wrapping_sub(*above)));
            above = row;
        }
        (rows, widths)
    }

    fn place(&mut self, number: u32, place: Place) {
        if let Some(entry) = self.places.get_mut(number as usize) {
            *entry = place;
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
