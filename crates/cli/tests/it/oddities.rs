//! Bundles of what is odd: registries that lie, and hold less than they list.

use longshore_fixture::{Content, Draft};
use longshore_spec::{Descriptor, MediaType};

use crate::common::Site;
use crate::served::Served;

#[test]
fn sizes_that_no_disk_has_are_told_and_not_added_up_to_less() {
    let site = Site::new();
    let huge = |content: &mut Content| {
        let config = content.empty();
        let layers = ["a", "b", "c"].map(|letter| {
            let digest = format!("sha256:{}", letter.repeat(64)).parse().unwrap();
            Descriptor::new(MediaType::new("text/plain"), digest, i64::MAX as u64)
        });
        content.manifest(&Draft::image(&config, &layers))
    };
    site.put("near", &Content::tagged("local.test/app:1", huge));
    let near = Served::start(&site, "oci:near --writable --allow-missing");
    let export = format!("export {}/app:1", near.host());
    let into = site.run(&format!("{export} -o oci:far --dry-run"));
    assert_eq!(into.code, 0, "{}", into.stderr);
    assert!(into.text().contains("16.0 EiB"), "{}", into.text());
    // A directory is no archive, though it is not there yet.
    assert!(!into.text().contains("archive"), "{}", into.text());
    for to in ["oci:far", "far.tar"] {
        let ran = site.run(&format!("{export} -o {to}"));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

#[test]
fn images_behind_links_are_found_and_templates_are_told() {
    let site = Site::new();
    site.file("real.yml", "image: a:1\n---\nimage: '{{ .Values.image }}'\n");
    std::fs::create_dir(site.path("all")).unwrap();
    std::os::unix::fs::symlink("../real.yml", site.path("all/link.yaml")).unwrap();
    let ran = site.run("find-images all");
    assert_eq!((ran.code, ran.text().as_str()), (0, "docker.io/library/a:1\n"), "{}", ran.stderr);
    let told =
        "warning: all/link.yaml: `{{ .Values.image }}` is no reference, so it is not in the list\n";
    assert_eq!(ran.stderr, told);
}
