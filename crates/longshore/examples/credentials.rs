//! Copies as somebody who is known to one registry: `credentials FROM TO HOST NAME`, with the password in
//! `$PASSWORD`. What Docker and Podman keep is read by `longshore::remote::credentials::Files`.

use std::sync::Arc;

use longshore::remote::credentials::{Credential, Credentials};
use longshore::remote::{Config, Secret};
use longshore::spec::RepositoryName;
use longshore::{CopyOptions, PlaceError, Places, Silent, copy};

/// Knows one registry. Others are asked as nobody.
#[derive(Debug)]
struct One {
    host: String,
    credential: Credential,
}

impl Credentials for One {
    fn find(
        &self,
        host: &str,
        _: Option<&RepositoryName>,
    ) -> longshore::Result<Option<Credential>> {
        Ok((host == self.host).then(|| self.credential.clone()))
    }
}

fn main() -> Result<(), PlaceError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, host, name] = &words[..] else {
        return Err(PlaceError::Text("write where from, where to, a host and a name".to_owned()));
    };
    run(from, to, host, name, &std::env::var("PASSWORD").unwrap_or_default())
}

/// Copies an artifact as somebody.
pub(crate) fn run(
    from: &str,
    to: &str,
    host: &str,
    name: &str,
    word: &str,
) -> Result<(), PlaceError> {
    let credential =
        Credential::Password { username: name.to_owned(), password: Secret::new(word) };
    let credentials = Arc::new(One { host: host.to_owned(), credential });
    let places = Places::new(&Config { credentials, ..Config::default() })?;
    let (from, to) = (places.source(from)?, places.target(to)?);
    let report = copy(&from, &to, &CopyOptions::default(), &Silent)?;
    if report.is_complete() { Ok(()) } else { Err(PlaceError::Text("not complete".to_owned())) }
}
