//! A report in sections is the report in one piece: the same text on the same pages, with the right subtotals.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::Place;
use typesetter::{Cut, Engine, Error, Geometry, Options, OutputLimits, Plan, Request, RowHeight, Section, plan};

/// Rows that are measured in one go.
const CHUNK: usize = 300;

#[test]
fn sections_make_the_pages_of_the_whole() {
    let sets = [clipped(), wrapped(), narrow()];
    for (columns, (rows, height, sizes)) in sets.into_iter().zip([
        (350, None, vec![1, 130, 5000]),
        (250, Some("6.5mm"), vec![90]),
        (80, Some("9pt"), vec![40]),
    ]) {
        Ledger::new(rows, columns, height).check(&sizes);
    }
    // What stands above the rows leaves no room for one, or takes pages of its own.
    for lines in [12, 30] {
        let mut ledger = Ledger::new(120, clipped(), Some("30mm"));
        ledger.data["facts"] =
            (0..12).map(|fact| json!({"label": format!("Fact {fact}"), "value": "x ".repeat(lines * 5)})).collect();
        ledger.check(&[50]);
    }
    Ledger::new(0, clipped(), None).check(&[10]);
    Ledger::new(1, wrapped(), None).check(&[10]);
}

#[test]
#[ignore = "takes some seconds more"]
fn many_rows_in_sections_make_the_pages_of_the_whole() {
    Ledger::new(20_000, clipped(), None).check(&[1000]);
    Ledger::new(1000, wrapped(), Some("5mm")).check(&[400]);
    Ledger::new(300, narrow(), Some("12mm")).check(&[133]);
}

#[test]
fn a_statement_in_sections_is_the_statement_in_one_piece() {
    let Some(texts) = pdftotext() else { return };
    let bench = Bench::new("statement");
    let mut data: Value =
        serde_json::from_slice(&fs::read(templates().join("statement/sample.json")).expect("a sample")).expect("JSON");
    let whole = texts(&bench.whole(&data));
    let amounts: Vec<i64> =
        rows(&data, "transactions").iter().map(|row| cents(row["amount"].as_str().expect("an amount"))).collect();
    let totals = |part: &[i64]| {
        let sum = |counts: fn(i64) -> bool| euros(part.iter().copied().filter(|&amount| counts(amount)).sum());
        BTreeMap::from([
            ("amount".to_owned(), sum(|_| true)),
            ("amount<0".to_owned(), sum(|amount| amount < 0)),
            ("amount>=0".to_owned(), sum(|amount| amount >= 0)),
        ])
    };
    let pages: Vec<String> = bench
        .sections(&mut data, "transactions", 40, &|count| totals(&amounts[..count]))
        .iter()
        .flat_map(texts)
        .collect();
    assert_eq!(pages, whole);
}

#[test]
fn a_template_with_pages_of_its_own_has_the_reports_page_numbers() {
    let Some(texts) = pdftotext() else { return };
    let bench = Bench::new("ledger");
    bench.place.write(
        "template/main.typ",
        "#import \"/kit/kit.typ\": *\n#set page(height: 9cm, numbering: \"1 of 1\", header: context [Sheet \
         #counter(page).display() of #counter(page).final().first()])\n#at-start[= Title]\n\
         #rows(json(\"/data.json\").entries, columns: ((field: \"n\", format: \"number\"),))\n#at-end(lorem(80))",
    );
    let mut data = json!({"entries": (0..60).map(|n| json!({"n": n})).collect::<Vec<_>>()});
    let whole = texts(&bench.whole(&data));
    let sections = bench.sections(&mut data, "entries", 12, &|_| BTreeMap::new());
    assert!(sections.len() > 3);
    let pages: Vec<String> = sections.iter().flat_map(texts).collect();
    assert_eq!(pages, whole);
    let count = pages.len();
    for (number, page) in (1..).zip(&pages) {
        assert!(page.contains(&format!("Sheet {number} of {count}")), "{page}");
        assert!(page.trim_end().ends_with(&format!("{number} of {count}")), "{page}");
    }
}

