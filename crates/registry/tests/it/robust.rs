//! Every request gets an answer, and never a server error.

use longshore_spec::Digest;
use proptest::prelude::*;

use crate::support::{ask, push_image, writable};

fn parts() -> impl Strategy<Value = String> {
    let digest = Digest::sha256(b"layer").to_string();
    let word = prop_oneof![
        Just("v2".to_owned()),
        Just("a".to_owned()),
        Just("blobs".to_owned()),
        Just("uploads".to_owned()),
        Just("manifests".to_owned()),
        Just("tags".to_owned()),
        Just("list".to_owned()),
        Just("referrers".to_owned()),
        Just("v1".to_owned()),
        Just("_catalog".to_owned()),
        Just(digest),
        Just("sha256:x".to_owned()),
        Just(String::new()),
        Just("..".to_owned()),
        Just("%2e%2E".to_owned()),
        Just("%00".to_owned()),
        Just("%ff".to_owned()),
        Just("%".to_owned()),
        "[a-zA-Z0-9._%:@+-]{0,12}",
    ];
    prop::collection::vec(word, 0..7).prop_map(|words| format!("/v2/{}", words.join("/")))
}

fn query() -> impl Strategy<Value = String> {
    let pair =
        ("(n|last|digest|mount|from|tag|artifactType|digest-algorithm)", "[a-z0-9:%+&=-]{0,80}")
            .prop_map(|(key, value)| format!("{key}={value}"));
    prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"))
}

proptest! {
    #[test]
    fn any_request_has_an_answer(
        method in prop_oneof!["GET|HEAD|POST|PUT|PATCH|DELETE", "[A-Z]{1,8}"],
        path in parts(),
        query in query(),
        range in "(bytes=)?[0-9,-]{0,30}",
        content_range in "[0-9-]{0,24}",
        length in "[0-9]{0,22}",
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let registry = writable();
        push_image(&registry, "a", "v1", b"layer");
        let headers = [
            ("range", range.as_str()), ("content-range", &content_range),
            ("content-length", &length), ("if-range", "x"), ("content-type", &range),
        ];
        let answer = ask(&registry, &format!("{method} {path}?{query}"), &headers, &body);
        prop_assert!((200..500).contains(&answer.status), "{}", answer.status);
    }

    #[test]
    fn any_range_is_answered_by_what_it_asks_for(range in "bytes=([0-9]{0,2}-[0-9]{0,2}|[0-9]{0,25}-[0-9]{0,25})") {
        let registry = writable();
        push_image(&registry, "a", "v1", b"layer");
        let digest = Digest::sha256(b"layer");
        let answer = ask(&registry, &format!("GET /v2/a/blobs/{digest}"), &[("range", &range)], b"");
        match answer.status {
            200 => prop_assert_eq!(&answer.body[..], b"layer"),
            206 => {
                let range = answer.header("content-range");
                let (bounds, size) = range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
                let (first, last) = bounds.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                prop_assert_eq!(size, "5");
                prop_assert_eq!(&answer.body[..], &b"layer"[first..=last]);
            }
            status => prop_assert_eq!(status, 416),
        }
    }
}
