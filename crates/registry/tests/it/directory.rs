//! A directory that is served: every answered change is on the disk, and other programs can read it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use longshore_fixture::{Step, steps};
use longshore_layout::Directory;
use longshore_registry::{Access, Handler, Missing};
use longshore_spec::{Descriptor, Digest, MediaType, keys};

use crate::support::{IMAGE, ask, begin, expect, get, image, over, push_blob, push_image};

/// A directory that is served.
struct Scene {
    directory: tempfile::TempDir,
    registry: Handler,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Self::serve(directory.path());
        Self { directory, registry }
    }

    fn serve(path: &Path) -> Handler {
        let place = Directory::create(path).unwrap();
        over(Arc::new(place), Access::ReadWrite, Missing::Refuse)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn index(&self) -> String {
        std::fs::read_to_string(self.path().join("index.json")).unwrap()
    }

    /// Returns every file below a directory, if the directory exists.
    fn files(&self, directory: &str) -> Vec<PathBuf> {
        let (mut found, mut next) = (Vec::new(), vec![self.path().join(directory)]);
        while let Some(directory) = next.pop() {
            for entry in directory.read_dir().into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { next.push(path) } else { found.push(path) }
            }
        }
        found
    }
}

/// An image that differs for each number, with one blob.
fn numbered(number: usize) -> Vec<u8> {
    let raw = image(b"{}", &[], None);
    let mut document: serde_json::Value = serde_json::from_slice(&raw).unwrap();
    document["annotations"] = serde_json::json!({ "number": number.to_string() });
    serde_json::to_vec(&document).unwrap()
}

/// Returns an index of images.
fn index(manifests: &[&[u8]]) -> Vec<u8> {
    let describe = |raw: &&[u8]| Descriptor::of(MediaType::IMAGE_MANIFEST, raw);
    let document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_INDEX,
        "manifests": manifests.iter().map(describe).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&document).unwrap()
}

const INDEX: (&str, &str) = ("content-type", MediaType::IMAGE_INDEX);

#[test]
fn f52_many_pushes_at_once_share_the_writes_of_the_index() {
    const THREADS: usize = 16;
    let scene = Scene::new();
    push_blob(&scene.registry, "a", b"{}");
    let others = scene.files("blobs/sha256").len();
    let writes = AtomicUsize::new(0);
    // Another process holds the lock, so that all requests arrive before the first one is done.
    let lock = File::open(scene.path().join(".longshore/index.lock")).unwrap();
    lock.lock().unwrap();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (scene, writes) = (&scene, &writes);
            scope.spawn(move || {
                let raw = numbered(number);
                let put = format!("PUT /v2/a/manifests/t{number}");
                let steps = steps(|| {
                    expect(&scene.registry, &put, &[IMAGE], &raw, 201);
                });
                let is_write =
                    |step: &&Step| step.name == "rename" && step.path.ends_with("/index.json");
                writes.fetch_add(steps.iter().filter(is_write).count(), Ordering::Relaxed);
                assert!(scene.index().contains(&Digest::sha256(&raw).to_string()), "t{number}");
            });
        }
        while scene.files("blobs/sha256").len() < others + THREADS {
            thread::yield_now();
        }
        lock.unlock().unwrap();
    });
    // One write for the first request, one for those that waited, and some more for a busy machine.
    let writes = writes.load(Ordering::Relaxed);
    assert!(writes <= THREADS / 2, "{writes} writes");
    assert_eq!(get(&scene.registry, "/v2/a/tags/list").list("tags").len(), THREADS);
}

#[test]
fn f52_one_blob_pushed_by_many_at_once_is_kept_once() {
    let scene = Scene::new();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| push_blob(&scene.registry, "a", b"layer"));
        }
    });
    assert_eq!(scene.files("blobs/sha256").len(), 1);
    assert!(scene.files(".longshore/partial/uploads").is_empty());
}