#[test]
fn rows_look_the_same_as_a_table_with_tags_and_without() {
    let Some(texts) = pdftotext() else { return };
    for (name, change) in
        [("statement", json!({})), ("ledger", json!({})), ("ledger", json!({"style": "rules", "columns": narrow()}))]
    {
        let bench = Bench::new(name);
        let path = templates().join(name).join("sample.json");
        let mut data: Value = serde_json::from_slice(&fs::read(path).expect("a sample")).expect("JSON");
        for (key, value) in change.as_object().expect("an object") {
            data[key] = value.clone();
        }
        let untagged = texts(&bench.whole(&data));
        let mut request = bench.request(&data, None);
        request.options.tagged = true;
        request.options.pdf_standard = Some("ua-1".parse().expect("a standard"));
        assert_eq!(texts(&bench.typeset(&request)), untagged, "{name}");
    }
}

#[test]
fn measures_that_no_page_has_are_refused() {
    let bench = Bench::new("ledger");
    let measured = |geometry: &str| {
        bench.place.write("template/main.typ", format!("#metadata({geometry}) <pressrun-geometry>"));
        Engine::new().measure(&bench.request(&json!({}), Some(Section::measuring())))
    };
    let sound = "(start-page: 1, first-room: -9.0, room: 700.0, header: 9.0, opening: 0.0, brought: 0.0, carried: 0.0, \
                 row: 9.0)";
    assert!(measured(sound).is_ok());
    for (part, wrong) in [
        ("page: 1", "page: 0"),
        ("page: 1", "page: 9223372036854775807"),
        ("room: 700.0", "room: -700.0"),
        ("room: 700.0", "room: float.inf"),
        ("header: 9.0", "header: 1e30"),
        ("row: 9.0", "row: 0.0"),
        ("row: 9.0", "row: (9.0, -9.0)"),
    ] {
        let result = measured(&sound.replace(part, wrong));
        assert!(matches!(&result, Err(Error::Section { .. })), "{wrong}: {result:?}");
    }
}

#[test]
fn a_template_that_cannot_be_cut_is_told_why() {
    let bench = Bench::new("ledger");
    let main = |body: &str| format!("#import \"/kit/kit.typ\": *\n#show: document-page\n{body}");
    let rows = "#rows(json(\"/data.json\").entries, columns: ((field: \"text\"),))";
    let measured = |body: &str| {
        bench.place.write("template/main.typ", main(body));
        Engine::new().measure(&bench.request(&json!({"entries": []}), Some(Section::measuring())))
    };
    let refusal = |body: &str| measured(body).expect_err("an error").to_string();
    assert!(refusal("No rows").contains("does not call the kit's rows"));
    assert!(refusal(&format!("{rows}{rows}")).contains("more than once"));
    assert!(refusal(&format!("#total((), \"debit\")\n{rows}")).contains("`debit`"));
    assert!(refusal("#rows((), columns: ((field: \"debit\", carry: true),))").contains("template.json"));
    assert!(refusal(&format!("#at-start(outline())\n{rows}")).contains("outline()"));
    assert!(measured(rows).is_ok());

    bench.place.write("template/main.typ", main(&format!("#pagebreak()\n{rows}")));
    let section = Section { first: false, last: false, page_rows: Some(vec![1]), ..Section::default() };
    let result = Engine::new().typeset(&bench.request(&json!({"entries": [{"text": "x"}]}), Some(section)));
    assert!(matches!(&result, Err(Error::Section { message }) if message.contains("at-start")), "{result:?}");

    for (body, told) in
        [(format!("{rows}\n#at-end(outline())"), "outline()"), (format!("Before the rows\n{rows}"), "at-start")]
    {
        bench.place.write("template/main.typ", main(&body));
        let section = Section { first: false, first_page: 2, page_rows: Some(vec![1]), ..Section::default() };
        let result = Engine::new().typeset(&bench.request(&json!({"entries": [{"text": "x"}]}), Some(section)));
        assert!(matches!(&result, Err(Error::Section { message }) if message.contains(told)), "{result:?}");
    }
}

