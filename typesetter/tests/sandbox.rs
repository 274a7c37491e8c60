//! What a template cannot reach, and what it is told when it tries.

mod support;

use std::fs;
use std::os::unix::fs::symlink;

use insta::assert_snapshot;
use support::{Place, rendered};
use typesetter::{Engine, Error};

#[test]
fn a_path_cannot_climb_out() {
    assert_snapshot!(Place::new("#read(\"../data.json\")").errors(), @r#"
    error: path `"../data.json"` would escape the project root
     --> main.typ:1:7
      |
    1 | #read("../data.json")
      |       ^^^^^^^^^^^^^^
      = hint: cannot access files outside of the project sandbox
      = hint: a template sees its own folder, the kit as `/kit` and its data as `/data.json`
    "#);
    assert_snapshot!(Place::new("#import \"/kit/../../x.typ\"").errors(), @r#"
    error: path `"/kit/../../x.typ"` would escape the project root
     --> main.typ:1:9
      |
    1 | #import "/kit/../../x.typ"
      |         ^^^^^^^^^^^^^^^^^^
      = hint: cannot access files outside of the project sandbox
      = hint: a template sees its own folder, the kit as `/kit` and its data as `/data.json`
    "#);
}

#[test]
fn an_absolute_path_starts_at_the_template() {
    assert_snapshot!(Place::new("#read(\"/etc/passwd\")").errors(), @r#"
    error: failed to load file (the template's folder has no `etc/passwd`)
     --> main.typ:1:7
      |
    1 | #read("/etc/passwd")
      |       ^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_link_cannot_lead_out() {
    let place = Place::new("#read(\"secret.txt\")");
    place.write("secret.txt", "secret");
    symlink(place.path("secret.txt"), place.path("template/secret.txt")).expect("a link");
    assert_snapshot!(place.errors(), @r#"
    error: failed to load file (`secret.txt` is a link that leads out of the template's folder)
     --> main.typ:1:7
      |
    1 | #read("secret.txt")
      |       ^^^^^^^^^^^^
    "#);

    let place = Place::new("#read(\"up/secret.txt\")");
    place.write("secret.txt", "secret");
    symlink("..", place.path("template/up")).expect("a link");
    assert_snapshot!(place.errors(), @r#"
    error: failed to load file (`up/secret.txt` is a link that leads out of the template's folder)
     --> main.typ:1:7
      |
    1 | #read("up/secret.txt")
      |       ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_link_of_the_kit_cannot_lead_out() {
    let place = Place::new("#read(\"/kit/secret.txt\")");
    place.write("secret.txt", "secret");
    place.write("kit/kit.typ", "");
    symlink("../secret.txt", place.path("kit/secret.txt")).expect("a link");
    assert_snapshot!(place.errors(), @r#"
    error: failed to load file (`secret.txt` is a link that leads out of the kit)
     --> main.typ:1:7
      |
    1 | #read("/kit/secret.txt")
      |       ^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_main_file_cannot_be_a_link_that_leads_out() {
    let place = Place::new("");
    place.write("other.typ", "secret");
    fs::remove_file(place.path("template/main.typ")).expect("removed");
    symlink("../other.typ", place.path("template/main.typ")).expect("a link");
    assert_snapshot!(place.errors(), @"error: failed to load file (`main.typ` is a link that leads out of the template's folder)");
}

#[test]
fn a_link_that_stays_inside_is_followed() {
    let place = Place::new("#read(\"here.txt\")");
    place.write("template/texts/there.txt", "fine");
    symlink("texts/there.txt", place.path("template/here.txt")).expect("a link");
    place.typeset().expect("a report");
}

#[test]
fn a_pipe_does_not_block() {
    let place = Place::new("#read(\"pipe\")");
    let made = std::process::Command::new("mkfifo").arg(place.path("template/pipe")).status().expect("mkfifo");
    assert!(made.success());
    assert_snapshot!(place.errors(), @r#"
    error: failed to load file (`pipe` in the template's folder is not a plain file)
     --> main.typ:1:7
      |
    1 | #read("pipe")
      |       ^^^^^^
    "#);
}

#[test]
fn a_folder_is_not_a_file() {
    assert_snapshot!(Place::new("#read(\"/\")").errors(), @r#"
    error: failed to load file (is a directory)
     --> main.typ:1:7
      |
    1 | #read("/")
      |       ^^^
    "#);
    assert_snapshot!(Place::new("#read(\"/kit\")").errors(), @r#"
    error: failed to load file (is a directory)
     --> main.typ:1:7
      |
    1 | #read("/kit")
      |       ^^^^^^
    "#);
}

#[test]
fn packages_are_not_available() {
    assert_snapshot!(Place::new("#import \"@preview/cetz:0.3.4\"").errors(), @r#"
    error: failed to load package (packages are not available here: copy the files of @preview/cetz:0.3.4 into the template's folder and import them from there)
     --> main.typ:1:9
      |
    1 | #import "@preview/cetz:0.3.4"
      |         ^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_plugin_must_be_in_the_folder() {
    assert_snapshot!(Place::new("#plugin(\"/usr/lib/evil.wasm\")").errors(), @r#"
    error: failed to load file (the template's folder has no `usr/lib/evil.wasm`)
     --> main.typ:1:9
      |
    1 | #plugin("/usr/lib/evil.wasm")
      |         ^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn the_environment_and_inputs_are_empty() {
    Place::new("#assert.eq(sys.inputs, (:))").typeset().expect("a report");
}

#[test]
fn a_missing_kit_is_named() {
    assert_snapshot!(Place::new("#import \"/kit/kit.typ\": money").errors(), @r#"
    error: failed to load file (there is no kit, so there is no `kit/kit.typ`)
     --> main.typ:1:9
      |
    1 | #import "/kit/kit.typ": money
      |         ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_missing_file_of_the_kit_is_named() {
    let place = Place::new("#import \"/kit/tables.typ\": rows");
    place.write("kit/kit.typ", "");
    assert_snapshot!(place.errors(), @r#"
    error: failed to load file (the kit has no `tables.typ`)
     --> main.typ:1:9
      |
    1 | #import "/kit/tables.typ": rows
      |         ^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn own_files_never_shadow_the_data_or_the_kit() {
    let place = Place::new("#import \"/kit/kit.typ\": whose\n#assert.eq(json(\"data.json\").whose + whose, \"ours\")");
    place.write("data.json", "{\"whose\": \"ou\"}");
    place.write("kit/kit.typ", "#let whose = \"rs\"");
    place.write("template/data.json", "{\"whose\": \"its\"}");
    place.write("template/kit/kit.typ", "#let whose = \"its\"");
    place.typeset().expect("a report");
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let place = Place::new("\u{feff}#set page(width: auto, height: auto)\n#oops");
    assert_snapshot!(place.errors(), @r"
    error: unknown variable: oops
     --> main.typ:2:2
      |
    2 | #oops
      |  ^^^^
    ");
}

#[test]
fn a_template_without_main_is_missing() {
    let place = Place::new("");
    fs::remove_file(place.path("template/main.typ")).expect("removed");
    assert!(matches!(place.typeset(), Err(Error::MissingTemplate { .. })));

    let mut request = place.request();
    request.template = place.path("nowhere");
    assert!(matches!(Engine::new().typeset(&request), Err(Error::MissingTemplate { .. })));
}

#[test]
fn fonts_come_from_the_template_and_the_kit() {
    let place = Place::new("#set text(font: \"Reports Own Mono\")\nHello");
    let mut engine = Engine::new();
    let warnings = engine.typeset(&place.request()).expect("a report").diagnostics;
    assert!(rendered(&warnings).contains("unknown font family"));

    place.write("template/fonts/sub/own.ttf", renamed_font());
    assert_eq!(engine.typeset(&place.request()).expect("a report").diagnostics, []);

    fs::remove_dir_all(place.path("template/fonts")).expect("removed");
    assert_eq!(engine.typeset(&place.request()).expect("a report").diagnostics.len(), 1);

    place.write("kit/fonts/own.TTF", renamed_font());
    assert_eq!(engine.typeset(&place.request()).expect("a report").diagnostics, []);
}

#[test]
fn a_file_that_is_no_font_is_named() {
    let place = Place::new("Hello");
    place.write("template/fonts/broken.otf", "not a font");
    place.write("other.ttf", renamed_font());
    symlink("../../other.ttf", place.path("template/fonts/outside.ttf")).expect("a link");
    let made = std::process::Command::new("mkfifo").arg(place.path("template/fonts/pipe.ttf")).status();
    assert!(made.expect("mkfifo").success());
    let report = place.typeset().expect("a report");
    assert_snapshot!(rendered(&report.diagnostics), @r"
    warning: not used as a font: Typst cannot read this file
    --> fonts/broken.otf
    warning: not used as a font: this is a link that leads out of its folder
    --> fonts/outside.ttf
    warning: not used as a font: this is not a plain file
    --> fonts/pipe.ttf
    ");
}

/// An embedded font under the family name `Reports Own Mono`, in both encodings that name tables use.
fn renamed_font() -> Vec<u8> {
    let (old, new) = ("DejaVu Sans Mono", "Reports Own Mono");
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let mono = typst_assets::fonts().find(|font| font.windows(old.len()).any(|window| window == old.as_bytes()));
    let mut font = mono.expect("an embedded DejaVu Sans Mono").to_vec();
    for (old, new) in [(old.into(), new.into()), (utf16(old), utf16(new))] {
        let (old, new): (Vec<u8>, Vec<u8>) = (old, new);
        while let Some(at) = font.windows(old.len()).position(|window| window == old) {
            font[at..at + new.len()].copy_from_slice(&new);
        }
    }
    font
}
