//! What a template declares of its rows, held against the rows: fields, figures, dates and the period.

use std::io::Cursor;
use std::path::Path;

use input::{Dialect, Format, InputError, Limits, Spooled, Template, Warning, spool};
use serde_json::{Map, Value, json};

/// One of the templates that are shipped.
fn shipped(name: &str) -> Template {
    Template::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates").join(name)).expect("a template")
}

/// The data beside a ledger's rows: a date, a text and a summed amount.
fn ledger() -> Map<String, Value> {
    let data = json!({
        "locale": "de-DE", "title": "Ledger", "organisation": {"name": "O"},
        "period": {"from": "2026-01-01", "to": "2026-12-31"},
        "columns": [
            {"field": "date", "label": "Date", "format": "date"},
            {"field": "text", "label": "Text"},
            {"field": "amount", "label": "Amount", "format": "money"},
            {"field": "rate", "label": "Rate", "format": "percent", "optional": true},
        ],
        "totals": ["amount"],
    });
    data.as_object().expect("an object").clone()
}

fn read(template: &str, head: Map<String, Value>, text: &str, format: Format) -> Result<(Spooled, String), InputError> {
    let mut rows = Vec::new();
    let spooled = spool(Cursor::new(text), format, head, &shipped(template), &Limits::default(), &mut rows)?;
    Ok((spooled, String::from_utf8(rows).expect("UTF-8")))
}