#[test]
fn a_row_taller_than_a_page_goes_on_and_loses_nothing() {
    let Some(texts) = pdftotext() else { return };
    let bench = Bench::new("ledger");
    let words = |script: &str, count: usize| -> String {
        (0..count).map(|word| format!("{script}{word:03}")).collect::<Vec<_>>().join(" ")
    };
    let short = || json!({"debit": "1.00", "memo": "memo", "other": "other"});
    let mut entries: Vec<Value> = (0..60).map(|_| short()).collect();
    entries.insert(3, json!({"debit": "10.00", "memo": words("word", 240), "other": "beside it"}));
    entries.insert(40, json!({"debit": "100.00", "memo": "short", "other": words("שלום", 220)}));
    entries.push(json!({"debit": "1000.00", "memo": words("last", 240), "other": "at the end"}));
    let column = |field: &str| json!({"field": field, "label": field, "wrap": true, "width": "26mm"});
    let mut data = json!({
        "locale": "en-GB", "title": "Ledger", "organisation": {"name": "Kestrel & Vane"}, "totals": ["debit"],
        "columns": [{"field": "debit", "label": "Debit", "format": "number"}, column("memo"), column("other")],
        "entries": entries,
    });
    let amounts: Vec<i64> =
        rows(&data, "entries").iter().map(|row| cents(row["debit"].as_str().expect("text"))).collect();
    let totals = |count: usize| BTreeMap::from([("debit".to_owned(), euros(amounts[..count].iter().sum()))]);

    let whole = texts(&bench.whole(&data));
    let all = whole.concat();
    for (script, count) in [("word", 240), ("last", 240)] {
        for word in (0..count).map(|word| format!("{script}{word:03}")) {
            assert_eq!(all.matches(&word).count(), 1, "{word}");
        }
    }
    for number in (0..220).map(|word| format!("{word:03}")) {
        assert!(all.contains(&number), "{number}");
    }
    assert!(!all.contains('…'));
    let last = whole.last().expect("a page");
    assert!(last.contains("1,170.00") && last.contains("Brought forward"), "{last}");

    for size in [10, 45, 1000] {
        let pages: Vec<String> = bench.sections(&mut data, "entries", size, &totals).iter().flat_map(texts).collect();
        assert_eq!(pages, whole, "sections of {size}");
    }

    let mut request = bench.request(&data, None);
    request.options.tagged = true;
    let tagged = texts(&bench.typeset(&request)).concat();
    let words = |text: &str| text.split_whitespace().filter(|word| word.contains("word")).count();
    assert_eq!((words(&tagged), tagged.matches("1,170.00").count()), (words(&all), all.matches("1,170.00").count()));
}

#[test]
fn a_million_rows_are_planned_in_a_moment() {
    let geometry = Geometry {
        start_page: 2,
        first_room: 100.0,
        room: 700.0,
        header: 20.0,
        opening: 0.0,
        brought: 14.0,
        carried: 14.0,
        most: 0.0,
        step: 0.0,
        row: RowHeight::Fixed(14.0),
    };
    let plan = plan(&geometry, std::iter::repeat_n(14.0, 1_000_000), 1000);
    let cuts = cuts(&plan);
    assert_eq!(plan.rows(), 1_000_000);
    assert_eq!((cuts[0].page_rows, &cuts[1].page_rows[..2]), (&[4][..], &[46, 46][..]));
    assert_eq!((cuts[0].first_page, cuts[0].first_row, cuts[0].first, cuts[0].last), (1, 1, true, false));
    let [_, begun, between @ .., ended, end] = cuts.as_slice() else { panic!("{} sections", cuts.len()) };
    // As many as a thousand each would be, and each a page from that at the most.
    let about_a_thousand = |rows| (1000 - 45..=1000 + 45).contains(&rows);
    assert_eq!(between.len() + 2, 1000);
    assert!(between.iter().all(|cut| about_a_thousand(cut.rows)));
    // The first and the last page were taken of these.
    assert!(about_a_thousand(begun.rows + 4) && about_a_thousand(ended.rows + end.rows) && end.page_rows.len() == 1);
    for pair in cuts.windows(2) {
        assert_eq!(pair[1].first_row, pair[0].first_row + pair[0].rows);
        let lead = if pair[0].first { plan_start(&geometry) } else { pair[0].first_page };
        assert_eq!(pair[1].first_page, lead + pair[0].page_rows.len() as u64);
    }
    assert!(cuts.last().is_some_and(|cut| cut.last));
}

