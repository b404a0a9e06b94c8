//! YAML and lists: `bundle.yaml`, files of other tools, Kubernetes manifests.

use longshore_bundle::{LayoutPlace, Selection, find_images};
use longshore_spec::Reference;

/// What is wanted is understood or refused with a place in the file, and what is found is a reference.
pub fn selection(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match Selection::parse("it", text) {
        Ok(parsed) => {
            let lines = text.lines().count() as u64;
            for item in parsed.selection.items {
                assert!(item.line <= lines.max(1), "{item:?}");
            }
        }
        Err(error) => assert!(error.to_string().contains("it"), "{error}"),
    }
    _ = Selection::from_yaml("it", text);
    _ = Selection::from_list("it", text);
    _ = LayoutPlace::parse(text);
    if let Ok(found) = find_images("it", text) {
        for image in found.images {
            let reference: Reference = image.reference.parse().expect("what is found is read");
            assert_eq!(reference.to_string(), image.reference);
        }
    }
}
