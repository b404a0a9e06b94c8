//! Pushing (rows E-40 to E-78).

use std::sync::Mutex;

use longshore_remote::{Client, Config, PushMode, RemoteRepository};
use longshore_spec::{Digest, Manifest};
use longshore_store::{Entry, Error, Name, Pushed, Source as _, Target as _};

use crate::fake::{self, Profile};
use crate::stub::{Request, Response, Stub};
use crate::support::{Piece, config, image, noise, remote};

/// A registry with one upload, that answers a `PUT` as `put` says.
fn session(put: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Stub {
    Stub::new(move |request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up?_state=a%2Bb%3D&x"),
        "PUT" => put(request),
        _ => Response::new(404),
    })
}

fn in_chunks(host: &str, chunk_size: u64) -> RemoteRepository {
    let config = Config { push: PushMode::Chunks, chunk_size, ..config() };
    let registry = Client::new(&config).unwrap().registry(host).unwrap();
    registry.remote_repository(&"library/app".parse().unwrap())
}

pub(crate) fn of(stub: &Stub, method: &str) -> Vec<Request> {
    stub.requests().into_iter().filter(|each| each.method == method).collect()
}

#[test]
fn e40_a_blob_goes_in_one_request() {
    for length in [65_537, 300_000, 1_000_000] {
        let stub = session(|_| Response::new(201));
        let piece = Piece::new(noise(length));
        let pushed = remote(&stub.host).push_blob(&piece).unwrap();
        assert_eq!(pushed, Pushed::Written(length as u64));
        let [post, put] = &stub.requests()[..] else { panic!("{:?}", stub.log()) };
        assert_eq!(post.header("content-length"), Some("0"));
        assert_eq!(put.header("content-length"), Some(length.to_string().as_str()));
        assert_eq!(put.header("content-type"), Some("application/octet-stream"));
        assert_eq!(put.header("transfer-encoding"), None);
        let digest = &piece.descriptor.digest;
        assert_eq!(put.target, format!("/up?_state=a%2Bb%3D&x&digest={digest}"), "row E-42");
        assert!(put.body == piece.content);
    }
}

#[test]
fn e41_an_upload_may_lead_to_another_host() {
    let other = Stub::new(|_| Response::new(201));
    let location = format!("http://{}/up", other.host);
    let stub = Stub::new(move |_| Response::new(202).header("location", &location));
    remote(&stub.host).push_blob(&Piece::new("content")).unwrap();
    assert_eq!(other.requests()[0].body, b"content");
}

/// Answers that the content with the digest in a parameter exists.
fn named_after(param: &str, request: &Request) -> Response {
    let digest = request.param(param).unwrap_or_default();
    Response::new(201).header("location", "/x").header("docker-content-digest", digest)
}

/// A registry that answers 201 to every POST, and accepts content only when an upload ends.
fn boasting(takes: &'static [&'static str]) -> Stub {
    let there = Mutex::new(Vec::new());
    Stub::new(move |request| {
        let mut there = there.lock().unwrap();
        let asked = |param: &str| takes.contains(&param).then(|| request.param(param)).flatten();
        match request.method.as_str() {
            "POST" => {
                there.extend(asked("digest").or_else(|| asked("mount")));
                Response::new(201).header("location", "/up")
            }
            "PUT" => {
                there.extend(request.param("digest"));
                Response::new(201)
            }
            _ if there.iter().any(|digest| request.path().ends_with(digest)) => {
                Response::ok("content")
            }
            _ => Response::new(404),
        }
    })
}