#[test]
fn a_row_that_goes_on_shares_no_page() {
    // The third row would fit on a page without others.
    let heights = [14.0, 14.0, 650.0, 14.0, 14.0, 14.0];
    let geometry = Geometry {
        start_page: 1,
        first_room: 700.0,
        room: 700.0,
        header: 20.0,
        opening: 0.0,
        brought: 0.0,
        carried: 0.0,
        most: 640.0,
        step: 630.0,
        row: RowHeight::Each(heights.to_vec()),
    };
    let plan = plan(&geometry, heights, u64::MAX);
    assert_eq!(cuts(&plan)[0].page_rows, [2, 1, 0, 3]);
}

fn cuts(plan: &Plan) -> Vec<Cut<'_>> {
    (0..plan.len()).map(|index| plan.section(index).expect("a section")).collect()
}

fn plan_start(geometry: &Geometry) -> u64 {
    geometry.start_page
}

/// A ledger with made-up entries.
struct Ledger {
    data: Value,
    debits: Vec<i64>,
    credits: Vec<i64>,
}

impl Ledger {
    fn new(rows: usize, columns: Value, row_height: Option<&str>) -> Self {
        let words = ["rent", "AVAT To. Wasser", "invoice 17", "fee", "refund of the deposit", "Überweisung", "Ωμέγα"];
        // Left to Typst: combining signs, letters of another font, a script from right to left.
        let others = ["Über\u{ad}weisung", "数据", "e\u{301}tude", "שלום"];
        let (mut entries, mut debits, mut credits) = (Vec::new(), Vec::new(), Vec::new());
        let mut state = 12_345_u64;
        let mut next = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        for row in 0..rows {
            let mut text: Vec<&str> = (0..next(12) + 1).map(|_| words[next(words.len() as u64) as usize]).collect();
            if next(20) == 0 {
                text.push(others[next(others.len() as u64) as usize]);
            }
            let (debit, credit) = (next(5_000_000) as i64, next(900_000) as i64 - 200_000);
            entries.push(json!({
                "date": format!("2026-{:02}-{:02}", row % 12 + 1, row % 28 + 1),
                "number": row + 1,
                "text": text.join(" "),
                "debit": euros(debit),
                "credit": if row % 3 == 0 { Value::Null } else { json!(credit as f64 / 100.0) },
            }));
            debits.push(debit);
            credits.push(if row % 3 == 0 { 0 } else { credit });
        }
        let mut data = json!({
            "locale": "en-GB", "currency": "GBP", "title": "Ledger", "organisation": {"name": "Kestrel & Vane"},
            "columns": columns, "totals": ["debit", "credit"], "entries": entries, "notes": vec!["The end. ".repeat(60); 5],
        });
        if let Some(height) = row_height {
            data["row_height"] = json!(height);
        }
        Self { data, debits, credits }
    }

    /// Compares the whole with sections of these sizes, and every subtotal with the sum of the data.
    fn check(&mut self, sizes: &[u64]) {
        let Some(texts) = pdftotext() else { return };
        let bench = Bench::new("ledger");
        let whole = texts(&bench.whole(&self.data));
        self.check_subtotals(&whole);
        for &size in sizes {
            let (debits, credits) = (self.debits.clone(), self.credits.clone());
            let totals = |count: usize| {
                let sum = |amounts: &[i64]| euros(amounts[..count].iter().sum());
                BTreeMap::from([("debit".to_owned(), sum(&debits)), ("credit".to_owned(), sum(&credits))])
            };
            let sections = bench.sections(&mut self.data, "entries", size, &totals);
            let pages: Vec<String> = sections.iter().flat_map(texts).collect();
            assert_eq!(pages.len(), whole.len(), "sections of {size}");
            for (number, (page, expected)) in (1..).zip(pages.iter().zip(&whole)) {
                assert_eq!(page, expected, "page {number}, sections of {size}");
            }
        }
    }