#[test]
fn what_an_index_reaches_has_no_entry_and_stays_in_the_repository() {
    let scene = Scene::new();
    let Scene { registry, .. } = &scene;
    push_blob(registry, "a", b"{}");
    let children = [numbered(1), numbered(2)];
    let paths = children.each_ref().map(|raw| format!("/v2/a/manifests/{}", Digest::sha256(raw)));
    for (path, raw) in paths.iter().zip(&children) {
        expect(registry, &format!("PUT {path}"), &[IMAGE], raw, 201);
        assert!(scene.index().contains(&Digest::sha256(raw).to_string()));
    }
    expect(registry, "PUT /v2/a/manifests/one", &[IMAGE], &children[1], 201);
    let raw = index(&[&children[0], &children[1]]);
    expect(registry, "PUT /v2/a/manifests/both", &[INDEX], &raw, 201);
    assert_eq!(scene.index().matches("\"digest\"").count(), 2, "both and one");
    let (child, tagged) = (&paths[0], &paths[1]);
    let answer = get(registry, child);
    assert_eq!((&answer.body[..], answer.header("content-type")), (&children[0][..], IMAGE.1));
    expect(registry, &child.replace("/v2/a/", "GET /v2/b/"), &[], b"", 404);

    let answer = expect(registry, &format!("DELETE {child}"), &[], b"", 405);
    assert_eq!(answer.code(), "UNSUPPORTED");
    assert!(!answer.json().to_string().contains(scene.path().to_str().unwrap()));
    // Clients delete a tag by its digest.
    expect(registry, &format!("DELETE {tagged}"), &[], b"", 202);
    expect(registry, "GET /v2/a/manifests/one", &[], b"", 404);
    expect(registry, &format!("GET {tagged}"), &[], b"", 200);
    expect(registry, &format!("DELETE {tagged}"), &[], b"", 405);
    let both = format!("DELETE /v2/a/manifests/{}", Digest::sha256(&raw));
    expect(registry, &both, &[], b"", 202);
    expect(registry, &format!("GET {tagged}"), &[], b"", 404);
    expect(registry, &format!("GET {child}"), &[], b"", 200);
    expect(registry, &format!("DELETE {child}"), &[], b"", 202);
    expect(registry, &format!("GET {child}"), &[], b"", 404);
    expect(registry, &format!("DELETE {child}"), &[], b"", 404);
    assert_eq!(scene.index().matches("\"digest\"").count(), 0);
}

#[test]
fn what_a_tag_stood_for_is_still_there_by_digest() {
    let scene = Scene::new();
    let before = push_image(&scene.registry, "a", "v1", b"one").digest;
    let after = push_image(&scene.registry, "a", "v1", b"two").digest;
    let answer = get(&scene.registry, "/v2/a/manifests/v1");
    assert_eq!(answer.header("docker-content-digest"), after.to_string());
    expect(&scene.registry, &format!("GET /v2/a/manifests/{before}"), &[], b"", 200);
    assert_eq!(get(&scene.registry, "/v2/a/tags/list").list("tags"), ["v1"]);
}

#[test]
fn f06_a_manifest_without_a_type_keeps_the_one_it_was_pushed_with() {
    let scene = Scene::new();
    let Scene { registry, .. } = &scene;
    push_blob(registry, "a", b"{}");
    let mut document: serde_json::Value = serde_json::from_slice(&numbered(1)).unwrap();
    document.as_object_mut().unwrap().remove("mediaType");
    let child = serde_json::to_vec(&document).unwrap();
    let path = format!("/v2/a/manifests/{}", Digest::sha256(&child));
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    expect(registry, &format!("PUT {path}"), &[("content-type", docker)], &child, 201);
    let raw = String::from_utf8(index(&[&child])).unwrap();
    let raw = raw.replace(MediaType::IMAGE_MANIFEST, docker);
    expect(registry, "PUT /v2/a/manifests/v1", &[INDEX], raw.as_bytes(), 201);
    assert_eq!(get(registry, &path).header("content-type"), docker);
    expect(registry, &format!("DELETE /v2/a/manifests/{}", Digest::sha256(&raw)), &[], b"", 202);
    assert_eq!(get(registry, &path).header("content-type"), docker);
}

/// A body that breaks off.
struct Broken(usize);

impl std::io::Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        let count = buffer.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }
}

