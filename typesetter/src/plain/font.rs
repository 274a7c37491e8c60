//! The fonts of plain pages, with as much of each as these pages show.

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId, RawFace, Tag};
use typst::ecow::EcoString;
use typst::text::FontInstance;
use typst::text::color::should_outline;
use typst::utils::hash128;

use super::{EM, Numbers, compressed};

const ENCODING: &str = "Identity-H";
const SYSTEM: SystemInfo<'_> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
/// The longest name of a font, without what is put around it.
const MAX_NAME: usize = 100;
/// Letters of the tag that tells a part of a font from others.
const TAG_LETTERS: usize = 6;

/// Fonts by their index.
#[derive(Default)]
pub(super) struct Fonts(Vec<Font>);

/// A font, and what of it was shown.
pub(super) struct Font {
    /// What content streams call it.
    pub(super) resource: String,
    font: FontInstance,
    /// Each glyph's number in the PDF; 0 if it has none yet.
    cids: Vec<u16>,
    remapper: GlyphRemapper,
    /// By number in the PDF.
    shown: Vec<Shown>,
}

/// A glyph that was shown.
struct Shown {
    /// In thousandths of an em, as written.
    width: f32,
    text: EcoString,
}

/// A glyph as it is to be written.
pub(super) struct Letter {
    /// Its number in the PDF.
    pub(super) cid: u16,
    /// Its width as the PDF has it, in thousandths of an em.
    pub(super) width: f32,
    /// Whether it stands for what the PDF says of it.
    pub(super) same: bool,
}

impl Fonts {
    /// The index of a font, which is new or was here before.
    pub(super) fn index_of(&mut self, font: &FontInstance) -> usize {
        // Nearly always it is the very same, and need not be compared by the bytes of it.
        let same = self.0.iter().position(|it| std::ptr::eq(it.font.metrics(), font.metrics()));
        same.or_else(|| self.0.iter().position(|it| it.font == *font)).unwrap_or_else(|| {
            self.0.push(Font::new(format!("F{}", self.0.len()), font.clone()));
            self.0.len() - 1
        })
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Font> {
        self.0.get_mut(index)
    }

    /// Writes all fonts; answers with their names in content streams, and where they are. `None` if one cannot be cut down.
    pub(super) fn embed(&self, pdf: &mut Pdf, numbers: &mut Numbers) -> Option<Vec<(&str, Ref)>> {
        self.0.iter().map(|font| Some((font.resource.as_str(), font.embed(pdf, numbers)?))).collect()
    }
}

impl Font {
    fn new(resource: String, font: FontInstance) -> Self {
        let nothing = Shown { width: 0.0, text: EcoString::new() };
        let glyphs = usize::from(font.ttf().number_of_glyphs());
        Self { resource, font, cids: vec![0; glyphs], remapper: GlyphRemapper::new(), shown: vec![nothing] }
    }

    /// A glyph, and what it stands for here; `None` if it is not an outline, or missing from the font.
    pub(super) fn letter(&mut self, glyph: u16, said: &str) -> Option<Letter> {
        let known = *self.cids.get(usize::from(glyph))?;
        let cid = if known > 0 { known } else { self.learn(glyph, said)? };
        let shown = self.shown.get(usize::from(cid))?;
        Some(Letter { cid, width: shown.width, same: shown.text == said })
    }

    fn learn(&mut self, glyph: u16, said: &str) -> Option<u16> {
        let plain = glyph > 0 && self.font.variations().0.is_empty() && should_outline(&self.font, GlyphId(glyph));
        let width = self.font.ttf().glyph_hor_advance(GlyphId(glyph)).filter(|_| plain)?;
        let cid = self.remapper.remap(glyph);
        *self.cids.get_mut(usize::from(glyph))? = cid;
        self.shown.push(Shown { width: self.scaled(width.into()), text: said.into() });
        Some(cid)
    }