/// The faults as `line pointer detail`, with `-` for a line that is not known.
fn faults(read: Result<(Spooled, String), InputError>) -> Vec<String> {
    match read {
        Err(InputError::Invalid(faults)) => faults
            .iter()
            .map(|fault| {
                let line = fault.line.map_or("-".to_owned(), |line| line.to_string());
                format!("{line} {} {}", fault.pointer, fault.detail)
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn csv(text: &str) -> Vec<String> {
    faults(read("ledger", ledger(), text, Format::Csv(Dialect::default())))
}

#[test]
fn a_header_without_a_declared_field_is_refused_at_once() {
    for (separator, name, member, argument) in
        [(";", "`;`", "\";\"", "';'"), ("\t", "TAB", "\"\\t\"", "tab"), ("|", "`|`", "\"|\"", "'|'")]
    {
        let header = ["date", "text", "amount"].join(separator);
        let wanted = format!(
            "1 /entries the first line is `{header}`: its fields are separated by {name}, and were read with `,`; send \
             \"separator\": {member} to POST /uploads, or give --separator {argument}"
        );
        assert_eq!(csv(&format!("{header}\n2026-01-31{separator}a,b{separator}1\n")), [wanted]);
        let quoted = csv(&format!("\"Date\"{separator}\"Text\"{separator}\"Amount\"\n"));
        assert!(quoted.len() == 1 && quoted[0].contains(name), "{quoted:?}");
    }
    assert_eq!(
        csv("Date,Text,Amount\n2026-01-31,ab,1\n"),
        [
            "1 /entries the first line names `Date`, and no `date`; did you mean `date`?",
            "1 /entries the first line names `Text`, and no `text`; did you mean `text`?",
            "1 /entries the first line names `Amount`, and no `amount`; did you mean `amount`?",
        ]
    );
    assert_eq!(
        csv("date, text,amount\n2026-01-31,ab,1\n"),
        ["1 /entries the first line names ` text`, and no `text`; did you mean `text`?"]
    );
    assert_eq!(
        csv("date,amount\n2026-01-31,1\n"),
        [
            "1 /entries the first line names no `text`, but `date`, `amount`; a column that may be empty says \"optional\": true"
        ]
    );
}

#[test]
fn a_field_that_no_row_has_is_refused_where_it_is_named() {
    let rows = "{\"date\":\"2026-01-31\",\"Text\":\"a\",\"amount\":1}\n{\"date\":\"2026-01-31\",\"betrag\":1}\n";
    let wanted = "- /columns/1/field no row has the field `text`; the rows have `date`, `Text`, `amount`, `betrag`; a \
                  column that may be empty says \"optional\": true; did you mean `Text`?";
    assert_eq!(faults(read("ledger", ledger(), rows, Format::Ndjson)), [wanted]);

    let mut head = ledger();
    head["totals"] = json!(["nosuch>=0"]);
    let rows = "{\"date\":\"2026-01-31\",\"text\":\"a\",\"amount\":1}\n";
    let wanted = "- /totals/0 no row has the field `nosuch`; the rows have `date`, `text`, `amount`";
    assert_eq!(faults(read("ledger", head.clone(), rows, Format::Ndjson)), [wanted]);

    head.insert("entries".into(), json!([{"date": "2026-01-31", "text": "a", "amount": 1}]));
    let whole = format!(
        "{{\n{}",
        Value::from(head).to_string().trim_start_matches('{').replace("\"totals\":[", "\n\"totals\":[")
    );
    assert_eq!(faults(read("ledger", Map::new(), &whole, Format::Json)), [wanted.replace("- /", "3 /")]);
}

#[test]
fn a_field_that_one_row_has_or_that_is_optional_or_without_rows_is_none_that_is_missing() {
    let rows = "{\"date\":\"2026-01-31\",\"text\":null}\n{\"amount\":\"\",\"date\":\"\"}\n";
    let (spooled, _) = read("ledger", ledger(), rows, Format::Ndjson).expect("one row has it");
    assert_eq!(spooled.totals[0].to_string(), "0");
    for (format, text) in [(Format::Ndjson, ""), (Format::Csv(Dialect::default()), "date,text,amount\n")] {
        let (spooled, _) = read("ledger", ledger(), text, format).expect("no rows");
        assert_eq!(spooled.rows, 0);
    }
}

#[test]
fn a_header_has_no_name_that_a_closed_schema_does_not_know() {
    let head = json!({
        "locale": "en-GB", "currency": "GBP", "issuer": {"name": "B", "address": ["x"]},
        "holder": {"name": "H", "address": ["x"]}, "account": {"number": "1"},
        "period": {"from": "2026-01-01", "to": "2026-01-31"}, "opening_balance": 0,
    });
    let head = head.as_object().expect("an object");
    let found = faults(read(
        "statement",
        head.clone(),
        "date,description,amuont\n2026-01-01,x,1\n",
        Format::Csv(Dialect::default()),
    ));
    assert_eq!(found, ["1 /transactions the first line names `amuont`, and no `amount`; did you mean `amount`?"]);
    let found = faults(read(
        "statement",
        head.clone(),
        "date,description,amount,refrence,x\n2026-01-01,x,1,,\n",
        Format::Csv(Dialect::default()),
    ));
    let unknown = |name: &str, question: &str| {
        format!(
            "1 /transactions the first line names `{name}`, and there is no such field; a row may have `date`, `description`, \
             `reference`, `amount`{question}"
        )
    };
    assert_eq!(found, [unknown("refrence", "; did you mean `reference`?"), unknown("x", "")]);
    read("statement", head.clone(), "date,description,amount\n2026-01-01,x,1\n", Format::Csv(Dialect::default()))
        .expect("a statement");
}

#[test]
fn figures_and_dates_are_checked_as_rows_are_read() {
    assert_eq!(
        csv("date,text,amount,rate\n31.01.2026,a,5.00,\n2023-02-29,b,\"1,5\",7.5\n0217-01-01,,,x\n,,,\n"),
        [
            "2 /entries/0/date \"31.01.2026\" is not a day of the calendar as YYYY-MM-DD, from the year 1600 to 2999",
            "3 /entries/1/amount `1,5` is not a decimal number, such as 1234.50; for numbers with a decimal comma, send \
             \"decimal_comma\": true to POST /uploads, or give --decimal-comma",
            "3 /entries/1/date \"2023-02-29\" is not a day of the calendar as YYYY-MM-DD, from the year 1600 to 2999",
            "4 /entries/2/date \"0217-01-01\" is not a day of the calendar as YYYY-MM-DD, from the year 1600 to 2999",
            "4 /entries/2/rate \"x\" is not a decimal number, such as 1234.50 or \"1234.50\"",
        ]
    );
    let many = "{\"date\":\"x\",\"text\":\"a\",\"amount\":1}\n".repeat(300);
    assert_eq!(faults(read("ledger", ledger(), &many, Format::Ndjson)).len(), 100);
    let digits = format!("{{\"date\":\"2026-01-31\",\"text\":\"a\",\"amount\":\"{}\"}}\n", "1".repeat(29));
    let found = faults(read("ledger", ledger(), &digits, Format::Ndjson));
    assert!(found[0].starts_with("1 /entries/0/amount 1111") && found[0].contains("more than 28 digits"), "{found:?}");
}

#[test]
fn dates_outside_the_period_are_one_warning_and_a_reversed_period_is_refused() {
    let rows = ["2026-01-01", "2025-12-31", "2027-01-01", "2026-12-31"];
    let rows: String = rows.map(|date| format!("{{\"date\":\"{date}\",\"text\":\"a\",\"amount\":1}}\n")).concat();
    let (spooled, _) = read("ledger", ledger(), &rows, Format::Ndjson).expect("a ledger");
    let message = "The date is not within the period, 2026-01-01 to 2026-12-31. Correct the date or the period.";
    let warning = Warning::new("date-outside-period", message, Some("/entries/1/date".into()));
    assert_eq!(spooled.warnings, [Warning { count: 2, ..warning }]);

    let mut head = ledger();
    head["period"]["to"] = "2025-12-31".into();
    let wanted = ["- /period/to the period ends on 2025-12-31, before it begins, on 2026-01-01"];
    assert_eq!(faults(read("ledger", head.clone(), &rows, Format::Ndjson)), wanted);
    head["period"]["to"] = "0217-01-01".into();
    assert!(faults(read("ledger", head, &rows, Format::Ndjson))[0].contains("does not fit: "));
}

#[test]
fn another_separator_and_a_decimal_comma_are_read_if_they_are_told() {
    let read = |separator: char, amount: &str| {
        let text = format!("date;text;amount\n2026-01-31;1,5;{amount}\n").replace(';', &separator.to_string());
        let dialect = Dialect { separator: u8::try_from(separator).expect("ASCII"), decimal_comma: true };
        read("ledger", ledger(), &text, Format::Csv(dialect))
    };
    for separator in [';', '\t', '|'] {
        for (amount, figure) in [
            ("1.234,50", "1234.50"),
            ("-0,5", "-0.5"),
            ("1.234", "1234"),
            ("1234,5", "1234.5"),
            ("1 234 567,8", "1234567.8"),
        ] {
            let (spooled, rows) = read(separator, amount).expect("a ledger");
            assert_eq!(spooled.totals[0].to_string(), figure);
            assert_eq!(rows, format!("{{\"date\":\"2026-01-31\",\"text\":\"1,5\",\"amount\":\"{figure}\"}}\n"));
        }
    }
    for amount in
        ["1.5", "0.500", "-0.001", "01.500,5", "1.234 567,50", "1,234.50", "1,2,3", ",5", "12.34,5", "--1", "1.234.5"]
    {
        let found = faults(read(';', amount));
        let wanted =
            format!("2 /entries/0/amount `{amount}` is not a number with a decimal comma, such as 0,50 or 1.234,50");
        assert!(found.len() == 1 && found[0].starts_with(&wanted), "{found:?}");
    }
}

#[test]
fn all_faults_of_a_row_are_told_at_once() {
    let text = "date;text;amount;rate\n2026-07-35;B;12.34,5;x\n2026-07-36;C;1,5;1\n";
    let dialect = Dialect { separator: b';', decimal_comma: true };
    let found = faults(read("ledger", ledger(), text, Format::Csv(dialect)));
    let places: Vec<_> = found.iter().map(|fault| fault.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        ["2 /entries/0/amount", "2 /entries/0/rate", "2 /entries/0/date", "3 /entries/1/date"],
        "{found:?}"
    );
    let row = format!("{{\"date\":\"x\",\"text\":\"a\",\"amount\":{}}}\n", "1".repeat(29));
    let found = faults(read("ledger", ledger(), &row, Format::Ndjson));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("more than 28 digits") && found[1].contains("/date"), "{found:?}");
}

#[test]
fn a_missing_field_is_told_only_where_nothing_else_is_wrong() {
    let found = faults(read("ledger", ledger(), "[1]\n{\"date\":\"x\"}\n", Format::Ndjson));
    assert_eq!(found.len(), 2, "{found:?}");
    let found = faults(read("ledger", ledger(), "{}\n", Format::Ndjson));
    assert!(
        found.len() == 3 && found[0].contains("no row has the field `date`; the rows have no fields; a"),
        "{found:?}"
    );
}