#[test]
fn f17_f49_an_upload_that_ends_early_leaves_no_file() {
    let scene = Scene::new();
    let Scene { registry, .. } = &scene;
    let uploads = || scene.files(".longshore/partial/uploads").len();
    let send = |request: &str, body| {
        let (method, target) = request.split_once(' ').unwrap();
        let request = http::Request::builder().method(method).uri(target).body(body).unwrap();
        registry.handle(request).status().as_u16()
    };
    let digest = Digest::sha256(b"layer");
    assert_eq!(send(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), Broken(1 << 20)), 400);
    assert_eq!(uploads(), 0);
    let location = begin(registry, "a");
    assert_eq!(send(&format!("PATCH {location}"), Broken(1 << 20)), 400);
    assert_eq!(uploads(), 1, "its client may come back");
    let answer = expect(registry, &format!("GET {location}"), &[], b"", 204);
    assert_eq!(answer.header("range"), "0-1048575");
    expect(registry, &format!("DELETE {location}"), &[], b"", 204);
    assert_eq!(uploads(), 0);
    let put = format!("PUT {}?digest={digest}", begin(registry, "a"));
    expect(registry, &put, &[], b"wrong", 400);
    assert_eq!(uploads(), 0);
    assert!(scene.files("blobs").is_empty());
}

#[test]
fn f17_what_a_killed_server_left_goes_and_what_a_living_one_is_at_stays() {
    let scene = Scene::new();
    let location = begin(&scene.registry, "a");
    let dead = scene.path().join(".longshore/partial/uploads/upload-dead");
    std::fs::write(&dead, "half").unwrap();
    let other = Scene::serve(scene.path());
    push_blob(&other, "a", b"{}");
    assert!(!dead.exists());
    let put = format!("PUT {location}?digest={}", Digest::sha256(b"layer"));
    expect(&scene.registry, &put, &[], b"layer", 201);
    assert!(scene.files(".longshore/partial/uploads").is_empty());
}

#[test]
fn f21_f42_blobs_belong_to_repositories() {
    let scene = Scene::new();
    let Scene { registry, .. } = &scene;
    for digest in [push_blob(registry, "a", b"x"), Digest::sha512(b"x")] {
        let post = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        expect(registry, &post, &[], b"x", 201);
        let there = format!("HEAD /v2/b/blobs/{digest}");
        expect(registry, &there, &[], b"", 404);
        let mount = format!("POST /v2/b/blobs/uploads/?mount={digest}");
        expect(registry, &format!("{mount}&from=c"), &[], b"", 202);
        expect(registry, &there, &[], b"", 404);
        expect(registry, &format!("{mount}&from=a"), &[], b"", 201);
        expect(registry, &there, &[], b"", 200);
        let delete = there.replace("HEAD", "DELETE");
        expect(registry, &delete, &[], b"", 202);
        expect(registry, &there, &[], b"", 404);
        expect(registry, &delete, &[], b"", 404);
        expect(registry, &mount, &[], b"", 201);
        expect(registry, &there, &[], b"", 200);
        expect(registry, &there.replace("/b/", "/a/"), &[], b"", 200);
    }
    assert_eq!(get(registry, "/v2/_catalog").list("repositories"), ["a", "b"]);
}

/// Writes a layout with these entries of `index.json`, each an image of a number, as other tools do.
fn layout(entries: &[(usize, &[(&str, &str)])], others: &[Descriptor]) -> Scene {
    let scene = Scene::new();
    push_blob(&scene.registry, "seed", b"{}");
    let mut listed = others.to_vec();
    for (number, annotations) in entries {
        let raw = numbered(*number);
        let put = format!("PUT /v2/seed/manifests/{}", Digest::sha256(&raw));
        expect(&scene.registry, &put, &[IMAGE], &raw, 201);
        let mut entry = Descriptor::of(MediaType::IMAGE_MANIFEST, &raw);
        let annotation = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        entry.annotations = annotations.iter().map(annotation).collect();
        listed.push(entry);
    }
    let document = serde_json::json!({ "schemaVersion": 2, "manifests": listed });
    let document = serde_json::to_vec(&document).unwrap();
    std::fs::write(scene.path().join("index.json"), document).unwrap();
    std::fs::remove_dir_all(scene.path().join(".longshore/repositories")).unwrap();
    scene
}