    fn check_subtotals(&self, pages: &[String]) {
        let mut done = 0;
        let mut carried = None;
        for page in pages {
            let line = |label: &str| page.lines().find(|line| line.trim_start().starts_with(label)).map(amounts);
            assert_eq!(line("Brought forward"), carried);
            done += page.lines().filter(|line| is_row(line)).count();
            let sums = [&self.debits, &self.credits].map(|amounts| grouped(amounts[..done].iter().sum()));
            carried = line("Carried forward");
            if let Some(found) = carried.clone().or_else(|| line("Total")) {
                assert_eq!(found, sums, "after {done} rows");
            }
        }
        assert_eq!(done, self.debits.len());
    }
}

/// Rows start with a date: every set of columns does.
fn is_row(line: &str) -> bool {
    let line = line.trim_start();
    line.len() > 10 && line.as_bytes()[2] == b'/' && line[6..10] == *"2026"
}

/// The last two words of a line.
fn amounts(line: &str) -> [String; 2] {
    let mut words = line.split_whitespace().rev();
    let [second, first] = [(); 2].map(|()| words.next().unwrap_or_default().to_owned());
    [first, second]
}

fn clipped() -> Value {
    json!([
        {"field": "date", "label": "Date", "width": "22mm", "format": "date"},
        {"field": "number", "label": "No.", "width": "16mm", "format": "number", "digits": 0},
        {"field": "text", "label": "Description"},
        {"field": "debit", "label": "Debit", "width": "28mm", "format": "number"},
        {"field": "credit", "label": "Credit", "width": "28mm", "format": "number"},
    ])
}

fn wrapped() -> Value {
    json!([
        {"field": "date", "label": "Date", "width": "22mm", "format": "date"},
        {"field": "text", "label": "Description", "width": "2fr", "wrap": true},
        {"field": "number", "label": "A long label that takes more than one line", "width": "1fr"},
        {"field": "debit", "label": "Debit", "width": "28mm", "format": "number"},
        {"field": "credit", "label": "Credit", "width": "28mm", "format": "number"},
    ])
}

fn narrow() -> Value {
    json!([
        {"field": "date", "label": "Date", "width": "20mm", "format": "date", "align": "center"},
        {"field": "text", "label": "Text", "width": "11mm", "wrap": true},
        {"field": "text", "label": "Again", "width": "1fr"},
        {"field": "number", "label": "%", "width": "20mm", "format": "percent"},
        {"field": "debit", "label": "The same", "width": "2cm", "format": "money"},
        {"field": "debit", "label": "Debit", "width": "26mm", "format": "number"},
        {"field": "credit", "label": "Credit", "width": "26mm", "format": "number"},
    ])
}

/// One of the templates that are shipped, and what it makes.
struct Bench {
    place: Place,
}

