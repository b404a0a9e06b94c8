//! Links in layout directories that lead out of them.

use std::os::unix::fs::symlink;

use crate::common::{Site, redacted};
use crate::servers::Served;

/// Returns a site with the image `app` in the layout `src`, whose blobs are links, as those that Bazel
/// makes are.
fn shared() -> Site {
    let site = Site::image();
    std::fs::rename(site.path("src/blobs"), site.path("cache")).unwrap();
    std::fs::create_dir_all(site.path("src/blobs/sha256")).unwrap();
    for entry in site.path("cache/sha256").read_dir().unwrap() {
        let name = entry.unwrap().file_name();
        let target = std::path::Path::new("../../../cache/sha256").join(&name);
        symlink(target, site.path("src/blobs/sha256").join(name)).unwrap();
    }
    site
}

/// Every command that reads a layout directory.
const READING: [&str; 8] = [
    "verify oci:src",
    "inspect oci:src:app",
    "tree oci:src",
    "copy oci:src:app oci:copied",
    "copy --all oci:src oci-archive:copied.tar",
    "export oci:src:registry.example/app:1 -o bundle.tar",
    "gc --dry-run oci:src",
    "tag oci:src:app again",
];

#[test]
fn what_leads_out_is_read_when_asked_for_and_else_named() {
    for line in READING {
        let site = shared();
        let name = "tag oci:src:app registry.example/app:1 --follow-links";
        site.ok(name);
        let refused = site.run(line);
        assert_ne!(refused.code, 0, "{line}");
        let told = refused.text() + &refused.stderr;
        assert!(told.contains(" is a link to ../../../cache/sha256/"), "{line}: {told}");
        assert!(told.contains(", which leads out of src"), "{line}: {told}");
        // What is only shown comes without hints.
        assert!(line.starts_with("tree") || told.contains("--follow-links"), "{line}: {told}");
        site.ok(&format!("{line} --follow-links"));
    }
}

#[test]
fn a_copy_has_no_links() {
    let site = shared();
    site.ok("copy --follow-links oci:src:app oci:copied:app");
    std::fs::remove_dir_all(site.path("cache")).unwrap();
    site.ok("verify oci:copied");
}

#[test]
fn what_others_put_behind_a_link_must_hash_right() {
    let site = shared();
    let digest = site.ok("digest oci:src:app --follow-links");
    let manifest = site.path("cache/sha256").join(digest.trim().trim_start_matches("sha256:"));
    std::fs::remove_file(&manifest).unwrap();
    site.file("secret", "sweet and precious");
    symlink(site.path("secret"), &manifest).unwrap();
    for line in ["verify oci:src", "inspect --raw oci:src:app", "copy oci:src:app oci:new"] {
        let ran = site.run(&format!("{line} --follow-links"));
        assert_ne!(ran.code, 0, "{line}");
        assert!(ran.stderr.contains("is corrupt"), "{line}: {}", ran.stderr);
        assert!(!(ran.stderr.clone() + &ran.text()).contains("precious"), "{line}");
    }
}

#[test]
fn a_server_follows_links_for_this_machine_only() {
    let site = shared();
    let digest = site.ok("digest oci:src:app --follow-links");
    let manifest = format!("/v2/src/manifests/{}", digest.trim());
    let closed = Served::start(&site, "oci:src");
    assert!(closed.get(&manifest).starts_with("HTTP/1.1 500"));
    let open = Served::start(&site, "--follow-links oci:src");
    assert!(open.get(&manifest).starts_with("HTTP/1.1 200"));
    let refused = site.run("serve --follow-links --listen 0.0.0.0:0 oci:src");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let told = redacted(&refused.stderr);
    assert!(told.contains("are not followed for whoever reaches 0.0.0.0:"), "{told}");
}