#[test]
fn f50_f53_a_path_that_two_hosts_hold_needs_its_host() {
    let named = |name| [(keys::REF_NAME, name)];
    let scene = layout(
        &[
            (1, &named("docker.io/library/app:v1")),
            (2, &named("quay.io:443/library/app:v1")),
            (1, &named("docker.io/library/app:v2")),
            (3, &named("docker.io/library/other:v1")),
        ],
        &[],
    );
    let digest = |path: &str| {
        let answer = expect(&scene.registry, &format!("HEAD /v2/{path}"), &[], b"", 200);
        answer.header("docker-content-digest").to_owned()
    };
    let [one, two] = [1, 2].map(|number| Digest::sha256(numbered(number)).to_string());
    assert_eq!(digest("docker.io/library/app/manifests/v1"), one);
    assert_eq!(digest("quay.io_443/library/app/manifests/v1"), two);
    assert_eq!(digest("library/app/manifests/v1?ns=docker.io"), one);
    assert_eq!(digest("library/app/manifests/v1?ns=quay.io:443"), two);
    assert_eq!(digest("library/app/manifests/v2"), one);
    let answer = expect(&scene.registry, "GET /v2/library/app/manifests/v1", &[], b"", 404);
    let message = answer.json()["errors"][0]["message"].to_string();
    for name in ["docker.io/library/app:v1", "quay.io:443/library/app:v1"] {
        assert!(message.contains(name), "{message}");
    }
    // A request for another host does not get the content of this one.
    let other = "GET /v2/library/other/manifests/v1";
    expect(&scene.registry, other, &[], b"", 200);
    expect(&scene.registry, &format!("{other}?ns=quay.io:443"), &[], b"", 404);
    let listed = get(&scene.registry, "/v2/library/app/tags/list?ns=docker.io");
    assert_eq!(
        (listed.list("tags"), listed.header("oci-namespace")),
        (vec!["v1".to_owned(), "v2".to_owned()], "docker.io")
    );
}

#[test]
fn f38_f39_a_referrer_that_says_no_repository_is_where_its_subject_is() {
    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, &numbered(1));
    let referrer = image(b"{}", &[], Some(&subject));
    let listed = Descriptor::of(MediaType::IMAGE_MANIFEST, &referrer);
    let named = [(keys::REF_NAME, "ghcr.io/acme/app:v1")];
    let other = [(keys::REF_NAME, "ghcr.io/acme/other:v1")];
    let scene = layout(&[(1, &named), (2, &other)], std::slice::from_ref(&listed));
    let hex = listed.digest.encoded();
    std::fs::write(scene.path().join("blobs/sha256").join(hex), &referrer).unwrap();
    let Scene { registry, .. } = &scene;
    let referrers = |repository: &str| {
        let path = format!("/v2/{repository}/referrers/{}", subject.digest);
        get(registry, &path).json()["manifests"].as_array().unwrap().len()
    };
    for repository in ["acme/app", "ghcr.io/acme/app"] {
        assert_eq!(referrers(repository), 1);
        let path = format!("/v2/{repository}/manifests/{}", listed.digest);
        assert_eq!(get(registry, &path).body, &referrer[..]);
    }
    assert_eq!(referrers("acme/other"), 0);
    let delete = format!("DELETE /v2/acme/app/manifests/{}", listed.digest);
    expect(registry, &delete, &[], b"", 202);
    assert_eq!(referrers("acme/app"), 0);
    expect(registry, &delete, &[], b"", 404);
}

#[test]
fn a19_half_an_index_that_another_program_is_writing_changes_nothing() {
    let scene = Scene::new();
    push_image(&scene.registry, "a", "v1", b"layer");
    expect(&scene.registry, "GET /v2/a/manifests/v1", &[], b"", 200);
    let path = scene.path().join("index.json");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    expect(&scene.registry, "GET /v2/a/manifests/v1", &[], b"", 200);
    let text = String::from_utf8(whole).unwrap().replace("a:v1", "a:v2");
    std::fs::write(&path, text).unwrap();
    expect(&scene.registry, "GET /v2/a/manifests/v2", &[], b"", 200);
    expect(&scene.registry, "GET /v2/a/manifests/v1", &[], b"", 404);
}