    /// Writes the font as PDF has fonts of more than 256 glyphs.
    fn embed(&self, pdf: &mut Pdf, numbers: &mut Numbers) -> Option<Ref> {
        let face = self.font.ttf();
        let kind = if face.tables().cff.is_some() { CidFontType::Type0 } else { CidFontType::Type2 };
        let [id, descendant, descriptor, to_unicode, program] = std::array::from_fn(|_| numbers.next());
        let name = self.name();
        let full_name = match kind {
            CidFontType::Type0 => format!("{name}-{ENCODING}"),
            CidFontType::Type2 => name.clone(),
        };
        let encoding = Name(ENCODING.as_bytes());
        pdf.type0_font(id)
            .base_font(Name(full_name.as_bytes()))
            .encoding_predefined(encoding)
            .descendant_font(descendant)
            .to_unicode(to_unicode);

        let mut font = pdf.cid_font(descendant);
        font.subtype(kind).base_font(Name(name.as_bytes())).system_info(SYSTEM).font_descriptor(descriptor);
        font.default_width(0.0);
        if kind == CidFontType::Type2 {
            font.cid_to_gid_map_predefined(Name(b"Identity"));
        }
        font.widths().consecutive(0, self.shown.iter().map(|shown| shown.width));
        font.finish();

        self.describe(pdf, face, &name, descriptor, kind, program);
        let cmap = compressed(&self.cmap()).ok()?;
        pdf.cmap(to_unicode, &cmap).filter(Filter::FlateDecode);
        let outlines = compressed(&self.outlines(kind)?).ok()?;
        let mut stream = pdf.stream(program, &outlines);
        stream.filter(Filter::FlateDecode);
        if kind == CidFontType::Type0 {
            stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
        }
        stream.finish();
        Some(id)
    }

    /// A measure of the font in thousandths of an em.
    fn scaled(&self, units: f32) -> f32 {
        units / f32::from(self.font.ttf().units_per_em()) * EM
    }

    fn describe(&self, pdf: &mut Pdf, face: &Face<'_>, name: &str, id: Ref, kind: CidFontType, program: Ref) {
        let (bounds, metrics) = (face.global_bounding_box(), self.font.metrics());
        let [left, bottom, right, top] =
            [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(|edge| self.scaled(edge.into()));
        let [ascent, descent] = [face.ascender(), face.descender()].map(|height| self.scaled(height.into()));
        let cap_height = metrics.cap_height.get() as f32 * EM;
        let mut flags = FontFlags::SYMBOLIC;
        flags.set(FontFlags::FIXED_PITCH, face.is_monospaced());
        flags.set(FontFlags::ITALIC, face.is_italic());
        let mut descriptor = pdf.font_descriptor(id);
        descriptor.name(Name(name.as_bytes())).flags(flags).bbox(Rect::new(left, bottom, right, top));
        descriptor.italic_angle(face.italic_angle()).ascent(ascent).descent(descent).cap_height(cap_height);
        // What the font does not tell is guessed from its weight, as Typst does.
        descriptor.stem_v(10.0 + 0.244 * (f32::from(face.weight().to_number()) - 50.0));
        match kind {
            CidFontType::Type0 => descriptor.font_file3(program),
            CidFontType::Type2 => descriptor.font_file2(program),
        };
    }

    /// What text the glyphs stand for.
    fn cmap(&self) -> Vec<u8> {
        let mut cmap = UnicodeCmap::new(Name(b"Custom"), SYSTEM);
        for (cid, shown) in (0_u16..).zip(&self.shown).skip(1) {
            cmap.pair_with_multiple(cid, shown.text.chars());
        }
        cmap.finish().into_vec()
    }

    /// The outlines of the glyphs that were shown.
    fn outlines(&self, kind: CidFontType) -> Option<Vec<u8>> {
        let font = self.font.font();
        let part = subsetter::subset(font.data(), font.index(), &self.remapper).ok()?;
        match kind {
            CidFontType::Type2 => Some(part),
            CidFontType::Type0 => {
                let table = RawFace::parse(&part, 0).ok()?.table(Tag::from_bytes(b"CFF "))?.to_vec();
                Some(table)
            }
        }
    }

    /// `ABCDEF+Inter-Regular`; the letters are others for each part of the font.
    fn name(&self) -> String {
        let glyphs: Vec<u16> = self.remapper.remapped_gids().collect();
        let mut rest = hash128(&(&self.font, glyphs));
        let tag: String = std::iter::repeat_with(|| {
            let letter = char::from(b'A' + (rest % 26) as u8);
            rest /= 26;
            letter
        })
        .take(TAG_LETTERS)
        .collect();
        let name = self.font.font().post_script_name().unwrap_or_else(|| "unknown".to_owned());
        format!("{tag}+{}", name.chars().filter(char::is_ascii_graphic).take(MAX_NAME).collect::<String>())
    }
}
