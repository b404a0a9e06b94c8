//! Rates that are kept. Only what may not be quicker is measured: a busy machine is slower.

use std::io::Read as _;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use longshore_remote::{Client, Config, Rate, RemoteRepository};
use longshore_store::{Selector, Source as _, Target as _};

use crate::fake::{self, Profile};
use crate::stub::Stub;
use crate::support::{Piece, config, noise};

const SECOND: Duration = Duration::from_secs(1);
/// How long a blob is.
const LENGTH: usize = 300_000;

fn a_second(amount: u64) -> Rate {
    Rate { amount: NonZeroU64::new(amount).unwrap(), per: SECOND }
}

fn repositories<const N: usize>(config: &Config, stubs: &[Stub; N]) -> [RemoteRepository; N] {
    let client = Client::new(config).unwrap();
    stubs.each_ref().map(|stub| {
        client.registry(&stub.host).unwrap().remote_repository(&"library/app".parse().unwrap())
    })
}

#[test]
fn bytes_of_all_hosts_keep_one_rate_in_each_direction() {
    let config = Config { byte_rate: Some(a_second(1_000_000)), ..config() };
    let stubs = [(); 2].map(|()| fake::registry(Profile::NEW));
    let remotes = repositories(&config, &stubs);
    let piece = Piece::new(noise(LENGTH));
    // The last piece of a body is not waited for: some 256 KiB of 600,000 bytes come at once.
    let at_least = SECOND * 3 / 10;
    let begun = Instant::now();
    for remote in &remotes {
        remote.push_blob(&piece).unwrap();
    }
    assert!(begun.elapsed() > at_least, "sent in {:?}", begun.elapsed());
    let begun = Instant::now();
    for remote in &remotes {
        let mut content = Vec::new();
        remote.open(&piece.descriptor, 0).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, piece.content);
    }
    assert!(begun.elapsed() > at_least, "received in {:?}", begun.elapsed());
}

#[test]
fn each_host_gets_its_requests_at_a_rate_of_its_own() {
    let config = Config { request_rate: Some(a_second(50)), ..config() };
    let stubs = [(); 2].map(|()| fake::registry(Profile::NEW));
    let remotes = repositories(&config, &stubs);
    let begun = Instant::now();
    for _ in 0..10 {
        for remote in &remotes {
            // Whether there is something called that is asked all the same.
            remote.head(&Selector::Name("v1".into())).unwrap_err();
        }
    }
    let asked = stubs.each_ref().map(|stub| stub.requests().len());
    let least = asked.into_iter().max().unwrap();
    assert!(least >= 10);
    let at_least = SECOND / 50 * u32::try_from(least - 1).unwrap();
    assert!(begun.elapsed() > at_least, "{asked:?} in {:?}", begun.elapsed());
}