#[test]
fn f03_hostile_requests_are_the_clients_fault() {
    let scene = Scene::new();
    let Scene { registry, .. } = &scene;
    push_image(registry, "a", "v1", b"layer");
    let (digest, long) = (Digest::sha256(b"layer"), "x".repeat(300));
    let deep = "x/".repeat(3000) + "x";
    for (request, status) in [
        (format!("POST /v2/{long}/blobs/uploads/?digest={digest}"), 400),
        (format!("POST /v2/a/{long}/blobs/uploads/"), 400),
        (format!("POST /v2/{deep}/blobs/uploads/?digest={digest}"), 400),
        (format!("POST /v2/b/blobs/uploads/?mount={digest}&from={long}"), 202),
        (format!("POST /v2/b/blobs/uploads/?mount={digest}&from=../a"), 202),
        (format!("POST /v2/b/blobs/uploads/?mount=foo:{long}"), 202),
        (format!("POST /v2/b/blobs/uploads/?digest=foo:{long}"), 400),
        (format!("PUT /v2/a/manifests/{long}"), 400),
        (format!("PUT /v2/a/manifests/foo:{long}"), 400),
        (format!("GET /v2/{long}/tags/list"), 400),
        (format!("GET /v2/{deep}/tags/list"), 400),
        (format!("GET /v2/a/blobs/foo:{long}"), 404),
        (format!("GET /v2/a/manifests/foo:{long}"), 404),
        (format!("GET /v2/a/referrers/foo:{long}"), 200),
        (format!("GET /v2/a/referrers/{digest}?last=foo:{long}"), 200),
        (format!("GET /v2/a/tags/list?n=1&last={long}"), 200),
        (format!("GET /v2/a/manifests/v1?ns={long}"), 200),
        (format!("GET /v2/a/manifests/v1?ns=../..&{long}={long}"), 200),
        (format!("GET /v2/../../etc/blobs/{digest}"), 400),
        (format!("GET /v2/%2e%2e%2f%2e%2e/blobs/{digest}"), 400),
        (format!("GET /v2/a%00b/blobs/{digest}"), 400),
        ("GET /v2/a/blobs/sha256:..%2f..%2f..%2findex.json".to_owned(), 400),
        ("GET /v2/a/blobs/..:..".to_owned(), 400),
        ("GET /v2/a/blobs/uploads/..%2f..%2flock".to_owned(), 404),
        (format!("GET /v2/none/manifests/v1?ns={long}"), 404),
        (format!("GET /v2/none/blobs/{digest}?ns={long}"), 404),
        (format!("DELETE /v2/a/blobs/foo:{long}"), 404),
        (format!("DELETE /v2/a/manifests/foo:{long}"), 404),
    ] {
        let answer = ask(registry, &request, &[], b"");
        assert_eq!(answer.status, status, "{request}: {:?}", answer.body);
    }
    let blob = format!("GET /v2/a/blobs/{digest}");
    for (range, status) in [
        ("bytes=0-18446744073709551615", 206),
        ("bytes=18446744073709551615-18446744073709551616", 416),
        ("bytes=-18446744073709551616", 206),
        ("bytes=4-1", 416),
        ("bytes=0-0,0-0,0-0,0-0", 200),
        ("bytes=--1", 200),
    ] {
        assert_eq!(ask(registry, &blob, &[("range", range)], b"").status, status, "{range}");
    }
    for (range, length, status) in [
        ("0-18446744073709551615", "5", 400),
        ("18446744073709551615-18446744073709551615", "1", 416),
        ("0-4", "18446744073709551615", 400),
        ("0-4", "-5", 400),
        ("4-0", "5", 416),
    ] {
        let patch = format!("PATCH {}", begin(registry, "a"));
        let headers = [("content-range", range), ("content-length", length)];
        let answer = ask(registry, &patch, &headers, b"layer");
        assert_eq!(answer.status, status, "{range}, {length}: {:?}", answer.body);
    }
    assert!(scene.path().join("index.json").exists());
}

#[test]
fn what_manifests_refer_to_is_read_once() {
    let scene = layout(&[(1, &[(keys::REF_NAME, "ghcr.io/acme/app:v1")])], &[]);
    let Scene { registry, .. } = &scene;
    let blob = format!("GET /v2/acme/app/blobs/{}", Digest::sha256(b"{}"));
    expect(registry, &blob, &[], b"", 200);
    let digest = Digest::sha256(numbered(1));
    let path = scene.path().join("blobs/sha256").join(digest.encoded());
    std::fs::write(&path, vec![b' '; numbered(1).len()]).unwrap();
    // Another state of the entries.
    push_image(registry, "other", "v1", b"layer");
    expect(registry, &blob, &[], b"", 200);
    // A client that has not read it does not know.
    let fresh = Scene::serve(scene.path());
    expect(&fresh, &blob, &[], b"", 500);
    let whole = push_image(&fresh, "acme/app", "v2", b"layer");
    expect(&fresh, &format!("GET /v2/acme/app/manifests/{}", whole.digest), &[], b"", 200);
    expect(&fresh, &format!("GET /v2/acme/app/blobs/{}", Digest::sha256(b"layer")), &[], b"", 200);
}
