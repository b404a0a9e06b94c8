//! The behaviours.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use longshore_fixture::gzip;
use longshore_fixture::proxy::{Answer, Class, Request, Rules, Times};
use longshore_spec::MediaType;
use serde_json::json;

use super::{BASIC, Known, REPOSITORY, TAGS, Work};

/// One way in which registries behave.
pub(super) struct Quirk {
    /// What such a registry does.
    pub(super) name: &'static str,
    pub(super) work: Work,
    pub(super) rules: fn(&Known) -> Rules,
    /// Whether the work can be done all the same; else it must end with an error.
    pub(super) works: bool,
}

const fn quirk(name: &'static str, work: Work, rules: fn(&Known) -> Rules) -> Quirk {
    Quirk { name, work, rules, works: true }
}

const fn error(name: &'static str, work: Work, rules: fn(&Known) -> Rules) -> Quirk {
    Quirk { name, work, rules, works: false }
}

pub(super) const QUIRKS: &[Quirk] = &[
    quirk("answers HEAD of a manifest with 404, and GET well", Work::Pull, |_| {
        heads(Class::Manifest, 404)
    }),
    quirk("answers HEAD of a manifest with 405", Work::Pull, |_| heads(Class::Manifest, 405)),
    quirk("gives a manifest no length and no digest on HEAD", Work::Pull, |known| {
        manifest_head(known)
    }),
    quirk("says the digest and length of something else on HEAD", Work::Pull, |known| {
        let other = known.layers[0].digest.to_string();
        manifest_heads(move || {
            Answer::status(200)
                .header("Content-Type", MediaType::IMAGE_MANIFEST)
                .header("Content-Length", "17")
                .header("Docker-Content-Digest", &other)
        })
    }),
    quirk("answers HEAD of a manifest with 429", Work::Pull, |_| heads(Class::Manifest, 429)),
    quirk("leads HEAD of a manifest to where nobody is", Work::Pull, |_| {
        manifest_heads(|| Answer::status(307).header("Location", "http://127.0.0.1:1/x"))
    }),
    quirk("answers HEAD of a blob with 403", Work::Push, |_| heads(Class::Blob, 403)),
    quirk("answers HEAD of a blob with 405", Work::Push, |_| heads(Class::Blob, 405)),
    quirk("says no Docker-Content-Digest", Work::Pull, |known| {
        manifest(known, MediaType::IMAGE_MANIFEST, None)
    }),
    quirk("says the Docker-Content-Digest of something else", Work::Pull, |known| {
        let other = known.layers[0].digest.to_string();
        manifest(known, MediaType::IMAGE_MANIFEST, Some(other))
    }),
    quirk("gives manifests as application/json", Work::Pull, |known| {
        manifest(known, "application/json", Some(known.manifest.digest.to_string()))
    }),
    quirk("gives manifests as text/plain; charset=utf-8", Work::Pull, |known| {
        let digest = known.manifest.digest.to_string();
        manifest(known, "text/plain; charset=utf-8", Some(digest))
    }),
    quirk("gives manifests as those of schema 1", Work::Pull, |known| {
        let digest = known.manifest.digest.to_string();
        manifest(known, MediaType::DOCKER_SCHEMA1_SIGNED, Some(digest))
    }),
    quirk("compresses what nobody asked to be left as it is", Work::Pull, |known| {
        compressed(known, false)
    }),
    quirk("compresses what is asked for as it is", Work::Pull, |known| compressed(known, true)),
    quirk("gives blobs elsewhere, by 307", Work::Pull, elsewhere),
    quirk("breaks each large blob off once", Work::Pull, |_| {
        Rules::default().cut_body(is(Class::Blob), 1000, Times::PerTarget(1))
    }),
    quirk("breaks blobs off once and knows no ranges", Work::Pull, |known| {
        let layer = known.layers[1].digest.clone();
        let bytes = known.bytes(&layer);
        Rules::default()
            .answer(move |request| {
                let asked = request.class() == Class::Blob
                    && request.path().ends_with(&layer.encoded())
                    && request.header("Range").is_some();
                asked.then(|| Answer::status(200).body(bytes.clone()))
            })
            .cut_body(is(Class::Blob), 1000, Times::PerTarget(1))
    }),
    quirk("answers 429 first, with Retry-After: 1", Work::Pull, |_| {
        first(Answer::status(429).header("Retry-After", "1"), |_| true)
    }),
    quirk("answers 503 first, for each blob", Work::Pull, |_| {
        first(Answer::status(503), is(Class::Blob))
    }),
    quirk("answers /v2/ with 404", Work::Pull, |_| {
        Rules::default().answer(|request| {
            (request.class() == Class::Base).then(|| Answer::status(404).body("not here"))
        })
    }),
    quirk("challenges at /v2/ only", Work::PullAs, |_| challenged(401)),
    quirk("challenges at /v2/ only, and answers 403 else", Work::PullAs, |_| challenged(403)),
    quirk("takes uploads by PATCH only: 400 for a PUT with content", Work::Push, |_| {
        no_content_in_put(400)
    }),
    quirk("takes uploads by PATCH only: 404 for a PUT with content", Work::Push, |_| {
        no_content_in_put(404)
    }),
    quirk("takes uploads by PATCH only: 403 for a PUT with content", Work::Push, |_| {
        no_content_in_put(403)
    }),
    quirk("answers 201 to a POST with content or a mount, and has nothing", Work::Push, |_| {
        Rules::default().answer(|request| {
            let boasts = ["digest=", "mount="].iter().any(|key| request.target.contains(key));
            let is_asked = request.class() == Class::Upload && request.method == "POST";
            (is_asked && boasts).then(|| Answer::status(201))
        })
    }),
    quirk("says that the tags are null", Work::List(&[]), |_| {
        tags(|_| Answer::status(200).body(json!({"name": REPOSITORY, "tags": null}).to_string()))
    }),
    quirk("links to the next page of tags with host and scheme", Work::List(&TAGS), |_| {
        tags(|request| {
            let host = request.header("Host").unwrap_or_default().to_owned();
            page(request, |next| {
                format!("<http://{host}/v2/{REPOSITORY}/tags/list?{next}>; rel=\"next\"")
            })
        })
    }),
    quirk("links to the next page by its query, rel without quotes", Work::List(&TAGS), |_| {
        tags(|request| page(request, |next| format!("<?{next}>;rel=next")))
    }),
    error("fails with the second page of tags", Work::List(&TAGS), |_| {
        tags(|request| {
            if request.target.contains("last=") {
                return Answer::status(500);
            }
            page(request, |next| format!("</v2/{REPOSITORY}/tags/list?{next}>; rel=\"next\""))
        })
    }),
    quirk("refuses pages of more than 100 tags", Work::List(&TAGS), |_| no_large_pages(400)),
    quirk("refuses pages of more than 100 tags, with 404", Work::List(&TAGS), |_| {
        no_large_pages(404)
    }),
    quirk("fails with pages of more than 100 tags", Work::List(&TAGS), |_| no_large_pages(500)),
    error("has null among its tags", Work::List(&TAGS), |_| {
        tags(|_| {
            let tags: Vec<_> = TAGS.into_iter().map(Some).chain([None]).collect();
            Answer::status(200).body(json!({"name": REPOSITORY, "tags": tags}).to_string())
        })
    }),
    quirk("lists no tags: 401", Work::PullAll, |_| {
        tags(|_| said(401, "UNAUTHORIZED", "authentication required"))
    }),
    quirk("answers 400 to who asks for referrers", Work::PullAll, |_| {
        Rules::default().answer(|request| {
            (request.class() == Class::Referrers).then(|| Answer::status(400).body("bad request"))
        })
    }),
    quirk("answers {} to who asks for referrers", Work::PullAll, |_| {
        referrers(|| Answer::status(200).header("Content-Type", "application/json").body("{}"))
    }),
    quirk("lists what is asked for as its own referrer", Work::PullAll, |known| {
        let entry = known.manifest.clone();
        referrers(move || {
            let index = MediaType::IMAGE_INDEX;
            let list = json!({"schemaVersion": 2, "mediaType": index, "manifests": [entry]});
            Answer::status(200).header("Content-Type", index).body(list.to_string())
        })
    }),
    quirk("has an image under the tag of the list of referrers", Work::PullAll, |known| {
        let bytes = known.bytes(&known.manifest.digest);
        Rules::default().answer(move |request| {
            let last = request.path().rsplit('/').next().unwrap_or_default();
            let is_list = request.class() == Class::Manifest && last.starts_with("sha256-");
            is_list.then(|| {
                Answer::status(200)
                    .header("Content-Type", MediaType::IMAGE_MANIFEST)
                    .body(bytes.clone())
            })
        })
    }),
];

