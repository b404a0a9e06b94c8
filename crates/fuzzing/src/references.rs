//! Names, and other words that people type.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use longshore_bundle::Rule;
use longshore_spec::{Digest, Platform, Reference, RepositoryName, Tag, TypeFilter};

/// What is read is printed as what is read as the same.
pub fn references(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    printed_is_read::<Reference>(text);
    printed_is_read::<RepositoryName>(text);
    printed_is_read::<Tag>(text);
    printed_is_read::<Platform>(text);
    if let Some(digest) = printed_is_read::<Digest>(text) {
        // It becomes a path.
        let path = format!("{}/{}", digest.algorithm(), digest.encoded());
        assert!(path.split('/').count() == 2 && !path.contains(".."), "{path}");
    }
    if let Ok(name) = text.parse::<RepositoryName>() {
        let is_name = |part: &str| !part.is_empty() && part != "." && part != "..";
        assert!(name.as_str().split('/').all(is_name), "{name}");
    }
    if let Ok(reference) = Reference::from_docker_name(text) {
        let printed = reference.to_string();
        assert_eq!(printed.parse().as_ref(), Ok(&reference), "{printed}");
        let docker = reference.docker_name();
        assert_eq!(Reference::from_docker_name(&docker).as_ref(), Ok(&reference), "{docker}");
    }
    _ = TypeFilter::parse(&[text]);
    _ = text.parse::<Rule>();
}

fn printed_is_read<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Debug> + Display + Debug + PartialEq,
{
    let value: T = text.parse().ok()?;
    let printed = value.to_string();
    let again: T = printed.parse().expect("what is printed is read");
    assert_eq!(again, value, "{printed}");
    Some(value)
}