impl Bench {
    fn new(template: &str) -> Self {
        let place = Place::new("");
        for entry in fs::read_dir(templates().join(template)).expect("the template") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            place.write(&format!("template/{name}"), fs::read(&path).expect("a file"));
        }
        Self { place }
    }

    fn request(&self, data: &Value, section: Option<Section>) -> Request {
        self.place.write("data.json", data.to_string());
        let options = Options { tagged: false, ..Options::new(support::noon(), "a-test") };
        let limits = OutputLimits { max_output_bytes: 100 << 20, max_pages: 10_000 };
        Request { kit: templates().join("kit"), options, limits, section, ..self.place.request() }
    }

    /// Typesets and gives the PDF a name of its own.
    fn typeset(&self, request: &Request) -> PathBuf {
        let report =
            Engine::new().typeset(request).unwrap_or_else(|error| panic!("{error}: {:?}", error.diagnostics()));
        report.files[0].clone()
    }

    fn whole(&self, data: &Value) -> PathBuf {
        self.typeset(&self.request(data, None))
    }

    /// The PDFs of all sections: what the processor does with children, one after the other.
    fn sections(
        &self,
        data: &mut Value,
        field: &str,
        size: u64,
        totals: &dyn Fn(usize) -> BTreeMap<String, String>,
    ) -> Vec<PathBuf> {
        let all = data[field].take();
        let all = all.as_array().expect("rows");
        let mut engine = Engine::new();
        let plan = self.plan(&mut engine, data, (field, all, totals(all.len())), size);
        let mut pages = None;
        let mut files = vec![PathBuf::new(); plan.len()];
        // The last goes first: only it knows how many pages there are.
        for index in [plan.len() - 1].into_iter().chain(0..plan.len()) {
            let cut = plan.section(index).expect("a section");
            let (from, to) = ((cut.first_row - 1) as usize, (cut.first_row - 1 + cut.rows) as usize);
            data[field] = json!(all[from..to]);
            let section = Section {
                first: cut.first,
                last: cut.last,
                first_row: cut.first_row,
                rows: Some(plan.rows()),
                first_page: cut.first_page,
                pages,
                before: totals(from),
                totals: totals(all.len()),
                page_rows: Some(cut.page_rows.to_vec()),
                measure: false,
            };
            let report = engine.typeset(&self.request(data, Some(section)));
            let report = report.unwrap_or_else(|error| panic!("{error}: {:?}", error.diagnostics()));
            pages.get_or_insert(cut.first_page - 1 + report.pages as u64);
            files[index] = self.place.path(&format!("output/section-{index}.pdf"));
            fs::rename(&report.files[0], &files[index]).expect("a rename");
        }
        data[field] = json!(all);
        files
    }

    fn plan(
        &self,
        engine: &mut Engine,
        data: &mut Value,
        (field, all, totals): (&str, &[Value], BTreeMap<String, String>),
        size: u64,
    ) -> Plan {
        let mut measure = |rows: &[Value], first_row: u64| {
            data[field] = json!(rows);
            // Rows are measured apart from what stands above them.
            let section = Section {
                first_row,
                first: first_row == 0,
                rows: Some(all.len() as u64),
                totals: totals.clone(),
                ..Section::measuring()
            };
            let geometry = engine.measure(&self.request(data, Some(section)));
            geometry.unwrap_or_else(|error| panic!("{error}: {:?}", error.diagnostics()))
        };
        let geometry = measure(&[], 0);
        let heights: Vec<f64> = match geometry.row {
            RowHeight::Fixed(height) => vec![height; all.len()],
            RowHeight::Each(_) => (1..)
                .step_by(CHUNK)
                .zip(all.chunks(CHUNK))
                .flat_map(|(first_row, rows)| match measure(rows, first_row).row {
                    RowHeight::Each(heights) => heights,
                    RowHeight::Fixed(_) => panic!("rows that wrap have heights of their own"),
                })
                .collect(),
        };
        plan(&geometry, heights, size)
    }
}

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates")
}

fn rows<'a>(data: &'a Value, field: &str) -> &'a [Value] {
    data[field].as_array().expect("rows")
}

/// Reads the text of a PDF, page by page; `None`, said loudly, where poppler is not installed.
fn pdftotext() -> Option<fn(&PathBuf) -> Vec<String>> {
    if Command::new("pdftotext").arg("-v").output().is_err() {
        eprintln!("SKIPPED: pdftotext is not installed, so nothing was compared (Debian: poppler-utils)");
        return None;
    }
    Some(|pdf| {
        let output = Command::new("pdftotext").arg("-layout").arg(pdf).arg("-").output().expect("pdftotext");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.strip_suffix('\u{c}').expect("a page").split('\u{c}').map(str::to_owned).collect()
    })
}

/// "-12.05" from -1205.
fn euros(cents: i64) -> String {
    format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
}

fn cents(amount: &str) -> i64 {
    amount.replace('.', "").parse().expect("two decimal places")
}

/// "−1,234.50" from -123450.
fn grouped(cents: i64) -> String {
    let euros = (cents.abs() / 100).to_string();
    let groups: Vec<&str> =
        euros.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    format!("{}{}.{:02}", if cents < 0 { "−" } else { "" }, groups.join(","), cents.abs() % 100)
}