fn is(class: Class) -> impl Fn(&Request) -> bool {
    move |request| request.class() == class
}

/// Answers HEAD with a status.
fn heads(class: Class, status: u16) -> Rules {
    Rules::default().answer(move |request| {
        (request.method == "HEAD" && request.class() == class).then(|| Answer::status(status))
    })
}

/// Answers HEAD of a manifest so.
fn manifest_heads(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Rules {
    Rules::default().answer(move |request| {
        (request.method == "HEAD" && request.class() == Class::Manifest).then(&answer)
    })
}

/// Answers so to who asks for referrers.
fn referrers(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Rules {
    Rules::default().answer(move |request| (request.class() == Class::Referrers).then(&answer))
}

/// Refuses to list more than 100 tags at once.
fn no_large_pages(status: u16) -> Rules {
    Rules::default().answer(move |request| {
        let asked = request.target.split(['?', '&']).find_map(|part| part.strip_prefix("n="));
        let is_large = asked.and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 100);
        (request.class() == Class::Tags && is_large).then(|| {
            said(status, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
        })
    })
}

/// Gives the manifest with these headers.
fn manifest(known: &Known, media_type: &'static str, digest: Option<String>) -> Rules {
    let bytes = known.bytes(&known.manifest.digest);
    Rules::default().answer(move |request| {
        let is_asked = request.class() == Class::Manifest && request.method != "PUT";
        is_asked.then(|| {
            let answer = Answer::status(200)
                .header("Content-Type", media_type)
                .header("Content-Length", bytes.len().to_string())
                .body(bytes.clone());
            match &digest {
                Some(digest) => answer.header("Docker-Content-Digest", digest),
                None => answer,
            }
        })
    })
}

/// Says nothing useful on HEAD of a manifest.
fn manifest_head(_: &Known) -> Rules {
    Rules::default().answer(|request| {
        (request.method == "HEAD" && request.class() == Class::Manifest)
            .then(|| Answer::status(200).header("Content-Length", "0"))
    })
}

/// Compresses whatever is asked for without `identity`, or also with it.
fn compressed(known: &Known, always: bool) -> Rules {
    let contents: Vec<_> = known
        .content
        .blobs
        .iter()
        .map(|(digest, bytes)| (digest.to_string(), gzip(bytes)))
        .collect();
    let manifest = known.manifest.digest.to_string();
    Rules::default().answer(move |request| {
        let accepted = request.header("Accept-Encoding");
        let is_taken = always || accepted.is_none_or(|accepted| accepted.contains("gzip"));
        if request.method != "GET" || !is_taken {
            return None;
        }
        let last = request.path().rsplit('/').next()?;
        let (wanted, media_type) = match request.class() {
            Class::Manifest => {
                (if TAGS.contains(&last) { &manifest } else { last }, MediaType::IMAGE_MANIFEST)
            }
            Class::Blob => (last, "application/octet-stream"),
            _ => return None,
        };
        let (digest, bytes) = contents.iter().find(|(digest, _)| digest == wanted)?;
        let answer = Answer::status(200)
            .header("Content-Type", media_type)
            .header("Docker-Content-Digest", digest)
            .header("Content-Encoding", "gzip");
        Some(answer.body(bytes.clone()))
    })
}

/// Sends who asks for a blob to an address of its own, and refuses HEAD there.
fn elsewhere(known: &Known) -> Rules {
    let contents: Vec<_> = known
        .content
        .blobs
        .iter()
        .map(|(digest, bytes)| (digest.to_string(), bytes.clone()))
        .collect();
    Rules::default().answer(move |request| {
        let last = request.path().rsplit('/').next()?;
        if request.class() == Class::Blob && matches!(&*request.method, "GET" | "HEAD") {
            let host = request.header("Host").unwrap_or_default();
            let there = format!("http://{host}/elsewhere/{last}?signature=a%2Fb");
            return Some(Answer::status(307).header("Location", there));
        }
        let (_, bytes) = contents
            .iter()
            .find(|(digest, _)| request.path().starts_with("/elsewhere/") && digest == last)?;
        Some(match &*request.method {
            "GET" => Answer::status(200).body(bytes.clone()),
            _ => Answer::status(403),
        })
    })
}

/// Answers so the first time that something is asked for, of what `matches`.
fn first(answer: Answer, matches: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Rules {
    let asked = Mutex::new(BTreeSet::new());
    Rules::default().answer(move |request| {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = matches(request) && asked.insert(request.target.clone());
        is_first.then(|| answer.clone())
    })
}

/// Asks for a password, with a challenge at `/v2/` and with a bare `status` everywhere else.
fn challenged(status: u16) -> Rules {
    Rules::default().answer(move |request| {
        if request.header("Authorization") == Some(BASIC) {
            return None;
        }
        Some(match request.class() {
            Class::Base => {
                Answer::status(401).header("WWW-Authenticate", "Basic realm=\"harbour\"")
            }
            _ => said(status, "UNAUTHORIZED", "authentication required"),
        })
    })
}

/// Refuses content in POST and PUT.
fn no_content_in_put(status: u16) -> Rules {
    Rules::default().answer(move |request| {
        let has_content = request.header("Content-Length").is_some_and(|length| length != "0")
            || request.header("Transfer-Encoding").is_some();
        let is_refused = request.class() == Class::Upload && has_content;
        match &*request.method {
            "PUT" if is_refused => Some(said(status, "BLOB_UPLOAD_INVALID", "no content here")),
            "POST" if is_refused => Some(said(405, "UNSUPPORTED", "no content here")),
            _ => None,
        }
    })
}

fn tags(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Rules {
    Rules::default()
        .answer(move |request| (request.class() == Class::Tags).then(|| answer(request)))
}

/// Answers with the three tags behind `last`, and a link that `link` makes of the query for more.
fn page(request: &Request, link: impl Fn(&str) -> String) -> Answer {
    const PAGE: usize = 3;
    let last = request.target.split(['?', '&']).find_map(|part| part.strip_prefix("last="));
    let behind: Vec<_> =
        TAGS.iter().copied().filter(|tag| last.is_none_or(|last| *tag > last)).collect();
    let shown = &behind[..behind.len().min(PAGE)];
    let answer = Answer::status(200).body(json!({"name": REPOSITORY, "tags": shown}).to_string());
    match shown.last().filter(|_| shown.len() < behind.len()) {
        Some(last) => answer.header("Link", link(&format!("last={last}&n={PAGE}"))),
        None => answer,
    }
}

/// Answers with an error as the specification has it.
fn said(status: u16, code: &str, message: &str) -> Answer {
    let errors = json!({"errors": [{"code": code, "message": message}]});
    Answer::status(status).header("Content-Type", "application/json").body(errors.to_string())
}
