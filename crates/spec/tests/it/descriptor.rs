//! Descriptors and annotations: rows A-41, A-42, B-03 to B-10, B-20, B-22.

use longshore_spec::{Descriptor, Digest, EmbeddedDataError, MediaType};
use serde_json::json;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn with(members: &str) -> Result<Descriptor, serde_json::Error> {
    let comma = if members.is_empty() { "" } else { "," };
    serde_json::from_str(&format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}"{comma}{members}}}"#))
}

#[test]
fn b01_b03_b04_three_members_are_required() {
    assert!(with(r#""size":2"#).is_ok());
    assert!(with("").is_err());
    assert!(
        serde_json::from_str::<Descriptor>(&format!(r#"{{"digest":"{DIGEST}","size":2}}"#))
            .is_err()
    );
    assert!(serde_json::from_str::<Descriptor>(r#"{"mediaType":"a/b","size":2}"#).is_err());
    assert!(
        serde_json::from_str::<Descriptor>(r#"{"mediaType":"a/b","digest":"x","size":2}"#).is_err()
    );
}

#[test]
fn b04_a42_sizes_are_exact_and_not_negative() {
    for size in [0, 2, (1 << 53) + 1, i64::MAX as u64] {
        assert_eq!(with(&format!(r#""size":{size}"#)).unwrap().size, size);
    }
    for size in [r#""7682""#, "-1", "1.5", "1e3", "null", "[]", "99999999999999999999"] {
        assert!(with(&format!(r#""size":{size}"#)).is_err(), "{size}");
    }
}

#[test]
fn a42_a_known_member_that_comes_twice_is_an_error() {
    for members in [
        r#""size":2,"size":2"#,
        r#""size":2,"digest":"sha256:00""#,
        r#""size":2,"mediaType":"c/d""#,
        r#""size":2,"annotations":{},"annotations":{}"#,
        r#""size":2,"platform":{"os":"a","os":"b","architecture":"c"}"#,
    ] {
        assert!(with(members).is_err(), "{members}");
    }
}

#[test]
fn a41_members_nobody_knows_survive() {
    let value = json!({
        "mediaType": "application/x",
        "digest": DIGEST,
        "size": 2,
        "urls": ["https://example.com/x"],
        "annotations": {"b": "2", "a": ""},
        "data": "e30=",
        "artifactType": "application/y",
        "platform": {
            "architecture": "amd64", "os": "windows", "os.version": "10.0.17763.1",
            "os.features": ["win32k"], "variant": "v2", "features": ["sse4"], "x-more": {"deep": [1, 2.5, null]},
        },
        "x-vendor": {"deep": [1, 2.5, null]},
    });
    let read: Descriptor = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
}

#[test]
fn b22_nothing_is_written_where_nothing_is() {
    let read = with(
        r#""size":2,"annotations":null,"urls":null,"platform":null,"data":null,"artifactType":null"#,
    );
    let json = serde_json::to_string(&read.unwrap()).unwrap();
    assert_eq!(json, format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":2}}"#));
}

#[test]
fn b20_annotations_that_are_no_strings_are_tolerated() {
    let read = with(r#""size":2,"annotations":{"n":1,"o":{"a":[]},"s":"text","z":null}"#).unwrap();
    let values: Vec<_> = read.annotations.values().map(String::as_str).collect();
    assert_eq!(values, ["1", r#"{"a":[]}"#, "text", "null"]);
    assert!(with(r#""size":2,"annotations":["a"]"#).is_err());
}

#[test]
fn a43_annotations_are_written_in_order() {
    let read = with(r#""size":2,"annotations":{"c":"1","a":"2","b":"3"}"#).unwrap();
    assert!(
        serde_json::to_string(&read)
            .unwrap()
            .ends_with(r#""annotations":{"a":"2","b":"3","c":"1"}}"#)
    );
}

#[test]
fn b07_embedded_data_is_checked() {
    let embedded = |data: &str| with(&format!(r#""size":2,"data":"{data}""#)).unwrap().embedded();
    let digest: Digest = DIGEST.parse().unwrap();
    assert_eq!(embedded("e30="), Ok(Some(b"{}".to_vec())));
    assert_eq!(embedded("e30"), Err(EmbeddedDataError::Encoding(digest.clone())), "no padding");
    assert_eq!(embedded("e3 0="), Err(EmbeddedDataError::Encoding(digest.clone())));
    assert_eq!(
        embedded("e31="),
        Err(EmbeddedDataError::Encoding(digest.clone())),
        "left-over bits"
    );
    assert_eq!(embedded("W10="), Err(EmbeddedDataError::Content(digest.clone())), "other bytes");
    assert_eq!(embedded(""), Err(EmbeddedDataError::Content(digest)));
    assert_eq!(with(r#""size":2"#).unwrap().embedded(), Ok(None));

    let mut wrong_size = Descriptor::of("a/b", b"{}");
    wrong_size.change_more(|more| more.data = Some("e30=".to_owned()));
    wrong_size.size = 3;
    assert!(matches!(wrong_size.embedded(), Err(EmbeddedDataError::Content(_))));

    let mut unknown_algorithm = Descriptor::new("a/b", "foo:bar".parse().unwrap(), 2);
    unknown_algorithm.change_more(|more| more.data = Some("e30=".to_owned()));
    assert_eq!(unknown_algorithm.embedded(), Ok(None));
}

#[test]
fn c17_the_empty_descriptor() {
    let empty = Descriptor::empty();
    assert!(empty.media_type.is(MediaType::EMPTY));
    assert_eq!((empty.digest.to_string().as_str(), empty.size), (DIGEST, 2));
}
