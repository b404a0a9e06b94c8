//! What is said of every layout and archive that is broken in a known way.

use std::fmt::Write as _;

use longshore_fixture::{Fixture, Form, broken};

use crate::common::{Ran, Site, redacted};

/// A fault is reported by every command that comes upon it, and what is harmless by none.
#[test]
fn every_fault_is_named() {
    let site = Site::new();
    let mut shown = String::new();
    for fixture in broken::all() {
        fixture.write(site.root()).unwrap();
        let lines = commands(&fixture);
        let ran: Vec<Ran> = lines.iter().map(|line| site.run(line)).collect();
        if !fixture.fault {
            for (line, ran) in lines.iter().zip(&ran) {
                assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
            }
            continue;
        }
        let _ = writeln!(shown, "## {}\n", fixture.name);
        for (line, ran) in lines.iter().zip(&ran) {
            let left = site.path(&format!("{}.out.tar", fixture.name));
            assert!(!left.exists(), "{line} left an archive");
            let _ = writeln!(
                shown,
                "$ longshore {line}\n{}[exit {}]\n",
                redacted(&ran.stderr),
                ran.code
            );
        }
        assert_eq!(ran[0].code, 3, "{}: verify finds it", fixture.name);
    }
    insta::assert_snapshot!("every_fault_is_named", shown);
}

fn commands(fixture: &Fixture) -> [String; 2] {
    let name = fixture.file_name();
    match fixture.form {
        Form::Tar(_) => {
            [format!("verify -q oci-archive:{name}"), format!("list -q --all oci-archive:{name}")]
        }
        Form::Content(_) | Form::Tree(_) => {
            let copy =
                format!("copy -q --all --force oci:{name} oci-archive:{}.out.tar", fixture.name);
            [format!("verify -q oci:{name}"), copy]
        }
    }
}