#[test]
fn what_a_registry_says_to_have_taken_is_looked_for() {
    let push = |stub: &Stub, piece: &Piece| {
        let remote = remote(&stub.host);
        let mut mounted = Piece::new("mounted");
        mounted.location =
            remote.registry().remote_repository(&"other/app".parse().unwrap()).location();
        for _ in 0..2 {
            remote.push_blob(piece).unwrap();
            remote.push_blob(&mounted).unwrap();
        }
    };
    for piece in [Piece::new("small"), Piece::new(noise(100_000))] {
        let stub = boasting(&[]);
        push(&stub, &piece);
        assert_eq!(stub.count("PUT"), 4, "{:?}", stub.log());
        // After one blob that was there, the registry is believed.
        let stub = boasting(&["digest", "mount"]);
        push(&stub, &piece);
        assert_eq!((stub.count("PUT"), stub.count("HEAD")), (0, 2), "{:?}", stub.log());
    }
    // A client that may not read learns nothing else.
    let stub = Stub::new(|request| match request.method.as_str() {
        "POST" => Response::new(201),
        _ => Response::new(403),
    });
    remote(&stub.host).push_blob(&Piece::new("small")).unwrap();
    // If the answer names another digest, it is not believed.
    let stub = Stub::new(|request| match request.method.as_str() {
        "POST" if request.param("digest").is_some() || request.param("mount").is_some() => {
            Response::new(201).header("docker-content-digest", Digest::sha256("x"))
        }
        "POST" => Response::new(202).header("location", "/up"),
        "PUT" => Response::new(201),
        _ => Response::new(404),
    });
    push(&stub, &Piece::new("small"));
    assert_eq!(stub.count("PUT"), 4, "{:?}", stub.log());
}

#[test]
fn e45_a_small_blob_goes_with_the_first_request() {
    for length in [0, 1, 65_536] {
        let stub = Stub::new(|request| named_after("digest", request));
        let piece = Piece::new(noise(length));
        let pushed = remote(&stub.host).push_blob(&piece).unwrap();
        assert_eq!(pushed, Pushed::Written(length as u64));
        let [post] = &stub.requests()[..] else { panic!("{:?}", stub.log()) };
        assert!(post.is("POST", "/v2/library/app/blobs/uploads/?digest=sha256:"), "{post:?}");
        assert_eq!(post.header("content-length"), Some(length.to_string().as_str()));
        assert_eq!(post.header("content-type"), Some("application/octet-stream"));
        assert!(post.body == piece.content);
    }
}

#[test]
fn e45_a_registry_that_takes_nothing_with_the_first_request_is_asked_once() {
    // An upload that was opened is used; after another answer, a new one is opened.
    for (status, posts) in [(202, 2), (400, 3), (404, 3), (405, 3), (413, 3), (500, 3)] {
        let stub = Stub::new(move |request| match request.method.as_str() {
            "POST" if request.param("digest").is_some() => {
                Response::new(status).header("location", "/up?x=1")
            }
            "POST" => Response::new(202).header("location", "/up?x=1"),
            "PUT" => Response::new(201),
            _ => Response::new(404),
        });
        let remote = remote(&stub.host);
        remote.push_blob(&Piece::new("one")).unwrap();
        remote.push_blob(&Piece::new("")).unwrap();
        let puts = of(&stub, "PUT");
        assert_eq!((puts.len(), stub.count("POST")), (2, posts), "{status}");
        assert_eq!((&puts[0].body[..], &puts[1].body[..]), (&b"one"[..], &b""[..]));
        let with_digest =
            of(&stub, "POST").iter().filter(|each| each.param("digest").is_some()).count();
        assert_eq!(with_digest, 1, "{status}");
    }
    let stub = Stub::new(|_| Response::new(403));
    let error = remote(&stub.host).push_blob(&Piece::new("one")).unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert_eq!(stub.log().len(), 1);
}

