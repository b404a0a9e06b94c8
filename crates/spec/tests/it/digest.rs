//! Digests: section A.3 and the vectors of section 0.

use longshore_spec::{Digest, Hasher};

const EMPTY_256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const EMPTY_512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                         47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
const BRACES_256: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const BRACES_512: &str = "sha512:27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9\
                          a33c2046ef60fd2a7878d378e29fec851806bbd9a67878f3a9f1cda4830763fd";
const BRACES_BLAKE3: &str =
    "blake3:6e46dd10defc9b56c29a6ec56b508c21f54c08192194e4df25bf36f0c9c3c279";

fn digest(text: &str) -> Digest {
    text.parse().expect("the text is a digest")
}

#[test]
fn a30_the_grammar_is_strict() {
    let hex = &EMPTY_256[7..];
    for text in [
        "",
        ":",
        "sha256",
        "sha256:",
        ":abc",
        "sha256+foo+-b:abc",
        "a..b:abc",
        "+a:abc",
        "a+:abc",
        "foo:a b",
        "foo:a/b",
        "foo:../../etc/passwd",
        "foo:ä",
        "föo:a",
        "foo:a:b",
        "foo:a\n",
        "sha256\\:abc",
    ] {
        assert!(text.parse::<Digest>().is_err(), "{text:?}");
    }
    assert!(format!("SHA256:{hex}").parse::<Digest>().is_err());
    assert!(format!(" {EMPTY_256}").parse::<Digest>().is_err());
}

#[test]
fn a30_a31_algorithms_nobody_knows_are_carried() {
    for text in [
        "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
        "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
        "sha256+b64u.unknownlength:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564=",
        "sha256.foo-bar:2c26b46b68ffc68ff99b453c1d304134",
        "foo+bar:Zz9=",
    ] {
        let digest = digest(text);
        assert_eq!(digest.to_string(), text);
        assert_eq!(format!("{}:{}", digest.algorithm(), digest.encoded()), text);
        // whoever wants to verify it is told that it cannot be done.
        assert!(digest.hasher().is_none());
        assert_eq!(digest.recompute(b""), None);
    }
}

#[test]
fn a32_sha256_is_64_lower_case_hex_digits() {
    let hex = &EMPTY_256[7..];
    assert!(format!("sha256:{hex}").parse::<Digest>().is_ok());
    for encoded in [&hex[1..], &format!("{hex}0"), &hex.to_uppercase(), &hex.replace('b', "g")] {
        let error = format!("sha256:{encoded}").parse::<Digest>().unwrap_err();
        assert!(error.to_string().contains("exactly 64 lower-case hex digits"), "{error}");
    }
}

#[test]
fn a33_sha512_is_128_lower_case_hex_digits() {
    let hex = &EMPTY_512[7..];
    assert!(format!("sha512:{hex}").parse::<Digest>().is_ok());
    for encoded in [&hex[1..], &hex[64..], &format!("{hex}0"), &hex.to_uppercase()] {
        assert!(format!("sha512:{encoded}").parse::<Digest>().is_err(), "{encoded}");
    }
}

#[test]
fn a34_blake3_is_64_lower_case_hex_digits() {
    let hex = &BRACES_BLAKE3[7..];
    assert_eq!(digest(BRACES_BLAKE3).algorithm(), "blake3");
    for encoded in [&hex[1..], &format!("{hex}{hex}"), &hex.to_uppercase()] {
        assert!(format!("blake3:{encoded}").parse::<Digest>().is_err(), "{encoded}");
    }
}

#[test]
fn a32_a33_vectors() {
    assert_eq!(Digest::sha256(b"").to_string(), EMPTY_256);
    assert_eq!(Digest::sha512(b"").to_string(), EMPTY_512);
    assert_eq!(Digest::sha256(b"{}").to_string(), BRACES_256);
    assert_eq!(Digest::sha512(b"{}").to_string(), BRACES_512);
    assert_eq!(digest(BRACES_512).recompute(b"{}"), Some(digest(BRACES_512)));
}

#[test]
fn a35_hashers_count_and_see_chunks_as_a_whole() {
    for whole in [BRACES_256, BRACES_512] {
        let mut hasher = digest(whole).hasher().expect("both algorithms can be computed");
        hasher.update(b"{");
        hasher.update(b"");
        hasher.update(b"}");
        assert_eq!(hasher.count(), 2);
        assert_eq!(hasher.finish(), digest(whole));
    }
    assert_eq!(Hasher::sha256().finish().algorithm(), "sha256");
    assert_eq!(Hasher::sha512().finish().algorithm(), "sha512");
}

#[test]
fn e87_referrers_tags() {
    let vectors = [
        (BRACES_512, "sha512-27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9"),
        (
            "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564=",
            "sha256-b64u-LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564-",
        ),
        (
            "test+algorithm+using+algorithm+separators+and+lots+of+characters+to+excercise+overall+\
             truncation:alsoSome=InTheEncodedSectionToShowHyphenReplacementAndLotsAndLotsOfCharacters\
             ToExcerciseEncodedTruncation",
            "test-algorithm-using-algorithm-s-\
             alsoSome-InTheEncodedSectionToShowHyphenReplacementAndLotsAndLot",
        ),
    ];
    for (text, tag) in vectors {
        assert_eq!(digest(text).referrers_tag(), tag);
        assert!(tag.parse::<longshore_spec::Tag>().is_ok());
    }
}

#[test]
fn e87_a_referrers_tag_is_known_by_its_form() {
    for text in [EMPTY_256, EMPTY_512] {
        let tag = digest(text).referrers_tag();
        assert!(Digest::is_referrers_tag(&tag), "{tag}");
        let (algorithm, encoded) = tag.split_once('-').unwrap();
        for other in [
            format!("{algorithm}-{}", encoded.to_uppercase()),
            format!("{algorithm}-{encoded}0"),
            format!("{algorithm}-{}", &encoded[1..]),
            format!("{tag}.sig"),
            format!("sha1-{encoded}"),
            format!("v{tag}"),
            encoded.to_owned(),
        ] {
            assert!(!Digest::is_referrers_tag(&other), "{other}");
        }
    }
}

#[test]
fn a43_digests_sort_as_their_text() {
    let mut texts = vec![
        EMPTY_512,
        BRACES_256,
        "sha256+b64u:abc",
        "sha3:abc",
        EMPTY_256,
        BRACES_BLAKE3,
        BRACES_512,
        "sha256.x:0",
    ];
    let mut digests: Vec<_> = texts.iter().map(|text| digest(text)).collect();
    digests.sort();
    texts.sort_unstable();
    assert_eq!(digests.iter().map(Digest::to_string).collect::<Vec<_>>(), texts);
}

#[test]
fn digests_are_json_strings() {
    let json = format!("\"{BRACES_256}\"");
    let read: Digest = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    assert!(serde_json::from_str::<Digest>("\"sha256:abc\"").is_err());
    assert!(serde_json::from_str::<Digest>("7").is_err());
    assert_eq!(read.short(), "44136fa355b3");
    assert_eq!(digest("foo:ab").short(), "ab");
}
