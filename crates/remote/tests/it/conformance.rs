//! Registries pass the conformance tests of places, whatever features they lack.

use longshore_remote::{Client, Config, PushMode, Registry};
use longshore_spec::RepositoryName;
use longshore_store::{Repository, conformance};

use crate::fake::{self, Profile};
use crate::support::config;

fn place(profile: Profile, config: &Config) -> Registry {
    let stub = fake::registry(profile);
    Client::new(config).unwrap().registry(&stub.host).unwrap()
}

fn one<'a>(registry: &'a Registry, name: &RepositoryName) -> Box<dyn Repository + 'a> {
    Box::new(registry.remote_repository(name))
}

#[test]
fn a_new_registry_is_a_place() {
    conformance::repository(|| place(Profile::NEW, &config()), one);
}

#[test]
fn an_old_registry_is_a_place() {
    conformance::repository(|| place(Profile::OLD, &config()), one);
}

#[test]
fn a_registry_that_takes_small_chunks_only_is_a_place() {
    let config = Config { push: PushMode::Chunks, chunk_size: 3, ..config() };
    conformance::repository(|| place(Profile::NEW, &config), one);
}