#[test]
fn e62_a_registry_may_find_by_itself_where_a_blob_is() {
    let stub = Stub::new(|request| match request.param("mount") {
        Some(_) => named_after("mount", request),
        None => Response::new(404),
    });
    let piece = Piece::new(noise(100_000));
    assert_eq!(remote(&stub.host).push_blob(&piece).unwrap(), Pushed::Mounted);
    let [post] = &stub.requests()[..] else { panic!("{:?}", stub.log()) };
    assert_eq!((post.param("from"), post.body.len()), (None, 0));
    // A registry that cannot mount opens an upload, or refuses and is not asked again.
    for (status, posts) in [(202, 2), (400, 3), (405, 3), (500, 3)] {
        let stub = Stub::new(move |request| match request.method.as_str() {
            "POST" if request.param("mount").is_some() => {
                Response::new(status).header("location", "/up")
            }
            "POST" => Response::new(202).header("location", "/up"),
            "PUT" => Response::new(201),
            _ => Response::new(404),
        });
        let remote = remote(&stub.host);
        for _ in 0..2 {
            assert_eq!(remote.push_blob(&piece).unwrap(), Pushed::Written(100_000));
        }
        assert_eq!((stub.count("PUT"), stub.count("POST")), (2, posts), "{status}");
    }
}

#[test]
fn e47_another_algorithm_is_announced() {
    let stub = session(|_| Response::new(201));
    let mut piece = Piece::new(noise(100_000));
    piece.descriptor.digest = Digest::sha512(noise(100_000));
    remote(&stub.host).push_blob(&piece).unwrap();
    assert_eq!(stub.requests()[0].param("digest-algorithm").as_deref(), Some("sha512"));
}

#[test]
fn a_connection_that_is_cut_is_no_reason_to_give_up() {
    let count = Mutex::new(0);
    let stub = session(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        if *count < 3 { Response::hang_up() } else { Response::new(201) }
    });
    let piece = Piece::new(noise(700_000));
    remote(&stub.host).push_blob(&piece).unwrap();
    // Nor is an unknown method a reason to continue.
    assert_eq!((stub.count("PATCH"), stub.count("PUT")), (2, 3));
    assert!(of(&stub, "PUT")[2].body == piece.content);
}

#[test]
fn a_registry_that_is_busy_gets_the_content_into_the_same_upload() {
    for (second, posts) in [(201, 1), (404, 2)] {
        let count = Mutex::new(0);
        let stub = session(move |_| {
            let mut count = count.lock().unwrap();
            *count += 1;
            Response::new([503, second, 201][*count - 1])
        });
        let piece = Piece::new(noise(100_000));
        remote(&stub.host).push_blob(&piece).unwrap();
        // One more request asks for a mount.
        let opened = of(&stub, "POST").iter().filter(|each| each.param("mount").is_none()).count();
        assert_eq!(opened + 1, posts, "{second}");
    }
}

#[test]
fn a_long_upload_that_is_cut_off_again_and_again_goes_in_chunks() {
    let stub = Stub::new(move |request| match request.method.as_str() {
        "POST" | "PATCH" => Response::new(202).header("location", "/up"),
        "PUT" if request.body.is_empty() => Response::new(201),
        "PUT" => Response::hang_up(),
        _ => Response::new(404),
    });
    remote(&stub.host).push_blob(&Piece::new(noise(5_000_000))).unwrap();
    assert_eq!((stub.count("PATCH"), stub.count("PUT"), stub.count("POST")), (2, 3, 3));
}

