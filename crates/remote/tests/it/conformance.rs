//! A registry is a place like any other, whatever it lacks.

use longshore_remote::{Client, Config, PushMode, Registry};
use longshore_store::{Place, conformance};

use crate::fake::{self, Profile};
use crate::support::config;

fn place(profile: Profile, config: &Config) -> impl Place + use<> {
    let stub = fake::registry(profile);
    let registry: Registry = Client::new(config).unwrap().registry(&stub.host).unwrap();
    registry
}

#[test]
fn a_new_registry_is_a_place() {
    conformance::repository(|| place(Profile::NEW, &config()));
}

#[test]
fn an_old_registry_is_a_place() {
    conformance::repository(|| place(Profile::OLD, &config()));
}

#[test]
fn a_registry_that_takes_small_chunks_only_is_a_place() {
    let config = Config { push: PushMode::Chunks, chunk_size: 3, ..config() };
    conformance::repository(|| place(Profile::NEW, &config));
}
