//! Platforms: rows B-12 to B-17.

use longshore_spec::Platform;

fn platform(text: &str) -> Platform {
    text.parse().expect("the text is a platform")
}

/// As found in an index: nothing is normalised.
fn found(os: &str, architecture: &str, variant: Option<&str>) -> Platform {
    Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.map(str::to_owned),
        ..Platform::default()
    }
}

#[test]
fn platforms_are_text() {
    for text in [
        "linux/amd64",
        "linux/arm/v6",
        "linux/arm64/v8",
        "windows(10.0.17763.1)/amd64",
        "linux/riscv64/rva20u64",
        "unknown/unknown",
        "x-os/y_arch/z.1",
    ] {
        assert_eq!(platform(text).to_string(), text);
    }
    assert_eq!(found("linux", "arm64", Some("")).to_string(), "linux/arm64");
}

#[test]
fn names_that_people_type_are_understood() {
    for (typed, meant) in [
        ("Linux/X86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
    ] {
        assert_eq!(platform(typed).to_string(), meant, "{typed}");
    }
    assert_eq!(Platform::new("linux", "armhf"), platform("linux/arm/v7"));
}

#[test]
fn what_is_no_platform_says_so() {
    for text in [
        "",
        "linux",
        "linux/",
        "/amd64",
        "linux/arm/v7/x",
        "linux/arm/",
        "windows(10/amd64",
        "windows()/amd64",
    ] {
        assert!(text.parse::<Platform>().is_err(), "{text}");
    }
    for text in
        ["windows(1)x/amd64", "lin ux/amd64", "linux/amd64,linux/arm64", "(1)/amd64", "linux/ämd64"]
    {
        assert!(text.parse::<Platform>().is_err(), "{text}");
    }
    let error = "amd64".parse::<Platform>().unwrap_err().to_string();
    assert_eq!(
        error,
        "`amd64` is not a platform: write OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64 or linux/arm/v7"
    );
}

#[test]
fn b12_without_os_or_architecture_nothing_matches() {
    let wanted = platform("linux/amd64");
    for offered in [found("", "amd64", None), found("linux", "", None), Platform::default()] {
        assert!(!wanted.accepts(&offered));
        assert!(!offered.accepts(&offered));
    }
    let read: Platform = serde_json::from_str(r#"{"os":null}"#).unwrap();
    assert!(!wanted.accepts(&read));
}

#[test]
fn b13_names_nobody_knows_compare_as_text() {
    assert!(platform("plan9/mips").accepts(&found("plan9", "mips", None)));
    assert!(!platform("plan9/mips").accepts(&found("plan9", "mipsle", None)));
    assert!(platform("linux/amd64").accepts(&found("Linux", "x86_64", None)));
}

#[test]
fn b15_variants() {
    // (wanted, architecture and variant offered, match)
    for (wanted, architecture, variant, expected) in [
        ("linux/arm64", "arm64", Some("v8"), true),
        ("linux/arm64", "arm64", Some("8"), true),
        ("linux/arm64", "aarch64", None, true),
        ("linux/arm64", "arm64", Some("v9"), true),
        ("linux/arm64/v8", "arm64", None, true),
        ("linux/arm64/v8", "arm64", Some(""), true),
        ("linux/arm64/v8", "arm64", Some("v9"), false),
        ("linux/arm64/v9", "arm64", None, false),
        ("linux/arm", "arm", Some("v7"), true),
        ("linux/arm", "arm", None, true),
        ("linux/arm", "arm", Some("v6"), false),
        ("linux/arm/v7", "arm", None, true),
        ("linux/arm/v6", "arm", None, false),
        ("linux/arm/v7", "arm", Some("v6"), false),
        ("linux/arm/v6", "armel", None, true),
        ("linux/amd64", "amd64", Some("v1"), true),
        ("linux/amd64", "amd64", Some("v3"), true),
        ("linux/amd64/v1", "amd64", None, true),
        ("linux/amd64/v2", "amd64", None, false),
        ("linux/amd64/v2", "amd64", Some("v2"), true),
        ("linux/ppc64le", "ppc64le", Some("power8"), true),
        ("linux/riscv64/rva20u64", "riscv64", Some("rva22u64"), false),
    ] {
        let offered = found("linux", architecture, variant);
        assert_eq!(platform(wanted).accepts(&offered), expected, "{wanted} of {offered:?}");
    }
}

#[test]
fn b14_windows_versions_match_by_prefix() {
    let windows = |version: Option<&str>| Platform {
        os_version: version.map(str::to_owned),
        ..found("windows", "amd64", None)
    };
    let offered = windows(Some("10.0.17763.5329"));
    for (wanted, expected) in [
        ("windows/amd64", true),
        ("windows(10.0.17763)/amd64", true),
        ("windows(10.0.17763.)/amd64", true),
        ("windows(10.0.17763.5329)/amd64", true),
        ("windows(10.0.1776)/amd64", false),
        ("windows(10.0.20348)/amd64", false),
        ("windows(10.0.17763.5329.1)/amd64", false),
    ] {
        assert_eq!(platform(wanted).accepts(&offered), expected, "{wanted}");
    }
    assert!(!platform("windows(10.0.17763)/amd64").accepts(&windows(None)));
}

#[test]
fn b14_features_of_the_os() {
    let win32k = Platform { os_features: vec!["win32k".to_owned()], ..platform("windows/amd64") };
    assert!(platform("windows/amd64").accepts(&win32k));
    assert!(win32k.accepts(&win32k));
    assert!(!win32k.accepts(&platform("windows/amd64")));
}

#[test]
fn b16_the_first_of_several_matches_counts() {
    let entries = [
        found("linux", "arm64", None),
        found("linux", "amd64", None),
        found("linux", "amd64", None),
    ];
    let wanted = platform("linux/amd64");
    assert_eq!(entries.iter().position(|offered| wanted.accepts(offered)), Some(1));
}

#[test]
fn b17_attestations_run_nowhere() {
    let unknown = found("unknown", "unknown", None);
    assert!(unknown.is_unknown());
    assert!(!platform("linux/amd64").accepts(&unknown));
    assert!(!platform("linux/amd64").is_unknown());
}