#[test]
fn an_early_refusal_is_the_result() {
    for (status, denied) in [(403, true), (409, false)] {
        let stub = Stub::early(
            move |request| (request.method == "PUT").then(|| Response::new(status)),
            |_| Response::new(202).header("location", "/up"),
        );
        let error = remote(&stub.host).push_blob(&Piece::new(noise(20_000_000))).unwrap_err();
        assert_eq!(matches!(error, Error::Denied { .. }), denied, "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[test]
fn a_blob_that_is_too_much_for_one_request_goes_in_chunks() {
    let blob = Mutex::new(Vec::new());
    let stub = Stub::early(
        |request| {
            let whole = request.method == "PUT" && request.header("content-length") != Some("0");
            whole.then(|| Response::new(413))
        },
        move |request| match request.method.as_str() {
            "POST" => Response::new(202).header("location", "/up"),
            "PATCH" => {
                let mut blob = blob.lock().unwrap();
                blob.extend_from_slice(&request.body);
                let range = format!("0-{}", blob.len() - 1);
                Response::new(202).header("location", "/up").header("range", range)
            }
            _ => Response::new(201),
        },
    );
    let piece = Piece::new(noise(9_000_000));
    remote(&stub.host).push_blob(&piece).unwrap();
    let patches = of(&stub, "PATCH");
    assert_eq!(patches.len(), 3, "4 MiB each");
    assert!(patches.iter().flat_map(|each| &each.body).eq(piece.content.iter()));
    assert_eq!((stub.count("DELETE"), stub.count("POST")), (1, 2));
}

#[test]
fn e48_chunks_are_numbered_and_follow_the_latest_location() {
    let taken = Mutex::new(0);
    let stub = Stub::new(move |request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up/0"),
        "PATCH" => {
            let mut taken = taken.lock().unwrap();
            if request.path() != format!("/up/{taken}") {
                return Response::new(404);
            }
            *taken += request.body.len();
            Response::new(202)
                .header("location", format!("/up/{taken}"))
                .header("range", format!("bytes=0-{}", *taken - 1))
        }
        _ => Response::new(201),
    });
    let piece = Piece::new(noise(25));
    in_chunks(&stub.host, 10).push_blob(&piece).unwrap();
    let ranges: Vec<_> = of(&stub, "PATCH")
        .iter()
        .map(|each| each.header("content-range").unwrap().to_owned())
        .collect();
    assert_eq!(ranges, ["0-9", "10-19", "20-24"]);
    let close = stub.requests().pop().unwrap();
    assert_eq!((close.path(), close.header("content-length")), ("/up/25", Some("0")));
}

#[test]
fn e49_a_registry_may_ask_for_longer_chunks() {
    let stub = Stub::new(|request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up").header("oci-chunk-min-length", "20"),
        "PATCH" => Response::new(202).header("location", "/up"),
        _ => Response::new(201),
    });
    in_chunks(&stub.host, 10).push_blob(&Piece::new(noise(50))).unwrap();
    let lengths: Vec<_> = of(&stub, "PATCH").iter().map(|each| each.body.len()).collect();
    assert_eq!(lengths, [20, 20, 10]);
}

#[test]
fn e51_a_chunk_that_was_taken_in_part_goes_on_there() {
    let blob = Mutex::new(Vec::new());
    let stub = Stub::new(move |request| {
        let mut blob = blob.lock().unwrap();
        let status = |status, blob: &Vec<u8>| {
            let range = format!("0-{}", blob.len().saturating_sub(1));
            Response::new(status).header("location", "/up").header("range", range)
        };
        match request.method.as_str() {
            "POST" => Response::new(202).header("location", "/up"),
            "PATCH" => {
                let start = request.header("content-range").unwrap().split('-').next().unwrap();
                if start.parse() != Ok(blob.len()) {
                    return Response::new(416);
                }
                // At most seven bytes at a time, and the third chunk is lost silently.
                blob.extend_from_slice(&request.body[..request.body.len().min(7)]);
                status(202, &blob)
            }
            "GET" => status(204, &blob),
            _ => Response::new(if blob.len() == 25 { 201 } else { 400 }),
        }
    });
    in_chunks(&stub.host, 10).push_blob(&Piece::new(noise(25))).unwrap();
    let starts: Vec<_> = of(&stub, "PATCH")
        .iter()
        .map(|each| each.header("content-range").unwrap().to_owned())
        .collect();
    assert_eq!(starts, ["0-9", "7-16", "14-23", "21-24"]);
}

#[test]
fn e53_a_chunk_that_was_cut_off_is_asked_about() {
    let (blob, count) = (Mutex::new(Vec::new()), Mutex::new(0));
    let stub = Stub::new(move |request| {
        let mut blob = blob.lock().unwrap();
        match request.method.as_str() {
            "POST" => Response::new(202).header("location", "/up"),
            "PATCH" => {
                let mut count = count.lock().unwrap();
                *count += 1;
                if *count == 2 {
                    blob.extend_from_slice(&request.body[..3]);
                    return Response::hang_up();
                }
                blob.extend_from_slice(&request.body);
                Response::new(202).header("location", "/up")
            }
            "GET" => Response::new(204)
                .header("location", "/up")
                .header("range", format!("0-{}", blob.len() - 1)),
            _ => Response::new(if *blob == noise(25) { 201 } else { 400 }),
        }
    });
    in_chunks(&stub.host, 10).push_blob(&Piece::new(noise(25))).unwrap();
    assert_eq!((stub.count("GET"), stub.count("POST")), (1, 1));
}

#[test]
fn a_registry_that_takes_nothing_is_not_asked_for_ever() {
    let stub = Stub::new(|request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up"),
        _ => Response::new(202).header("location", "/up").header("range", "0-0"),
    });
    let error = in_chunks(&stub.host, 10).push_blob(&Piece::new(noise(25))).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(stub.count("PATCH") < 10);
}

#[test]
fn e56_an_upload_that_fails_is_cancelled() {
    let stub = session(|_| Response::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#));
    let error = remote(&stub.host).push_blob(&Piece::new("content")).unwrap_err();
    assert!(error.to_string().contains("DIGEST_INVALID"), "{error}");
    assert_eq!(stub.log().last().unwrap(), "DELETE /up?_state=a%2Bb%3D&x");
    // By all methods.
    assert_eq!(stub.count("DELETE"), 3);
    // Wrong content is noticed before its last byte is sent.
    let stub = session(|_| Response::new(201));
    let mut piece = Piece::new(noise(100_000));
    piece.descriptor.digest = Digest::sha256("other");
    let error = remote(&stub.host).push_blob(&piece).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    assert_eq!((stub.count("PUT"), stub.count("DELETE")), (0, 1));
}

fn mounting(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> (Stub, Pushed) {
    let stub = Stub::new(move |request| match request.method.as_str() {
        "POST" if request.param("mount").is_some() => answer(request),
        "POST" => Response::new(202).header("location", "/plain"),
        "PUT" => Response::new(201),
        _ => Response::new(404),
    });
    let remote = remote(&stub.host);
    let mut piece = Piece::new("content");
    piece.location = remote.registry().remote_repository(&"other/app".parse().unwrap()).location();
    let pushed = remote.push_blob(&piece).unwrap();
    let mount = &stub.requests()[0];
    assert_eq!(mount.param("from").as_deref(), Some("other/app"));
    assert_eq!(mount.param("mount"), Some(piece.descriptor.digest.to_string()));
    (stub, pushed)
}

#[test]
fn e60_a_blob_of_the_same_registry_is_mounted() {
    let (stub, pushed) = mounting(|request| named_after("mount", request));
    assert_eq!((pushed, stub.log().len()), (Pushed::Mounted, 1));
}

#[test]
fn e61_a_mount_that_opened_an_upload_goes_on_there() {
    let (stub, pushed) = mounting(|_| Response::new(202).header("location", "/opened"));
    assert_eq!(pushed, Pushed::Written(7));
    assert_eq!((stub.count("POST"), stub.count("PUT /opened")), (1, 1));
}

#[test]
fn e63_a_mount_that_is_refused_is_an_upload() {
    for status in [400, 401, 403, 404, 405, 500] {
        let (stub, pushed) = mounting(move |_| Response::new(status));
        assert_eq!((pushed, stub.count("PUT /plain")), (Pushed::Written(7), 1), "{status}");
    }
}

#[test]
fn a_blob_of_another_registry_is_not_mounted() {
    let stub = session(|_| Response::new(201));
    let mut piece = Piece::new("content");
    piece.location = remote("elsewhere.example").location();
    remote(&stub.host).push_blob(&piece).unwrap();
    assert!(stub.requests()[0].param("mount").is_none());
}

pub(crate) fn named(tags: &[&str]) -> Vec<Name> {
    tags.iter().map(|tag| Name::from(*tag)).collect()
}

#[test]
fn e71_a_manifest_is_put_byte_for_byte_once_for_each_tag() {
    let stub = fake::registry(Profile::NEW);
    let manifest = image(None);
    let names = named(&["v1", "latest"]);
    remote(&stub.host).push_manifest(&manifest, Entry::Root(&names)).unwrap();
    remote(&stub.host).push_manifest(&manifest, Entry::Child).unwrap();
    for put in stub.requests().iter().filter(|request| request.method == "PUT") {
        assert_eq!(put.header("content-type"), Some("application/vnd.oci.image.manifest.v1+json"));
        assert!(put.body == *manifest.raw());
    }
    let by_digest = format!("PUT /v2/library/app/manifests/{}", manifest.descriptor().digest);
    assert_eq!(
        puts(&stub),
        ["PUT /v2/library/app/manifests/latest", "PUT /v2/library/app/manifests/v1", &by_digest]
    );
    let layout_name = named(&["docker.io/library/app:v1"]);
    let error = remote(&stub.host).push_manifest(&manifest, Entry::Root(&layout_name)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

fn puts(stub: &Stub) -> Vec<String> {
    stub.log().into_iter().filter(|line| line.starts_with("PUT")).collect()
}

#[test]
fn a_manifest_that_has_its_names_already_is_not_put_again() {
    let stub = fake::registry(Profile::NEW);
    let (manifest, names) = (image(None), named(&["v1", "latest"]));
    let push =
        |names: &[Name]| remote(&stub.host).push_manifest(&manifest, Entry::Root(names)).unwrap();
    let size = manifest.descriptor().size;
    assert_eq!((push(&names), puts(&stub).len()), (Pushed::Written(size), 2));
    assert_eq!((push(&names), puts(&stub).len()), (Pushed::Existed, 2));
    assert_eq!((push(&[]), puts(&stub).len()), (Pushed::Existed, 2));
    assert_eq!((push(&named(&["v2"])), puts(&stub).len()), (Pushed::Written(size), 3));
    // A registry that has it may not list it as a referrer yet.
    let subject = image(Some(manifest.descriptor()));
    for _ in 0..2 {
        let pushed = remote(&stub.host).push_manifest(&subject, Entry::Root(&[])).unwrap();
        assert!(matches!(pushed, Pushed::Written(_)), "{pushed:?}");
    }
}

#[test]
fn e74_a_registry_that_took_something_else_is_caught() {
    let stub =
        Stub::new(|_| Response::new(201).header("docker-content-digest", Digest::sha256("x")));
    let error = remote(&stub.host).push_manifest(&image(None), Entry::Child).unwrap_err();
    assert!(error.is_corruption(), "{error}");
}

#[test]
fn e74_a_registry_that_only_says_so_took_what_it_has() {
    let stub = Stub::new(|request| match request.method.as_str() {
        "PUT" => Response::new(201).header("docker-content-digest", Digest::sha256("x")),
        _ => Response::ok(image(None).raw().clone()),
    });
    let remote = remote(&stub.host);
    remote.push_manifest(&image(None), Entry::Child).unwrap();
}

/// A manifest with a sha512 digest.
fn sha512_image() -> Manifest {
    let manifest = image(None);
    let mut descriptor = manifest.descriptor().clone();
    descriptor.digest = Digest::sha512(manifest.raw());
    Manifest::parse(manifest.raw().clone(), descriptor).unwrap()
}

#[test]
fn e75_tags_go_along_with_a_digest_that_a_tag_would_lose() {
    let names: Vec<Name> = (10..22).map(|n| Name::new(format!("v{n}"))).collect();
    let stub = fake::registry(Profile::NEW);
    remote(&stub.host).push_manifest(&sha512_image(), Entry::Root(&names)).unwrap();
    let mut requests = stub.requests();
    requests.retain(|request| request.method == "PUT");
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].params("tag").len(), 10);
    assert_eq!(requests[1].params("tag"), ["v20", "v21"]);
    assert!(requests[0].path().contains("/manifests/sha512:"));
    // A registry that does not know the parameter gets each tag in a request of its own.
    let stub = fake::registry(Profile::OLD);
    remote(&stub.host).push_manifest(&sha512_image(), Entry::Root(&names[..2])).unwrap();
    assert_eq!(puts(&stub).len(), 3);
    assert_eq!(remote(&stub.host).names().unwrap(), names[..2]);
}

#[test]
fn e76_too_many_tags_are_halved() {
    for (status, most) in [(414, 4), (431, 3), (414, 1), (431, 0)] {
        let taken = Mutex::new(Vec::new());
        let stub = Stub::new(move |request| {
            let tags = request.params("tag");
            if tags.len() > most {
                return Response::new(status);
            }
            taken.lock().unwrap().extend(tags.clone());
            let digest = request.path().rsplit('/').next().unwrap().to_owned();
            let digest = Some(digest).filter(|digest| digest.contains(':'));
            let digest = digest.unwrap_or_else(|| Digest::sha512(&request.body).to_string());
            let answer = Response::new(201).header("docker-content-digest", digest);
            tags.iter().fold(answer, |answer, tag| answer.header("oci-tag", tag))
        });
        let names: Vec<Name> = (10..20).map(|n| Name::new(format!("v{n}"))).collect();
        remote(&stub.host).push_manifest(&sha512_image(), Entry::Root(&names)).unwrap();
        let mut requests = stub.requests();
        requests.retain(|request| request.method == "PUT");
        let fitting = requests.iter().filter(|each| each.params("tag").len() <= most);
        let mut tags: Vec<_> = fitting.flat_map(|each| each.params("tag")).collect();
        if most == 0 {
            // Not even one tag fits: each is put by itself.
            let by_name = requests.iter().filter(|each| !each.path().contains("sha512:"));
            tags = by_name.map(|each| each.path().rsplit('/').next().unwrap().to_owned()).collect();
        }
        tags.sort();
        let expected: Vec<_> = names.iter().map(ToString::to_string).collect();
        assert_eq!(tags, expected, "{status}, {most}");
    }
}

#[test]
fn e78_a_manifest_that_is_too_large_is_named_with_its_size() {
    let stub = Stub::new(|_| Response::new(413));
    let error = remote(&stub.host).push_manifest(&image(None), Entry::Child).unwrap_err();
    let size = format!("with {} bytes", image(None).descriptor().size);
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(&size), "{error}");
}

#[test]
fn e54_a_range_of_one_byte_or_none_is_not_believed() {
    // One byte was sent, so it is one.
    let stub = Stub::new(|request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up"),
        "PATCH" => Response::new(202).header("location", "/up").header("range", "0-0"),
        _ => Response::new(201),
    });
    in_chunks(&stub.host, 10).push_blob(&Piece::new("x")).unwrap();
    assert_eq!(stub.count("PATCH"), 1);
    // After a cut, it may be either, so the upload starts again.
    let count = Mutex::new(0);
    let stub = Stub::new(move |request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up"),
        "PATCH" => {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count == 1 { Response::hang_up() } else { Response::new(202) }
        }
        "GET" => Response::new(204).header("range", "0-0"),
        _ => Response::new(201),
    });
    in_chunks(&stub.host, 10).push_blob(&Piece::new(noise(15))).unwrap();
    assert_eq!((stub.count("POST"), stub.count("PATCH")), (2, 3));
}
